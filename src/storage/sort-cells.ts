import { endianness } from 'node:os';
import { CELL_BYTES } from '../domain/blob-index.ts';

const HIGH_WORD = endianness() === 'LE' ? 1 : 0;

/**
 * The order of `count` byte strings: those with numbers given by `leading` (their first 32 bits) ascend by it, equal ones by
 * `compare`. Sorts plain 64-bit numbers, which is ten times faster than sorting through a comparing function.
 */
export function sortedOrder(
  count: number,
  leading: (index: number) => number,
  compare: (a: number, b: number) => number,
): Uint32Array {
  const keys = new BigUint64Array(count);
  const words = new Uint32Array(keys.buffer);
  for (let index = 0; index < count; index++) {
    words[2 * index + HIGH_WORD] = leading(index);
    words[2 * index + 1 - HIGH_WORD] = index;
  }
  keys.sort();
  const order = new Uint32Array(count);
  for (let index = 0; index < count; index++) order[index] = words[2 * index + 1 - HIGH_WORD] ?? 0;
  for (let start = 0, end = 1; start < count; start = end, end++) {
    while (end < count && words[2 * end + HIGH_WORD] === words[2 * start + HIGH_WORD]) end++;
    if (end - start > 1) order.subarray(start, end).sort(compare);
  }
  return order;
}

const CELL_WORDS = CELL_BYTES / 4;

/** Writes the cells into `target`, ascending by their bytes, each once. Returns how many bytes they take. */
export function sortCells(cells: Buffer, target: Buffer): number {
  // Word by word: for so few bytes, Buffer's own copy takes longer to be called than to do its work.
  const from = wordsOf(cells);
  const to = wordsOf(target);
  const order = sortedOrder(
    cells.length / CELL_BYTES,
    (index) => cells.readUInt32BE(index * CELL_BYTES),
    (a, b) => cells.compare(cells, b * CELL_BYTES, (b + 1) * CELL_BYTES, a * CELL_BYTES, (a + 1) * CELL_BYTES),
  );
  let length = 0;
  for (const index of order) {
    const at = index * CELL_WORDS;
    if (isSame(from, at, to, length - CELL_WORDS)) continue;
    for (let word = 0; word < CELL_WORDS; word++) to[length + word] = from[at + word] ?? 0;
    length += CELL_WORDS;
  }
  return length * 4;
}

function isSame(a: Uint32Array, at: number, b: Uint32Array, to: number): boolean {
  if (to < 0) return false;
  for (let word = 0; word < CELL_WORDS; word++) if (a[at + word] !== b[to + word]) return false;
  return true;
}

/** Node's own pool hands out memory at multiples of eight bytes, which is all that cells are kept in. */
function wordsOf(cells: Buffer): Uint32Array {
  return new Uint32Array(cells.buffer, cells.byteOffset, Math.floor(cells.length / 4));
}
