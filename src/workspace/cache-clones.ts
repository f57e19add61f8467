import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { hasErrorCode, MlvError } from '../domain/errors.ts';
import { readTextFile, writeFileDurably } from '../platform/durable-write.ts';
import { hashEngine } from '../platform/hash.ts';
import { listNames } from '../platform/list-names.ts';
import { makeCacheFolder } from '../storage/cache-layout.ts';
import type { ProjectFolders } from './open.ts';

/** A clone that uses a cache which lies outside of it. */
interface CacheClone {
  /** Where it says so. */
  readonly file: string;
  /** One of its projects. */
  readonly root: string;
  /** What its work trees share. */
  readonly sharedFolder: string;
}

const MAX_BYTES = 64 << 10;

/** True for a cache that others may use as well. */
export function isOutside(cacheFolder: string, { sharedFolder }: Pick<ProjectFolders, 'sharedFolder'>): boolean {
  return cacheFolder !== join(sharedFolder, 'cache');
}

/** Notes in a cache outside of this clone that the clone uses it, so that no collection takes what it needs. */
export function noteClone(cacheFolder: string, folders: Pick<ProjectFolders, 'root' | 'sharedFolder'>): void {
  const { root, sharedFolder } = folders;
  const name = hashEngine().hash(Buffer.from(sharedFolder)).toString('hex', 0, 16);
  const file = join(cacheFolder, 'clones', name);
  const noted = readClone(file);
  if (noted?.sharedFolder === sharedFolder && existsSync(noted.root)) return;
  try {
    makeCacheFolder(cacheFolder, join(cacheFolder, 'clones'));
    writeFileDurably(file, `${JSON.stringify({ root, sharedFolder })}\n`, { mode: 0o644 });
  } catch (error) {
    // Whoever may only read a cache has nothing in it that is not elsewhere.
    const cause = error instanceof MlvError ? error.cause : error;
    if (!hasErrorCode(cause, 'EACCES', 'EPERM', 'EROFS')) throw error;
  }
}

/** The clones that have said that they use this cache. Throws `clone-unreadable`. */
export function listClones(cacheFolder: string): CacheClone[] {
  const folder = join(cacheFolder, 'clones');
  const names = listNames(folder).filter((name) => /^[0-9a-f]{32}$/.test(name));
  return names.map((name) => {
    const file = join(folder, name);
    const clone = readClone(file);
    if (clone === undefined) throw cloneUnreachable({ file, root: '?' }, undefined);
    return { ...clone, file };
  });
}

/** The error for a clone of which it cannot be told what it needs. */
export function cloneUnreachable({ file, root }: Pick<CacheClone, 'file' | 'root'>, cause: unknown): MlvError {
  return new MlvError({
    code: 'clone-unreachable',
    kind: 'refused',
    message: `the clone ${root} uses this cache and cannot be read, so it is not known what data it needs`,
    hint: `Mount it, or run this as somebody who may read it. If it is gone for good, delete ${file}`,
    cause,
  });
}

function readClone(file: string): Omit<CacheClone, 'file'> | undefined {
  try {
    const { root, sharedFolder } = JSON.parse(readTextFile(file, MAX_BYTES) ?? '') as Partial<CacheClone>;
    return typeof root === 'string' && typeof sharedFolder === 'string' ? { root, sharedFolder } : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
