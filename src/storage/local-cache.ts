import { closeSync, existsSync, readdirSync, readFileSync, statSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import type { Digest } from '../domain/digest.ts';
import { digestFromBytes, digestToBytes, isDigest } from '../domain/digest.ts';
import { hasErrorCode, MlvError } from '../domain/errors.ts';
import { digestOfBytes } from '../platform/hash.ts';
import { cacheFolders, loosePath } from './cache-layout.ts';
import type { CacheWriter } from './cache-writer.ts';
import { createCacheWriter } from './cache-writer.ts';
import type { IndexFile } from './index-file.ts';
import { openIndexFile } from './index-file.ts';
import { readAt } from '../platform/read-write.ts';
import type { PackedRows } from './packed-rows.ts';
import { publishRows } from './publish-rows.ts';
import { openPackFile, openTrash } from './trash.ts';

/** Where a blob's bytes are on this disk. */
export interface BlobLocation {
  readonly path: string;
  readonly offset: number;
  readonly length: number;
  readonly isPacked: boolean;
}

/** The content-addressed cache of this machine: loose files, and packs with indexes. */
export interface LocalCache {
  readonly folder: string;
  /** Blobs below this many bytes go into packs. */
  packBelow(): number;
  /** Changes whenever something was removed from the cache; what was known to be there before is then known no more. */
  generation(): string;
  has(digest: Digest): boolean;
  /** Whether it has a blob (32 raw bytes) elsewhere than in its trash. */
  holds(digest: Buffer): boolean;
  /**
   * Whether it has a blob (32 raw bytes) and will have it for a while: what was not used for a day is made young again, so that no
   * collection takes it. Only packs are looked into where `mayBeLoose` is false.
   */
  keeps(digest: Buffer, mayBeLoose: boolean): boolean;
  locate(digest: Digest): BlobLocation | undefined;
  /** The bytes, compared with the digest. Throws `blob-missing`, `blob-corrupt`. For objects that fit into memory. */
  read(digest: Digest): Buffer;
  /** What it does not take: writers pass it over. */
  refused(): RefusedContent;
  openWriter(): CacheWriter;
  /** Makes packs that writers (of any thread) have finished visible. */
  publish(rows: readonly PackedRows[]): void;
  close(): void;
}

const MAX_OPEN_PACKS = 64;
const RELOAD_MS = 50;
/** No disk's clock has longer steps. */
const GRAIN_MS = 2_000;
const PRESENT_MS = 1_000;
/** What was used since needs not be made young again. */
const FRESH_MS = 24 * 60 * 60 * 1000;

/** Content that a cache is not to take. */
export interface RefusedContent {
  readonly size: number;
  has(digest: Digest): boolean;
  keys(): Iterable<Digest>;
}

const NOTHING_REFUSED: RefusedContent = new Map<Digest, never>();

/** Opens a cache; folders are made when something is written. */
export function openLocalCache(options: {
  readonly folder: string;
  readonly packBelow: () => number;
  readonly refused?: () => RefusedContent;
}): LocalCache {
  const { folder, packBelow, refused = () => NOTHING_REFUSED } = options;
  const folders = cacheFolders(folder);
  const indexes = openIndexes(folders.index);
  const packs = openPacks(folders.packs);
  const trash = openTrash(folder);
  /** Whether packs are young, or could be made so. */
  const youngPacks = new Map<string, boolean>();

  function find(bytes: Buffer): BlobLocation | undefined {
    for (const isFresh of [false, true]) {
      if (isFresh && !indexes.reload()) break;
      for (const index of indexes.files()) {
        for (const row of index.find(bytes)) {
          const { hash: name } = row.key;
          if (packs.has(name))
            return { path: packs.path(name), offset: row.offset, length: row.length, isPacked: true };
        }
      }
    }
    return undefined;
  }

  /** Packs first: looking there takes no system call. */
  function locate(digest: Digest): BlobLocation | undefined {
    return find(digestToBytes(digest)) ?? findLoose(digest) ?? trash.bringBack(digest);
  }

  function findLoose(digest: Digest): BlobLocation | undefined {
    const path = loosePath(folder, digest);
    const stats = statSync(path, { throwIfNoEntry: false });
    return stats === undefined ? undefined : { path, offset: 0, length: stats.size, isPacked: false };
  }

  /** Makes a file young that was not used for a day. False where that is not allowed: somebody else's, or read-only. */
  function makeYoung({ path }: BlobLocation): boolean {
    try {
      if (Date.now() - statSync(path).mtimeMs > FRESH_MS) utimesSync(path, new Date(), new Date());
      return true;
    } catch (error) {
      if (!hasErrorCode(error, 'EPERM', 'EACCES', 'EROFS', 'ENOENT')) throw error;
      return false;
    }
  }

  /** The same for a pack, which is asked for once for each of its blobs. */
  function makePackYoung(pack: BlobLocation): boolean {
    const known = youngPacks.get(pack.path);
    if (known !== undefined) return known;
    const isYoung = makeYoung(pack);
    youngPacks.set(pack.path, isYoung);
    return isYoung;
  }

  const cache: LocalCache = {
    folder,
    packBelow,
    refused,
    generation() {
      try {
        return readFileSync(folders.generation, 'latin1');
      } catch (error) {
        if (!hasErrorCode(error, 'ENOENT')) throw error;
        return '';
      }
    },
    has: (digest) => locate(digest) !== undefined,
    holds: (digest) => find(digest) !== undefined || findLoose(digestFromBytes(digest)) !== undefined,
    keeps(digest, mayBeLoose) {
      const packed = find(digest);
      if (packed !== undefined && makePackYoung(packed)) return true;
      const loose = mayBeLoose ? findLoose(digestFromBytes(digest)) : undefined;
      return loose !== undefined && makeYoung(loose);
    },
    locate,
    read(digest) {
      const location = locate(digest);
      if (location === undefined) throw missing(digest);
      const bytes = location.isPacked ? packs.read(location) : readFileSync(location.path);
      if (digestOfBytes(bytes) !== digest) throw corrupt(digest, location);
      return bytes;
    },
    openWriter: () => createCacheWriter(cache),
    publish(rows) {
      publishRows(folders.index, rows);
      indexes.reload(true);
    },
    close() {
      indexes.close();
      packs.close();
      trash.close();
    },
  };
  return cache;
}

/** The error for content that this machine does not have. */
function missing(digest: Digest): MlvError {
  return new MlvError({
    code: 'blob-missing',
    kind: 'missing',
    message: `b3:${digest} is not in the cache`,
    hint: 'Run "mlv fetch" to get it from a remote.',
  });
}

/** The error for a cached blob whose bytes are not what its name says. */
export function corrupt(digest: Digest, location: BlobLocation): MlvError {
  return new MlvError({
    code: 'blob-corrupt',
    kind: 'corrupt',
    message: `b3:${digest} is damaged in the cache: ${location.path}`,
    hint: 'Run "mlv verify --repair": it sets the damage aside and gets a good copy from a remote, or from the workspace.',
  });
}

/** The indexes in a folder, opened once; another process may add and replace them at any time. */
function openIndexes(folder: string) {
  let open = new Map<string, IndexFile>();
  let seen: number | undefined;
  let firstSeenAt = 0;
  let listedAt = 0;
  let lookedAt = 0;

  /** True when there is something new. Asked again at once, it does not look again: misses come by the thousand. */
  function reload(isSure = false): boolean {
    const time = performance.now();
    if (!isSure && time - lookedAt < RELOAD_MS) return false;
    lookedAt = time;
    const stats = statSync(folder, { throwIfNoEntry: false });
    // A folder changed within its clock's grain may change again unseen: for a while it is read again, whatever that clock says.
    if (stats === undefined || (stats.mtimeMs === seen && listedAt - firstSeenAt > GRAIN_MS)) return false;
    const next = new Map<string, IndexFile>();
    for (const name of readdirSync(folder)) {
      if (!isDigest(name)) continue;
      try {
        next.set(name, open.get(name) ?? openIndexFile(join(folder, name), name));
      } catch (error) {
        if (!hasErrorCode(error, 'ENOENT')) throw error; // another process has just merged it away
      }
    }
    for (const [name, file] of open) if (!next.has(name)) file.close();
    open = next;
    if (stats.mtimeMs !== seen) firstSeenAt = time;
    seen = stats.mtimeMs;
    listedAt = time;
    return true;
  }

  return {
    files(): Iterable<IndexFile> {
      if (seen === undefined && open.size === 0) reload();
      return open.values();
    },
    reload,
    close() {
      for (const file of open.values()) file.close();
      open = new Map();
    },
  };
}

/** Pack files opened for reading, the last used few. */
function openPacks(folder: string) {
  const open = new Map<string, number>();
  const path = (name: string): string => `${folder}/${name}.pack`;
  /** Packs that were there a moment ago. What is removed goes to the trash first, so they may still be read. */
  const present = new Map<string, number>();

  function has(name: string): boolean {
    const now = performance.now();
    if (now - (present.get(name) ?? -Infinity) < PRESENT_MS) return true;
    const isThere = existsSync(path(name));
    if (isThere) present.set(name, now);
    else present.delete(name);
    return isThere;
  }

  function descriptor(file: string): number {
    let fd = open.get(file);
    if (fd === undefined) fd = openPackFile(file);
    else open.delete(file);
    open.set(file, fd); // last used, last out
    const [oldest] = open;
    if (open.size > MAX_OPEN_PACKS && oldest !== undefined) {
      open.delete(oldest[0]);
      closeSync(oldest[1]);
    }
    return fd;
  }

  return {
    path,
    has,
    read(location: BlobLocation): Buffer {
      const bytes = Buffer.allocUnsafe(location.length);
      const read = readAt(descriptor(location.path), bytes, location.offset, location.length);
      return bytes.subarray(0, read);
    },
    close() {
      for (const fd of open.values()) closeSync(fd);
      open.clear();
    },
  };
}
