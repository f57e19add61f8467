import type { HashFunction } from './digest.ts';
import type { DataVersion } from './pipeline.ts';
import type { TreeEntry } from './tree.ts';
import { createTreeBuilder, type TreeObject } from './tree-builder.ts';
import type { TreePath } from './tree-path.ts';
import type { TreeCursor } from './tree-reader.ts';

/** The entries at and inside a path, of a cursor that stands before them; nodes without any are not opened. */
export function* entriesAround(cursor: TreeCursor, path: TreePath): Generator<TreeEntry> {
  // '0' is the byte after '/': everything below a path sorts before it.
  const end = `${path}0`;
  for (let item = cursor.peek(); item !== undefined; item = cursor.peek()) {
    if (item.type === 'node') {
      if (item.node.lastPath < path) cursor.skip();
      else cursor.open();
      continue;
    }
    const { entry } = item;
    if (entry.path >= end) return;
    if (entry.path === path || entry.path.startsWith(`${path}/`)) yield entry;
    cursor.skip();
  }
}

/**
 * The version of what lies at `path` in a tree, given the entries at and inside it: of a folder the tree that it would be by itself.
 * Undefined for no entries. `emit` receives the objects of that tree.
 */
export function versionOfPart(
  entries: Iterable<TreeEntry>,
  {
    path,
    hash,
    emit = () => {},
  }: { readonly path: TreePath; readonly hash: HashFunction; readonly emit?: (object: TreeObject) => void },
): DataVersion | undefined {
  let isEmpty = true;
  const builder = createTreeBuilder({ hash, emit });
  for (const entry of entries) {
    isEmpty = false;
    if (entry.path !== path) {
      builder.entry({ ...entry, path: entry.path.slice(path.length + 1) as TreePath });
    } else if (entry.kind !== 'd') {
      const { digest, size, kind } = entry;
      return { type: 'file', hash: digest, size, ...(kind === 'x' && { exec: true }) };
    }
  }
  if (isEmpty) return undefined;
  const { root, bytes, files } = builder.finish();
  return { type: 'dir', hash: root, size: bytes, files };
}
