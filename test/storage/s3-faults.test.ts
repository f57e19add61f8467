import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Home } from '../../src/storage/home.ts';
import { OWNER, READER } from '../support/s3-server/rig.ts';
import type { S3Rig } from './s3-rig.ts';
import { startS3Rig, useCredentials } from './s3-rig.ts';

let rig: S3Rig;
beforeEach(async () => {
  rig = await startS3Rig();
});
afterEach(() => rig.dispose());

async function keys(home: Home, prefix = ''): Promise<string[]> {
  const found: string[] = [];
  for await (const { key } of home.list(prefix)) found.push(key);
  return found;
}

const bytes = (text: string): Buffer[] => [Buffer.from(text)];

describe('requests', () => {
  test('one stores an object, with a checksum, a condition, and no trailer', async () => {
    await rig.open().home.write('packs/ab/one', bytes('content'));
    const [{ headers, operation } = { headers: {}, operation: '' }, ...others] = rig.server.requests;
    expect({ operation, others: others.length }).toEqual({ operation: 'PutObject', others: 0 });
    expect(headers).toMatchObject({ 'if-none-match': '*', 'x-amz-checksum-crc32': '/sUwqQ==', 'content-length': '7' });
    expect(Object.keys(headers).filter((name) => /trailer|expect|encoding/.test(name))).toEqual([]);
  });

  test('a key that is taken is told by the store; another size is replaced', async () => {
    const { home } = rig.open();
    await home.write('index/x', bytes('half'));
    await home.write('index/x', bytes('half'));
    expect(rig.asked()).toEqual(['PutObject', 'PutObject', 'HeadObject']);
    await home.write('index/x', bytes('half and half'));
    expect(rig.asked()).toEqual(['PutObject', 'HeadObject', 'PutObject']);
    expect((await rig.server.bucket().get('team/index/x')).toString()).toBe('half and half');
  });

  test('what a store does not know is left out from then on, also by the next run', async () => {
    const fault = { kind: 'answer', status: 501, code: 'NotImplemented' } as const;
    rig.server.faults.add({ on: { operation: 'PutObject' }, action: fault });
    await rig.open().home.write('index/a', bytes('a'));
    await rig.open().home.write('index/b', bytes('b'));
    expect(rig.server.requests.map(({ headers }) => headers['if-none-match'])).toEqual(['*', undefined, undefined]);
    rig.server.faults.add({
      on: { operation: 'PutObject' },
      action: { ...fault, message: 'A header you provided: x-amz-checksum-crc32' },
    });
    await rig.open().home.write('index/c', bytes('c'));
    await rig.open().home.write('index/d', bytes('d'));
    const sums = rig.server.requests.map(({ headers }) => [headers['x-amz-checksum-crc32'], headers['content-md5']]);
    expect(sums.slice(-2)).toEqual([
      [undefined, 'SooI8J03tzeVZJA4QItfMw=='],
      [undefined, 'gnfgkQ11AZW0SHl2FuCRrQ=='],
    ]);
  });

  test('settings go along with what they concern', async () => {
    const settings = { storageClass: 'STANDARD_IA', sse: 'aws:kms', kmsKeyId: 'key', requesterPays: true } as const;
    const { home } = rig.open({ settings });
    await home.write('index/x', bytes('x'));
    await home.readAll('index/x', 10);
    expect(rig.server.bucket().objects().get('team/index/x')).toMatchObject({
      storageClass: 'STANDARD_IA',
      encryption: 'aws:kms',
      kmsKeyId: 'key',
      requestPayer: 'requester',
    });
    expect(rig.server.requests.map(({ headers }) => headers['x-amz-request-payer'])).toEqual([
      'requester',
      'requester',
    ]);
  });

  test('the folders that a console makes are no objects', async () => {
    await rig.server.bucket().put('team/index/', '');
    await rig.server.bucket().put('team/index/x', 'x');
    expect(await keys(rig.open().home)).toEqual(['index/x']);
  });
});

