import type { IndexRow } from './blob-index.ts';
import { CELL_BYTES, coversDigest, readRow } from './blob-index.ts';
import { DIGEST_BYTES } from './digest.ts';
import type { IndexHead, ReadPart } from './index-head.ts';
import { BLOCK_CELLS, FENCE_BYTES, FENCE_KEY_BYTES, PAGE_FENCES } from './index-head.ts';

/** All rows of a digest; undefined when a part that is needed is not at hand. */
export function findRows(head: IndexHead, digest: Uint8Array, read: ReadPart): IndexRow[] | undefined {
  const found: IndexRow[] = [];
  if (!coversDigest(head.prefix, digest)) return found;
  const pages = fenceRange(head.top, Math.ceil(head.rowBlocks / PAGE_FENCES), digest);
  for (let page = pages.from; page < pages.to; page++) {
    const directory = read(page);
    if (directory === undefined) return undefined;
    const firstBlock = page * PAGE_FENCES;
    const blocks = fenceRange(directory, Math.min(PAGE_FENCES, head.rowBlocks - firstBlock), digest);
    for (let block = firstBlock + blocks.from; block < firstBlock + blocks.to; block++) {
      const cells = read(head.directoryPages + block);
      if (cells === undefined) return undefined;
      const rows = rowsIn(head, block, cells);
      for (let row = firstRow(cells, rows, digest); row < rows; row++) {
        if (compareBytes(cells, row * CELL_BYTES, digest, DIGEST_BYTES) !== 0) break;
        found.push(readRow(cells, row * CELL_BYTES));
      }
    }
  }
  return found;
}

/** How many rows have a smaller digest; undefined when a part that is needed is not at hand. */
export function countRowsBelow(head: IndexHead, digest: Uint8Array, read: ReadPart): number | undefined {
  const page = fenceRange(head.top, Math.ceil(head.rowBlocks / PAGE_FENCES), digest).from;
  const directory = head.rowBlocks === 0 ? undefined : read(page);
  if (directory === undefined) return head.rowBlocks === 0 ? 0 : undefined;
  const firstBlock = page * PAGE_FENCES;
  const block = firstBlock + fenceRange(directory, Math.min(PAGE_FENCES, head.rowBlocks - firstBlock), digest).from;
  const cells = read(head.directoryPages + block);
  return cells === undefined ? undefined : block * BLOCK_CELLS + firstRow(cells, rowsIn(head, block, cells), digest);
}

/** Rows in a block; the last one goes on with keys. */
function rowsIn(head: IndexHead, block: number, cells: Buffer): number {
  return Math.min(cells.length / CELL_BYTES, head.rows - block * BLOCK_CELLS);
}

function firstRow(cells: Buffer, count: number, digest: Uint8Array): number {
  return lowerBound({ cells, size: CELL_BYTES, count, bytes: DIGEST_BYTES }, digest);
}

/** Which of the things behind `count` fences can hold the digest: nearly always one. Rows of a digest may begin in one and go on in the next. */
function fenceRange(
  entries: Buffer,
  count: number,
  digest: Uint8Array,
): { readonly from: number; readonly to: number } {
  const first = lowerBound({ cells: entries, size: FENCE_BYTES, count, bytes: FENCE_KEY_BYTES }, digest);
  let to = first;
  while (to < count && compareBytes(entries, to * FENCE_BYTES, digest, FENCE_KEY_BYTES) === 0) to += 1;
  return { from: Math.max(0, first - 1), to };
}

/** The first of `count` sorted cells whose leading bytes are not smaller than the digest's. */
function lowerBound(sorted: { cells: Buffer; size: number; count: number; bytes: number }, digest: Uint8Array): number {
  const { cells, size, count, bytes } = sorted;
  let low = 0;
  let high = count;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (compareBytes(cells, middle * size, digest, bytes) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Negative, zero or positive, as the bytes at `at` are before, equal to or after the digest's. Digests differ early, so this beats `Buffer.compare`. */
function compareBytes(cells: Buffer, at: number, digest: Uint8Array, bytes: number): number {
  for (let index = 0; index < bytes; index++) {
    const difference = (cells[at + index] ?? 0) - (digest[index] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}
