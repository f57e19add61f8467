import type { IndexPrefix, PushedRoot, StorageKey } from '../domain/blob-index.ts';
import { CELL_BYTES, writeKey, writeRoot } from '../domain/blob-index.ts';
import type { Digest, HashFunction } from '../domain/digest.ts';
import { frameIndex } from '../domain/index-head.ts';
import { sortCells } from './sort-cells.ts';

/** An index ready to be written: the pieces of its file, in order. */
export interface BuiltIndex {
  readonly name: Digest;
  readonly chunks: readonly Buffer[];
  readonly rows: number;
}

interface IndexContent {
  /** Cells as `writeRow` wrote them, in any order. */
  readonly rows: Buffer;
  readonly roots?: readonly PushedRoot[];
  readonly replaces?: readonly Digest[];
  readonly prefix?: IndexPrefix;
  /** See `IndexHead`; 0 where nobody is promised anything. */
  readonly asOf?: number;
  readonly hash: HashFunction;
}

/** Builds the one index that this content has. Rows name keys by their place in `keys`. */
export function buildIndex(content: IndexContent & { readonly keys: readonly StorageKey[] }): BuiltIndex {
  const keyCells = Buffer.alloc(content.keys.length * CELL_BYTES);
  for (const [index, key] of content.keys.entries()) writeKey(keyCells, index * CELL_BYTES, key);
  return buildIndexFromCells({ ...content, rows: Buffer.from(content.rows), keyCells });
}

/** As `buildIndex`, with the keys as `writeKey` wrote them; the rows are changed. */
export function buildIndexFromCells(content: IndexContent & { readonly keyCells: Buffer }): BuiltIndex {
  const { rows, prefix = { bits: 0, value: 0 }, replaces = [], asOf = 0, hash } = content;
  const { keys, numbers } = renumberKeys(content.keyCells, rows);
  for (let at = 32; at < rows.length; at += CELL_BYTES) rows.writeUInt32LE(numbers[rows.readUInt32LE(at)] ?? 0, at);
  const roots = rootCells(content.roots ?? []);
  const body = Buffer.allocUnsafe(rows.length + keys.length + roots.length);
  const rowBytes = sortCells(rows, body);
  keys.copy(body, rowBytes);
  const rootBytes = sortCells(roots, body.subarray(rowBytes + keys.length));
  const counts = { rows: rowBytes / CELL_BYTES, keys: keys.length / CELL_BYTES, roots: rootBytes / CELL_BYTES };
  const cells = body.subarray(0, rowBytes + keys.length + rootBytes);
  const { name, head, directory } = frameIndex({ prefix, counts, replaces, asOf, body: cells, hash });
  return { name, chunks: [head, directory, cells], rows: counts.rows };
}

/** The keys that rows name, sorted, each once; and the new number of each old one. */
function renumberKeys(keyCells: Buffer, rows: Buffer): { keys: Buffer; numbers: Uint32Array } {
  const count = keyCells.length / CELL_BYTES;
  const isUsed = new Uint8Array(count);
  for (let at = 0; at < rows.length; at += CELL_BYTES) {
    const key = rows.readUInt32LE(at + 32);
    if (key >= count) throw new Error(`a row names key ${key} of ${count}`);
    isUsed[key] = 1;
  }
  const used: Buffer[] = [];
  for (let key = 0; key < count; key++) {
    if (isUsed[key] === 1) used.push(keyCells.subarray(key * CELL_BYTES, (key + 1) * CELL_BYTES));
  }
  const unsorted = Buffer.concat(used);
  const target = Buffer.allocUnsafe(unsorted.length);
  const keys = target.subarray(0, sortCells(unsorted, target));
  const numbers = new Uint32Array(count);
  for (let key = 0; key < count; key++) {
    if (isUsed[key] === 1) numbers[key] = findCell(keys, keyCells, key * CELL_BYTES);
  }
  return { keys, numbers };
}

function findCell(sorted: Buffer, cells: Buffer, at: number): number {
  let low = 0;
  let high = sorted.length / CELL_BYTES;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (sorted.compare(cells, at, at + CELL_BYTES, middle * CELL_BYTES, (middle + 1) * CELL_BYTES) < 0)
      low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Each root once, with the last day on which it was pushed. */
function rootCells(roots: readonly PushedRoot[]): Buffer {
  const days = new Map<Digest, number>();
  for (const { root, day } of roots) days.set(root, Math.max(day, days.get(root) ?? 0));
  const cells = Buffer.alloc(days.size * CELL_BYTES);
  let at = 0;
  for (const [root, day] of days) {
    writeRoot(cells, at, { root, day });
    at += CELL_BYTES;
  }
  return cells;
}
