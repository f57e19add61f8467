import { expect, test } from 'vitest';
import type { Digest } from '../../src/domain/digest.ts';
import { findDamaged } from '../../src/storage/pack-reader.ts';

test('a pack of very many tiny blobs may be damaged in all of them', async () => {
  const blobs = Array.from({ length: 300_000 }, (_, offset) => ({
    digest: 'f'.repeat(64) as Digest,
    offset,
    length: 1,
  }));
  const damaged = await findDamaged(async (_, length) => Buffer.alloc(length), blobs, { size: blobs.length });
  expect(damaged).toHaveLength(blobs.length);
});
