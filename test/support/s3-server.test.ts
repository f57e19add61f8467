import { createHash } from 'node:crypto';
import { Agent } from 'node:http';
import { Readable } from 'node:stream';
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  DeleteObjectsCommand,
  GetObjectCommand,
  HeadBucketCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  type ListObjectsV2CommandOutput,
  ListPartsCommand,
  PutObjectCommand,
  S3Client,
  type S3ClientConfig,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { afterEach, describe, expect, test } from 'vitest';
import { OWNER, READER, startRig } from './s3-server/rig.ts';
import type { S3Server } from './s3-server/server.ts';

const MIB = 1 << 20;
const Bucket = 'data';
const open: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const each of open.splice(0).toReversed()) await each.close();
});

async function start(options: Parameters<typeof startRig>[0] = {}): Promise<S3Server> {
  const server = await startRig(options);
  open.push(server);
  return server;
}

function clientOf(server: S3Server, config: S3ClientConfig = {}): S3Client {
  const client = new S3Client({
    endpoint: server.endpoint,
    region: 'us-east-1',
    forcePathStyle: true,
    credentials: OWNER,
    maxAttempts: 1,
    ...config,
  });
  open.push({ close: async () => client.destroy() });
  return client;
}

async function rig(config: S3ClientConfig = {}): Promise<{ server: S3Server; client: S3Client }> {
  const server = await start();
  return { server, client: clientOf(server, config) };
}

/** What the SDK says of a refusal. */
async function refusal(work: Promise<unknown>): Promise<[name: string, status: number | undefined]> {
  try {
    await work;
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    return [error.name, (error as { $metadata?: { httpStatusCode?: number } }).$metadata?.httpStatusCode];
  }
  throw new Error('it was not refused');
}

