import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Digest } from '../../src/domain/digest.ts';
import type { TreePath } from '../../src/domain/tree-path.ts';
import { RECORD_BYTES } from '../../src/storage/file-record.ts';
import { openStatCache, writeStatCache } from '../../src/storage/stat-cache.ts';
import { openRecordSeeker } from '../../src/workspace/record-seeker.ts';

let folder: string;
beforeAll(() => void (folder = mkdtempSync(join(tmpdir(), 'mlv-seeker-'))));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('a block of more paths than records ends with its records', () => {
  const path = join(folder, 'state');
  const writer = writeStatCache(path);
  writer.add({ paths: 'a\0b\0c', records: Buffer.alloc(RECORD_BYTES, 'x') });
  writer.finish({
    generation: '',
    context: 'all',
    root: 'ab'.repeat(32) as Digest,
    files: 1,
    bytes: 1,
    notCheckedOut: 0,
  });
  const statCache = openStatCache(path);
  if (statCache === undefined) throw new Error('no stat cache was written');
  const seeker = openRecordSeeker(statCache);
  const found = Buffer.alloc(2 * RECORD_BYTES);
  seeker.copy('a' as TreePath, found, 0);
  seeker.copy('c' as TreePath, found, RECORD_BYTES);
  seeker.close();
  expect(found).toEqual(Buffer.concat([Buffer.alloc(RECORD_BYTES, 'x'), Buffer.alloc(RECORD_BYTES)]));
});
