/** A SOCKS5 proxy that leads to this machine, whatever host was asked for. */
import type { AddressInfo, Socket } from 'node:net';
import { connect, createServer } from 'node:net';

export interface SocksProxy {
  readonly port: number;
  /** Host and port of every connection that was asked for, after name and password. */
  readonly asked: string[];
  close(): void;
}

/** Starts one on loopback; with a login it takes that only. With another reply than 0 it refuses. */
export async function startSocksProxy({
  login,
  reply = 0,
}: { login?: string; reply?: number } = {}): Promise<SocksProxy> {
  const asked: string[] = [];
  const sockets = new Set<Socket>();

  async function serve(socket: Socket): Promise<void> {
    const pieces = socket[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
    let waiting = Buffer.alloc(0);
    const take = async (bytes: number): Promise<Buffer> => {
      while (waiting.length < bytes) {
        const { value, done } = await pieces.next();
        if (done === true) throw new Error('closed');
        waiting = Buffer.concat([waiting, value]);
      }
      const taken = waiting.subarray(0, bytes);
      waiting = waiting.subarray(bytes);
      return taken;
    };
    const sized = async (): Promise<string> => (await take((await take(1))[0] ?? 0)).toString();
    const [, methods = 0] = await take(2);
    const offered = await take(methods);
    const method = login === undefined ? 0 : 2;
    if (!offered.includes(method)) return void socket.end(Buffer.from([5, 255]));
    socket.write(Buffer.from([5, method]));
    let name = '';
    if (login !== undefined) {
      await take(1);
      name = `${await sized()}:${await sized()}`;
      socket.write(Buffer.from([1, name === login ? 0 : 1]));
      if (name !== login) return void socket.end();
    }
    const [, , , kind] = await take(4);
    const host = kind === 1 ? [...(await take(4))].join('.') : await sized();
    const port = (await take(2)).readUInt16BE();
    asked.push(`${name} ${host}:${port}`.trim());
    // In two pieces, as a network may hand them over.
    socket.write(Buffer.from([5, reply, 0]));
    setTimeout(() => {
      if (reply !== 0) return void socket.end(Buffer.from([1, 0, 0, 0, 0, 0, 0]));
      const target = connect(port, '127.0.0.1', () => {
        socket.write(Buffer.from([1, 127, 0, 0, 1, 0, 80]));
        target.on('data', (piece) => void socket.write(piece));
        void (async () => {
          target.write(waiting);
          for (let next = await pieces.next(); next.done !== true; next = await pieces.next()) target.write(next.value);
          target.end();
        })().catch(() => target.destroy());
      });
      target.on('error', () => socket.destroy());
      sockets.add(target);
      return undefined;
    }, 20);
  }

  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => socket.destroy());
    serve(socket).catch(() => socket.destroy());
  });
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    asked,
    close() {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}
