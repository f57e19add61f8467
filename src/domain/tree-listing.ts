import type { Digest } from './digest.ts';
import type { EntryKind } from './tree.ts';
import type { TreePath } from './tree-path.ts';
import type { LoadObject } from './tree-reader.ts';
import { openTree, summarise } from './tree-reader.ts';

/** So many lines a listing has, or a few more. */
const MAX_LINES = 10_000;
const SHORT = 10;
const KINDS: Readonly<Record<EntryKind, string>> = { f: '', x: ' executable', l: ' symlink', d: '' };

/**
 * A directory as lines that Git can compare: path, bytes and the start of the digest of each file, in order. With more than 10,000
 * files a line stands for all up to a path, as the tree has them together: their number, bytes and digest; pages are not read then.
 */
export function* listTree(root: Digest, load: LoadObject): Generator<string> {
  const { files } = summarise(root, load);
  const cursor = openTree(root, load);
  for (let item = cursor.peek(); item !== undefined; item = cursor.peek()) {
    if (item.type === 'entry') {
      const { path, kind, size, digest } = item.entry;
      yield kind === 'd'
        ? `${visiblePath(path)}/`
        : `${visiblePath(path)}  ${size}  ${digest.slice(0, SHORT)}${KINDS[kind]}`;
      cursor.skip();
    } else if (files <= MAX_LINES || (item.level > 0 && item.node.files > files / MAX_LINES)) cursor.open();
    else {
      const { lastPath, files: count, bytes, digest } = item.node;
      yield `… ${visiblePath(lastPath)}  ${count} files  ${bytes}  ${digest.slice(0, SHORT)}`;
      cursor.skip();
    }
  }
}

/** As it is written in trees, control characters escaped, but in letters. */
function visiblePath(path: TreePath): string {
  return Buffer.from(path, 'latin1').toString('utf8');
}
