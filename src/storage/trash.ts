import { existsSync, openSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { Digest } from '../domain/digest.ts';
import { digestToBytes, isDigest } from '../domain/digest.ts';
import { hasErrorCode } from '../domain/errors.ts';
import { randomName, writeFileDurably } from '../platform/durable-write.ts';
import { cacheFolders, loosePath, makeCacheFolder } from './cache-layout.ts';
import type { IndexFile } from './index-file.ts';
import { openIndexFile } from './index-file.ts';
import { cellsOf, rowsOfKey } from './index-rows.ts';
import type { BlobLocation } from './local-cache.ts';
import { addIndex } from './publish-rows.ts';

/** What one collection has thrown away: a folder with the layout of a cache. */
export interface TrashRun {
  readonly name: string;
  readonly folder: string;
  /** When that was, in milliseconds by the clock of the disk that it lies on. */
  readonly time: number;
}

const STAMP = 'stamp';
const RELOAD_MS = 1_000;

/** The runs in a cache's trash, oldest first. */
export function listTrash(folder: string): TrashRun[] {
  const { trash } = cacheFolders(folder);
  const runs: TrashRun[] = [];
  for (const name of listNames(trash)) {
    const folderOfRun = join(trash, name);
    // Without a stamp, whoever made it or was deleting it was killed.
    const [stamp, made] = [join(folderOfRun, STAMP), folderOfRun].map((path) =>
      statSync(path, { throwIfNoEntry: false }),
    );
    const time = stamp?.mtimeMs ?? made?.mtimeMs;
    if (time !== undefined) runs.push({ name, folder: folderOfRun, time });
  }
  return runs.sort((a, b) => a.time - b.time || (a.name < b.name ? -1 : 1));
}

/** Makes a run, with nothing in it yet. */
export function createTrashRun(folder: string): TrashRun {
  const name = randomName();
  const run = join(cacheFolders(folder).trash, name);
  for (const each of Object.values(trashFolders(run))) makeCacheFolder(folder, each);
  const stamp = join(run, STAMP);
  writeFileDurably(stamp, '', { mode: 0o644 });
  return { name, folder: run, time: statSync(stamp).mtimeMs };
}

/** What there is in a run. */
export function trashFolders(run: string) {
  const { loose, packs, index } = cacheFolders(run);
  return { loose, packs, index };
}

/** Milliseconds by the clock of the disk, which may be another machine's. */
export function diskTime(folder: string): number {
  const { temporary } = cacheFolders(folder);
  makeCacheFolder(folder, temporary);
  const path = join(temporary, randomName());
  writeFileSync(path, '');
  try {
    return statSync(path).mtimeMs;
  } finally {
    rmSync(path, { force: true });
  }
}

/** Looks in a cache's trash for what the cache does not have. */
export function openTrash(folder: string) {
  let runs = new Map<string, { readonly run: TrashRun; readonly indexes: readonly IndexFile[] }>();
  let seenAt = -Infinity;

  function reload(): void {
    const now = performance.now();
    if (now - seenAt < RELOAD_MS) return;
    seenAt = now;
    const before = runs;
    runs = new Map();
    for (const run of listTrash(folder))
      runs.set(run.name, before.get(run.name) ?? { run, indexes: [...openTrashIndexes(run)] });
    for (const [name, { indexes }] of before) if (!runs.has(name)) closeAll(indexes);
  }

  return {
    /** Brings a blob back into the cache and returns where it is; where that is not allowed, it stays, and is there. */
    bringBack(digest: Digest): BlobLocation | undefined {
      reload();
      for (const { run, indexes } of runs.values()) {
        const location = bringLooseBack(folder, run, digest) ?? bringPackBack(folder, run, { digest, indexes });
        if (location !== undefined) return location;
      }
      return undefined;
    },
    close(): void {
      for (const { indexes } of runs.values()) closeAll(indexes);
      runs = new Map();
    },
  };
}

function closeAll(indexes: readonly IndexFile[]): void {
  for (const index of indexes) index.close();
}

function bringLooseBack(folder: string, run: TrashRun, digest: Digest): BlobLocation | undefined {
  const path = loosePath(run.folder, digest);
  const size = statSync(path, { throwIfNoEntry: false })?.size;
  if (size === undefined) return undefined;
  return { path: moveBack(folder, path, loosePath(folder, digest)), offset: 0, length: size, isPacked: false };
}

function bringPackBack(
  folder: string,
  run: TrashRun,
  { digest, indexes }: { readonly digest: Digest; readonly indexes: readonly IndexFile[] },
): BlobLocation | undefined {
  for (const index of indexes) {
    for (const { key, offset, length } of index.find(digestToBytes(digest))) {
      const path = restorePack(folder, run, { name: key.hash, index });
      if (path !== undefined) return { path, offset, length, isPacked: true };
    }
  }
  return undefined;
}

/** Gives a pack its place in the cache again. Returns where it is; undefined where it is gone. */
export function restorePack(
  folder: string,
  run: TrashRun,
  { name, index }: { readonly name: Digest; readonly index: IndexFile },
): string | undefined {
  const { packs, index: indexFolder } = cacheFolders(folder);
  const target = join(packs, `${name}.pack`);
  const source = join(run.folder, 'packs', `${name}.pack`);
  // Whoever was killed while throwing it away has left it where it was.
  const path = existsSync(target) ? target : existsSync(source) ? moveBack(folder, source, target) : undefined;
  if (path !== target) return path;
  const rows = rowsOfKey({ key: { kind: 'pack', hash: name }, holders: new Map([[index, 0]]) });
  addIndex(indexFolder, [{ rows: cellsOf(rows), packs: [name] }]);
  return path;
}

/** Opens a file of a cache's pack, which may have been thrown away since it was found: what is needed of it was copied before. */
export function openPackFile(path: string): number {
  try {
    return openSync(path, 'r');
  } catch (error) {
    if (!hasErrorCode(error, 'ENOENT')) throw error;
    const trashed = findTrashedPack(dirname(dirname(path)), basename(path));
    if (trashed === undefined) throw error;
    return openSync(trashed, 'r');
  }
}

/** Where a pack's file is in the trash. */
export function findTrashedPack(folder: string, fileName: string): string | undefined {
  return listTrash(folder)
    .map((run) => join(trashFolders(run.folder).packs, fileName))
    .find((path) => existsSync(path));
}

/** The indexes of what was thrown away, each to be closed. */
export function* openTrashIndexes(run: TrashRun): Generator<IndexFile> {
  const { index } = trashFolders(run.folder);
  for (const name of listNames(index)) if (isDigest(name)) yield openIndexFile(join(index, name), name);
}

/** Moves a file back into the cache, where nothing is yet, or the same. Returns where it is then. */
export function moveBack(folder: string, source: string, target: string): string {
  try {
    makeCacheFolder(folder, dirname(target));
    renameSync(source, target);
    return target;
  } catch (error) {
    if (hasErrorCode(error, 'EACCES', 'EPERM', 'EROFS')) return source;
    if (hasErrorCode(error, 'ENOENT') && existsSync(target)) return target; // another process was quicker
    throw error;
  }
}

export function listNames(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch (error) {
    if (hasErrorCode(error, 'ENOENT')) return [];
    throw error;
  }
}
