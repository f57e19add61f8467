import { afterEach, describe, expect, test } from 'vitest';
import type { Fault } from './s3-server/faults.ts';
import { type Answer, sendSigned, startRig } from './s3-server/rig.ts';
import type { S3Server } from './s3-server/server.ts';

const BODY = '0123456789';
const servers: S3Server[] = [];
afterEach(async () => {
  for (const server of servers.splice(0)) await server.close();
});

/** A server with one object, and a fault. */
async function start(fault: Fault): Promise<S3Server> {
  const server = await startRig();
  servers.push(server);
  await server.bucket().put('k', BODY);
  server.faults.add(fault);
  return server;
}

/** What comes of a request: its status and body, or how the connection broke. */
async function outcome(work: Promise<Answer>): Promise<unknown> {
  try {
    const { status, body, code } = await work;
    return [status, code ?? body.toString()];
  } catch (error) {
    return (error as NodeJS.ErrnoException).code;
  }
}

function get(server: S3Server, headers: Record<string, string> = {}): Promise<unknown> {
  return outcome(sendSigned(server, { url: '/data/k', headers }));
}

const fine = [200, BODY];

test.each<[what: string, action: Fault['action'], expected: unknown]>([
  ['an answer', { kind: 'answer', status: 503, code: 'SlowDown' }, [503, 'SlowDown']],
  ['404 for what is there', { kind: 'answer', status: 404, code: 'NoSuchKey' }, [404, 'NoSuchKey']],
  ['a reset at once', { kind: 'reset' }, 'ECONNRESET'],
  ['a reset in the middle', { kind: 'reset', afterResponseBytes: 4 }, 'ECONNRESET'],
  ['a lost answer', { kind: 'lose-answer', isPerformed: true }, 'ECONNRESET'],
  ['a body cut off', { kind: 'truncate', bytes: 4 }, 'ECONNRESET'],
  ['a body cut short, as if that were all', { kind: 'shorten', bytes: 4 }, [200, '0123']],
  ['an altered byte', { kind: 'alter', at: 3 }, [200, '0122456789']],
  ['a drip', { kind: 'drip', bytesPerSecond: 200 }, fine],
  ['a delay', { kind: 'delay', ms: 5 }, fine],
])('%s, once', async (_, action, expected) => {
  const server = await start({ on: { operation: 'GetObject' }, action });
  expect([await get(server), await get(server)]).toEqual([expected, fine]);
});

test('a range that is ignored', async () => {
  const server = await start({ action: { kind: 'ignore-range' } });
  expect([await get(server, { range: 'bytes=2-3' }), await get(server, { range: 'bytes=2-3' })]).toEqual([
    fine,
    [206, '23'],
  ]);
});

test('no answer at all, until the server closes', async () => {
  const server = await start({ action: { kind: 'hang' } });
  const waiting = get(server);
  expect(await Promise.race([waiting, get(server)])).toEqual(fine);
  await server.close();
  servers.pop();
  expect(await waiting).toBe('ECONNRESET');
});

test('faults hit the requests they name, as often as told, until they are cleared', async () => {
  const action = { kind: 'answer', status: 500, code: 'InternalError', retryAfter: 7 } as const;
  const server = await start({ on: { method: 'GET', key: /^k$/ }, nth: 2, times: 2, action });
  const put = await sendSigned(server, { method: 'PUT', url: '/data/k', body: BODY });
  expect(put.status).toBe(200);
  const failed = [500, 'InternalError'];
  expect([await get(server), await get(server), await get(server), await get(server)]).toEqual([
    fine,
    failed,
    failed,
    fine,
  ]);
  const other = server.faults.add({ times: Infinity, action });
  const answer = await sendSigned(server, { url: '/data/k' });
  expect([answer.headers['retry-after'], other.hits]).toEqual(['7', 1]);
  server.faults.clear();
  expect(await get(server)).toEqual(fine);
});

describe('Complete', () => {
  async function upload(server: S3Server): Promise<() => Promise<unknown>> {
    const created = await sendSigned(server, { method: 'POST', url: '/data/new?uploads=' });
    const id = /<UploadId>(\w+)</.exec(created.body.toString())?.[1] ?? '';
    const part = await sendSigned(server, { method: 'PUT', url: `/data/new?partNumber=1&uploadId=${id}`, body: BODY });
    const body = `<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>${part.headers.etag}</ETag></Part></CompleteMultipartUpload>`;
    return () => outcome(sendSigned(server, { method: 'POST', url: `/data/new?uploadId=${id}`, body }));
  }

  test.each([true, false])('with an error in a 200, performed: %s', async (isPerformed) => {
    const action = { kind: 'late-error', code: 'InternalError', isPerformed } as const;
    const server = await start({ on: { operation: 'CompleteMultipartUpload' }, action });
    const complete = await upload(server);
    expect(await complete()).toEqual([200, 'InternalError']);
    expect(server.bucket().objects().has('new')).toBe(isPerformed);
  });

  test.each([true, false])('whose answer is lost, performed: %s', async (isPerformed) => {
    const server = await start({
      on: { method: 'POST', operation: 'CompleteMultipartUpload' },
      action: { kind: 'lose-answer', isPerformed },
    });
    const complete = await upload(server);
    expect(await complete()).toBe('ECONNRESET');
    expect(server.bucket().objects().has('new')).toBe(isPerformed);
  });
});

test('an upload that is reset on its way leaves nothing', async () => {
  const server = await start({ action: { kind: 'reset', afterRequestBytes: 1000 } });
  expect(await outcome(sendSigned(server, { method: 'PUT', url: '/data/new', body: Buffer.alloc(1 << 20) }))).toMatch(
    /^(ECONNRESET|EPIPE)$/,
  );
  expect([...server.bucket().objects().keys()]).toEqual(['k']);
});

test('listings that are cut short, doubled or old', async () => {
  const server = await start({ action: { kind: 'cut-listing', keys: 1 } });
  await server.bucket().put('l', '');
  const list = async (): Promise<unknown> => {
    const text = (await sendSigned(server, { url: '/data?list-type=2' })).body.toString();
    return [Array.from(text.matchAll(/<Key>(\w+)</g), ([, key]) => key).join(), /<IsTruncated>(\w+)</.exec(text)?.[1]];
  };
  expect(await list()).toEqual(['k', 'false']);
  server.faults.add({ action: { kind: 'duplicate-keys' } });
  expect(await list()).toEqual(['k,k,l,l', 'false']);
  server.faults.add({ action: { kind: 'stale-listing', after: Date.now() - 60_000 } });
  expect(await list()).toEqual(['', 'false']);
  expect(await list()).toEqual(['k,l', 'false']);
});

test('bytes that went bad under the same ETag', async () => {
  const server = await start({ action: { kind: 'delay', ms: 0 } });
  await server.bucket().corrupt('k');
  expect(await get(server)).toEqual([200, '0123446789']);
});
