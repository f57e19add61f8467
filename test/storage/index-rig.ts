/** Small indexes of numbered blobs. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { IndexPrefix, PushedRoot, StorageKey } from '../../src/domain/blob-index.ts';
import { CELL_BYTES, writeRow } from '../../src/domain/blob-index.ts';
import type { Digest } from '../../src/domain/digest.ts';
import { digestFromBytes } from '../../src/domain/digest.ts';
import { hashEngine } from '../../src/platform/hash.ts';
import type { BuiltIndex } from '../../src/storage/build-index.ts';
import { buildIndex } from '../../src/storage/build-index.ts';
import type { IndexFile } from '../../src/storage/index-file.ts';
import { openIndexFile } from '../../src/storage/index-file.ts';

export const { hash } = hashEngine();

export interface Row {
  readonly digest: Buffer;
  readonly key: number;
  readonly offset: number;
  readonly length: number;
}

export function digestOf(text: string): Digest {
  return digestFromBytes(hash(Buffer.from(text)));
}

export function pack(name: string): StorageKey {
  return { kind: 'pack', hash: digestOf(name) };
}

export function cellsOf(rows: readonly Row[]): Buffer {
  const cells = Buffer.alloc(rows.length * CELL_BYTES);
  for (const [index, row] of rows.entries()) writeRow(cells, index * CELL_BYTES, row);
  return cells;
}

export function numberedRows(from: number, to: number): Row[] {
  return Array.from({ length: to - from }, (_, index) => ({
    digest: hash(Buffer.from(`blob ${from + index}`)),
    key: (from + index) % 3,
    offset: from + index,
    length: 7,
  }));
}

export const threeKeys = [
  pack('a'),
  pack('b'),
  { kind: 'object', hash: digestOf('c'), nonce: '0123456789abcdef' },
] as const;

export function saveIndex(folder: string, { name, chunks }: BuiltIndex): IndexFile {
  const path = join(folder, name);
  writeFileSync(path, Buffer.concat(chunks));
  return openIndexFile(path, name);
}

export function build(
  rows: readonly Row[],
  more: { roots?: PushedRoot[]; replaces?: Digest[]; prefix?: IndexPrefix } = {},
): BuiltIndex {
  return buildIndex({ rows: cellsOf(rows), keys: threeKeys, hash, ...more });
}
