import { existsSync, openSync, renameSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { Digest } from '../domain/digest.ts';
import { digestToBytes, isDigest } from '../domain/digest.ts';
import { hasErrorCode, MlvError } from '../domain/errors.ts';
import { diskTimeIn } from '../platform/disk-time.ts';
import { randomName, writeFileDurably } from '../platform/durable-write.ts';
import { ioError } from '../platform/io-error.ts';
import { listNames } from '../platform/list-names.ts';
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
const RELOAD_MS = 50;

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
  return diskTimeIn(temporary);
}

/** Looks in a cache's trash for what the cache does not have. What of the trash is damaged is not looked into. */
export function openTrash(folder: string) {
  let runs: TrashRun[] = [];
  let open = new Map<string, IndexFile>();
  let seenAt = -Infinity;

  /** A collection may throw away more at any time; misses come by the thousand. */
  function reload(): void {
    const now = performance.now();
    if (now - seenAt < RELOAD_MS) return;
    seenAt = now;
    runs = listTrash(folder);
    const before = open;
    open = new Map();
    for (const run of runs) {
      for (const { path, name } of trashIndexes(run)) {
        const index = before.get(path) ?? openIfSound(path, name);
        if (index !== undefined) open.set(path, index);
      }
    }
    for (const [path, index] of before) if (!open.has(path)) index.close();
  }

  return {
    /** Brings a blob back into the cache and returns where it is; where that is not allowed, it stays, and is there. */
    bringBack(digest: Digest): BlobLocation | undefined {
      reload();
      for (const run of runs) {
        const path = loosePath(run.folder, digest);
        const size = statSync(path, { throwIfNoEntry: false })?.size;
        if (size === undefined) continue;
        const moved = unlessForbidden(() => move(folder, path, loosePath(folder, digest))) ?? path;
        return { path: moved, offset: 0, length: size, isPacked: false };
      }
      for (const [indexPath, index] of open) {
        const run = runs.find((each) => indexPath.startsWith(`${each.folder}/`));
        if (run === undefined) continue;
        for (const { key, offset, length } of index.find(digestToBytes(digest))) {
          const place = { name: key.hash, index };
          const path =
            unlessForbidden(() => restorePack(folder, run, place)) ?? findTrashedPack(folder, `${key.hash}.pack`);
          if (path !== undefined) return { path, offset, length, isPacked: true };
        }
      }
      return undefined;
    },
    close(): void {
      for (const index of open.values()) index.close();
      open = new Map();
    },
  };
}

function openIfSound(path: string, name: Digest): IndexFile | undefined {
  try {
    return openIndexFile(path, name);
  } catch (error) {
    if (error instanceof MlvError || hasErrorCode(error, 'ENOENT')) return undefined;
    throw error;
  }
}

/** Undefined for whoever may only read the cache. */
function unlessForbidden<T>(restore: () => T): T | undefined {
  try {
    return restore();
  } catch (error) {
    const cause = error instanceof MlvError ? error.cause : error;
    if (hasErrorCode(cause, 'EACCES', 'EPERM', 'EROFS')) return undefined;
    throw error;
  }
}

/** Moves a blob with a file of its own into the trash. */
export function throwLooseAway(folder: string, run: TrashRun, digest: Digest): void {
  move(folder, loosePath(folder, digest), loosePath(run.folder, digest));
}

/** Moves a pack into the trash. */
export function throwPackAway(folder: string, run: TrashRun, name: Digest): void {
  const fileName = `${name}.pack`;
  move(folder, join(cacheFolders(folder).packs, fileName), join(trashFolders(run.folder).packs, fileName));
}

/** Gives a blob with a file of its own its place in the cache again. Returns where it is. */
export function restoreLoose(folder: string, run: TrashRun, digest: Digest): string {
  return move(folder, loosePath(run.folder, digest), loosePath(folder, digest));
}

/** Gives a pack its place in the cache again. Returns where it is; undefined where it is gone. */
export function restorePack(
  folder: string,
  run: TrashRun,
  { name, index }: { readonly name: Digest; readonly index: IndexFile },
): string | undefined {
  const { packs, index: indexFolder } = cacheFolders(folder);
  const target = join(packs, `${name}.pack`);
  const source = join(trashFolders(run.folder).packs, `${name}.pack`);
  // Whoever was killed while throwing it away has left it where it was.
  if (!existsSync(target)) {
    if (!existsSync(source)) return undefined;
    move(folder, source, target);
  }
  const rows = rowsOfKey({ key: { kind: 'pack', hash: name }, holders: new Map([[index, 0]]) });
  addIndex(indexFolder, [{ rows: cellsOf(rows), packs: [name] }]);
  return target;
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

/** The indexes of what was thrown away. */
export function trashIndexes(run: TrashRun): { readonly path: string; readonly name: Digest }[] {
  const { index } = trashFolders(run.folder);
  return listNames(index).flatMap((name) => (isDigest(name) ? [{ path: join(index, name), name }] : []));
}

/** Moves a file between cache and trash, as long as it is there; another process may be quicker. Returns the new path. */
function move(folder: string, source: string, target: string): string {
  makeCacheFolder(folder, dirname(target));
  try {
    renameSync(source, target);
  } catch (error) {
    if (!hasErrorCode(error, 'ENOENT')) throw ioError(error, 'write', target);
  }
  return target;
}
