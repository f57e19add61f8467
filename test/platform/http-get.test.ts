import { once } from 'node:events';
import type { AddressInfo, Socket } from 'node:net';
import { createServer } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import { afterEach, describe, expect, test } from 'vitest';
import type { GetAnswer } from '../../src/platform/http-get.ts';
import { createGetter } from '../../src/platform/http-get.ts';

let close = (): void => {};
afterEach(() => close());

/** A server that answers a request, of so many on this connection, by whatever `answer` writes; `heads` are what was asked. */
async function serve(answer: (socket: Socket, request: number) => unknown) {
  const heads: string[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    let requests = 0;
    socket.on('error', () => {});
    socket.on('data', (bytes) => {
      heads.push(bytes.toString('latin1'));
      void answer(socket, (requests += 1));
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  close = () => {
    for (const socket of sockets) socket.destroy();
    server.close();
  };
  const { port } = server.address() as AddressInfo;
  const send = createGetter({ kept: 4, connectMs: 1000, answerMs: 500 });
  const get = (signal = new AbortController().signal): Promise<GetAnswer> =>
    send(
      { isTls: false, host: '127.0.0.1', port, path: '/a%20b?x=1', headers: { host: 'here', range: 'bytes=0-9' } },
      signal,
    );
  return { get, heads, connections: () => sockets.size };
}

async function streamed({ body }: GetAnswer): Promise<string> {
  const pieces: Buffer[] = [];
  for await (const piece of body) pieces.push(piece as Buffer);
  return Buffer.concat(pieces).toString('latin1');
}

const COUNTED =
  'HTTP/1.1 206 Partial Content\r\nContent-Length: 10\r\nETag: "x"\r\nX-Two: a\r\nx-two:b \r\n\r\n0123456789';
const CHUNKED = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n0123\r\n6;note=1\r\n456789\r\n0\r\n\r\n';
const CLOSED = 'HTTP/1.0 200 OK\r\n\r\n0123456789';
const GO_ON = 'HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n';

test('sends what it was given, and gives status and headers', async () => {
  const { get, heads } = await serve((socket) => socket.write(COUNTED));
  const { status, headers, body } = await get();
  expect(status).toBe(206);
  expect({ ...headers }).toEqual({ 'content-length': '10', etag: '"x"', 'x-two': 'a, b' });
  expect(body.left).toBe(10);
  expect(heads).toEqual(['GET /a%20b?x=1 HTTP/1.1\r\nhost: here\r\nrange: bytes=0-9\r\n\r\n']);
});

describe.each([
  ['counted', COUNTED],
  ['after a note', GO_ON + COUNTED],
  ['in chunks', CHUNKED],
  ['until the connection ends', CLOSED],
])('content %s', (_, text) => {
  test('is the same wherever the network divides it', async () => {
    let at = 0;
    const { get } = await serve(async (socket) => {
      socket.setNoDelay(true);
      socket.write(text.slice(0, at), 'latin1');
      await wait(3);
      socket.write(text.slice(at), 'latin1');
      if (text === CLOSED) socket.end();
    });
    for (at = 1; at < text.length; at += 3) expect(await streamed(await get())).toBe('0123456789');
  });

  test('that ends early is an error', async () => {
    if (text === CLOSED) return expect(text).not.toMatch(/length|chunked/i); // nobody can tell
    const { get } = await serve((socket) => socket.end(text.slice(0, text.indexOf('456') + 1)));
    const answer = await get();
    await expect(streamed(answer)).rejects.toMatchObject({ code: 'ECONNRESET' });
  });
});

test('fills memory, and no byte beside it', async () => {
  const content = Buffer.alloc(5_000_000, 'abcdefghijklmnop');
  const { get } = await serve((socket) => {
    socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${content.length}\r\n\r\n`);
    socket.write(content);
  });
  const memory = Buffer.alloc(content.length + 200, '-');
  const { body } = await get();
  await body.fill(memory.subarray(100, 1100));
  expect(body.left).toBe(content.length - 1000);
  await body.fill(memory.subarray(1100, 100 + content.length));
  expect(memory.subarray(100, -100).equals(content)).toBe(true);
  expect(memory.toString('latin1', 0, 100) + memory.toString('latin1', memory.length - 100)).toBe('-'.repeat(200));
  expect([body.left, body.received]).toEqual([0, content.length]);
  await expect(body.fill(memory.subarray(0, 1))).rejects.toThrow('more was asked for than comes');
});

test('memory is left alone as soon as it is given up', async () => {
  const { get } = await serve((socket) => {
    socket.write('HTTP/1.1 200 OK\r\ncontent-length: 100000000\r\n\r\n');
    const more = (error?: Error | null): void => void (error ?? socket.write(Buffer.alloc(1 << 20, 'x'), more));
    more();
  });
  const stop = new AbortController();
  const memory = Buffer.alloc(100_000_000);
  const { body } = await get(stop.signal);
  const filling = body.fill(memory);
  while (body.received < 1 << 20) await wait(1);
  stop.abort(new Error('enough'));
  const { received } = body;
  await expect(filling).rejects.toThrow('enough');
  memory.fill('-');
  await wait(50);
  expect(memory.includes('x')).toBe(false);
  expect(body.received).toBe(received);
});

test('a body that is destroyed says why to whoever fills from it', async () => {
  const { get } = await serve((socket) => socket.write('HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n'));
  const { body } = await get();
  const filling = body.fill(Buffer.alloc(9));
  body.destroy(new Error('too slow'));
  await expect(filling).rejects.toThrow('too slow');
});

describe('a connection', () => {
  test('is used again when all has come', async () => {
    const { get, connections } = await serve((socket) => socket.write(COUNTED));
    for (let round = 0; round < 3; round += 1) {
      expect(await streamed(await get())).toBe('0123456789');
      const memory = Buffer.alloc(10);
      await (await get()).body.fill(memory);
      expect(memory.toString()).toBe('0123456789');
    }
    expect(connections()).toBe(1);
  });

  test.each([
    ['something is left', (socket: Socket) => socket.write(`${COUNTED}HTTP/1.1 200 OK`)],
    ['the server says so', (socket: Socket) => socket.write(COUNTED.replace('ETag: "x"', 'Connection: Close'))],
    ['the server is old', (socket: Socket) => socket.write(COUNTED.replace('1.1', '1.0'))],
    ['it has ended', (socket: Socket) => socket.end(COUNTED)],
  ])('is not used again when %s', async (_, answer) => {
    const { get, connections } = await serve(answer);
    for (let round = 0; round < 3; round += 1) {
      expect(await streamed(await get())).toBe('0123456789');
      await wait(20);
    }
    expect(connections()).toBe(3);
  });

  test('that is not read to its end is not used again', async () => {
    const { get, connections } = await serve((socket) => socket.write(COUNTED));
    (await get()).body.destroy();
    expect(await streamed(await get())).toBe('0123456789');
    expect(connections()).toBe(2);
  });

  test('on which something comes unasked is not used again', async () => {
    const { get, connections } = await serve(async (socket) => {
      socket.write(COUNTED);
      await wait(20);
      socket.write(COUNTED.replace('0123', 'evil'));
    });
    await streamed(await get());
    await wait(50);
    expect(await streamed(await get())).toBe('0123456789');
    expect(connections()).toBe(2);
  });
});

test.each([
  ['no HTTP', 'SSH-2.0-OpenSSH\r\n\r\n', 'HPE_INVALID_CONSTANT'],
  ['a malformed header', 'HTTP/1.1 200 OK\r\nno colon\r\n\r\n', 'HPE_INVALID_HEADER_TOKEN'],
  ['a folded header', 'HTTP/1.1 200 OK\r\na: b\r\n c\r\n\r\n', 'HPE_INVALID_HEADER_TOKEN'],
  ['two lengths', 'HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n', 'HPE_INVALID_CONTENT_LENGTH'],
  ['a length that is none', 'HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n', 'HPE_INVALID_CONTENT_LENGTH'],
  [
    'a length and chunks',
    'HTTP/1.1 200 OK\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n',
    'HPE_INVALID_TRANSFER_ENCODING',
  ],
  ['headers without end', `HTTP/1.1 200 OK\r\n${'a: b\r\n'.repeat(50_000)}`, 'HPE_HEADER_OVERFLOW'],
  ['a malformed chunk', `${CHUNKED.slice(0, CHUNKED.indexOf('4\r\n'))}zz\r\n`, 'HPE_INVALID_CHUNK_SIZE'],
  ['chunks that overlap', CHUNKED.replace('0123\r\n', '01234\r\n'), 'HPE_INVALID_CHUNK_SIZE'],
  ['nothing, and closes', '', 'ECONNRESET'],
])('refuses an answer with %s', async (_, text, code) => {
  const { get } = await serve((socket) => (text === '' ? socket.destroy() : socket.write(text)));
  await expect(get().then(streamed)).rejects.toMatchObject({ code });
});

test('gives up a server that does not answer, or is not there', async () => {
  const { get } = await serve(() => {});
  await expect(get()).rejects.toMatchObject({ name: 'TimeoutError', message: 'no answer within 500 ms' });
  close();
  await expect(get()).rejects.toMatchObject({ code: 'ECONNREFUSED' });
});

test('sends no header that ends a line', async () => {
  const send = createGetter({ kept: 1, connectMs: 100, answerMs: 100 });
  const request = { isTls: false, host: '127.0.0.1', port: 1, path: '/', headers: { a: 'b\r\nc: d' } };
  await expect(send(request, new AbortController().signal)).rejects.toThrow('control characters');
});
