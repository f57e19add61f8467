import { existsSync, mkdirSync, readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Digest } from '../domain/digest.ts';
import { randomName, writeFileDurably } from '../platform/durable-write.ts';

/** The folders of a cache. */
export function cacheFolders(folder: string) {
  return {
    loose: join(folder, 'b3'),
    packs: join(folder, 'packs'),
    index: join(folder, 'index'),
    temporary: join(folder, 'tmp'),
    generation: join(folder, 'generation'),
  };
}

/** Path of a blob that has a file of its own. */
export function loosePath(folder: string, digest: Digest): string {
  return `${folder}/b3/${digest.slice(0, 2)}/${digest.slice(2)}`;
}

/** Folders of verifications, which may take days. */
export const SCRATCH_PREFIX = 'scratch-';
/** What a killed process has left is removed after this long; downloads under way (`partial-…`) are gone on with, and stay longer. */
const LEFTOVER_MS = 24 * 60 * 60 * 1000;
const LONG_LIVED_MS = 14 * LEFTOVER_MS;
const LONG_LIVED = ['partial-', SCRATCH_PREFIX];

/** Removes temporary files that nobody can be writing any more. */
export function removeLeftovers(folder: string): void {
  const { temporary } = cacheFolders(folder);
  for (const name of readdirSync(temporary)) {
    const path = join(temporary, name);
    const age = Date.now() - (statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? Infinity);
    const isLongLived = LONG_LIVED.some((prefix) => name.startsWith(prefix));
    if (age > (isLongLived ? LONG_LIVED_MS : LEFTOVER_MS)) rmSync(path, { force: true, recursive: true });
  }
}

/** Makes the folders of a cache, and gives it its first generation. */
export function prepareCache(folder: string): void {
  const folders = cacheFolders(folder);
  for (const each of [folders.loose, folders.packs, folders.index, folders.temporary])
    mkdirSync(each, { recursive: true });
  if (!existsSync(folders.generation)) writeFileDurably(folders.generation, randomName());
}
