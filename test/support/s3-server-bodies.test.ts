import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { afterEach, describe, expect, test } from 'vitest';
import { type RawRequest, sendSigned, startRig } from './s3-server/rig.ts';
import type { S3Server } from './s3-server/server.ts';

const servers: S3Server[] = [];
afterEach(async () => {
  for (const server of servers.splice(0)) await server.close();
});

async function start(): Promise<S3Server> {
  const server = await startRig();
  servers.push(server);
  return server;
}

async function raw(server: S3Server, request: RawRequest): Promise<[status: number, code: string | undefined]> {
  const { status, code } = await sendSigned(server, request);
  return [status, code];
}

describe('bodies that are not what the request says', () => {
  const body = 'some bytes';
  const md5 = createHash('md5').update(body).digest('base64');
  const sum = Buffer.alloc(4);
  sum.writeUInt32BE(crc32(body));
  const wrongSum = Buffer.from(sum.map((byte) => byte ^ 1)).toString('base64');

  test.each<[what: string, headers: Record<string, string>, expected: [number, string | undefined]]>([
    ['the right MD5', { 'content-md5': md5 }, [200, undefined]],
    ['another MD5', { 'content-md5': createHash('md5').digest('base64') }, [400, 'BadDigest']],
    ['an MD5 that is none', { 'content-md5': 'abc' }, [400, 'InvalidDigest']],
    ['the right CRC32', { 'x-amz-checksum-crc32': sum.toString('base64') }, [200, undefined]],
    ['another CRC32', { 'x-amz-checksum-crc32': wrongSum }, [400, 'BadDigest']],
    [
      'another SHA-256',
      { 'x-amz-content-sha256': createHash('sha256').update('other').digest('hex') },
      [400, 'XAmzContentSHA256Mismatch'],
    ],
    ['no SHA-256', { 'x-amz-content-sha256': 'UNSIGNED-PAYLOAD' }, [200, undefined]],
  ])('with %s', async (_, headers, expected) => {
    const server = await start();
    expect(await raw(server, { method: 'PUT', url: '/data/k', headers, body })).toEqual(expected);
    expect(server.bucket().objects().size).toBe(expected[0] === 200 ? 1 : 0);
  });

  test('a second If-None-Match', async () => {
    const server = await start();
    const request = { method: 'PUT', url: '/data/k', headers: { 'if-none-match': '*' }, body };
    expect([await raw(server, request), await raw(server, request)]).toEqual([
      [200, undefined],
      [412, 'PreconditionFailed'],
    ]);
  });
});