describe('objects, as the SDK sees them', () => {
  test.each(['plain', "a+b c/ü€😀 (1)!*'~=&?#%25.bin", 'dots/../and//slashes/', 'x\'<&>"y'])(
    'keeps the key %s',
    async (Key) => {
      const { server, client } = await rig();
      await client.send(new PutObjectCommand({ Bucket, Key, Body: 'text' }));
      const { Body, ETag } = await client.send(new GetObjectCommand({ Bucket, Key }));
      expect(await Body?.transformToString()).toBe('text');
      expect(ETag).toBe(`"${createHash('md5').update('text').digest('hex')}"`);
      expect([...server.bucket().objects().keys()]).toEqual([Key]);
      const { Contents } = await client.send(new ListObjectsV2Command({ Bucket }));
      expect(Contents?.map((each) => [each.Key, each.Size])).toEqual([[Key, 4]]);
      await client.send(new DeleteObjectCommand({ Bucket, Key }));
      expect(server.bucket().objects().size).toBe(0);
      expect(server.requests.map(({ method, status }) => [method, status])).toEqual([
        ['PUT', 200],
        ['GET', 200],
        ['GET', 200],
        ['DELETE', 204],
      ]);
    },
  );

  test('answers HEAD, ranges and conditions', async () => {
    const { client } = await rig();
    const Key = 'k';
    const { ETag = '' } = await client.send(new PutObjectCommand({ Bucket, Key, Body: '0123456789' }));
    const read = async (Range: string): Promise<unknown> => {
      const { Body, ContentRange, $metadata } = await client.send(new GetObjectCommand({ Bucket, Key, Range }));
      return [$metadata.httpStatusCode, ContentRange, await Body?.transformToString()];
    };
    expect(await read('bytes=2-4')).toEqual([206, 'bytes 2-4/10', '234']);
    expect(await read('bytes=7-99')).toEqual([206, 'bytes 7-9/10', '789']);
    expect(await read('bytes=-3')).toEqual([206, 'bytes 7-9/10', '789']);
    expect(await refusal(read('bytes=10-'))).toEqual(['InvalidRange', 416]);
    expect(await client.send(new HeadObjectCommand({ Bucket, Key, IfMatch: ETag }))).toMatchObject({
      ContentLength: 10,
      ETag,
    });
    expect(await refusal(client.send(new GetObjectCommand({ Bucket, Key, IfMatch: '"other"' })))).toEqual([
      'PreconditionFailed',
      412,
    ]);
    expect((await refusal(client.send(new HeadObjectCommand({ Bucket, Key, IfMatch: '"other"' }))))[1]).toBe(412);
    expect((await refusal(client.send(new HeadObjectCommand({ Bucket, Key: 'none' }))))[1]).toBe(404);
    expect(await refusal(client.send(new GetObjectCommand({ Bucket, Key: 'none' })))).toEqual(['NoSuchKey', 404]);
    expect(await refusal(client.send(new GetObjectCommand({ Bucket: 'none', Key })))).toEqual(['NoSuchBucket', 404]);
    expect((await client.send(new HeadBucketCommand({ Bucket }))).$metadata.httpStatusCode).toBe(200);
    expect((await refusal(client.send(new HeadBucketCommand({ Bucket: 'none' }))))[1]).toBe(404);
  });

  test('overwrites nothing under If-None-Match', async () => {
    const { server, client } = await rig();
    const put = (Body: string): Promise<unknown> =>
      client.send(new PutObjectCommand({ Bucket, Key: 'k', Body, IfNoneMatch: '*' }));
    await put('first');
    expect(await refusal(put('second'))).toEqual(['PreconditionFailed', 412]);
    expect((await server.bucket().get('k')).toString()).toBe('first');
  });

  test('notes encryption, storage class and request payer', async () => {
    const { server, client } = await rig();
    const facts = { ServerSideEncryption: 'AES256', StorageClass: 'STANDARD_IA', RequestPayer: 'requester' } as const;
    await client.send(new PutObjectCommand({ Bucket, Key: 'k', Body: 'x', ...facts }));
    expect(server.bucket().objects().get('k')).toMatchObject({
      size: 1,
      encryption: 'AES256',
      storageClass: 'STANDARD_IA',
      requestPayer: 'requester',
    });
  });

  test('deletes many, and takes bodies that the SDK sends in chunks', async () => {
    const { server, client } = await rig();
    const body = Buffer.alloc(3 * MIB, 'ab');
    for (const ChecksumAlgorithm of ['CRC32', 'CRC32C', 'SHA1', 'SHA256'] as const) {
      const Body = Readable.from([body.subarray(0, MIB), body.subarray(MIB)]);
      const put = { Bucket, Key: ChecksumAlgorithm, Body, ContentLength: body.length, ChecksumAlgorithm };
      await client.send(new PutObjectCommand(put));
      expect((await server.bucket().get(ChecksumAlgorithm)).equals(body)).toBe(true);
    }
    expect(server.requests[0]?.headers['x-amz-content-sha256']).toBe('STREAMING-UNSIGNED-PAYLOAD-TRAILER');
    const Objects = ['CRC32', 'SHA1', 'missing'].map((Key) => ({ Key }));
    await client.send(new DeleteObjectsCommand({ Bucket, Delete: { Objects } }));
    expect([...server.bucket().objects().keys()]).toEqual(['CRC32C', 'SHA256']);
  });

  test('is reached by the name of the bucket as host', async () => {
    const server = await start();
    const lookup = (_: string, options: object, done: (error: null, ...found: unknown[]) => void): void =>
      'all' in options && options.all === true
        ? done(null, [{ address: '127.0.0.1', family: 4 }])
        : done(null, '127.0.0.1', 4);
    const httpAgent = new Agent({ lookup } as object);
    const endpoint = `http://localhost:${server.port}`;
    const client = clientOf(server, { endpoint, forcePathStyle: false, requestHandler: { httpAgent } });
    await client.send(new PutObjectCommand({ Bucket, Key: 'a/b c', Body: 'x' }));
    expect(server.requests[0]?.headers.host).toBe(`data.localhost:${server.port}`);
    expect([...server.bucket().objects().keys()]).toEqual(['a/b c']);
  });
});

