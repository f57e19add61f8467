/**
 * Pages as text: where two are the same, and where a path stands in one. Of a thousand lines few differ between two versions, and parsing
 * all of them would take most of the time that comparing takes.
 */
import type { Digest } from './digest.ts';
import type { TreeEntry } from './tree.ts';
import { parseEntries } from './tree-format.ts';
import type { TreePath } from './tree-path.ts';

const NEWLINE = 0x0a;
const SPACE = 0x20;
/** A digest and the space after it. */
const BEFORE_SIZE = 65;

/** Entries of a page whose lines the other page does not have. `digest` names the page in errors: throws `tree-invalid`. */
export function entriesUnlike(page: Buffer, other: Buffer, digest: Digest): TreeEntry[] {
  const entries: TreeEntry[] = [];
  let [at, otherAt] = [0, 0];
  while (at < page.length) {
    const same = sharedLines(page.subarray(at), other.subarray(otherAt));
    at += same;
    otherAt += same;
    if (at >= page.length) break;
    const end = lineEnd(page, at);
    const otherEnd = lineEnd(other, otherAt);
    const order = otherAt >= other.length ? -1 : pathAt(page, at, end).compare(pathAt(other, otherAt, otherEnd));
    if (order <= 0) {
      entries.push(...parseEntries(page.subarray(at, end), digest));
      at = end;
    }
    if (order >= 0) otherAt = otherEnd;
  }
  return entries;
}

/** Where the first line at or after `from` begins whose path is not below `path`; the page's length where there is none. */
export function seekLine(page: Buffer, path: TreePath, from: number): number {
  const wanted = Buffer.from(path, 'latin1');
  const isBelow = (start: number): boolean => pathAt(page, start, lineEnd(page, start)).compare(wanted) < 0;
  // What is asked for next is mostly near: ever longer steps, then halving the last of them.
  let low = from;
  for (let step = 256; low < page.length && isBelow(low); step *= 2) {
    from = lineEnd(page, low);
    low = from + step < page.length ? lineEnd(page, from + step) : page.length;
  }
  while (from < low) {
    const start = page.lastIndexOf(NEWLINE, ((from + low) >> 1) - 1) + 1;
    const middle = Math.max(start, from);
    if (isBelow(middle)) from = lineEnd(page, middle);
    else low = middle;
  }
  return low;
}

/** The entry in the line that begins at `start`; undefined behind the last one. Throws `tree-invalid`. */
export function entryInLine(page: Buffer, start: number, digest: Digest): TreeEntry | undefined {
  return start < page.length ? parseEntries(page.subarray(start, lineEnd(page, start)), digest)[0] : undefined;
}

/** Bytes of the whole lines that both begin with. */
function sharedLines(a: Buffer, b: Buffer): number {
  const most = Math.min(a.length, b.length);
  let same = 0;
  let step = 256;
  while (same < most) {
    const end = Math.min(most, same + step);
    if (a.compare(b, same, end, same, end) !== 0) break;
    same = end;
    step *= 2;
  }
  for (let end = Math.min(most, same + step); same < end;) {
    const middle = (same + end + 1) >> 1;
    if (a.compare(b, same, middle, same, middle) === 0) same = middle;
    else end = middle - 1;
  }
  return same === 0 ? 0 : a.lastIndexOf(NEWLINE, same - 1) + 1;
}

/** Behind the line that begins at `start`. */
function lineEnd(page: Buffer, start: number): number {
  const end = page.indexOf(NEWLINE, start);
  return end < 0 ? page.length : end + 1;
}

/** The path in a line; of a malformed line, which its parser refuses, nothing. */
function pathAt(page: Buffer, start: number, end: number): Buffer {
  const size = page.indexOf(SPACE, start + BEFORE_SIZE);
  return size < 0 || size + 3 > end ? page.subarray(end, end) : page.subarray(size + 3, end - 1);
}
