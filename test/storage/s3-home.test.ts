import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { digestFromBytes } from '../../src/domain/digest.ts';
import type { RemoteSettings } from '../../src/domain/setting-table.ts';
import { hashEngine } from '../../src/platform/hash.ts';
import type { FileSource, Home } from '../../src/storage/home.ts';
import { createRequestEngine } from '../../src/storage/request-engine.ts';
import { openS3Home } from '../../src/storage/s3-home.ts';
import { OWNER, READER, startRig } from '../support/s3-server/rig.ts';
import type { S3Server } from '../support/s3-server/server.ts';
import { describeHome } from './home-conformance.ts';

const MIB = 1 << 20;
const LARGE = 40 * MIB + 5;

function useCredentials({ accessKeyId, secretAccessKey }: { accessKeyId: string; secretAccessKey: string }): void {
  process.env['AWS_ACCESS_KEY_ID'] = accessKeyId;
  process.env['AWS_SECRET_ACCESS_KEY'] = secretAccessKey;
}
process.env['AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED'] = 'true';
process.env['AWS_EC2_METADATA_DISABLED'] = 'true';
process.env['AWS_CONFIG_FILE'] = process.env['AWS_SHARED_CREDENTIALS_FILE'] = '/dev/null';

interface HomeOptions {
  readonly prefix?: string;
  readonly bucket?: string;
  readonly settings?: Omit<RemoteSettings, 'url'>;
  readonly idleMs?: number;
}

function openHome(server: S3Server, folder: string, options: HomeOptions = {}): Home {
  const { prefix = '', bucket = 'data', settings, idleMs } = options;
  return openS3Home({
    bucket,
    prefix,
    settings: { endpoint: server.endpoint, ...settings },
    environment: {},
    folder,
    engine: createRequestEngine({ name: `s3://${bucket}`, tries: 3, random: () => 0 }),
    ...(idleMs !== undefined && { idleMs }),
  });
}

for (const [name, prefix] of [
  ['a bucket', ''],
  ['a folder of a bucket', 'team/data'],
] as const) {
  describeHome(name, async () => {
    useCredentials(OWNER);
    const server = await startRig();
    const folder = mkdtempSync(join(tmpdir(), 'mlv-s3-'));
    const dispose = async (): Promise<void> => {
      await server.close();
      rmSync(folder, { recursive: true, force: true });
    };
    return { home: openHome(server, folder, { prefix }), dispose };
  });
}

