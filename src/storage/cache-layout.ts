import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Digest } from '../domain/digest.ts';
import { writeFileDurably } from '../platform/durable-write.ts';

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

/** Makes the folders of a cache, and gives it its first generation. */
export function prepareCache(folder: string): void {
  const folders = cacheFolders(folder);
  for (const each of [folders.loose, folders.packs, folders.index, folders.temporary]) mkdirSync(each, { recursive: true });
  if (!existsSync(folders.generation)) writeFileDurably(folders.generation, randomBytes(16).toString('hex'));
}
