import type { PurgeRecord } from '../domain/purge-record.ts';
import type { TreeEntry } from '../domain/tree.ts';
import { sameEntry } from '../domain/tree-diff.ts';
import type { TreeEdit } from '../domain/tree-edit.ts';
import type { TreePath } from '../domain/tree-path.ts';
import type { TreeCursor } from '../domain/tree-reader.ts';
import type { Selection } from './checkout-record.ts';
import { isSelected, mayHoldSelected } from './checkout-record.ts';

/**
 * Tells what a partly checked-out workspace changes of its base: what is there and differs, and what is gone although it was
 * selected. All else of the base is inherited, its pages unread where nothing in the workspace or the selection falls into them.
 */
export function createInheritance(options: {
  readonly base: TreeCursor;
  /** The base's entries at and inside a path. */
  readonly below: (path: TreePath) => Iterable<TreeEntry>;
  readonly selected: Selection;
  /** Content that cannot be in the workspace: where it is not, nobody has deleted it. */
  readonly purged: PurgeRecord;
  readonly edit: (edit: TreeEdit) => void;
}): {
  /** Takes the workspace's entries in order. */
  readonly entry: (entry: TreeEntry) => void;
  /** Returns how many files of the base are not in the workspace because they were never selected. */
  readonly finish: () => number;
} {
  const { base, below, selected, purged, edit } = options;
  let notCheckedOut = 0;
  let after = '';

  const isExpected = ({ path, digest }: TreeEntry): boolean => isSelected(selected, path) && !purged.has(digest);

  /** Goes to `path` in the base; returns its entry there. */
  function advance(path: TreePath | undefined): TreeEntry | undefined {
    for (let item = base.peek(); item !== undefined; item = base.peek()) {
      if (item.type === 'node') {
        const { lastPath, files } = item.node;
        const isBefore = path === undefined || lastPath < path;
        if (!isBefore || mayHoldSelected(selected, after, lastPath)) {
          base.open();
          continue;
        }
        notCheckedOut += files;
        after = lastPath;
        base.skip();
        continue;
      }
      const { entry } = item;
      if (path !== undefined && entry.path > path) return undefined;
      base.skip();
      after = entry.path;
      if (entry.path === path) return entry;
      if (isExpected(entry)) edit({ path: entry.path, entry: undefined });
      else if (entry.kind !== 'd' && !purged.has(entry.digest)) notCheckedOut += 1;
    }
    return undefined;
  }

  /** A folder that is empty here only because what is in it was never asked for is no entry of its own. */
  function isInherited({ path, kind }: TreeEntry): boolean {
    if (kind !== 'd') return false;
    for (const inside of below(path)) if (inside.path !== path && !isExpected(inside)) return true;
    return false;
  }

  return {
    entry(entry) {
      const before = advance(entry.path);
      if (before !== undefined && sameEntry(before, entry)) return;
      if (!isInherited(entry)) edit({ path: entry.path, entry });
    },
    finish() {
      advance(undefined);
      return notCheckedOut;
    },
  };
}