describe('a bucket', () => {
  let server: S3Server;
  let folder: string;
  let home: Home;
  beforeEach(async () => {
    useCredentials(OWNER);
    folder = mkdtempSync(join(tmpdir(), 'mlv-s3-'));
    server = await startRig();
    home = openHome(server, join(folder, 'notes'));
  });
  afterEach(async () => {
    await server.close();
    rmSync(folder, { recursive: true, force: true });
  });

  function source(bytes: Buffer): FileSource {
    const path = join(folder, 'source');
    writeFileSync(path, bytes);
    return { path, offset: 0, length: bytes.length, digest: digestFromBytes(hashEngine().hash(bytes)) };
  }

  function asked(operation: string): number {
    return server.requests.filter((request) => request.operation === operation).length;
  }

  async function refusal(work: Promise<unknown>): Promise<string> {
    const error = await work.then(
      () => new Error('it succeeded'),
      (thrown: Error & { code?: string; hint?: string }) => thrown,
    );
    const { code, message, hint } = error as Error & { code?: string; hint?: string };
    return `${code}: ${message}\n${hint}`;
  }

  const busy = { kind: 'answer', status: 503, code: 'SlowDown' } as const;

  test('that is busy is asked again', async () => {
    server.faults.add({ times: 4, action: busy });
    await home.write('index/a', [Buffer.from('bytes')]);
    server.faults.add({ times: 4, action: busy });
    expect((await home.readAll('index/a', 10)).toString()).toBe('bytes');
  });

  test.each([
    { kind: 'reset', afterResponseBytes: 100_000 },
    { kind: 'truncate', bytes: 100_000 },
    { kind: 'ignore-range' },
  ] as const)('gives all of a range, whatever happens on the way: %j', async (action) => {
    const bytes = Buffer.alloc(300_000, 'some bytes');
    await server.bucket().put('packs/ab/x', bytes);
    const fault = server.faults.add({ on: { operation: 'GetObject' }, action });
    const range = { offset: 1000, length: 250_000 };
    expect((await home.read('packs/ab/x', range)).equals(bytes.subarray(1000, 251_000))).toBe(true);
    expect(fault.hits).toBe(1);
  });

  test('that stops in the middle of an object is asked again', async () => {
    const patient = openHome(server, folder, { idleMs: 200 });
    const bytes = Buffer.alloc(300_000, 'some bytes');
    await server.bucket().put('packs/ab/x', bytes);
    server.faults.add({ on: { operation: 'GetObject' }, action: { kind: 'drip', bytesPerSecond: 1 } });
    expect((await patient.readAll('packs/ab/x', 300_000)).equals(bytes)).toBe(true);
    expect(asked('GetObject')).toBe(2);
  });

  test('keeps what is there, and replaces what is shorter', async () => {
    await server.bucket().put('packs/ab/x', 'first');
    await home.write('packs/ab/x', [Buffer.from('other')]);
    expect((await server.bucket().get('packs/ab/x')).toString()).toBe('first');
    await home.write('packs/ab/x', [Buffer.from('longer')]);
    expect((await server.bucket().get('packs/ab/x')).toString()).toBe('longer');
  });

  test('that knows no conditions is learned once', async () => {
    server.faults.add({
      on: { operation: 'PutObject' },
      action: { kind: 'answer', status: 501, code: 'NotImplemented' },
    });
    await home.write('index/a', [Buffer.from('a')]);
    await openHome(server, join(folder, 'notes')).write('index/b', [Buffer.from('b')]);
    expect(asked('PutObject')).toBe(3);
    expect([...server.bucket().objects().keys()]).toEqual(['index/a', 'index/b']);
  });

  test('whose answer to a write was lost has the object', async () => {
    server.faults.add({ on: { operation: 'PutObject' }, action: { kind: 'lose-answer', isPerformed: true } });
    await home.write('index/a', [Buffer.from('bytes')]);
    expect((await server.bucket().get('index/a')).toString()).toBe('bytes');
  });

  test('takes a large file in parts', async () => {
    const bytes = Buffer.alloc(LARGE, 'large file');
    server.faults.add({ on: { operation: 'UploadPart' }, nth: 2, action: { kind: 'reset', afterRequestBytes: MIB } });
    server.faults.add({ on: { operation: 'UploadPart' }, times: 2, action: busy });
    await home.writeFile('objects/ab/x', source(bytes));
    expect((await server.bucket().get('objects/ab/x')).equals(bytes)).toBe(true);
    expect(server.bucket().uploads()).toEqual([]);
  });

  test.each([
    { kind: 'lose-answer', isPerformed: true },
    { kind: 'lose-answer', isPerformed: false },
    { kind: 'late-error', code: 'InternalError', isPerformed: true },
    { kind: 'late-error', code: 'InternalError', isPerformed: false },
  ] as const)('decides how the end of an upload ended: %j', async (action) => {
    const bytes = Buffer.alloc(LARGE, 'large file');
    const fault = server.faults.add({ on: { operation: 'CompleteMultipartUpload' }, action });
    await home.writeFile('objects/ab/x', source(bytes));
    expect(fault.hits).toBe(1);
    expect((await server.bucket().get('objects/ab/x')).equals(bytes)).toBe(true);
    expect(server.bucket().uploads()).toEqual([]);
  });

  test('never gets a large file that is damaged', async () => {
    const good = source(Buffer.alloc(LARGE, 'large file'));
    const damaged = { ...good, digest: digestFromBytes(hashEngine().hash(Buffer.from('other'))) };
    await expect(home.writeFile('objects/ab/x', damaged)).rejects.toMatchObject({ code: 'source-damaged' });
    expect([server.bucket().objects().size, server.bucket().uploads()]).toEqual([0, []]);
  });

  test('gets only what it lacks when an upload goes on', async () => {
    const bytes = Buffer.alloc(LARGE, 'large file');
    const denied = { kind: 'answer', status: 403, code: 'AccessDenied' } as const;
    server.faults.add({ on: { operation: 'CompleteMultipartUpload' }, action: denied });
    await expect(home.writeFile('objects/ab/x', source(bytes))).rejects.toMatchObject({ code: 'remote-not-writable' });
    expect(asked('UploadPart')).toBe(3);
    await openHome(server, join(folder, 'notes')).writeFile('objects/ab/x', source(bytes));
    expect(asked('UploadPart')).toBe(3);
    expect((await server.bucket().get('objects/ab/x')).equals(bytes)).toBe(true);
  });

  test('that does not allow something says what to ask for', async () => {
    useCredentials(READER);
    const readOnly = openHome(server, folder);
    expect(await refusal(readOnly.write('index/a', [Buffer.from('a')]))).toMatch(
      /^remote-not-writable: s3:\/\/data may not be written to \(s3:PutObject on index\/a\)[^]*Ask for s3:PutObject/,
    );
    expect(asked('PutObject')).toBe(1);
  });

  test('that is not there, or not for these credentials, is told so', async () => {
    const missing = openHome(server, folder, { bucket: 'none' });
    expect(await refusal(missing.list('index/')[Symbol.asyncIterator]().next())).toContain(
      `remote-missing: there is no bucket "none" at ${server.endpoint}`,
    );
    await expect(missing.write('index/a', [])).rejects.toMatchObject({ code: 'remote-missing' });
    useCredentials({ accessKeyId: 'NOBODY', secretAccessKey: 'not-to-be-shown' });
    expect(await refusal(openHome(server, folder).readAll('mlv.json', 10))).toMatch(/^credentials-wrong: /);
    useCredentials({ ...OWNER, secretAccessKey: 'not-to-be-shown' });
    const wrong = await refusal(openHome(server, folder).readAll('mlv.json', 10));
    expect(wrong).toMatch(/^credentials-wrong: /);
    expect(wrong).not.toContain('not-to-be-shown');
  });

  test('tells how to renew credentials that have expired, after one try with new ones', async () => {
    const expired = { kind: 'answer', status: 400, code: 'ExpiredToken' } as const;
    server.faults.add({ action: expired });
    await home.write('index/a', [Buffer.from('a')]);
    server.faults.add({ times: 2, action: expired });
    expect(await refusal(home.readAll('index/a', 10))).toMatch(
      /^credentials-expired: the credentials for s3:\/\/data have expired\n.*aws sso login/,
    );
  });

  test('in another region is found', async () => {
    const elsewhere = await startRig({ buckets: [{ name: 'data', region: 'eu-central-1' }] });
    try {
      await openHome(elsewhere, join(folder, 'elsewhere')).write('index/a', [Buffer.from('a')]);
      expect([...elsewhere.bucket().objects().keys()]).toEqual(['index/a']);
    } finally {
      await elsewhere.close();
    }
  });

  test('that cannot be reached is given up soon', async () => {
    const { endpoint } = server;
    await server.close();
    expect(await refusal(home.readAll('mlv.json', 10))).toMatch(
      /^remote-unreachable: cannot read mlv\.json at s3:\/\/data: ECONNREFUSED/,
    );
    server = await startRig();
    expect(server.endpoint).not.toBe(endpoint);
  });

  test('gets the storage class and encryption that were set', async () => {
    const settings = { storageClass: 'STANDARD_IA', sse: 'aws:kms', kmsKeyId: 'key' } as const;
    const set = openHome(server, folder, { settings });
    await set.write('index/a', [Buffer.from('a')]);
    await set.writeFile('objects/ab/x', source(Buffer.alloc(LARGE)));
    for (const object of server.bucket().objects().values()) {
      expect(object).toMatchObject({ storageClass: 'STANDARD_IA', encryption: 'aws:kms', kmsKeyId: 'key' });
    }
  });
});
