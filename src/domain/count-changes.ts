import type { Digest } from './digest.ts';
import { diffTrees } from './tree-diff.ts';
import type { LoadObject, TreeCursor } from './tree-reader.ts';
import { openTree } from './tree-reader.ts';

export interface ChangeCounts {
  readonly added: number;
  readonly modified: number;
  readonly deleted: number;
}

/**
 * How many entries two trees differ in. Pages that end at the same path are compared as text, unparsed, as most lines are the same: of
 * a thousand versions parsing would take most of the time. Throws what `load` does.
 */
export function countChanges(before: Digest, after: Digest, load: LoadObject): ChangeCounts {
  const counts = { added: 0, modified: 0, deleted: 0 };
  const [old, now] = [openTree(before, load), openTree(after, load)];
  const remaining = (cursor: TreeCursor, other: TreeCursor): TreeCursor => ({
    peek() {
      // Where both stand before a page, everything before it was told.
      const [a, b] = [cursor.peek(), other.peek()];
      const arePages = a?.type === 'node' && b?.type === 'node' && a.level === 0 && b.level === 0;
      if (arePages && a.node.digest !== b.node.digest && a.node.lastPath === b.node.lastPath) {
        comparePages(load(a.node.digest), load(b.node.digest), counts);
        cursor.skip();
        other.skip();
        return this.peek();
      }
      return a;
    },
    skip: cursor.skip,
    open: cursor.open,
  });
  // The earlier version is looked at first, and so alone looks for such pages.
  for (const change of diffTrees(remaining(old, now), now)) {
    counts[change.before === undefined ? 'added' : change.after === undefined ? 'deleted' : 'modified'] += 1;
  }
  return counts;
}

function comparePages(
  before: Buffer,
  after: Buffer,
  counts: { added: number; modified: number; deleted: number },
): void {
  const start = sharedStart(before, after);
  const end = sharedEnd(before, after, start);
  const old = linesBetween(before, start, before.length - end);
  const now = linesBetween(after, start, after.length - end);
  const kept = new Set(old);
  const came = new Set<string>();
  for (const line of now) if (!kept.delete(line)) came.add(pathIn(line));
  for (const line of kept) counts[came.delete(pathIn(line)) ? 'modified' : 'deleted'] += 1;
  counts.added += came.size;
}

/** Where the first line begins that is not the same in both. */
function sharedStart(a: Buffer, b: Buffer): number {
  let [same, other] = [0, Math.min(a.length, b.length)];
  while (same < other) {
    const middle = (same + other + 1) >> 1;
    if (a.compare(b, same, middle, same, middle) === 0) same = middle;
    else other = middle - 1;
  }
  return same === 0 ? 0 : a.lastIndexOf(0x0a, same - 1) + 1;
}

/** Bytes of the last lines that are the same in both, as far as they begin after `start`. */
function sharedEnd(a: Buffer, b: Buffer, start: number): number {
  let [same, other] = [0, Math.min(a.length, b.length) - start];
  while (same < other) {
    const middle = (same + other + 1) >> 1;
    if (a.compare(b, b.length - middle, b.length, a.length - middle) === 0) same = middle;
    else other = middle - 1;
  }
  const line = a.indexOf(0x0a, a.length - same);
  return line === -1 || same === 0 ? 0 : a.length - line - 1;
}

/** Whole lines. */
function linesBetween(page: Buffer, start: number, end: number): string[] {
  return page.toString('latin1', start, end).split('\n').slice(0, -1);
}

/** What follows hash, size and mode. */
function pathIn(line: string): string {
  return line.slice(line.indexOf(' ', line.indexOf(' ', 65) + 1) + 1);
}
