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

  /** Files of the workspace in whose place an entry of the base may have a folder. */
  const above: TreePath[] = [];
  /** Entries that stay although nothing is there, as their content was purged. */
  const kept = new Set<TreePath>();

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
      const isPurged = purged.has(entry.digest);
      if (isExpected(entry) || (isPurged && above.some((file) => entry.path.startsWith(`${file}/`))))
        edit({ path: entry.path, entry: undefined });
      else if (isPurged) kept.add(entry.path);
      else if (entry.kind !== 'd') notCheckedOut += 1;
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
      // What is put in the place of what was purged takes it.
      for (let end = entry.path.indexOf('/'); end > 0 && kept.size > 0; end = entry.path.indexOf('/', end + 1)) {
        const path = entry.path.slice(0, end) as TreePath;
        if (kept.delete(path)) edit({ path, entry: undefined });
      }
      while (above.length > 0 && !entry.path.startsWith(above.at(-1) ?? '')) above.pop();
      if (entry.kind !== 'd') above.push(entry.path);
      if (before !== undefined && sameEntry(before, entry)) return;
      if (!isInherited(entry)) edit({ path: entry.path, entry });
    },
    finish() {
      advance(undefined);
      return notCheckedOut;
    },
  };
}
