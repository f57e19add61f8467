import { once } from 'node:events';
import { Agent, type IncomingMessage, request } from 'node:http';
import { afterEach, describe, expect, test } from 'vitest';
import { OWNER, type RawRequest, sendSigned, sign, startRig } from './rig.ts';
import type { S3Server } from './server.ts';

const MIB = 1 << 20;
const servers: S3Server[] = [];
async function start(options: Parameters<typeof startRig>[0] = {}): Promise<S3Server> {
  const server = await startRig(options);
  servers.push(server);
  return server;
}
afterEach(async () => {
  for (const server of servers.splice(0)) await server.close();
});

async function outcome(server: S3Server, raw: RawRequest): Promise<[number, string | undefined]> {
  const { status, code } = await sendSigned(server, raw);
  return [status, code];
}

const put = (headers: Record<string, string> = {}): RawRequest => ({
  method: 'PUT',
  url: '/data/key',
  headers,
  body: 'x',
});
const fine = [200, undefined];
const denied = [403, 'AccessDenied'];
const SSE = 'x-amz-server-side-encryption';

test('a bucket whose requester pays wants to be told so', async () => {
  const server = await start({ requesterPays: true });
  expect(await outcome(server, put())).toEqual(denied);
  expect(await outcome(server, put({ 'x-amz-request-payer': 'requester' }))).toEqual(fine);
  expect(await outcome(server, { url: '/data?list-type=2' })).toEqual(denied);
  const { headers } = await sendSigned(server, {
    url: '/data/key',
    headers: { 'x-amz-request-payer': 'requester' },
  });
  expect(headers['x-amz-request-charged']).toBe('requester');
});

test('a bucket that asks for encryption refuses writes without it', async () => {
  const server = await start({ requireEncryption: 'aws:kms' });
  expect(await outcome(server, put())).toEqual(denied);
  expect(await outcome(server, put({ [SSE]: 'AES256' }))).toEqual(denied);
  expect(await outcome(server, { method: 'POST', url: '/data/key?uploads=' })).toEqual(denied);
  const kms = { [SSE]: 'aws:kms', [`${SSE}-aws-kms-key-id`]: 'our-key' };
  expect(await outcome(server, put(kms))).toEqual(fine);
  expect(server.bucket().objects().get('key')).toMatchObject({ encryption: 'aws:kms', kmsKeyId: 'our-key' });
  // Under KMS an ETag is no MD5.
  expect(server.bucket().objects().get('key')?.etag).not.toBe('9dd4e461268c8034f5c8564e155c67a6');
});

test.each<[what: string, raw: RawRequest, expected: [number, string]]>([
  ['encryption on a read', { url: '/data/key', headers: { [SSE]: 'AES256' } }, [400, 'InvalidArgument']],
  ['a kind of encryption that is none', put({ [SSE]: 'rot13' }), [400, 'InvalidArgument']],
  ['a storage class that is none', put({ 'x-amz-storage-class': 'ATTIC' }), [400, 'InvalidStorageClass']],
  ['two checksums', put({ 'x-amz-checksum-crc32': 'x', 'x-amz-checksum-sha1': 'x' }), [400, 'InvalidRequest']],
  ['a checksum of a wrong length', put({ 'x-amz-checksum-crc32': 'AAA=' }), [400, 'InvalidRequest']],
  ['a checksum that is promised only', put({ 'x-amz-sdk-checksum-algorithm': 'CRC32' }), [400, 'InvalidRequest']],
  ['a copy', put({ 'x-amz-copy-source': '/data/other' }), [501, 'NotImplemented']],
  ['the number of no part', { ...put(), url: '/data/key?partNumber=0&uploadId=x' }, [400, 'InvalidArgument']],
  ['a part too many', { ...put(), url: '/data/key?partNumber=10001&uploadId=x' }, [400, 'InvalidArgument']],
  ['a part of no upload', { ...put(), url: '/data/key?partNumber=1&uploadId=x' }, [404, 'NoSuchUpload']],
  ['deletions without a digest', { method: 'POST', url: '/data?delete=', body: '<Delete/>' }, [400, 'InvalidRequest']],
  ['a token of nobody', { url: '/data?continuation-token=abc&list-type=2' }, [400, 'InvalidArgument']],
  ['a page of no number', { url: '/data?list-type=2&max-keys=ten' }, [400, 'InvalidArgument']],
  ['chunks without a length', put({ 'transfer-encoding': 'chunked' }), [501, 'NotImplemented']],
])('refuses %s', async (_, raw, expected) => {
  const server = await start();
  await server.bucket().put('key', 'bytes');
  expect(await outcome(server, raw)).toEqual(expected);
  expect((await server.bucket().get('key')).toString()).toBe('bytes');
});

describe('a body in chunks that are not signed', () => {
  const chunked = (length: number, body: string): RawRequest => ({
    ...put({
      'content-encoding': 'aws-chunked',
      'x-amz-content-sha256': 'STREAMING-UNSIGNED-PAYLOAD-TRAILER',
      'x-amz-decoded-content-length': String(length),
      'x-amz-trailer': 'x-amz-checksum-crc32',
    }),
    body,
  });
  const trailer = 'x-amz-checksum-crc32:jNwWgw==\r\n\r\n';

  test.each<[what: string, length: number, body: string, expected: unknown]>([
    ['is taken', 1, `1\r\nx\r\n0\r\n${trailer}`, fine],
    ['of another length', 2, `1\r\nx\r\n0\r\n${trailer}`, [400, 'IncompleteBody']],
    ['that ends too early', 1, '1\r\nx\r\n0\r\n', [400, 'IncompleteBody']],
    ['that goes on', 1, `1\r\nx\r\n0\r\n${trailer}x`, [400, 'IncompleteBody']],
    ['in short chunks', 2, `1\r\nx\r\n1\r\nx\r\n0\r\n${trailer}`, [403, 'InvalidChunkSizeError']],
    ['with another checksum', 1, `1\r\ny\r\n0\r\n${trailer}`, [400, 'BadDigest']],
    ['without its trailer', 1, '1\r\nx\r\n0\r\n\r\n', [400, 'MalformedTrailerError']],
  ])('%s', async (_, length, body, expected) => {
    const server = await start();
    expect(await outcome(server, chunked(length, body))).toEqual(expected);
    expect(server.bucket().objects().size).toBe(expected === fine ? 1 : 0);
  });
});