describe('what passes is tried again', () => {
  test.each([
    { fault: { kind: 'answer', status: 500, code: 'InternalError' }, throttles: 0 },
    { fault: { kind: 'answer', status: 503, code: 'SlowDown', retryAfter: 0 }, throttles: 1 },
    { fault: { kind: 'answer', status: 429, code: 'TooManyRequests' }, throttles: 1 },
    { fault: { kind: 'answer', status: 400, code: 'RequestTimeout' }, throttles: 0 },
    { fault: { kind: 'answer', status: 409, code: 'ConditionalRequestConflict' }, throttles: 0 },
    { fault: { kind: 'reset' }, throttles: 0 },
    { fault: { kind: 'lose-answer', isPerformed: true }, throttles: 0 },
    { fault: { kind: 'lose-answer', isPerformed: false }, throttles: 0 },
  ] as const)('a write that met $fault', async ({ fault, throttles }) => {
    rig.server.faults.add({ action: fault });
    const { home, engine } = rig.open();
    await home.write('index/x', bytes('content'));
    expect(engine.counters()).toMatchObject({ retries: 1, throttles });
    expect((await rig.server.bucket().get('team/index/x')).toString()).toBe('content');
  });

  test.each([
    { kind: 'answer', status: 500, code: 'InternalError' },
    { kind: 'reset', afterResponseBytes: 50_000 },
    { kind: 'truncate', bytes: 50_000 },
    { kind: 'shorten', bytes: 50_000 },
    { kind: 'hang' },
    { kind: 'drip', bytesPerSecond: 10 },
  ] as const)('a read that met %o', async (action) => {
    const content = Buffer.alloc(100_000, 'content');
    await rig.server.bucket().put('team/packs/x', content);
    rig.server.faults.add({ on: { operation: 'GetObject' }, action });
    const { home, engine } = rig.open({ idleMs: 300, tryMs: 600 });
    const read = await home.read('packs/x', { offset: 1000, length: 98_000 });
    expect(read.equals(content.subarray(1000, 99_000))).toBe(true);
    expect(engine.counters()).toMatchObject({ requests: 2, retries: 1 });
  });

  test('a connection that was closed while it was idle', async () => {
    const { home } = rig.open();
    rig.server.faults.add({ action: { kind: 'close-idle' } });
    await home.write('index/x', bytes('x'));
    expect((await home.readAll('index/x', 10)).toString()).toBe('x');
  });

  test('a store that sends everything where a range was asked for', async () => {
    await rig.server.bucket().put('team/packs/x', Buffer.from('0123456789'));
    rig.server.faults.add({ on: { operation: 'GetObject' }, times: 2, action: { kind: 'ignore-range' } });
    const { home } = rig.open();
    expect((await home.read('packs/x', { offset: 3, length: 4 })).toString()).toBe('3456');
    await expect(home.read('packs/x', { offset: 8, length: 4 })).rejects.toMatchObject({ code: 'object-short' });
  });

  test('an object that is replaced between two reads of it is read as it is now', async () => {
    const { home } = rig.open();
    await rig.server.bucket().put('team/packs/x', Buffer.from('0123456789'));
    await home.read('packs/x', { offset: 0, length: 4 });
    await rig.server.bucket().put('team/packs/x', Buffer.from('abcdefghij'));
    expect((await home.read('packs/x', { offset: 3, length: 4 })).toString()).toBe('defg');
  });

  test('a listing with every key twice, or cut short by a store that says so', async () => {
    for (const key of ['a', 'b', 'c']) await rig.server.bucket().put(`team/index/${key}`, key);
    rig.server.faults.add({ action: { kind: 'duplicate-keys' } });
    expect(await keys(rig.open().home)).toEqual(['index/a', 'index/b', 'index/c']);
  });
});

