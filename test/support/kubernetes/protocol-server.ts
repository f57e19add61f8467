/** An HTTPS server that says what a test tells it to, byte by byte where it matters, and refuses what no API server would take. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { Certificates } from './certificates.ts';

export interface Received {
  readonly method: string;
  readonly path: string;
  readonly query: Readonly<Record<string, string>>;
  readonly headers: IncomingMessage['headers'];
  readonly body: unknown;
  /** Who the client's certificate says it is. */
  readonly peer: string | undefined;
}

/** Answers; what it throws makes the test fail. */
export type Script = (request: Received, response: ServerResponse) => void | Promise<void>;

export interface ProtocolServer {
  readonly url: string;
  readonly port: number;
  readonly received: Received[];
  /** Connections that were made. */
  connections(): number;
  /** What clients did that they must not do, and what scripts threw. */
  readonly faults: string[];
  answer(script: Script): void;
  close(): Promise<void>;
}

/** Starts it on loopback. */
export async function startProtocolServer({ server: pair, ca }: Certificates): Promise<ProtocolServer> {
  const received: Received[] = [];
  const faults: string[] = [];
  let made = 0;
  let script: Script = () => {
    throw new Error('nothing was expected');
  };

  async function take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const pieces: Buffer[] = [];
    for await (const piece of request) pieces.push(piece as Buffer);
    const text = Buffer.concat(pieces).toString('utf8');
    const { pathname, searchParams } = new URL(request.url ?? '', 'https://server');
    const { method = '', headers } = request;
    const writes = method === 'POST' || method === 'PATCH';
    if (writes && !/^application\/(?:merge-patch\+)?json$/.test(headers['content-type'] ?? ''))
      faults.push(`${method} ${pathname} of the type ${headers['content-type']}`);
    if (headers['content-length'] === undefined && text !== '') faults.push(`${method} ${pathname} of unknown length`);
    if (new Set(searchParams.keys()).size !== searchParams.size) faults.push(`${request.url} says something twice`);
    const entry: Received = {
      method,
      path: pathname,
      query: Object.fromEntries(searchParams),
      headers,
      body: text === '' ? undefined : JSON.parse(text),
      peer: [(request.socket as TLSSocket).getPeerCertificate().subject?.CN].flat()[0],
    };
    received.push(entry);
    await script(entry, response);
  }

  const server = createServer(
    { ...pair, ca: ca.cert, requestCert: true, rejectUnauthorized: false },
    (request, response) => {
      take(request, response).catch((error: unknown) => {
        faults.push(String(error));
        response.destroy();
      });
    },
  );
  server.on('connection', () => {
    made += 1;
  });
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `https://127.0.0.1:${port}`,
    port,
    received,
    faults,
    connections: () => made,
    answer(next) {
      script = next;
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** Answers with JSON. */
export function sendJson(
  response: ServerResponse,
  value: unknown,
  { status = 200, headers = {} }: { status?: number; headers?: Readonly<Record<string, string | string[]>> } = {},
): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers });
  response.end(JSON.stringify(value));
}

/** Answers as an API server refuses. */
export function sendStatus(
  response: ServerResponse,
  code: number,
  {
    headers = {},
    ...status
  }: { reason?: string; message?: string; details?: unknown; headers?: Record<string, string> } = {},
): void {
  const value = { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', code, ...status };
  sendJson(response, value, { status: code, headers });
}
