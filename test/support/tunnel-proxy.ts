/** A proxy that tunnels (CONNECT) to this machine, whatever host was asked for: names that no resolver knows lead to it too. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { connect } from 'node:net';

export interface TunnelProxy {
  /** With the credentials that clients are to send. */
  readonly url: string;
  /** Host, port and credentials of every tunnel that was asked for. */
  readonly asked: string[];
  close(): void;
}

/** Starts one on loopback; with another answer than 200 it refuses. */
export async function startTunnelProxy(answer = 200): Promise<TunnelProxy> {
  const asked: string[] = [];
  const proxy = createServer().on('connect', ({ url = '', headers }, socket) => {
    asked.push(`${url} ${String(headers['proxy-authorization'])}`);
    if (answer !== 200) {
      socket.end(`HTTP/1.1 ${answer} No\r\n\r\n`);
      return;
    }
    const target = connect(Number(url.split(':')[1]), '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n');
      target.pipe(socket).pipe(target);
    });
    target.on('error', () => socket.destroy());
    socket.on('error', () => target.destroy());
  });
  await new Promise<void>((resolve) => void proxy.listen(0, '127.0.0.1', resolve));
  const { port } = proxy.address() as AddressInfo;
  return {
    url: `http://user:pass%20word@127.0.0.1:${port}`,
    asked,
    close() {
      proxy.closeAllConnections();
      proxy.close();
    },
  };
}
