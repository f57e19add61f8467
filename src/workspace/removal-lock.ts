import { join } from 'node:path';
import type { LockOptions } from '../platform/lock.ts';
import { withLock } from '../platform/lock.ts';
import { makeCacheFolder } from '../storage/cache-layout.ts';
import type { Workspace } from './open.ts';

/** Runs `work` while nobody else removes anything from the cache; what the workspace says of waiting comes first. Throws `locked`. */
export function withRemovalLock<T>(
  { cacheFolder, locks }: Workspace,
  options: LockOptions,
  work: () => Promise<T>,
): Promise<T> {
  const folder = join(cacheFolder, 'locks');
  makeCacheFolder(cacheFolder, folder);
  return withLock(folder, 'removal', { ...options, ...locks }, work);
}
