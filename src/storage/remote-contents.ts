import type { StorageKey } from '../domain/blob-index.ts';
import { CELL_BYTES } from '../domain/blob-index.ts';
import { DIGEST_BYTES } from '../domain/digest.ts';
import { keyPath, parseDataPath } from '../domain/remote-layout.ts';
import type { IndexFile } from './index-file.ts';
import { rowChunks } from './index-rows.ts';
import type { Remote } from './remote.ts';

/** A pack or object that a remote has, or that an index of it names. */
export interface StoredKey {
  /** As an index names it; of one that none names, as its path tells. */
  readonly key: StorageKey;
  readonly path: string;
  /** Of the file; undefined where it is not there. */
  readonly bytes: number | undefined;
  /** Milliseconds since 1970 by the store's clock. */
  readonly modified: number;
  readonly deadSince: number | undefined;
}

/** A place in which a remote has a blob. */
export interface Place {
  readonly stored: StoredKey;
  readonly length: number;
  /** Whether the index that tells vouches for what a tree object there names. */
  readonly isVouching: boolean;
}

/** All that a remote has. */
export interface RemoteContents {
  readonly keys: readonly StoredKey[];
  /** Those that count, each a whole file. */
  readonly indexes: readonly IndexFile[];
  /** Visits every digest (32 bytes at `at`) once, in order, with all its places, each key once. The array is used again. */
  eachBlob(visit: (cells: Buffer, at: number, places: readonly Place[]) => void): void;
}

/** Lists packs and objects of a remote, and reads all its indexes. Needs a fresh listing. */
export async function readRemoteContents(remote: Remote, signal?: AbortSignal): Promise<RemoteContents> {
  const indexes: IndexFile[] = [];
  for (const index of remote.indexes()) indexes.push(await index.whole(signal));
  const named = new Map<string, StorageKey>();
  for (const index of indexes) for (const key of index.keys()) named.set(keyPath(key), key);
  const keys = new Map<string, StoredKey>();
  for (const prefix of ['packs/', 'objects/']) {
    for await (const { key: path, size: bytes, modified } of remote.home.list(prefix, signal)) {
      const key = named.get(path) ?? parseDataPath(path);
      if (key !== undefined) keys.set(path, { key, path, bytes, modified, deadSince: remote.deadSince(key) });
    }
  }
  for (const [path, key] of named) {
    if (!keys.has(path)) keys.set(path, { key, path, bytes: undefined, modified: 0, deadSince: remote.deadSince(key) });
  }
  return {
    keys: [...keys.values()],
    indexes,
    eachBlob(visit) {
      const cursors = indexes.map((index) =>
        openCursor(index, {
          stored: index.keys().map((key) => keys.get(keyPath(key)) as StoredKey),
          isVouching: remote.isVouching(index.head),
        }),
      );
      visitMerged(cursors, visit);
    },
  };
}

/** Where reading the rows of an index has got to. */
interface Cursor {
  cells: Buffer;
  at: number;
  /** The first six bytes of the digest there; Infinity at the end. */
  start: number;
  place(): Place;
  next(): void;
}

function openCursor(
  index: IndexFile,
  { stored, isVouching }: { readonly stored: readonly StoredKey[]; readonly isVouching: boolean },
): Cursor {
  const chunks = rowChunks(index);
  const cursor: Cursor = {
    cells: Buffer.alloc(0),
    at: 0,
    start: Infinity,
    place: () => ({
      stored: stored[cursor.cells.readUInt32LE(cursor.at + 32)] as StoredKey,
      length: cursor.cells.readUIntLE(cursor.at + 42, 6),
      isVouching,
    }),
    next() {
      cursor.at += CELL_BYTES;
      if (cursor.at >= cursor.cells.length) {
        cursor.cells = chunks.next().value ?? Buffer.alloc(0);
        cursor.at = 0;
      }
      cursor.start = cursor.cells.length === 0 ? Infinity : cursor.cells.readUIntBE(cursor.at, 6);
    },
  };
  cursor.next();
  return cursor;
}

/** Rows of several indexes in one order: indexes are few, and each is sorted. */
function visitMerged(cursors: readonly Cursor[], visit: Parameters<RemoteContents['eachBlob']>[0]): void {
  const places: Place[] = [];
  for (;;) {
    let [first] = cursors;
    for (const cursor of cursors) if (first === undefined || isBefore(cursor, first)) first = cursor;
    if (first === undefined || first.start === Infinity) return;
    const { cells, at, start } = first;
    places.length = 0;
    for (const cursor of cursors) {
      while (cursor.start === start && isSame(cursor, cells, at)) {
        const place = cursor.place();
        const known = places.findIndex(({ stored }) => stored === place.stored);
        if (known < 0) places.push(place);
        else if (place.isVouching) places[known] = place;
        cursor.next();
      }
    }
    visit(cells, at, places);
  }
}

function isBefore(a: Cursor, b: Cursor): boolean {
  if (a.start !== b.start || a.start === Infinity) return a.start < b.start;
  return a.cells.compare(b.cells, b.at, b.at + DIGEST_BYTES, a.at, a.at + DIGEST_BYTES) < 0;
}

function isSame({ cells, at }: Cursor, other: Buffer, otherAt: number): boolean {
  return cells.compare(other, otherAt, otherAt + DIGEST_BYTES, at, at + DIGEST_BYTES) === 0;
}
