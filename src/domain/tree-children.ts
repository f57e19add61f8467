import type { Digest } from './digest.ts';
import { isDigest } from './digest.ts';
import { ROOT_MAGIC } from './tree.ts';
import { invalid, parseRoot } from './tree-format.ts';

/** What one tree object names. */
export interface TreeChildren {
  /** Lists and pages. */
  readonly trees: readonly Digest[];
  /** Contents of files, and targets of symlinks. */
  readonly blobs: readonly Digest[];
}

const LINE = /^([0-9a-f]{64}) [0-9]+ (?:([fxl])|(d)|([0-9]+)) /;

/**
 * What an object of a tree names, be it a root, a list or a page: what can be told without its parent, which alone knows the
 * sums and where it must end. Throws `tree-invalid` for what is none of these.
 */
export function childrenOf(bytes: Buffer, digest: Digest): TreeChildren {
  if (bytes.toString('latin1', 0, ROOT_MAGIC.length + 1) === `${ROOT_MAGIC} `)
    return { trees: parseRoot(bytes, digest).nodes.map((node) => node.digest), blobs: [] };
  const trees: Digest[] = [];
  const blobs: Digest[] = [];
  const text = bytes.toString('latin1');
  if (!text.endsWith('\n')) throw invalid(digest, 'no end of line');
  for (const line of text.slice(0, -1).split('\n')) {
    const [, child = '', file, folder, sum] = LINE.exec(line) ?? [];
    if (!isDigest(child)) throw invalid(digest, 'a malformed line');
    if (file !== undefined) blobs.push(child);
    else if (sum !== undefined && folder === undefined) trees.push(child);
  }
  if (trees.length > 0 && blobs.length > 0) throw invalid(digest, 'lines of a page and of a list');
  return { trees, blobs };
}
