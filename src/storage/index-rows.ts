import type { StorageKey } from '../domain/blob-index.ts';
import { CELL_BYTES, readRow, writeRow } from '../domain/blob-index.ts';
import type { Digest } from '../domain/digest.ts';
import { digestFromBytes, digestToBytes } from '../domain/digest.ts';
import type { PackedBlob } from '../domain/pack.ts';
import { keyPath } from '../domain/remote-layout.ts';
import type { IndexFile } from './index-file.ts';

/** Rows read at once. */
const CHUNK_ROWS = 16_384;

/** A key, and how many rows of which indexes name it. */
export interface KnownKey {
  readonly key: StorageKey;
  readonly holders: Map<IndexFile, number>;
}

/** Every key that indexes name, by its path. Reads all rows. */
export function knownKeys(indexes: Iterable<IndexFile>): Map<string, KnownKey> {
  const known = new Map<string, KnownKey>();
  for (const index of indexes) {
    const counts = countRows(index);
    for (const [number, key] of index.keys().entries()) {
      const path = keyPath(key);
      const found = known.get(path) ?? { key, holders: new Map<IndexFile, number>() };
      found.holders.set(index, counts[number] ?? 0);
      known.set(path, found);
    }
  }
  return known;
}

function countRows(index: IndexFile): Uint32Array {
  const counts = new Uint32Array(index.head.keys);
  for (const cells of rowChunks(index)) {
    for (let at = 32; at < cells.length; at += CELL_BYTES) {
      const key = cells.readUInt32LE(at);
      counts[key] = (counts[key] ?? 0) + 1;
    }
  }
  return counts;
}

/** What indexes say is under a key, in order of offsets, each place once. Reads all their rows. */
export function rowsOfKey({ key: { hash }, holders }: KnownKey): PackedBlob[] {
  const found: PackedBlob[] = [];
  for (const index of holders.keys()) {
    const keys = index.keys().map((key) => key.hash === hash);
    for (const cells of rowChunks(index)) {
      for (let at = 0; at < cells.length; at += CELL_BYTES) {
        const { key, offset, length } = readRow(cells, at);
        if (keys[key] !== true) continue;
        const digest = digestFromBytes(cells, at);
        found.push({ digest, offset, length });
      }
    }
  }
  found.sort((a, b) => a.offset - b.offset || (a.digest < b.digest ? -1 : Number(a.digest > b.digest)));
  return found.filter(({ digest, offset }, at) => digest !== found[at - 1]?.digest || offset !== found[at - 1]?.offset);
}

/** Blobs of one pack as rows that name key 0. */
export function cellsOf(blobs: readonly PackedBlob[]): Buffer {
  const cells = Buffer.alloc(blobs.length * CELL_BYTES);
  for (const [index, { digest, offset, length }] of blobs.entries())
    writeRow(cells, index * CELL_BYTES, { digest: digestToBytes(digest), key: 0, offset, length });
  return cells;
}

/** Keeps blobs in a quarter of their space, for as long as what comes back is kept. */
export function keepBlobs(blobs: readonly PackedBlob[]): () => PackedBlob[] {
  const cells = cellsOf(blobs);
  return () =>
    Array.from({ length: cells.length / CELL_BYTES }, (_, index) => {
      const { offset, length } = readRow(cells, index * CELL_BYTES);
      return { digest: digestFromBytes(cells, index * CELL_BYTES), offset, length };
    });
}

/** Compares what a pack's table says with what indexes say. */
export function compareRows(
  { key, holders }: KnownKey,
  blobs: readonly PackedBlob[],
): {
  /** By index, how many of its rows say what the table does not. */
  readonly wrong: Map<IndexFile, number>;
  /** Blobs of the table that no index has there. */
  readonly untold: Digest[];
} {
  const left = new Map(holders);
  const untold: Digest[] = [];
  for (const { digest, offset, length } of blobs) {
    let isTold = false;
    for (const index of holders.keys()) {
      const rows = index
        .find(digestToBytes(digest))
        .filter((row) => row.key.hash === key.hash && row.offset === offset && row.length === length).length;
      left.set(index, (left.get(index) ?? 0) - rows);
      isTold ||= rows > 0;
    }
    if (!isTold) untold.push(digest);
  }
  return { wrong: new Map([...left].filter(([, rows]) => rows > 0)), untold };
}

/** All rows of an index as cells, some at a time. */
export function* rowChunks({ head, readCells }: IndexFile): Generator<Buffer> {
  for (let first = 0; first < head.rows; first += CHUNK_ROWS)
    yield readCells(first, Math.min(CHUNK_ROWS, head.rows - first));
}
