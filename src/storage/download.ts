import { join } from 'node:path';
import type { Digest } from '../domain/digest.ts';
import type { TreeEntry } from '../domain/tree.ts';
import { treePathToText } from '../domain/tree-path.ts';
import { listNames } from '../platform/list-names.ts';
import { fits, noRoom, roomAt } from '../platform/room.ts';
import { statsAt } from '../platform/stats-at.ts';
import { cacheFolders, PARTIAL_PREFIX } from './cache-layout.ts';
import type { FetchOptions, DamagedBlob, WantedBlob } from './download-blobs.ts';
import { fetchBlobs } from './download-blobs.ts';
import type { DownloadRoot, WantedPage } from './download-plan.ts';
import { fetchDifferences, fetchPages, pagesOf, wantedEntries } from './download-plan.ts';
import type { LocalCache } from './local-cache.ts';
import type { Remote } from './remote.ts';
import { limitsOf } from './request-engine.ts';
import type { FailedBlob } from './transfer-failures.ts';
import { createFailures } from './transfer-failures.ts';

/** What a download has brought and compared so far, and how much it is in all, as far as that is known. */
export interface DownloadProgress {
  readonly blobs: number;
  readonly bytes: number;
  readonly totalBlobs: number;
  readonly totalBytes: number;
}

export interface DownloadResult {
  /** Files' contents fetched; tree objects are not counted, their bytes are. */
  readonly blobs: number;
  readonly bytes: number;
  /** Not on the remote. All else was fetched. */
  readonly missing: readonly WantedBlob[];
  /** In the remote's indexes, but gone, or with bytes that are not what their digest says: those never got into the cache. */
  readonly damaged: readonly DamagedBlob[];
  /** Not fetched, as it must not exist any more, as far as it was met. */
  readonly purged: readonly WantedBlob[];
  /** Could not be read. */
  readonly failed: readonly FailedBlob[];
}

