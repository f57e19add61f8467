import type { Digest } from '../domain/digest.ts';
import { hashEngine } from '../platform/hash.ts';
import type { IndexFile } from './index-file.ts';
import { mergeIndexes } from './merge-indexes.ts';
import { writeIndex } from './publish-rows.ts';

/**
 * Writes those of the indexes that name packs which are gone, or will be, anew without these rows. Returns the names of the old
 * ones, which are still there.
 */
export function dropRows(options: {
  readonly indexes: readonly IndexFile[];
  readonly folder: string;
  readonly isGone: (pack: Digest) => boolean;
}): Digest[] {
  const { indexes, folder, isGone } = options;
  const stale = indexes.filter((index) => index.keys().some(({ hash }) => isGone(hash)));
  for (const index of stale) {
    const inputs = [index];
    for (const merged of mergeIndexes({ inputs, isLeftOut: ({ hash }) => isGone(hash), hash: hashEngine().hash }))
      if (merged.rows > 0) writeIndex(folder, merged);
  }
  return stale.map(({ head }) => head.name);
}