test('what is in an archive can be seen, not read', async () => {
  const server = await start();
  await sendSigned(server, put({ 'x-amz-storage-class': 'DEEP_ARCHIVE' }));
  expect(await outcome(server, { url: '/data/key' })).toEqual([403, 'InvalidObjectState']);
  const { status, headers } = await sendSigned(server, { method: 'HEAD', url: '/data/key' });
  expect([status, headers['x-amz-storage-class'], headers['content-length']]).toEqual([200, 'DEEP_ARCHIVE', '1']);
});

test('of two writes under If-None-Match at once, the one that ends last is a conflict', async () => {
  const server = await start();
  const raw = sign(put({ 'if-none-match': '*' }), { host: `127.0.0.1:${server.port}` });
  const slow = request({
    port: server.port,
    host: '127.0.0.1',
    method: 'PUT',
    path: raw.url,
    headers: { ...raw.headers },
  });
  slow.flushHeaders();
  while (server.requests.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  expect(await outcome(server, put({ 'if-none-match': '*' }))).toEqual(fine);
  slow.end('x');
  const [response] = (await once(slow, 'response')) as [IncomingMessage];
  response.resume();
  expect(response.statusCode).toBe(409);
  expect(await outcome(server, put({ 'if-none-match': '*' }))).toEqual([412, 'PreconditionFailed']);
});

describe('a body that is announced by Expect', () => {
  const expectContinue = { expect: '100-continue' };

  test('is asked for once the signature is known to be right', async () => {
    const server = await start();
    expect(await outcome(server, put(expectContinue))).toEqual(fine);
    expect(server.requests[0]).toMatchObject({ wasContinued: true, bytesIn: 1 });
  });

  test('is not asked for otherwise, and the connection ends', async () => {
    const server = await start();
    const stranger = { credential: { ...OWNER, secretAccessKey: '?' } };
    const { code, headers } = await sendSigned(server, put(expectContinue), stranger);
    expect([code, headers.connection]).toEqual(['SignatureDoesNotMatch', 'close']);
    expect(server.requests[0]).toMatchObject({ wasContinued: false });
  });
});

test('connections are used again, also after a refusal', async () => {
  const server = await start();
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const ports = new Set<number | undefined>();
  for (const headers of [{}, { 'content-md5': 'none' }, { authorization: 'none' }, {}]) {
    const raw = sign(put(headers), { host: `127.0.0.1:${server.port}` });
    const sent = request({
      port: server.port,
      host: '127.0.0.1',
      method: 'PUT',
      path: raw.url,
      headers: { ...raw.headers },
      agent,
    });
    sent.end('x');
    const [response] = (await once(sent, 'response')) as [IncomingMessage];
    ports.add(response.socket.localPort);
    response.resume();
    await once(response, 'end');
  }
  agent.destroy();
  expect(ports.size).toBe(1);
});

describe('uploads by parts', () => {
  async function upload(server: S3Server, sizes: readonly number[], headers: Record<string, string> = {}) {
    const created = await sendSigned(server, { method: 'POST', url: '/data/big?uploads=', headers });
    const id = /<UploadId>(\w+)</.exec(created.body.toString())?.[1] ?? '';
    let listed = '';
    for (const [index, size] of sizes.entries()) {
      const url = `/data/big?partNumber=${index + 1}&uploadId=${id}`;
      const part = await sendSigned(server, { method: 'PUT', url, body: Buffer.alloc(size, index) });
      listed += `<Part><PartNumber>${index + 1}</PartNumber><ETag>${part.headers.etag}</ETag></Part>`;
    }
    const body = `<CompleteMultipartUpload>${listed}</CompleteMultipartUpload>`;
    return outcome(server, { method: 'POST', url: `/data/big?uploadId=${id}`, body });
  }

  test('may have parts of all sizes, or of one only', async () => {
    const [loose, strict] = [await start(), await start({ equalParts: true })];
    for (const [sizes, isEqual] of [
      [[5 * MIB, 5 * MIB, 1], true],
      [[5 * MIB, 6 * MIB, 1], false],
      [[5 * MIB, 6 * MIB], false],
    ] as const) {
      expect(await upload(loose, sizes)).toEqual(fine);
      expect(await upload(strict, sizes)).toEqual(isEqual ? fine : [400, 'InvalidPart']);
    }
  });

  test('want the checksums that they were begun with', async () => {
    const server = await start();
    const algorithm = { 'x-amz-checksum-algorithm': 'CRC32' };
    expect(await upload(server, [1], algorithm)).toEqual([400, 'InvalidPart']);
    expect(
      await outcome(server, {
        method: 'POST',
        url: '/data/big?uploads=',
        headers: { 'x-amz-checksum-algorithm': 'SHA256', 'x-amz-checksum-type': 'FULL_OBJECT' },
      }),
    ).toEqual([400, 'InvalidRequest']);
  });
});