describe('what does not pass is told', () => {
  const denied = { kind: 'answer', status: 403, code: 'AccessDenied', message: 'Access Denied' } as const;

  test.each([
    {
      code: 'remote-denied',
      action: denied,
      run: (home: Home) => home.readAll('index/x', 10),
      text: 's3:GetObject on index/x',
    },
    { code: 'remote-denied', action: denied, run: (home: Home) => keys(home), text: 's3:ListBucket on the bucket' },
    {
      code: 'remote-not-writable',
      action: denied,
      run: (home: Home) => home.write('index/x', bytes('x')),
      text: 's3:PutObject on index/x',
    },
    {
      code: 'remote-full',
      action: { kind: 'answer', status: 507, code: 'InsufficientStorage' },
      run: (home: Home) => home.write('index/x', bytes('x')),
      text: 'no room left at s3://data/team for index/x',
    },
    {
      code: 'remote-kms-denied',
      action: { ...denied, message: 'User is not authorized to perform: kms:GenerateDataKey on the resource' },
      run: (home: Home) => home.write('index/x', bytes('x')),
      text: 'the key that encrypts',
    },
  ] as const)('$code, at once: $text', async ({ code, action, run, text }) => {
    rig.server.faults.add({ times: Infinity, action });
    await expect(run(rig.open().home)).rejects.toMatchObject({ code, message: expect.stringContaining(text) });
    expect(rig.server.requests).toHaveLength(1);
  });

  test('a bucket that is not there', async () => {
    const rigWithout = await startS3Rig({ buckets: ['other'] });
    try {
      const { home } = rigWithout.open();
      await expect(keys(home)).rejects.toMatchObject({ code: 'remote-missing' });
      await expect(home.readAll('mlv.json', 10)).rejects.toMatchObject({ code: 'remote-missing' });
      await expect(home.write('index/x', bytes('x'))).rejects.toMatchObject({ code: 'remote-missing' });
    } finally {
      await rigWithout.dispose();
    }
  });

  test('a store class that there is not', async () => {
    const { home } = rig.open({ settings: { storageClass: 'CHEAP' } });
    await expect(home.write('index/x', bytes('x'))).rejects.toMatchObject({
      code: 'remote-setting-wrong',
      hint: 'Correct it: mlv remote modify NAME storageClass CLASS',
    });
  });

  test('reading is all that a reader may do', async () => {
    await rig.server.bucket().put('team/index/x', 'x');
    useCredentials(READER);
    const { home } = rig.open();
    expect(await keys(home)).toEqual(['index/x']);
    await expect(home.write('index/y', bytes('y'))).rejects.toMatchObject({ code: 'remote-not-writable' });
  });

  test('a server that is not there, quickly; one that went away, after patience', async () => {
    const { home } = rig.open({ settings: { endpoint: 'http://127.0.0.1:1' } });
    const start = performance.now();
    await expect(keys(home)).rejects.toMatchObject({
      code: 'remote-unreachable',
      message: expect.stringContaining('cannot list the bucket at s3://data/team: ECONNREFUSED'),
    });
    expect(performance.now() - start).toBeLessThan(3000);
  });

  test('500 that stays, with how often it was tried', async () => {
    rig.server.faults.add({ times: Infinity, action: { kind: 'answer', status: 500, code: 'InternalError' } });
    await expect(rig.open({ tries: 3 }).home.write('index/x', bytes('x'))).rejects.toMatchObject({
      code: 'remote-write-failed',
      message: expect.stringMatching(
        /^cannot write index\/x at s3:\/\/data\/team: InternalError \(500\).* \(tried 3 times in /,
      ),
    });
    expect(rig.server.requests).toHaveLength(3);
  });
});

describe('credentials, clock and region', () => {
  test('a clock an hour wrong is corrected once', async () => {
    rig.server.clockOffsetMs = 3_600_000;
    const { home, engine } = rig.open();
    await home.write('index/x', bytes('x'));
    expect((await home.readAll('index/x', 10)).toString()).toBe('x');
    expect(engine.counters().retries).toBe(1);
  });

  test('a store whose clock no correction meets is told', async () => {
    const skewed = { kind: 'answer', status: 403, code: 'RequestTimeTooSkewed' } as const;
    rig.server.faults.add({ times: Infinity, action: skewed });
    rig.server.clockOffsetMs = 3_600_000;
    await expect(rig.open().home.write('index/x', bytes('x'))).rejects.toMatchObject({
      code: 'clock-wrong',
      message:
        "this machine's clock is 60 minutes behind, and s3://data/team does not accept requests from another time",
    });
  });

  test('expired credentials are read again once, then told with the command that renews them', async () => {
    const expired = { kind: 'answer', status: 400, code: 'ExpiredToken' } as const;
    rig.server.faults.add({ action: expired });
    await rig.open().home.write('index/x', bytes('x'));
    expect(rig.asked()).toEqual(['PutObject', 'PutObject']);
    rig.server.faults.add({ times: Infinity, action: expired });
    await expect(rig.open().home.write('index/y', bytes('y'))).rejects.toMatchObject({
      code: 'credentials-expired',
      hint: expect.stringContaining('aws sso login'),
    });
    expect(rig.asked()).toEqual(['PutObject', 'PutObject']);
  });

  test('wrong and missing ones are told, without a secret', async () => {
    useCredentials({ ...OWNER, secretAccessKey: 'not-the-secret' });
    const wrong = rig.open().home.write('index/x', bytes('x'));
    await expect(wrong).rejects.toMatchObject({
      code: 'credentials-wrong',
      message: expect.stringContaining('SignatureDoesNotMatch'),
    });
    useCredentials({ accessKeyId: 'NOBODY', secretAccessKey: 'secret' });
    await expect(keys(rig.open().home)).rejects.toMatchObject({ code: 'credentials-wrong' });
    useCredentials(undefined);
    await expect(keys(rig.open().home)).rejects.toMatchObject({ code: 'credentials-missing' });
    const text = String(await wrong.catch((error: unknown) => error));
    expect(text).not.toContain('not-the-secret');
  });

  test('the region is learned from the first answer and kept for the clone; a wrong setting is told', async () => {
    const elsewhere = await startS3Rig({ buckets: [{ name: 'data', region: 'eu-north-1' }] });
    try {
      await elsewhere.open().home.write('index/x', bytes('x'));
      expect(elsewhere.asked()).toEqual(['PutObject', 'PutObject']);
      expect(await keys(elsewhere.open().home)).toEqual(['index/x']);
      expect(elsewhere.asked()).toEqual(['ListObjectsV2']);
      await expect(keys(elsewhere.open({ settings: { region: 'us-east-1' } }).home)).rejects.toMatchObject({
        code: 'remote-region-wrong',
        hint: 'Set it: mlv remote modify NAME region eu-north-1',
      });
    } finally {
      await elsewhere.dispose();
    }
  });
});
