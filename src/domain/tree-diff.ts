import type { TreeEntry } from './tree.ts';
import type { TreePath } from './tree-path.ts';
import type { TreeCursor } from './tree-reader.ts';

/** One path that two trees do not agree on; a side without the path is undefined. */
export interface TreeChange {
  readonly path: TreePath;
  readonly before: TreeEntry | undefined;
  readonly after: TreeEntry | undefined;
}

/**
 * The paths that differ between two trees, in order. Pages and lists that both have are passed over unread, and where two pages end at the
 * same path, as they mostly do, so are the lines that both have.
 */
export function* diffTrees(before: TreeCursor, after: TreeCursor): Generator<TreeChange> {
  for (;;) {
    const old = before.peek();
    const now = after.peek();
    if (old === undefined && now === undefined) return;
    if (old?.type === 'node' && now?.type === 'node' && old.level === now.level) {
      if (old.node.digest === now.node.digest) {
        before.skip();
        after.skip();
      } else if (old.level === 0 && old.node.lastPath === now.node.lastPath) {
        const [oldPage, newPage] = [before.read(), after.read()];
        before.open(newPage);
        after.open(oldPage);
      } else {
        before.open();
        after.open();
      }
      continue;
    }
    const oldLevel = old?.type === 'node' ? old.level : -1;
    const newLevel = now?.type === 'node' ? now.level : -1;
    if (oldLevel >= 0 || newLevel >= 0) {
      if (oldLevel > newLevel) before.open();
      else after.open();
      continue;
    }
    const oldEntry = old?.type === 'entry' ? old.entry : undefined;
    const newEntry = now?.type === 'entry' ? now.entry : undefined;
    if (newEntry === undefined || (oldEntry !== undefined && oldEntry.path < newEntry.path)) {
      if (oldEntry !== undefined) yield { path: oldEntry.path, before: oldEntry, after: undefined };
      before.skip();
    } else if (oldEntry === undefined || newEntry.path < oldEntry.path) {
      yield { path: newEntry.path, before: undefined, after: newEntry };
      after.skip();
    } else {
      if (!sameEntry(oldEntry, newEntry)) yield { path: newEntry.path, before: oldEntry, after: newEntry };
      before.skip();
      after.skip();
    }
  }
}

/** True when both are the same content in the same form. */
export function sameEntry(a: TreeEntry, b: TreeEntry): boolean {
  return a.digest === b.digest && a.kind === b.kind;
}
