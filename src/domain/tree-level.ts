import type { Digest } from './digest.ts';
import type { TreeEntry } from './tree.ts';
import type { TreePath } from './tree-path.ts';
import type { LoadObject } from './tree-reader.ts';
import { openTree } from './tree-reader.ts';

/** What stands directly in a folder of a tree: an entry, or a folder with what all below it sums up to. */
export type LevelItem =
  | { readonly type: 'entry'; readonly entry: TreeEntry }
  | { readonly type: 'folder'; readonly path: TreePath; readonly files: number; readonly bytes: number };

/**
 * One level of a tree, in order: what is directly in `folder` (undefined for the top), or `folder` itself where that is an entry.
 * Nothing where there is no such path. Pages that lie wholly inside one folder of that level are not read: the node that names
 * them tells their sums.
 */
export function* readLevel(root: Digest, load: LoadObject, folder?: TreePath): Generator<LevelItem> {
  const cursor = openTree(root, load);
  const inside = folder === undefined ? '' : `${folder}/`;
  let below: { type: 'folder'; path: TreePath; files: number; bytes: number } | undefined;
  for (let item = cursor.peek(); item !== undefined; item = cursor.peek()) {
    if (item.type === 'node') {
      const { lastPath, files, bytes } = item.node;
      if (below !== undefined && lastPath.startsWith(`${below.path}/`)) {
        below.files += files;
        below.bytes += bytes;
        cursor.skip();
      } else if (folder !== undefined && lastPath < folder) cursor.skip();
      else cursor.open();
      continue;
    }
    const { entry } = item;
    const { path } = entry;
    if (below !== undefined && !path.startsWith(`${below.path}/`)) {
      yield below;
      below = undefined;
    }
    if (path === folder) {
      yield { type: 'entry', entry };
      return;
    }
    if (path.startsWith(inside)) {
      const slash = path.indexOf('/', inside.length);
      if (slash === -1) yield { type: 'entry', entry };
      else {
        below ??= { type: 'folder', path: path.slice(0, slash) as TreePath, files: 0, bytes: 0 };
        below.files += entry.kind === 'd' ? 0 : 1;
        below.bytes += entry.size;
      }
    } else if (path > inside) return; // in order: all that is inside `folder` has gone by
    cursor.skip();
  }
  if (below !== undefined) yield below;
}

/**
 * True where all paths after `after`, up to `last`, lie inside one folder of the level that `readLevel` reads: the page that has
 * them is not needed.
 */
export function isBelowLevel(folder: TreePath | undefined, after: string, last: TreePath): boolean {
  const inside = folder === undefined ? '' : `${folder}/`;
  const slash = last.startsWith(inside) ? last.indexOf('/', inside.length) : -1;
  return slash !== -1 && after.startsWith(last.slice(0, slash + 1));
}
