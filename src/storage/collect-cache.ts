import { rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { CELL_BYTES, readRow } from '../domain/blob-index.ts';
import type { Digest } from '../domain/digest.ts';
import { digestFromBytes, digestToBytes } from '../domain/digest.ts';
import { PACK_ROW_BYTES } from '../domain/pack.ts';
import { currentIndexes, looseDigests, openIndexes } from './cache-contents.ts';
import { cacheFolders, loosePath, renewGeneration } from './cache-layout.ts';
import { dropRows } from './drop-rows.ts';
import type { IndexFile } from './index-file.ts';
import { rowChunks } from './index-rows.ts';
import type { PackedRows } from './packed-rows.ts';
import { addIndex } from './publish-rows.ts';
import { createTrashRun, throwLooseAway, throwPackAway, trashFolders } from './trash.ts';

/** Whether the digest of which 32 raw bytes are at `offset` is to be kept. */
export type IsNeeded = (bytes: Buffer, offset?: number) => boolean;

/** A pack, and how much of it is not needed. */
export interface PackUse {
  readonly name: Digest;
  readonly path: string;
  /** Of the file. */
  readonly bytes: number;
  readonly blobs: number;
  readonly deadBlobs: number;
  /** Of the pack, its table included. */
  readonly deadBytes: number;
}

/** What of a cache is not needed, and old enough to go. */
export interface Garbage {
  readonly loose: { readonly blobs: number; readonly bytes: number };
  /** Packs of which nothing is needed. */
  readonly packs: readonly PackUse[];
  /** Packs of which so much is not needed that the rest is worth being written anew. */
  readonly sparse: readonly PackUse[];
}

export interface CollectOptions {
  readonly folder: string;
  readonly isNeeded: IsNeeded;
  /** Younger files stay: milliseconds by the clock of the disk. */
  readonly olderThan: number;
}

const SPARSE_SHARE = 0.3;

/** Finds what may go. Nothing is changed. */
export function findGarbage(options: CollectOptions): Garbage {
  const { folder, isNeeded, olderThan } = options;
  const { packs: packFolder } = cacheFolders(folder);
  const loose = { blobs: 0, bytes: 0 };
  for (const { size } of deadLoose(options)) {
    loose.blobs += 1;
    loose.bytes += size;
  }
  const packs: PackUse[] = [];
  const sparse: PackUse[] = [];
  for (const [name, use] of countUse(folder, isNeeded)) {
    if (use.deadBlobs === 0) continue;
    const path = join(packFolder, `${name}.pack`);
    const stats = statSync(path, { throwIfNoEntry: false });
    if (stats === undefined || stats.mtimeMs >= olderThan) continue;
    const found = { name, path, bytes: stats.size, ...use };
    if (use.deadBlobs === use.blobs) packs.push(found);
    else if (use.deadBytes > SPARSE_SHARE * stats.size) sparse.push(found);
  }
  return { loose, packs, sparse };
}

/** The digests of all that would go. */
export function* garbageDigests(garbage: Garbage, options: CollectOptions): Generator<Digest> {
  for (const { digest } of deadLoose(options)) yield digest;
  const names = new Set([...garbage.packs, ...garbage.sparse].map(({ name }) => name));
  for (const index of currentIndexes(options.folder)) {
    const isGoing = index.keys().map(({ hash }) => names.has(hash));
    for (const cells of rowChunks(index)) {
      for (let at = 0; at < cells.length; at += CELL_BYTES) {
        if (isGoing[cells.readUInt32LE(at + 32)] === true && !options.isNeeded(cells, at))
          yield digestFromBytes(cells, at);
      }
    }
  }
}

/**
 * Moves garbage into the trash, in an order that leaves everything readable wherever it is interrupted. Sparse packs must have been
 * written anew before. None of it needs to be flushed: an index that comes back names packs that are not there, and a file that does
 * nothing names. What turns out to be needed after all is found there and brought back.
 */
export function throwAway(garbage: Garbage, options: CollectOptions): void {
  const { folder } = options;
  const folders = cacheFolders(folder);
  const run = createTrashRun(folder);
  // Somebody may have come to use one while others were asked.
  const isOld = ({ path }: PackUse): boolean =>
    (statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? Infinity) < options.olderThan;
  const going = new Set([...garbage.packs, ...garbage.sparse].filter(isOld).map(({ name }) => name));
  const indexes = [...openIndexes(folder)];
  try {
    renewGeneration(folder);
    for (const index of indexes) addIndex(trashFolders(run.folder).index, [rowsOfPacks(index, going)]);
    const stale = dropRows({ indexes, folder: folders.index, isGone: (name) => going.has(name) });
    for (const name of stale) rmSync(join(folders.index, name), { force: true });
  } finally {
    for (const index of indexes) index.close();
  }
  for (const name of going) throwPackAway(folder, run, name);
  for (const { digest } of deadLoose(options)) throwLooseAway(folder, run, digest);
  renewGeneration(folder);
}

/** How much of each pack that an index names is not needed. */
function countUse(folder: string, isNeeded: IsNeeded) {
  const uses = new Map<Digest, { blobs: number; deadBlobs: number; deadBytes: number }>();
  for (const index of currentIndexes(folder)) {
    const counts = index.keys().map(({ hash }) => {
      const use = uses.get(hash) ?? { blobs: 0, deadBlobs: 0, deadBytes: 0 };
      uses.set(hash, use);
      return use;
    });
    for (const cells of rowChunks(index)) {
      for (let at = 0; at < cells.length; at += CELL_BYTES) {
        const { key, length } = readRow(cells, at);
        const use = counts[key];
        if (use === undefined) continue;
        use.blobs += 1;
        if (isNeeded(cells, at)) continue;
        use.deadBlobs += 1;
        use.deadBytes += length + PACK_ROW_BYTES;
      }
    }
  }
  return uses;
}

/** The rows of an index that name one of these packs. */
function rowsOfPacks(index: IndexFile, names: ReadonlySet<Digest>): PackedRows {
  const packs: Digest[] = [];
  const numbers = index.keys().map(({ hash }) => (names.has(hash) ? packs.push(hash) - 1 : undefined));
  const parts: Buffer[] = [];
  for (const cells of packs.length === 0 ? [] : rowChunks(index)) {
    const kept = Buffer.allocUnsafe(cells.length);
    let used = 0;
    for (let at = 0; at < cells.length; at += CELL_BYTES) {
      const number = numbers[cells.readUInt32LE(at + 32)];
      if (number === undefined) continue;
      cells.copy(kept, used, at, at + CELL_BYTES);
      kept.writeUInt32LE(number, used + 32);
      used += CELL_BYTES;
    }
    parts.push(Buffer.from(kept.subarray(0, used)));
  }
  return { rows: Buffer.concat(parts), packs };
}

/** Old blobs with files of their own that are not needed. */
function* deadLoose({ folder, isNeeded, olderThan }: CollectOptions) {
  for (const digest of looseDigests(cacheFolders(folder).loose)) {
    if (isNeeded(digestToBytes(digest))) continue;
    const path = loosePath(folder, digest);
    const stats = statSync(path, { throwIfNoEntry: false });
    if (stats !== undefined && stats.mtimeMs < olderThan) yield { digest, path, size: stats.size };
  }
}
