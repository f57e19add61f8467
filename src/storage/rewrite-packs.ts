import { closeSync, fstatSync, openSync } from 'node:fs';
import { digestToBytes } from '../domain/digest.ts';
import type { PackedBlob } from '../domain/pack.ts';
import { createCacheWriter, finishing } from './cache-writer.ts';
import type { IsNeeded, PackUse } from './collect-cache.ts';
import type { LocalCache } from './local-cache.ts';
import { findDamaged, readPackTable } from './pack-reader.ts';
import { rangeReader } from './verify-task.ts';

/**
 * Writes what is needed of these packs into new ones, comparing it with its digests. Returns those packs of which everything needed
 * is now elsewhere: none that is damaged.
 */
export async function rewritePacks<P extends Pick<PackUse, 'name' | 'path'>>(
  cache: Pick<LocalCache, 'folder' | 'packBelow' | 'publish'>,
  packs: readonly P[],
  options: { readonly isNeeded: IsNeeded; readonly signal?: AbortSignal | undefined },
): Promise<P[]> {
  const { isNeeded, signal } = options;
  const rewritten: P[] = [];
  const { folder, packBelow, publish } = cache;
  // What is needed is there already, in the packs that are to go.
  const writer = createCacheWriter({ folder, packBelow, publish, keeps: () => false });
  return finishing(writer, async () => {
    for (const pack of packs) {
      signal?.throwIfAborted();
      const file = openSync(pack.path, 'r');
      try {
        const read = rangeReader(file);
        const { size } = fstatSync(file);
        const { blobs, kind } = await readPackTable(read, size, pack.name);
        const needed = blobs.filter(({ digest }) => isNeeded(digestToBytes(digest)));
        const onGood = ({ digest }: PackedBlob, bytes: Buffer): void => writer.put(digestToBytes(digest), bytes, kind);
        if ((await findDamaged(read, needed, { size, onGood })).length === 0) rewritten.push(pack);
      } finally {
        closeSync(file);
      }
    }
    return rewritten;
  });
}
