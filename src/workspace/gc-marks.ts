import { childrenOf } from '../domain/tree-children.ts';
import type { Digest } from '../domain/digest.ts';
import { MlvError } from '../domain/errors.ts';
import { MAX_TREE_OBJECT_BYTES, ROOT_MAGIC } from '../domain/tree.ts';
import type { DigestMarks } from '../storage/digest-marks.ts';
import { createMarks } from '../storage/digest-marks.ts';
import type { LocalCache } from '../storage/local-cache.ts';
import type { GcRoot } from './gc-roots.ts';

export interface Marked {
  readonly marks: DigestMarks;
  /** Tree objects that the cache does not have: what they name it is not known. */
  readonly missingTrees: number;
}

/** Marks all that roots name, as far as the cache has the trees. Throws `blob-corrupt`, `tree-invalid`. */
export async function markNeeded(cache: LocalCache, roots: AsyncIterable<GcRoot>): Promise<Marked> {
  const builder = createMarks();
  const seen = new Set<Digest>();
  let missingTrees = 0;

  function walk(root: Digest): void {
    const pending = [root];
    for (let digest = pending.pop(); digest !== undefined; digest = pending.pop()) {
      if (seen.has(digest)) continue;
      seen.add(digest);
      builder.add(digest);
      const bytes = readIfThere(cache, digest);
      if (bytes === undefined) {
        missingTrees += 1;
        continue;
      }
      const { trees, blobs } = childrenOf(bytes, digest);
      for (const tree of trees) pending.push(tree);
      for (const blob of blobs) builder.add(blob);
    }
  }

  for await (const { digest, type } of roots) {
    builder.add(digest);
    if (type === 'dir' || (type === 'unknown' && isRoot(cache, digest))) walk(digest);
  }
  return { marks: builder.seal(), missingTrees };
}

function isRoot(cache: LocalCache, digest: Digest): boolean {
  const location = cache.locate(digest);
  if (location === undefined || location.length > MAX_TREE_OBJECT_BYTES) return false;
  return cache.read(digest).toString('latin1', 0, ROOT_MAGIC.length) === ROOT_MAGIC;
}

function readIfThere(cache: LocalCache, digest: Digest): Buffer | undefined {
  try {
    return cache.read(digest);
  } catch (error) {
    if (error instanceof MlvError && error.code === 'blob-missing') return undefined;
    throw error;
  }
}
