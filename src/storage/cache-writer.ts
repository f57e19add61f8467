import {
  closeSync,
  existsSync,
  fchmodSync,
  fsyncSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  unlinkSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { CELL_BYTES, writeRow } from '../domain/blob-index.ts';
import type { Digest } from '../domain/digest.ts';
import { digestFromBytes, digestToBytes } from '../domain/digest.ts';
import type { PackKind } from '../domain/pack.ts';
import { fsyncFolder, randomName } from '../platform/durable-write.ts';
import { hashEngine } from '../platform/hash.ts';
import {
  cacheFolders,
  loosePath,
  makeCacheFolder,
  PARTIAL_PREFIX,
  prepareCache,
  removeLeftovers,
} from './cache-layout.ts';
import { namingFullDisk } from './disk-full.ts';
import type { RefusedContent } from './local-cache.ts';
import type { PackedRows } from './packed-rows.ts';
import type { PackWriter } from './pack-writer.ts';
import { writeFully } from '../platform/read-write.ts';
import { createPackWriter, PACK_TARGET_BYTES } from './pack-writer.ts';

/** Puts blobs into the cache; what is given to it is safe, and visible, after `finish`. */
export interface CacheWriter {
  /** The cache's. */
  readonly folder: string;
  /** Stores bytes that are known to hash to `digest` (32 raw bytes). What the cache has already is not written again. */
  put(digest: Buffer, bytes: Buffer, kind: PackKind): void;
  /** Where a large blob is gathered; the same for a digest, so that a later run can go on with it. */
  partialPath(digest: Digest): string;
  /** A fresh path on the cache's disk, for a large blob whose digest is not known yet. */
  temporaryPath(): string;
  /** Gives a finished, compared and flushed file its name. */
  adopt(digest: Digest, path: string): void;
  /** Makes everything durable and hands over the rows of each pack written, for `LocalCache.publish`. */
  flush(): Promise<PackedRows[]>;
  /** `flush` and publish. */
  finish(): Promise<void>;
  /** Removes what has no name yet. What has one stays, and no index names it. */
  abandon(): Promise<void>;
}

/** So many small blobs at once, or bytes of them, are worth a pack; fewer become loose files. */
const BULK_BLOBS = 64;
const BULK_BYTES = 4 << 20;
/** A pack of the tiniest files ends here: what is known of its blobs is in memory until then. */
const MAX_PACK_BLOBS = 1 << 16;

/** Runs `work`, then finishes what it has put into the writer; where it fails, nothing without a name stays behind. */
export async function finishing<T>(writer: CacheWriter, work: () => Promise<T> | T): Promise<T> {
  try {
    const result = await work();
    await writer.finish();
    return result;
  } catch (error) {
    await writer.abandon();
    throw error;
  }
}

/** What a writer needs of the cache it writes to. */
export interface WritableCache {
  readonly folder: string;
  packBelow(): number;
  /**
   * Whether it has a blob (32 raw bytes) and will have it for a while: no collection that is under way takes it. Only packs need be
   * looked into where `mayBeLoose` is false.
   */
  keeps(digest: Buffer, mayBeLoose: boolean): boolean;
  publish(rows: readonly PackedRows[]): void;
  /** What is passed over when it is put there. */
  refused?(): RefusedContent;
}

/** Opens a writer; each thread has its own, packs are never shared. */
export function createCacheWriter(cache: WritableCache): CacheWriter {
  const { folder } = cache;
  const folders = cacheFolders(folder);
  prepareCache(folder);
  const packBelow = cache.packBelow();
  removeLeftovers(folder);
  // Two levels down nothing can be where one level down is not: most blobs of a bulk write are spared a look on the disk.
  const refused = cache.refused?.();
  const isRefused = (digest: () => Digest): boolean =>
    refused !== undefined && refused.size > 0 && refused.has(digest());
  const looseFolders = new Set(readdirSync(folders.loose).map((name) => Number.parseInt(name, 16)));
  const bulk = { data: createBulk('data'), tree: createBulk('tree') };
  const dirty = new Set<string>();
  const finished: PackedRows[] = [];
  const settling: Promise<void>[] = [];
  /** Files that have no name yet. */
  const nameless = new Set<string>();

  function temporaryPath(): string {
    const path = join(folders.temporary, `${process.pid}-${randomName()}`);
    nameless.add(path);
    return path;
  }

  async function abandon(): Promise<void> {
    bulk.data.abandon();
    bulk.tree.abandon();
    await Promise.allSettled(settling.splice(0));
    for (const path of nameless) rmSync(path, { force: true });
    nameless.clear();
  }

  function writeLoose(digest: Digest, bytes: Buffer): void {
    const temporary = temporaryPath();
    const file = openSync(temporary, 'wx', 0o444);
    try {
      writeFully(file, bytes);
      fchmodSync(file, 0o444); // whatever the umask: who may read it is said by the folders
      fsyncSync(file);
    } catch (error) {
      rmSync(temporary, { force: true });
      throw error;
    } finally {
      closeSync(file);
    }
    adopt(digest, temporary);
  }

  function adopt(digest: Digest, path: string): void {
    const target = loosePath(folder, digest);
    const parent = dirname(target);
    if (!existsSync(parent)) makeCacheFolder(folder, parent);
    renameSync(path, target);
    nameless.delete(path);
    looseFolders.add(Number.parseInt(digest.slice(0, 2), 16));
    dirty.add(parent);
  }

  /** Small blobs of one kind: held back until there are enough for a pack. */
  function createBulk(kind: PackKind) {
    let pending = new Map<string, { digest: Buffer; bytes: Buffer }>();
    let pendingBytes = 0;
    let pack: PackWriter | undefined;
    let temporary = '';
    let inPack = new Set<string>();
    let cells = Buffer.alloc(0);
    let count = 0;

    function append(digest: Buffer, bytes: Buffer): void {
      if (pack === undefined) {
        temporary = temporaryPath();
        pack = createPackWriter({ folder: folders.packs, temporary, kind, hash: hashEngine().hash });
      }
      const offset = pack.append(digest, bytes);
      inPack.add(digest.toString('latin1'));
      if (count * CELL_BYTES === cells.length)
        cells = Buffer.concat([cells, Buffer.alloc(Math.max(cells.length, CELL_BYTES * 1_024))]);
      writeRow(cells, count * CELL_BYTES, { digest, key: 0, offset, length: bytes.length });
      count += 1;
      if (pack.size() >= PACK_TARGET_BYTES || count >= MAX_PACK_BLOBS) closePack();
    }

    function closePack(): void {
      if (pack === undefined) return;
      const path = temporary;
      const { name, durable } = pack.finish();
      const settled = durable.then(() => void nameless.delete(path));
      settled.catch(() => {}); // told by flush
      settling.push(settled);
      dirty.add(folders.packs);
      // In memory of its own, which a thread can hand over.
      const rows = Buffer.allocUnsafeSlow(count * CELL_BYTES);
      cells.copy(rows);
      finished.push({ rows, packs: [name] });
      pack = undefined;
      inPack = new Set();
      cells = Buffer.alloc(0);
      count = 0;
    }

    return {
      put(digest: Buffer, bytes: Buffer): void {
        const key = digest.toString('latin1');
        if (inPack.has(key) || pending.has(key)) return;
        if (pack !== undefined) return append(digest, bytes);
        // Copies: the caller may use its buffers again.
        pending.set(key, { digest: Buffer.from(digest), bytes: Buffer.from(bytes) });
        pendingBytes += bytes.length;
        if (pending.size < BULK_BLOBS && pendingBytes < BULK_BYTES) return;
        for (const blob of pending.values()) append(blob.digest, blob.bytes);
        pending = new Map();
        pendingBytes = 0;
      },
      flush(): void {
        for (const { digest, bytes } of pending.values()) writeLoose(digestFromBytes(digest), bytes);
        pending = new Map();
        pendingBytes = 0;
        closePack();
      },
      abandon(): void {
        pack?.abandon();
        pack = undefined;
        pending = new Map();
      },
    };
  }

  async function flush(): Promise<PackedRows[]> {
    try {
      bulk.data.flush();
      bulk.tree.flush();
      await Promise.all(settling.splice(0));
      for (const each of dirty) fsyncFolder(each);
    } catch (error) {
      await abandon();
      throw namingFullDisk(error, 'small files', folder);
    }
    dirty.clear();
    return finished.splice(0);
  }

  return {
    folder,
    put(digest, bytes, kind) {
      // Lists of files are no content: nobody purges them.
      if (kind === 'data' && isRefused(() => digestFromBytes(digest))) return;
      const mayBeLoose = looseFolders.has(digest[0] ?? 0);
      if (cache.keeps(digest, mayBeLoose)) return;
      try {
        if (bytes.length >= packBelow && kind === 'data') writeLoose(digestFromBytes(digest), bytes);
        else bulk[kind].put(digest, bytes);
      } catch (error) {
        throw namingFullDisk(error, 'small files', folder);
      }
    },
    partialPath: (digest) => join(folders.temporary, `${PARTIAL_PREFIX}${digest}`),
    temporaryPath,
    adopt(digest, path) {
      if (!isRefused(() => digest) && !cache.keeps(digestToBytes(digest), true)) return adopt(digest, path);
      unlinkSync(path);
      nameless.delete(path);
    },
    flush,
    async finish() {
      cache.publish(await flush());
    },
    abandon,
  };
}
