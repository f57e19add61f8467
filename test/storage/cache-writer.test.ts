import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { digestFromBytes } from '../../src/domain/digest.ts';
import { hashEngine } from '../../src/platform/hash.ts';
import { openLocalCache } from '../../src/storage/local-cache.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'mlv-cache-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

test('of the tiniest blobs a pack and an index hold only so many, and all are found', async () => {
  const cache = openLocalCache({ folder, packBelow: () => 1 << 20 });
  const writer = cache.openWriter();
  const count = 300_000;
  const digestAt = (index: number): Buffer => hashEngine().hash(Buffer.from(`${index}`));
  for (let index = 0; index < count; index++) writer.put(digestAt(index), Buffer.from(`${index}`), 'data');
  await writer.finish();
  expect(readdirSync(join(folder, 'packs'))).toHaveLength(5);
  expect(readdirSync(join(folder, 'index'))).toHaveLength(2);
  for (let index = 0; index < count; index += 997)
    expect(cache.read(digestFromBytes(digestAt(index))).toString()).toBe(`${index}`);
  cache.close();
});
