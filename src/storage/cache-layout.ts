import { chmodSync, existsSync, readdirSync, rmSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Digest } from '../domain/digest.ts';
import { hasErrorCode } from '../domain/errors.ts';
import { diskTimeIn } from '../platform/disk-time.ts';
import { makeFolderDurably, randomName, writeFileDurably } from '../platform/durable-write.ts';
import { ioError } from '../platform/io-error.ts';

/** The folders of a cache. */
export function cacheFolders(folder: string) {
  return {
    loose: join(folder, 'b3'),
    packs: join(folder, 'packs'),
    index: join(folder, 'index'),
    temporary: join(folder, 'tmp'),
    trash: join(folder, 'trash'),
    generation: join(folder, 'generation'),
  };
}

/** To be called before and after something is removed: what stat caches say is stored must be looked at again. */
export function renewGeneration(folder: string): void {
  writeFileDurably(cacheFolders(folder).generation, randomName(), { mode: 0o644 });
}

/** Path of a blob that has a file of its own. */
export function loosePath(folder: string, digest: Digest): string {
  return `${folder}/b3/${digest.slice(0, 2)}/${digest.slice(2)}`;
}

/** Folders of verifications, which may take days. */
export const SCRATCH_PREFIX = 'scratch-';
/** Large blobs of which the beginning was fetched. */
export const PARTIAL_PREFIX = 'partial-';
/** What a killed process has left is removed after this long; downloads under way (`partial-…`) are gone on with, and stay longer. */
const LEFTOVER_MS = 24 * 60 * 60 * 1000;
const LONG_LIVED_MS = 14 * LEFTOVER_MS;
const LONG_LIVED = [PARTIAL_PREFIX, SCRATCH_PREFIX];

/** Removes temporary files that nobody can be writing any more. */
export function removeLeftovers(folder: string): void {
  const { temporary } = cacheFolders(folder);
  const names = readdirSync(temporary);
  if (names.length === 0) return;
  const now = diskTimeIn(temporary);
  for (const name of names) {
    const path = join(temporary, name);
    const age = now - (statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? Infinity);
    const isLongLived = LONG_LIVED.some((prefix) => name.startsWith(prefix));
    if (age > (isLongLived ? LONG_LIVED_MS : LEFTOVER_MS)) rmSync(path, { force: true, recursive: true });
  }
}

/** Makes the folders of a cache, and gives it its first generation. */
export function prepareCache(folder: string): void {
  const folders = cacheFolders(folder);
  for (const each of [folders.loose, folders.packs, folders.index, folders.temporary]) makeCacheFolder(folder, each);
  if (!existsSync(folders.generation)) renewGeneration(folder);
}

/** Of folders in which everybody of the group may write, and whose files are the group's whoever makes them. */
const GROUP_MODE = 0o2775;

/** Makes a folder in a cache, durably; where a group shares that, everybody of it may write there, whatever this user's umask. */
export function makeCacheFolder(folder: string, path: string): void {
  const first = makeFolder(path);
  if (first === undefined || !isShared(folder)) return;
  for (let made = path; made.length >= first.length; made = dirname(made)) chmodSync(made, GROUP_MODE);
}

/** Makes a cache one that its group shares, with all that is in it. What belongs to others stays as it is. */
export function shareCache(folder: string): void {
  makeFolder(folder);
  if (isShared(folder)) return;
  const open = (path: string, mode: number): void => {
    try {
      chmodSync(path, mode);
    } catch (error) {
      if (!hasErrorCode(error, 'EPERM', 'EACCES', 'EROFS', 'ENOENT')) throw error;
    }
  };
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    if (entry.isDirectory()) open(path, GROUP_MODE);
    else if (entry.isFile()) open(path, statSync(path).mode | 0o444);
  }
  // Last: it tells that all of the rest is done.
  open(folder, GROUP_MODE);
}

/** Returns the first folder that had to be made. */
function makeFolder(path: string): string | undefined {
  try {
    return makeFolderDurably(path);
  } catch (error) {
    throw ioError(error, 'write', path);
  }
}

function isShared(folder: string): boolean {
  const mode = statSync(folder, { throwIfNoEntry: false })?.mode ?? 0;
  return (mode & GROUP_MODE) === GROUP_MODE;
}
