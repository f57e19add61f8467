import { closeSync, fstatSync, openSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Digest } from '../domain/digest.ts';
import { digestFromBytes, digestToBytes, isDigest } from '../domain/digest.ts';
import { hasErrorCode, MlvError } from '../domain/errors.ts';
import { fsyncFolder } from '../platform/durable-write.ts';
import { listNames } from '../platform/list-names.ts';
import { openIndexes } from './cache-contents.ts';
import { cacheFolders, loosePath, PARTIAL_PREFIX, renewGeneration } from './cache-layout.ts';
import { dropRows } from './drop-rows.ts';
import { readPackTable } from './pack-reader.ts';
import { publishRows } from './publish-rows.ts';
import { rewritePacks } from './rewrite-packs.ts';
import { rangeReader } from './verify-task.ts';

/** Digests that are looked for. */
export interface PurgedSet extends Iterable<Digest> {
  readonly size: number;
  has(digest: Digest): boolean;
}

/** Blobs, each place of theirs counted, and the files that they are in. */
export interface PurgeAmount {
  readonly blobs: number;
  readonly bytes: number;
  readonly files: number;
}

/** What of purged content a folder with the layout of a cache has. */
export interface CacheHoldings extends PurgeAmount {
  /** Files of one blob, whole or not. */
  readonly alone: readonly string[];
  readonly packs: readonly { readonly name: Digest; readonly path: string }[];
  /** Packs that may have some, but whose tables cannot be read: their paths. */
  readonly unreadable: readonly string[];
}

/** Looks for content in a cache, or in a run of its trash. Nothing is changed. */
export async function findInCache(folder: string, purged: PurgedSet): Promise<CacheHoldings> {
  const { packs: packFolder, temporary } = cacheFolders(folder);
  const alone: string[] = [];
  const sum = { blobs: 0, bytes: 0 };
  for (const digest of purged) {
    for (const path of [loosePath(folder, digest), join(temporary, `${PARTIAL_PREFIX}${digest}`)]) {
      const size = statSync(path, { throwIfNoEntry: false })?.size;
      if (size === undefined) continue;
      alone.push(path);
      sum.blobs += 1;
      sum.bytes += size;
    }
  }
  const { holders, named } = readIndexes(folder, purged);
  const packs: CacheHoldings['packs'][number][] = [];
  const unreadable: string[] = [];
  for (const fileName of listNames(packFolder)) {
    const name = fileName.slice(0, -'.pack'.length);
    if (!isDigest(name) || !fileName.endsWith('.pack')) continue;
    // Of a pack that no index names (a command was killed) only its own table tells.
    if (named.has(name) && !holders.has(name)) continue;
    const path = join(packFolder, fileName);
    const blobs = await blobsOf(path, name);
    if (blobs === 'gone') continue;
    if (blobs === 'unreadable') {
      unreadable.push(path);
      continue;
    }
    const found = blobs.filter(({ digest }) => purged.has(digest));
    if (found.length === 0) continue;
    packs.push({ name, path });
    sum.blobs += found.length;
    sum.bytes += found.reduce((bytes, { length }) => bytes + length, 0);
  }
  return { ...sum, files: alone.length + packs.length, alone, packs, unreadable };
}

/**
 * Deletes content from a cache, or from a run of its trash, under the lock of removals: packs that have some are written anew
 * without it before they go. Interrupted anywhere, all else can be read, and the next call finishes it.
 */
export async function purgeFromCache(
  folder: string,
  given: {
    readonly holdings: CacheHoldings;
    readonly purged: PurgedSet;
    readonly packBelow: () => number;
    readonly signal?: AbortSignal | undefined;
  },
): Promise<void> {
  const { holdings, purged, packBelow, signal } = given;
  if (holdings.files === 0) return;
  const folders = cacheFolders(folder);
  await rewritePacks({ folder, packBelow, publish: (rows) => publishRows(folders.index, rows) }, holdings.packs, {
    isNeeded: (bytes, at = 0) => !purged.has(digestFromBytes(bytes, at)),
    signal,
  });
  renewGeneration(folder);
  const going = new Set(holdings.packs.map(({ name }) => name));
  const indexes = [...openIndexes(folder)];
  try {
    const stale = dropRows({ indexes, folder: folders.index, isGone: (name) => going.has(name) });
    for (const name of stale) rmSync(join(folders.index, name), { force: true });
    if (stale.length > 0) fsyncFolder(folders.index);
  } finally {
    for (const index of indexes) index.close();
  }
  for (const path of [...holdings.alone, ...holdings.packs.map((pack) => pack.path)]) rmSync(path, { force: true });
  if (going.size > 0) fsyncFolder(folders.packs);
  renewGeneration(folder);
}

/** The packs that indexes name, and those of them that have some of the content. */
function readIndexes(folder: string, purged: PurgedSet): { holders: Set<Digest>; named: Set<Digest> } {
  const holders = new Set<Digest>();
  const named = new Set<Digest>();
  for (const index of openIndexes(folder)) {
    try {
      for (const { hash } of index.keys()) named.add(hash);
      for (const digest of purged) for (const { key } of index.find(digestToBytes(digest))) holders.add(key.hash);
    } finally {
      index.close();
    }
  }
  return { holders, named };
}

async function blobsOf(path: string, name: Digest) {
  let file: number;
  try {
    file = openSync(path, 'r');
  } catch (error) {
    if (hasErrorCode(error, 'ENOENT')) return 'gone';
    throw error;
  }
  try {
    return (await readPackTable(rangeReader(file), fstatSync(file).size, name)).blobs;
  } catch (error) {
    if (!(error instanceof MlvError)) throw error;
    return 'unreadable';
  } finally {
    closeSync(file);
  }
}
