/** Connections through a SOCKS5 proxy (RFC 1928, and RFC 1929 for name and password). It looks up names, as it may know other ones. */
import { connect, isIP } from 'node:net';
import type { Socket } from 'node:net';
import { TransientError } from './transient-error.ts';

const VERSION = 5;
const NO_LOGIN = 0;
const PASSWORD_LOGIN = 2;
const REASONS = [
  'a failure of its own',
  'not allowed by its rules',
  'the network cannot be reached',
  'the host cannot be reached',
  'the connection was refused',
  'the time ran out',
  'it cannot connect',
  'it does not know such addresses',
];

/** Bytes of the answers to the request by the kind of address in them; of a name, its length comes first. */
const ADDRESS_BYTES: Readonly<Record<number, number>> = { 1: 4, 4: 16 };

/** Resolves with a socket that leads to the host. Throws `TransientError`. */
export async function openSocksTunnel(proxy: URL, host: string, port: number, ms: number): Promise<Socket> {
  const socket = connect({ host: proxy.hostname.replace(/^\[|\]$/g, ''), port: Number(proxy.port || 1080) });
  socket.setTimeout(ms, () => socket.destroy(new Error('no answer')));
  try {
    const read = readerOf(socket);
    const login = [decodeURIComponent(proxy.username), decodeURIComponent(proxy.password)].map(sized);
    const hasLogin = proxy.username !== '';
    socket.write(Buffer.from([VERSION, 1, hasLogin ? PASSWORD_LOGIN : NO_LOGIN]));
    const [version, method] = await read(2);
    if (version !== VERSION) throw new Error('it does not speak SOCKS5');
    if (method !== (hasLogin ? PASSWORD_LOGIN : NO_LOGIN))
      throw new Error(hasLogin ? 'it takes no name and password' : 'it wants a name and password');
    if (hasLogin) {
      socket.write(Buffer.concat([Buffer.from([1]), ...login]));
      if ((await read(2))[1] !== 0) throw new Error('it does not accept the name and password');
    }
    const target = Buffer.from([port >> 8, port & 255]);
    socket.write(Buffer.concat([Buffer.from([VERSION, 1, 0]), addressOf(host), target]));
    const [, reply = 0, , kind = 0] = await read(4);
    if (reply !== 0)
      throw new Error(`it does not connect to ${host}:${port}: ${REASONS[reply - 1] ?? `reason ${reply}`}`);
    await read((ADDRESS_BYTES[kind] ?? (await read(1))[0] ?? 0) + 2);
    socket.setTimeout(0);
    return socket;
  } catch (error) {
    socket.destroy();
    const reason = error instanceof Error ? error.message : String(error);
    throw new TransientError(`the proxy ${proxy.host} cannot be used: ${reason}`, {
      cause: error,
      isUnreachable: true,
      hint: 'Does the proxy run? For one by ssh: ssh -N -D PORT HOST',
    });
  }
}

function addressOf(host: string): Buffer {
  if (isIP(host) !== 4) return Buffer.concat([Buffer.from([3]), sized(host)]);
  return Buffer.from([1, ...host.split('.').map(Number)]);
}

function sized(text: string): Buffer {
  const bytes = Buffer.from(text);
  if (bytes.length > 255) throw new Error('a name or password is too long for it');
  return Buffer.concat([Buffer.from([bytes.length]), bytes]);
}

/** Waits for so many bytes; leaves all others to whoever reads next. */
function readerOf(socket: Socket): (bytes: number) => Promise<Buffer> {
  let failure: Error | undefined;
  let wake = (): void => {};
  const end = (error?: Error): void => {
    failure ??= error ?? new Error('it closed the connection');
    wake();
  };
  socket.on('error', end);
  socket.once('close', () => end());
  socket.on('readable', () => wake());
  socket.once('end', () => end());
  return async (bytes) => {
    for (;;) {
      const found = socket.read(bytes) as Buffer | null;
      if (found !== null && found.length === bytes) return found;
      if (failure !== undefined) throw failure;
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  };
}
