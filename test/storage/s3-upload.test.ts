import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { digestFromBytes } from '../../src/domain/digest.ts';
import { hashEngine } from '../../src/platform/hash.ts';
import type { FileSource } from '../../src/storage/home.ts';
import { partBytesFor } from '../../src/storage/s3-upload.ts';
import type { FaultAction } from '../support/s3-server/faults.ts';
import type { S3ServerOptions } from '../support/s3-server/server.ts';
import type { S3Rig } from './s3-rig.ts';
import { startS3Rig } from './s3-rig.ts';

const MIB = 1 << 20;
const LENGTH = 40 * MIB + 5;
const KEY = 'objects/ab/large';
const content = Buffer.alloc(LENGTH);
for (let at = 0; at < LENGTH; at += 4)
  content.writeUInt32LE(Math.imul(at, 2_654_435_761) >>> 0, Math.min(at, LENGTH - 4));

let rig: S3Rig;
let source: FileSource;

async function start(options: Partial<S3ServerOptions> = {}): Promise<void> {
  rig = await startS3Rig({ equalParts: true, ...options });
  const path = join(rig.folder, 'source');
  writeFileSync(path, content);
  source = { path, offset: 0, length: LENGTH, digest: digestFromBytes(hashEngine().hash(content)) };
}

beforeEach(() => start());
afterEach(() => rig.dispose());

async function isStored(): Promise<boolean> {
  return (await rig.server.bucket().get(`team/${KEY}`)).equals(content);
}

function notes(): string[] {
  return readdirSync(rig.folder, { recursive: true })
    .map(String)
    .filter((name) => name.startsWith('uploads/'));
}

function counted(operations: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const operation of operations) counts[operation] = (counts[operation] ?? 0) + 1;
  return counts;
}

test('parts are equal, at least 16 MiB, and at most 9,000', () => {
  expect(
    [1, LENGTH, 140 * 2 ** 30, 150 * 2 ** 30, 2 ** 40, 5 * 2 ** 40].map((size) => partBytesFor(size) / MIB),
  ).toEqual([16, 16, 16, 18, 117, 583]);
});

test('a large file goes in equal parts with checksums, and leaves nothing behind', async () => {
  await rig.open().home.writeFile(KEY, source);
  expect(await isStored()).toBe(true);
  const parts = rig.server.requests.filter(({ operation }) => operation === 'UploadPart');
  expect(parts.map(({ bytesIn }) => bytesIn).sort((a, b) => b - a)).toEqual([16 * MIB, 16 * MIB, 8 * MIB + 5]);
  expect(parts.every(({ headers }) => typeof headers['x-amz-checksum-crc32'] === 'string')).toBe(true);
  expect(counted(rig.asked())).toEqual({
    HeadObject: 1,
    CreateMultipartUpload: 1,
    UploadPart: 3,
    CompleteMultipartUpload: 1,
  });
  expect([rig.server.bucket().uploads(), notes()]).toEqual([[], []]);
  await rig.open().home.writeFile(KEY, source);
  expect(rig.asked()).toEqual(['HeadObject']);
});

test('a part of a file is stored alone', async () => {
  const part = content.subarray(1 * MIB, 18 * MIB);
  const digest = digestFromBytes(hashEngine().hash(part));
  await rig.open().home.writeFile(KEY, { ...source, offset: MIB, length: part.length, digest });
  expect((await rig.server.bucket().get(`team/${KEY}`)).equals(part)).toBe(true);
});

test('bytes that are not what their digest says are never completed', async () => {
  const digest = digestFromBytes(hashEngine().hash(Buffer.from('other')));
  await expect(rig.open().home.writeFile(KEY, { ...source, digest })).rejects.toMatchObject({ code: 'source-damaged' });
  await expect(rig.open().home.writeFile(KEY, { ...source, length: LENGTH + 20 * MIB })).rejects.toMatchObject({
    code: 'source-damaged',
  });
  expect(rig.asked()).not.toContain('CompleteMultipartUpload');
  expect([rig.server.bucket().uploads(), notes()]).toEqual([[], []]);
});

describe('a later run', () => {
  async function interrupt(): Promise<void> {
    rig.server.faults.add({ on: { operation: 'UploadPart' }, nth: 3, times: Infinity, action: { kind: 'hang' } });
    const stop = new AbortController();
    const running = rig.open().home.writeFile(KEY, source, stop.signal);
    const done = (): number => rig.server.bucket().uploads()[0]?.parts ?? 0;
    while (done() < 2) await new Promise((resolve) => setTimeout(resolve, 10));
    stop.abort(new Error('interrupted'));
    await expect(running).rejects.toThrow('interrupted');
    rig.server.faults.clear();
    expect(notes()).toHaveLength(1);
    rig.asked();
  }

  test.each([{ opaqueEtags: false }, { opaqueEtags: true }])('sends only what is missing (%o)', async (options) => {
    await rig.dispose();
    await start(options);
    await interrupt();
    await rig.open().home.writeFile(KEY, source);
    expect(counted(rig.asked())).toEqual({ HeadObject: 1, ListParts: 1, UploadPart: 1, CompleteMultipartUpload: 1 });
    expect(await isStored()).toBe(true);
    expect([rig.server.bucket().uploads(), notes()]).toEqual([[], []]);
  });

  test('sends no part again when only the end was refused', async () => {
    const denied = { kind: 'answer', status: 403, code: 'AccessDenied' } as const;
    rig.server.faults.add({ on: { operation: 'CompleteMultipartUpload' }, action: denied });
    await expect(rig.open().home.writeFile(KEY, source)).rejects.toMatchObject({ code: 'remote-not-writable' });
    expect(counted(rig.asked())).toMatchObject({ UploadPart: 3 });
    await rig.open().home.writeFile(KEY, source);
    expect(counted(rig.asked())).toEqual({ HeadObject: 1, ListParts: 1, CompleteMultipartUpload: 1 });
    expect(await isStored()).toBe(true);
  });

  test('begins anew where the store has forgotten', async () => {
    await interrupt();
    rig.server.faults.add({
      on: { operation: 'ListParts' },
      action: { kind: 'answer', status: 404, code: 'NoSuchUpload' },
    });
    await rig.open().home.writeFile(KEY, source);
    expect(counted(rig.asked())).toMatchObject({ CreateMultipartUpload: 1, UploadPart: 3 });
    expect(await isStored()).toBe(true);
  });

  test('does not take parts of another content for its own', async () => {
    await interrupt();
    const other = Buffer.from(content).fill(7, 20 * MIB, 20 * MIB + 1);
    writeFileSync(source.path, other);
    const digest = digestFromBytes(hashEngine().hash(other));
    await rig.open().home.writeFile(KEY, { ...source, digest });
    expect((await rig.server.bucket().get(`team/${KEY}`)).equals(other)).toBe(true);
  });
});

