import type { IndexPrefix, PushedRoot, StorageKey } from '../domain/blob-index.ts';
import { CELL_BYTES, coversDigest, invalidIndex, MAX_PREFIX_BITS, readKey } from '../domain/blob-index.ts';
import type { Digest, HashFunction } from '../domain/digest.ts';
import { DIGEST_BYTES, digestToBytes } from '../domain/digest.ts';
import type { IndexHead } from '../domain/index-head.ts';
import type { BuiltIndex } from './build-index.ts';
import { buildIndexFromCells } from './build-index.ts';
import type { IndexFile } from './index-file.ts';

/** An index is split when it would be larger than this. */
export const MAX_INDEX_BYTES = 64 << 20;
/** A larger one is not of mlv, and is neither read nor copied as a whole. */
export const MAX_WHOLE_INDEX_BYTES = 2 * MAX_INDEX_BYTES;
/** So many indexes of one size class are worth one. */
const MERGE_COUNT = 8;

/** What is known of an index before it is opened. */
export interface IndexSummary {
  readonly name: Digest;
  readonly rows: number;
  readonly prefix: IndexPrefix;
}

/** Whether the rows by which an index names a key are not taken over. */
export type IsLeftOut = (key: StorageKey, index: Pick<IndexFile, 'head'>) => boolean;

/** The groups of indexes to be merged: eight or more of one size class (powers of eight) over the same prefix. */
export function planMerges<T extends IndexSummary>(indexes: Iterable<T>): T[][] {
  const classes = new Map<string, T[]>();
  for (const index of indexes) {
    const sizeClass = Math.floor(Math.log2(Math.max(1, index.rows)) / 3);
    const group = `${sizeClass} ${index.prefix.bits} ${index.prefix.value}`;
    const members = classes.get(group);
    if (members === undefined) classes.set(group, [index]);
    else members.push(index);
  }
  return [...classes.values()].filter((members) => members.length >= MERGE_COUNT);
}

/**
 * Tells of an index whether these others together hold all its rows. One shard is not enough: a merge that was interrupted
 * leaves some of them.
 */
export function replacedBy(heads: Iterable<IndexHead>): (index: Pick<IndexSummary, 'name' | 'prefix'>) => boolean {
  const prefixes = new Map<Digest, Set<number>>();
  for (const { replaces, prefix } of heads) {
    for (const name of replaces) {
      const covered = prefixes.get(name);
      if (covered === undefined) prefixes.set(name, new Set([prefixNumber(prefix)]));
      else covered.add(prefixNumber(prefix));
    }
  }
  return ({ name, prefix }) => {
    const covered = prefixes.get(name);
    const covers = ({ bits, value }: IndexPrefix): boolean =>
      covered !== undefined &&
      (covered.has(prefixNumber({ bits, value })) ||
        (bits < MAX_PREFIX_BITS &&
          covers({ bits: bits + 1, value: value * 2 }) &&
          covers({ bits: bits + 1, value: value * 2 + 1 })));
    return covers(prefix);
  };
}

/** One number for each prefix of at most 16 bits. */
function prefixNumber({ bits, value }: IndexPrefix): number {
  return 2 ** bits + value;
}

/**
 * One index, or several shards, with all that the inputs (which have the same prefix) say, except rows of keys that are left out. Each
 * is made when the one before has been dealt with, so that memory holds one shard.
 */
export function* mergeIndexes(options: {
  readonly inputs: readonly IndexFile[];
  readonly isLeftOut?: IsLeftOut;
  readonly asOf?: number;
  readonly maxBytes?: number;
  readonly hash: HashFunction;
}): Generator<BuiltIndex> {
  const { inputs, isLeftOut = () => false, asOf = 0, maxBytes = MAX_INDEX_BYTES, hash } = options;
  const prefix = inputs[0]?.head.prefix ?? { bits: 0, value: 0 };
  const replaces = inputs.map(({ head }) => head.name);
  const roots = inputs.flatMap((input) => input.roots());
  const cells = inputs.reduce((sum, { head }) => sum + head.rows + head.keys, 0);
  const keyCells = inputs.map(({ head, readCells }) => readCells(head.rows, head.keys));
  // All shards are cut to one size, so that shards of later merges have the same prefixes as these.
  const extraBits = Math.max(0, Math.ceil(Math.log2((cells * CELL_BYTES) / maxBytes)));
  const bits = Math.min(MAX_PREFIX_BITS, prefix.bits + extraBits);
  for (
    let value = prefix.value * 2 ** (bits - prefix.bits);
    value < (prefix.value + 1) * 2 ** (bits - prefix.bits);
    value++
  ) {
    yield buildShard({ inputs, keyCells, isLeftOut, prefix: { bits, value }, roots, replaces, asOf, hash });
  }
}

function buildShard(options: {
  readonly inputs: readonly IndexFile[];
  readonly keyCells: readonly Buffer[];
  readonly isLeftOut: IsLeftOut;
  readonly prefix: IndexPrefix;
  readonly roots: readonly PushedRoot[];
  readonly replaces: readonly Digest[];
  readonly asOf: number;
  readonly hash: HashFunction;
}): BuiltIndex {
  const { inputs, isLeftOut, prefix, replaces, asOf, hash } = options;
  const ranges = inputs.map((input) => rowRange(input, prefix));
  const rows = Buffer.allocUnsafe(ranges.reduce((sum, { count }) => sum + count, 0) * CELL_BYTES);
  const keys: Buffer[] = [];
  let kept = 0;
  for (const [index, input] of inputs.entries()) {
    const cells = options.keyCells[index] ?? Buffer.alloc(0);
    const numbers = new Map<number, number>();
    const part = input.readCells(ranges[index]?.from ?? 0, ranges[index]?.count ?? 0);
    for (let at = 0; at < part.length; at += CELL_BYTES) {
      const key = part.readUInt32LE(at + 32);
      let number = numbers.get(key);
      if (number === undefined) {
        if (key >= input.head.keys) throw invalidIndex(input.head.name, 'a row names no key');
        number = isLeftOut(readKey(cells, key * CELL_BYTES, input.head.name), input) ? -1 : keys.length;
        numbers.set(key, number);
        if (number >= 0) keys.push(cells.subarray(key * CELL_BYTES, (key + 1) * CELL_BYTES));
      }
      if (number < 0) continue;
      part.copy(rows, kept, at, at + CELL_BYTES);
      rows.writeUInt32LE(number, kept + 32);
      kept += CELL_BYTES;
    }
  }
  return buildIndexFromCells({
    rows: rows.subarray(0, kept),
    keyCells: Buffer.concat(keys),
    roots: options.roots.filter(({ root }) => coversDigest(prefix, digestToBytes(root))),
    replaces,
    prefix,
    asOf,
    hash,
  });
}

function rowRange(input: IndexFile, { bits, value }: IndexPrefix): { readonly from: number; readonly count: number } {
  const below = (at: number): number => {
    if (at >= 2 ** bits) return input.head.rows;
    const digest = Buffer.alloc(DIGEST_BYTES);
    digest.writeUInt16BE(at * 2 ** (MAX_PREFIX_BITS - bits));
    return input.rowsBelow(digest);
  };
  const from = below(value);
  return { from, count: below(value + 1) - from };
}