export interface DownloadOptions {
  /** As a fresh listing shows it. */
  readonly remote: Remote;
  readonly cache: LocalCache;
  readonly wanted: readonly DownloadRoot[];
  /** Directories of which the cache has everything: what is wanted shares most pages with such a one, and need not be looked up. */
  readonly complete?: readonly Digest[];
  /** Only the tree objects of what is wanted, not the files' contents; with `differing` those that not all of it has. */
  readonly treesOnly?: boolean | 'differing' | undefined;
  readonly onProgress?: ((progress: DownloadProgress) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** So much is planned, sorted by place, fetched and made durable at a time. */
const BATCH_BLOBS = 32_768;
const BATCH_BYTES = 8 * 2 ** 30;

/**
 * Brings into the cache what it does not have of the roots: tree objects first, then their blobs. Throws `no-space` before
 * anything of the blobs is fetched when the disk has no room for them. Interrupted, it may be called again.
 */
export async function download(options: DownloadOptions): Promise<DownloadResult> {
  const { remote, cache, wanted, onProgress, signal } = options;
  remote.requirePresent();
  const purged = new Map<Digest, WantedBlob>();
  const missing = new Map<Digest, WantedBlob>();
  const damaged = new Map<Digest, DamagedBlob>();
  const failures = createFailures();
  const done = { blobs: 0, bytes: 0 };
  const total = { blobs: 0, bytes: 0 };
  const limits = limitsOf(remote.home);
  const report = (): void => onProgress?.({ ...done, totalBlobs: total.blobs, totalBytes: total.bytes });

  async function fetch(blobs: readonly WantedBlob[], kind: FetchOptions['kind']): Promise<void> {
    const writer = cache.openWriter();
    try {
      await fetchBlobs(blobs, {
        remote,
        writer,
        kind,
        ...limits,
        signal,
        onFetched(fetched) {
          failures.succeeded();
          done.blobs += kind === 'data' ? fetched.blobs : 0;
          done.bytes += fetched.bytes;
          if (kind === 'tree') total.bytes += fetched.bytes;
          report();
        },
        onMissing: (blob) => missing.set(blob.digest, blob),
        onDamaged: (blob) => damaged.set(blob.digest, blob),
        onFailed: failures.note,
      });
    } finally {
      await writer.finish(); // what has come is kept, whatever happened to the rest
    }
  }

  async function ensure(objects: readonly WantedBlob[]): Promise<void> {
    const absent = new Map(objects.filter(({ digest }) => !cache.has(digest)).map((object) => [object.digest, object]));
    if (absent.size > 0) await fetch([...absent.values()], 'tree');
  }

  const folders = wanted.filter(({ type }) => type === 'dir');
  if (options.treesOnly === 'differing') await fetchDifferences(folders, cache, ensure);
  const wantedPages = options.treesOnly === 'differing' ? [] : await fetchPages(folders, cache, ensure);
  const result = (): DownloadResult => ({
    ...done,
    purged: [...purged.values()],
    missing: [...missing.values()],
    damaged: [...damaged.values()],
    failed: failures.list(),
  });
  if (options.treesOnly !== undefined && options.treesOnly !== false) return result();
  const held = await pagesOf(options.complete ?? [], cache);
  const pages = wantedPages.filter(({ node }) => !held.has(node.digest));
  const files = wanted.filter(({ type }) => type === 'file');
  for (const { node } of pages) {
    total.blobs += node.files;
    total.bytes += node.bytes;
  }
  total.blobs += files.length;
  total.bytes += files.reduce((sum, { size }) => sum + size, 0);
  requireRoom(cache, total.bytes, () => neededBytes(pages, files, cache));
  for (const batch of batches({ pages, files, cache, total, purged })) {
    signal?.throwIfAborted();
    await fetch(batch, 'data');
  }
  return result();
}

interface Wanted {
  readonly pages: readonly WantedPage[];
  readonly files: readonly DownloadRoot[];
  readonly cache: LocalCache;
}

/** The blobs to be fetched, in bounded lots; what turns out not to be needed is taken off the total. */
function* batches({
  pages,
  files,
  cache,
  total,
  purged,
}: Wanted & {
  total: { blobs: number; bytes: number };
  purged: Map<Digest, WantedBlob>;
}): Generator<WantedBlob[]> {
  const refused = cache.refused();
  let batch = new Map<Digest, WantedBlob>();
  let bytes = 0;
  for (const item of wantedBlobs(pages, files)) {
    const { digest, size } = item;
    const isRefused = refused.has(digest);
    if (isRefused && !purged.has(digest)) purged.set(digest, { digest, path: item.path() });
    if (isRefused || batch.has(digest) || cache.has(digest)) {
      total.blobs -= 1;
      total.bytes -= size;
      continue;
    }
    batch.set(digest, { digest, path: item.path(), size });
    bytes += size;
    if (batch.size < BATCH_BLOBS && bytes < BATCH_BYTES) continue;
    yield [...batch.values()];
    batch = new Map();
    bytes = 0;
  }
  if (batch.size > 0) yield [...batch.values()];

  function* wantedBlobs(from: readonly WantedPage[], alone: readonly DownloadRoot[]) {
    for (const { digest, size, name } of alone) yield { digest, size, path: () => name };
    for (const page of from) {
      const entries = wantedEntries(page, cache);
      total.blobs -= page.node.files - entries.length;
      total.bytes -= page.node.bytes - sumSizes(entries);
      for (const { digest, size, path } of entries)
        yield { digest, size, path: () => `${page.root.name}/${treePathToText(path)}` };
    }
  }
}

function sumSizes(entries: readonly TreeEntry[]): number {
  return entries.reduce((sum, { size }) => sum + size, 0);
}

/** Counting what is really needed means reading all pages: only done where a simple upper bound does not fit. */
function requireRoom(cache: LocalCache, atMost: number, needed: () => number): void {
  const { folder } = cache;
  const room = roomAt(folder);
  if (room === undefined || fits(room, atMost)) return;
  const bytes = Math.max(0, needed() - startedBytes(folder));
  if (fits(room, bytes)) return;
  const hint = 'Make room on that disk, or name only a part of the data.';
  throw noRoom({ what: 'are to be fetched', folder, room, bytes, hint });
}

/** What is on the disk already of large blobs whose download was broken off. */
function startedBytes(folder: string): number {
  const { temporary } = cacheFolders(folder);
  const started = listNames(temporary).filter((name) => name.startsWith(PARTIAL_PREFIX));
  return started.reduce((sum, name) => sum + (statsAt(join(temporary, name))?.size ?? 0), 0);
}

function neededBytes(pages: readonly WantedPage[], files: readonly DownloadRoot[], cache: LocalCache): number {
  let bytes = 0;
  for (const { digest, size } of files) if (!cache.has(digest)) bytes += size;
  for (const page of pages) {
    bytes += sumSizes(wantedEntries(page, cache).filter(({ digest }) => !cache.has(digest)));
  }
  return bytes;
}
