import type { TreeChildren } from '../domain/tree-children.ts';
import { childrenOf } from '../domain/tree-children.ts';
import type { Digest } from '../domain/digest.ts';
import { MlvError } from '../domain/errors.ts';
import { MAX_TREE_OBJECT_BYTES, ROOT_MAGIC } from '../domain/tree.ts';
import type { DigestMarks } from './digest-marks.ts';
import { createMarks } from './digest-marks.ts';
import type { LocalCache } from './local-cache.ts';

/** Something that is to be kept, with all that it names. */
export interface GcRoot {
  readonly digest: Digest;
  /** `unknown` where what names it does not say; then it may be a directory's. `tree` is any tree object. */
  readonly type: 'file' | 'dir' | 'unknown' | 'tree';
}

export interface Marked {
  readonly marks: DigestMarks;
  /** Tree objects that could not be read: what they name it is not known. */
  readonly missingTrees: readonly Digest[];
}

/** Marks all that roots name, as far as the trees are at hand. Throws `blob-corrupt`, `tree-invalid`. */
export async function markNeeded(
  cache: Pick<LocalCache, 'locate' | 'read'>,
  roots: AsyncIterable<GcRoot>,
): Promise<Marked> {
  const builder = createMarks();
  const seen = new Set<Digest>();
  const missingTrees: Digest[] = [];

  function walk({ digest: root, type }: GcRoot): void {
    const pending = [root];
    for (let digest = pending.pop(); digest !== undefined; digest = pending.pop()) {
      if (seen.has(digest)) continue;
      seen.add(digest);
      builder.add(digest);
      const bytes = readIfThere(cache, digest);
      if (bytes === undefined) {
        missingTrees.push(digest);
        continue;
      }
      const { trees, blobs } = type === 'dir' ? childrenOf(bytes, digest) : childrenIfTree(bytes, digest);
      for (const tree of trees) pending.push(tree);
      for (const blob of blobs) builder.add(blob);
    }
  }

  for await (const root of roots) {
    builder.add(root.digest);
    if (root.type === 'dir' || root.type === 'tree' || (root.type === 'unknown' && isRoot(cache, root.digest)))
      walk(root);
  }
  return { marks: builder.seal(), missingTrees };
}

/** Somebody's data may look like a tree at its beginning. */
function childrenIfTree(bytes: Buffer, digest: Digest): TreeChildren {
  try {
    return childrenOf(bytes, digest);
  } catch (error) {
    if (!(error instanceof MlvError) || error.code !== 'tree-invalid') throw error;
    return { trees: [], blobs: [] };
  }
}

function isRoot(cache: Pick<LocalCache, 'locate' | 'read'>, digest: Digest): boolean {
  const location = cache.locate(digest);
  if (location === undefined || location.length > MAX_TREE_OBJECT_BYTES) return false;
  return cache.read(digest).toString('latin1', 0, ROOT_MAGIC.length) === ROOT_MAGIC;
}

function readIfThere(cache: Pick<LocalCache, 'read'>, digest: Digest): Buffer | undefined {
  try {
    return cache.read(digest);
  } catch (error) {
    if (error instanceof MlvError && error.code === 'blob-missing') return undefined;
    throw error;
  }
}