describe('who asks, and when', () => {
  test('refuses unknown keys, other secrets, expired tokens, readers who write', async () => {
    const session = { accessKeyId: 'S', secretAccessKey: 's', sessionToken: 'token', isExpired: true };
    const server = await start({ credentials: [OWNER, READER, session] });
    const put = (credentials: { accessKeyId: string; secretAccessKey: string }): Promise<unknown> =>
      refusal(clientOf(server, { credentials }).send(new PutObjectCommand({ Bucket, Key: 'k', Body: 'x' })));
    expect(await put({ ...OWNER, accessKeyId: 'nobody' })).toEqual(['InvalidAccessKeyId', 403]);
    expect(await put({ ...OWNER, secretAccessKey: 'other' })).toEqual(['SignatureDoesNotMatch', 403]);
    expect(await put(session)).toEqual(['ExpiredToken', 400]);
    expect(await put(READER)).toEqual(['AccessDenied', 403]);
    const { KeyCount } = await clientOf(server, { credentials: READER }).send(new ListObjectsV2Command({ Bucket }));
    expect(KeyCount).toBe(0);
  });

  test('refuses a clock that is off, and tells its own', async () => {
    const { server, client } = await rig();
    server.clockOffsetMs = 60 * 60_000;
    const list = new ListObjectsV2Command({ Bucket });
    expect(await refusal(client.send(list))).toEqual(['RequestTimeTooSkewed', 403]);
    // By now the SDK has seen the server's date.
    await client.send(list);
  });
});

describe('uploads by parts', () => {
  const Key = 'big';
  const upload = async (client: S3Client, sizes: readonly number[]) => {
    const { UploadId } = await client.send(
      new CreateMultipartUploadCommand({ Bucket, Key, ChecksumAlgorithm: 'CRC32' }),
    );
    const Parts = await Promise.all(
      sizes.map(async (size, index) => {
        const part = { Bucket, Key, UploadId, PartNumber: index + 1, Body: Buffer.alloc(size, index + 1) };
        const { ETag, ChecksumCRC32 } = await client.send(new UploadPartCommand(part));
        return { PartNumber: index + 1, ETag, ChecksumCRC32 };
      }),
    );
    return { Bucket, Key, UploadId, MultipartUpload: { Parts } };
  };

  test('become one object, once', async () => {
    const { server, client } = await rig();
    const whole = await upload(client, [5 * MIB, 5 * MIB, 3]);
    expect((await client.send(new ListMultipartUploadsCommand({ Bucket }))).Uploads?.map((each) => each.Key)).toEqual([
      Key,
    ]);
    const listed = await client.send(new ListPartsCommand({ Bucket, Key, UploadId: whole.UploadId, MaxParts: 2 }));
    expect([listed.IsTruncated, listed.NextPartNumberMarker, listed.Parts?.map((part) => part.Size)]).toEqual([
      true,
      '2',
      [5 * MIB, 5 * MIB],
    ]);
    const { ETag } = await client.send(new CompleteMultipartUploadCommand({ ...whole, IfNoneMatch: '*' }));
    expect(ETag).toMatch(/^"[0-9a-f]{32}-3"$/);
    const bytes = await server.bucket().get(Key);
    expect([bytes.length, bytes[0], bytes[5 * MIB], bytes[10 * MIB]]).toEqual([10 * MIB + 3, 1, 2, 3]);
    const all = await client.send(new GetObjectCommand({ Bucket, Key }));
    expect(Buffer.from((await all.Body?.transformToByteArray()) ?? []).equals(bytes)).toBe(true);
    const Range = `bytes=${5 * MIB - 1}-${5 * MIB + 2}`;
    const across = await client.send(new GetObjectCommand({ Bucket, Key, Range }));
    expect(await across.Body?.transformToByteArray()).toEqual(Uint8Array.of(1, 2, 2, 2));
    expect(await refusal(client.send(new CompleteMultipartUploadCommand(whole)))).toEqual(['NoSuchUpload', 404]);
    const again = await upload(client, [1]);
    expect(await refusal(client.send(new CompleteMultipartUploadCommand({ ...again, IfNoneMatch: '*' })))).toEqual([
      'PreconditionFailed',
      412,
    ]);
    await client.send(new AbortMultipartUploadCommand({ Bucket, Key, UploadId: again.UploadId }));
    expect(server.bucket().uploads()).toEqual([]);
  });

  test('are refused where a part is small, missing, another or out of order', async () => {
    const { client } = await rig();
    const whole = await upload(client, [5, 5]);
    const [first, second] = whole.MultipartUpload.Parts;
    const complete = (...Parts: (typeof first)[]): Promise<unknown> =>
      refusal(
        client.send(
          new CompleteMultipartUploadCommand({
            ...whole,
            MultipartUpload: { Parts: Parts.filter((part) => part !== undefined) },
          }),
        ),
      );
    expect(await complete(first, second)).toEqual(['EntityTooSmall', 400]);
    expect(await complete(second, first)).toEqual(['InvalidPartOrder', 400]);
    expect(await complete(first && { ...first, PartNumber: 3 })).toEqual(['InvalidPart', 400]);
    expect(await complete(first && { ...first, ETag: second?.ETag })).toEqual(['InvalidPart', 400]);
  });
});

