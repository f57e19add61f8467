import { spawnSync } from 'node:child_process';
import { appendFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { hashEngine } from '../../src/platform/hash.ts';
import { ingestSettled } from '../../src/storage/ingest.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'mlv-ingest-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const LATER = Date.now() + 60_000;

test('reads a file that has not changed for a while at once', () => {
  const path = join(folder, 'a');
  writeFileSync(path, 'content');
  const ingested = ingestSettled(path, LATER, undefined);
  expect(ingested?.digest).toEqual(hashEngine().hash(Buffer.from('content')));
  expect(ingested?.stats.size).toBe(7);
});

test('leaves to a closer look what may change while it is read, even where its times were set back', () => {
  const path = join(folder, 'a');
  writeFileSync(path, 'content');
  utimesSync(path, 1, 1);
  expect(ingestSettled(path, Date.now() - 1_000, undefined)).toBeUndefined();
});

test('leaves to a closer look what is large, and what is no regular file', () => {
  const large = join(folder, 'large');
  writeFileSync(large, Buffer.alloc(256 << 10));
  expect(ingestSettled(large, LATER, undefined)).toBeUndefined();
  appendFileSync(large, 'x');
  expect(ingestSettled(large, LATER, undefined)).toBeUndefined();
  mkdirSync(join(folder, 'folder'));
  symlinkSync('large', join(folder, 'link'));
  spawnSync('mkfifo', [join(folder, 'pipe')]);
  for (const name of ['folder', 'link', 'pipe', 'missing'])
    expect(ingestSettled(join(folder, name), LATER, undefined)).toBeUndefined();
});
