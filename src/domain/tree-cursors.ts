import type { TreeEntry } from './tree.ts';
import type { TreePath } from './tree-path.ts';
import type { TreeCursor } from './tree-reader.ts';

/** A cursor over a single entry: how a tracked file is seen where trees are compared. */
export function entryCursor(entry: TreeEntry): TreeCursor {
  let isDone = false;
  return {
    peek: () => (isDone ? undefined : { type: 'entry', entry }),
    skip: () => {
      isDone = true;
    },
    open: () => {
      throw new Error('only a node can be opened');
    },
  };
}

/** Looks up paths that are asked for in ascending order, passing over pages unread that cannot hold them. */
export function createSeeker(cursor: TreeCursor): (path: TreePath) => TreeEntry | undefined {
  return (path) => {
    for (let item = cursor.peek(); item !== undefined; item = cursor.peek()) {
      if (item.type === 'node') {
        if (item.node.lastPath < path) cursor.skip();
        else cursor.open();
      } else if (item.entry.path < path) cursor.skip();
      else return item.entry.path === path ? item.entry : undefined;
    }
    return undefined;
  };
}