test('lists in pages, by prefix and delimiter, in the order of bytes', async () => {
  const { server, client } = await rig();
  const keys = ['a', 'b/1', 'b/2', 'c d+e', 'd/x/1', 'e/', 'e/f', 'ü', '😀'];
  for (const key of keys) await server.bucket().put(key, '');
  const list = async (options: object): Promise<unknown> => {
    const found: unknown[] = [];
    let ContinuationToken: string | undefined;
    do {
      const page: ListObjectsV2CommandOutput = await client.send(
        new ListObjectsV2Command({ Bucket, ContinuationToken, ...options }),
      );
      found.push([
        ...(page.Contents ?? []).map((each) => each.Key),
        ...(page.CommonPrefixes ?? []).map((each) => each.Prefix),
      ]);
      ContinuationToken = page.NextContinuationToken;
    } while (ContinuationToken !== undefined);
    return found;
  };
  expect(await list({})).toEqual([keys]);
  expect(await list({ MaxKeys: 3 })).toEqual([
    ['a', 'b/1', 'b/2'],
    ['c d+e', 'd/x/1', 'e/'],
    ['e/f', 'ü', '😀'],
  ]);
  // Keys first, then prefixes.
  expect(await list({ Delimiter: '/', MaxKeys: 2 })).toEqual([['a', 'b/'], ['c d+e', 'd/'], ['ü', 'e/'], ['😀']]);
  expect(await list({ Prefix: 'b' })).toEqual([['b/1', 'b/2']]);
  expect(await list({ Prefix: 'e/', Delimiter: '/', MaxKeys: 1 })).toEqual([['e/'], ['e/f']]);
  expect(await list({ Prefix: 'd/', Delimiter: '/' })).toEqual([['d/x/']]);
  expect(await list({ StartAfter: 'd/x/1' })).toEqual([['e/', 'e/f', 'ü', '😀']]);
  expect(await list({ Prefix: 'c', EncodingType: 'url' })).toEqual([['c+d%2Be']]);
  for (let index = 0; index < 1001; index++) await server.bucket().put(`many/${index}`, '');
  expect(((await list({ Prefix: 'many/', MaxKeys: 5000 })) as unknown[][]).map((page) => page.length)).toEqual([
    1000, 1,
  ]);
});
