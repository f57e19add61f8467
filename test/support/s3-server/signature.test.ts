import { afterEach, describe, expect, test } from 'vitest';
import { OWNER, READER, send, sendSigned, sign, startRig } from './rig.ts';
import type { S3Server } from './server.ts';

const servers: S3Server[] = [];
async function start(options: Parameters<typeof startRig>[0] = {}): Promise<S3Server> {
  const server = await startRig(options);
  servers.push(server);
  return server;
}
afterEach(async () => {
  for (const server of servers.splice(0)) await server.close();
});

// https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
describe('the examples that AWS publishes', () => {
  const EXAMPLE = {
    buckets: ['examplebucket'],
    credentials: [{ accessKeyId: 'AKIAIOSFODNN7EXAMPLE', secretAccessKey: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY' }],
    now: () => Date.UTC(2013, 4, 24),
  };
  const NOTHING = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';
  const authorization = (names: string, signature: string): string =>
    `AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,SignedHeaders=${names},Signature=${signature}`;
  const host = 'examplebucket.s3.amazonaws.com';
  const plain = { host, 'x-amz-date': '20130524T000000Z', 'x-amz-content-sha256': NOTHING };

  test('a range of an object', async () => {
    const server = await start(EXAMPLE);
    await server.bucket().put('test.txt', 'A text of some bytes.');
    const headers = {
      ...plain,
      range: 'bytes=0-9',
      authorization: authorization(
        'host;range;x-amz-content-sha256;x-amz-date',
        'f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41',
      ),
    };
    const { status, body } = await send(server, { url: '/test.txt', headers });
    expect([status, body.toString()]).toEqual([206, 'A text of ']);
    const refused = await send(server, { url: '/test.txt', headers: { ...headers, range: 'bytes=0-8' } });
    expect([refused.status, refused.code]).toEqual([403, 'SignatureDoesNotMatch']);
  });

  test('an object whose key has to be encoded', async () => {
    const server = await start(EXAMPLE);
    const headers = {
      ...plain,
      date: 'Fri, 24 May 2013 00:00:00 GMT',
      'x-amz-content-sha256': '44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072',
      'x-amz-storage-class': 'REDUCED_REDUNDANCY',
      'content-length': '21',
      authorization: authorization(
        'date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class',
        '98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd',
      ),
    };
    const url = '/test$file.text';
    const { status } = await send(server, { method: 'PUT', url, headers, body: 'Welcome to Amazon S3.' });
    expect(status).toBe(200);
    expect(server.bucket().objects().get('test$file.text')).toMatchObject({
      size: 21,
      storageClass: 'REDUCED_REDUNDANCY',
    });
  });

  test('a parameter without value, and a list', async () => {
    const server = await start(EXAMPLE);
    const names = 'host;x-amz-content-sha256;x-amz-date';
    const lifecycle = authorization(names, 'fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543');
    const list = authorization(names, '34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7');
    // Neither is an operation of this server, so what counts is that the signature is not what it is refused for.
    for (const [url, value] of [
      ['/?lifecycle', lifecycle],
      ['/?max-keys=2&prefix=J', list],
    ] as const) {
      const { code } = await send(server, { url, headers: { ...plain, authorization: value } });
      expect(code).toBe('NotImplemented');
      const other = await send(server, { url, headers: { ...plain, authorization: value.replace(/.$/, 'f') } });
      expect(other.code).toBe('SignatureDoesNotMatch');
    }
  });

  // https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html and sigv4-streaming-trailers.html
  const body = (signatures: readonly string[], end: string): string =>
    `10000;chunk-signature=${signatures[0]}\r\n${'a'.repeat(65_536)}\r\n400;chunk-signature=${signatures[1]}\r\n${'a'.repeat(1024)}\r\n0;chunk-signature=${signatures[2]}\r\n${end}\r\n`;
  const streamed = {
    ...plain,
    host: 's3.amazonaws.com',
    'content-encoding': 'aws-chunked',
    'x-amz-decoded-content-length': '66560',
    'x-amz-storage-class': 'REDUCED_REDUNDANCY',
  };

  test('signed chunks', async () => {
    const server = await start(EXAMPLE);
    const text = body(
      [
        'ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648',
        '0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497',
        'b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9',
      ],
      '',
    );
    const headers = {
      ...streamed,
      'content-length': '66824',
      'x-amz-content-sha256': 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD',
      authorization: authorization(
        'content-encoding;content-length;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class',
        '4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9',
      ),
    };
    const url = '/examplebucket/chunkObject.txt';
    const { status } = await send(server, { method: 'PUT', url, headers, body: text });
    expect(status).toBe(200);
    expect((await server.bucket().get('chunkObject.txt')).equals(Buffer.alloc(66_560, 'a'))).toBe(true);
    const altered = await send(server, { method: 'PUT', url, headers, body: text.replace(/a\r\n0;/, 'b\r\n0;') });
    expect([altered.status, altered.code]).toEqual([403, 'SignatureDoesNotMatch']);
  });

  test('signed chunks with a signed trailer', async () => {
    const server = await start(EXAMPLE);
    const trailer = (value: string): string =>
      `x-amz-checksum-crc32c:${value}\r\nx-amz-trailer-signature:d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435\r\n`;
    const signatures = [
      'b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2',
      '1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7',
      '2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992',
    ];
    const headers = {
      ...streamed,
      'x-amz-content-sha256': 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER',
      'x-amz-trailer': 'x-amz-checksum-crc32c',
      authorization: authorization(
        'content-encoding;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class;x-amz-trailer',
        '106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e',
      ),
    };
    const sent = (text: string): Parameters<typeof send>[1] => ({
      method: 'PUT',
      url: '/examplebucket/chunkObject.txt',
      headers: { ...headers, 'content-length': String(text.length) },
      body: text,
    });
    const { status, code } = await send(server, sent(body(signatures, trailer('sOO8/Q=='))));
    expect([status, code]).toEqual([200, undefined]);
    expect(server.bucket().objects().get('chunkObject.txt')?.checksum).toEqual({
      name: 'crc32c',
      value: 'sOO8/Q==',
      type: 'FULL_OBJECT',
    });
    const altered = await send(server, sent(body(signatures, trailer('sOO8/A=='))));
    expect([altered.status, altered.code]).toEqual([403, 'SignatureDoesNotMatch']);
  });
});

describe('a request is refused', () => {
  const url = '/data/key';
  const cases: readonly [string, Parameters<typeof sendSigned>[2], number, string][] = [
    ['with an unknown key', { credential: { ...OWNER, accessKeyId: 'NOBODY' } }, 403, 'InvalidAccessKeyId'],
    ['with a wrong secret', { credential: { ...OWNER, secretAccessKey: '?' } }, 403, 'SignatureDoesNotMatch'],
    ['by a clock that is late', { at: Date.now() - 16 * 60_000 }, 403, 'RequestTimeTooSkewed'],
    ['by a clock that is early', { at: Date.now() + 16 * 60_000 }, 403, 'RequestTimeTooSkewed'],
    ['for another region', { region: 'eu-west-1' }, 400, 'AuthorizationHeaderMalformed'],
    ['with a date that is not signed', { unsigned: ['x-amz-date'] }, 403, 'AccessDenied'],
    ['with a host that is not signed', { unsigned: ['host'] }, 403, 'AccessDenied'],
    ['with a token that nobody gave', { credential: { ...OWNER, sessionToken: 'x' } }, 400, 'InvalidToken'],
  ];
  test.each(cases)('%s', async (_, signer, status, code) => {
    const server = await start();
    await server.bucket().put('key', 'bytes');
    expect(await sendSigned(server, { url }, signer)).toMatchObject({ status, code });
  });

  test('with a key of another day', async () => {
    const server = await start();
    const at = Date.now();
    const headers = { 'x-amz-date': new Date(at).toISOString().replaceAll(/[-:]|\.\d+/g, '') };
    expect(await sendSigned(server, { url, headers }, { at: at - 86_400_000 })).toMatchObject({
      status: 400,
      code: 'AuthorizationHeaderMalformed',
    });
  });

  test('without a signature, unless the bucket is public', async () => {
    const server = await start();
    expect(await send(server, { url })).toMatchObject({ status: 403, code: 'AccessDenied' });
    const open = await start({ publicRead: true });
    await open.bucket().put('key', 'bytes');
    expect((await send(open, { url })).body.toString()).toBe('bytes');
    expect(await send(open, { method: 'PUT', url, headers: { 'content-length': '0' } })).toMatchObject({
      code: 'AccessDenied',
    });
  });

  test('when it writes and may only read', async () => {
    const server = await start();
    await server.bucket().put('key', 'bytes');
    const reader = { credential: READER };
    expect((await sendSigned(server, { url }, reader)).status).toBe(200);
    for (const raw of [
      { method: 'PUT', url, body: 'x' },
      { method: 'DELETE', url },
      { method: 'POST', url: `${url}?uploads` },
    ]) {
      expect(await sendSigned(server, raw, reader)).toMatchObject({ status: 403, code: 'AccessDenied' });
    }
    expect((await server.bucket().get('key')).toString()).toBe('bytes');
  });

  test('once its session is over', async () => {
    const session = { accessKeyId: 'SESSION', secretAccessKey: 's', sessionToken: 'token', isExpired: false };
    const server = await start({ credentials: [session] });
    await server.bucket().put('key', 'bytes');
    expect((await sendSigned(server, { url }, { credential: session })).status).toBe(200);
    session.isExpired = true;
    expect(await sendSigned(server, { url }, { credential: session })).toMatchObject({
      status: 400,
      code: 'ExpiredToken',
    });
  });

  test('by a server whose own clock is an hour off, which says what time it has', async () => {
    const server = await start({ now: () => Date.UTC(2030, 0, 1, 12) });
    server.clockOffsetMs = 3_600_000;
    const { code, headers } = await sendSigned(server, { url }, { at: Date.UTC(2030, 0, 1, 12) });
    expect([code, headers.date]).toEqual(['RequestTimeTooSkewed', 'Tue, 01 Jan 2030 13:00:00 GMT']);
  });

  test('for a missing key as if it were forbidden, where listing is', async () => {
    const blind = { ...READER, denied: ['ListObjectsV2' as const] };
    const server = await start({ credentials: [blind] });
    expect(await sendSigned(server, { url }, { credential: blind })).toMatchObject({ code: 'AccessDenied' });
  });
});

test('a bucket elsewhere is named in the answer', async () => {
  const server = await start({ buckets: [{ name: 'data', region: 'eu-west-1' }] });
  expect(await sendSigned(server, { url: '/data?list-type=2' })).toMatchObject({
    status: 301,
    code: 'PermanentRedirect',
    headers: { 'x-amz-bucket-region': 'eu-west-1' },
  });
  const wrong = await sendSigned(server, { url: '/data?list-type=2' }, { region: 'sa-east-1' });
  expect([wrong.status, /<Region>(.*)<\/Region>/.exec(wrong.body.toString())?.[1]]).toEqual([400, 'eu-west-1']);
  expect((await sendSigned(server, { url: '/data?list-type=2' }, { region: 'eu-west-1' })).status).toBe(200);
});

test('keys mean the same whichever way they are addressed and encoded', async () => {
  const server = await start();
  const key = "a+b c/ü~(1)!*'é/∑.txt";
  const encoded = 'a%2Bb%20c/%C3%BC~%281%29%21%2A%27%C3%A9/%E2%88%91.txt';
  expect((await sendSigned(server, { method: 'PUT', url: `/data/${encoded}`, body: 'x' })).status).toBe(200);
  expect([...server.bucket().objects().keys()]).toEqual([key]);
  for (const host of ['data.localhost', 'data.s3.localhost', 'data.s3.us-east-1.localhost:80']) {
    const raw = sign({ url: `/${encoded}`, headers: { host } }, {});
    expect((await send(server, raw)).body.toString()).toBe('x');
  }
  // A plus sign that was not encoded is a space.
  expect(await sendSigned(server, { url: '/data/a+b' })).toMatchObject({ code: 'SignatureDoesNotMatch' });
  expect(await sendSigned(server, { url: '/data/%ff' })).toMatchObject({ code: 'InvalidURI' });
  expect(await sendSigned(server, { url: `/data/${'k'.repeat(1025)}` })).toMatchObject({ code: 'KeyTooLongError' });
});
