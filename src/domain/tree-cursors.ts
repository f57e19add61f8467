import type { TreeEntry } from './tree.ts';
import type { TreePath } from './tree-path.ts';
import { entryInLine, seekLine } from './tree-lines.ts';
import { notANode, type TreeCursor } from './tree-reader.ts';

/** A cursor over a single entry: how a tracked file is seen where trees are compared. */
export function entryCursor(entry: TreeEntry): TreeCursor {
  let isDone = false;
  return {
    peek: () => (isDone ? undefined : { type: 'entry', entry }),
    skip: () => {
      isDone = true;
    },
    read: notANode,
    open: notANode,
  };
}

/**
 * Looks up paths that are asked for in ascending order, passing over pages unread that cannot hold them, and reading of the others only the
 * lines asked for.
 */
export function createSeeker(cursor: TreeCursor): (path: TreePath) => TreeEntry | undefined {
  let line = 0;
  return (path) => {
    for (let item = cursor.peek(); item !== undefined; item = cursor.peek()) {
      if (item.type === 'entry') {
        if (item.entry.path >= path) return item.entry.path === path ? item.entry : undefined;
        cursor.skip();
      } else if (item.node.lastPath < path) {
        cursor.skip();
        line = 0;
      } else if (item.level > 0) cursor.open();
      else {
        const page = cursor.read();
        line = seekLine(page, path, line);
        const entry = entryInLine(page, line, item.node.digest);
        return entry?.path === path ? entry : undefined;
      }
    }
    return undefined;
  };
}