describe('the end of an upload', () => {
  const on = { operation: 'CompleteMultipartUpload' } as const;

  test.each<{ action: FaultAction; asked: Record<string, number> }>([
    {
      action: { kind: 'late-error', code: 'InternalError', isPerformed: false },
      asked: { CompleteMultipartUpload: 2 },
    },
    { action: { kind: 'late-error', code: 'InternalError', isPerformed: true }, asked: { CompleteMultipartUpload: 1 } },
    { action: { kind: 'lose-answer', isPerformed: true }, asked: { CompleteMultipartUpload: 1, HeadObject: 2 } },
    { action: { kind: 'lose-answer', isPerformed: false }, asked: { CompleteMultipartUpload: 2, HeadObject: 2 } },
    {
      action: { kind: 'answer', status: 409, code: 'ConditionalRequestConflict' },
      asked: { CompleteMultipartUpload: 2 },
    },
  ])('that met $action', async ({ action, asked }) => {
    rig.server.faults.add({ on, action });
    await rig.open().home.writeFile(KEY, source);
    expect(counted(rig.asked())).toMatchObject({ ...asked, UploadPart: 3 });
    expect(await isStored()).toBe(true);
    expect(notes()).toEqual([]);
  });

  test('where somebody else was quicker, nothing is left of it', async () => {
    await rig.server.bucket().put(`team/${KEY}`, content);
    rig.server.faults.add({
      on: { operation: 'HeadObject' },
      action: { kind: 'answer', status: 404, code: 'NoSuchKey' },
    });
    await rig.open().home.writeFile(KEY, source);
    expect(counted(rig.asked())).toMatchObject({ HeadObject: 2, CompleteMultipartUpload: 1, AbortMultipartUpload: 1 });
    expect([rig.server.bucket().uploads(), notes()]).toEqual([[], []]);
  });

  test('where the store ended it meanwhile, all begins anew', async () => {
    rig.server.faults.add({
      on: { operation: 'UploadPart' },
      nth: 2,
      action: { kind: 'answer', status: 404, code: 'NoSuchUpload' },
    });
    await rig.open().home.writeFile(KEY, source);
    expect(counted(rig.asked())).toMatchObject({ CreateMultipartUpload: 2 });
    expect(await isStored()).toBe(true);
  });
});

test('parts that meet resets and damage on their way are sent again', async () => {
  rig.server.faults.add({ on: { operation: 'UploadPart' }, action: { kind: 'reset', afterRequestBytes: 5 * MIB } });
  rig.server.faults.add({
    on: { operation: 'UploadPart' },
    nth: 2,
    action: { kind: 'answer', status: 400, code: 'BadDigest' },
  });
  rig.server.faults.add({
    on: { operation: 'UploadPart' },
    nth: 3,
    times: 2,
    action: { kind: 'answer', status: 503, code: 'SlowDown' },
  });
  const { home, engine } = rig.open();
  await home.writeFile(KEY, source);
  expect(await isStored()).toBe(true);
  expect(engine.counters().retries).toBe(4);
});

test('a large file has the storage class and encryption that were set', async () => {
  const settings = { storageClass: 'STANDARD_IA', sse: 'aws:kms', kmsKeyId: 'key' } as const;
  await rig.open({ settings }).home.writeFile(KEY, source);
  expect(rig.server.bucket().objects().get(`team/${KEY}`)).toMatchObject({
    storageClass: 'STANDARD_IA',
    encryption: 'aws:kms',
    kmsKeyId: 'key',
  });
});

test('a store without checksums gets MD5', async () => {
  const action = { kind: 'answer', status: 501, code: 'NotImplemented' } as const;
  rig.server.faults.add({ on: { operation: 'CreateMultipartUpload' }, action });
  await rig.open().home.writeFile(KEY, source);
  const parts = rig.server.requests.filter(({ operation }) => operation === 'UploadPart');
  expect(parts.map(({ headers }) => [typeof headers['content-md5'], headers['x-amz-checksum-crc32']])).toEqual(
    parts.map(() => ['string', undefined]),
  );
  expect(await isStored()).toBe(true);
});
