import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { join } from 'node:path';
import type { ClusterTask } from '../../../domain/cluster-task.ts';
import type { Digest } from '../../../domain/digest.ts';
import { hasErrorCode, MlvError } from '../../../domain/errors.ts';
import type { JobUid } from '../../../domain/remote-layout.ts';
import type { SettingEntry } from '../../../domain/settings.ts';
import { resolveSettings } from '../../../domain/settings.ts';
import { randomName } from '../../../platform/durable-write.ts';
import { listNames } from '../../../platform/list-names.ts';
import { cacheFolders, shareCache } from '../../../storage/cache-layout.ts';
import type { LocalCache } from '../../../storage/local-cache.ts';
import { openLocalCache } from '../../../storage/local-cache.ts';
import type { Environment, Workspace } from '../../../workspace/open.ts';
import type { Progress } from '../../../workspace/progress.ts';

/**
 * What a container of the pod has to go by. Its stage's container may write to the whole of `work`, and may not be trusted: nothing that is
 * there is taken for granted by the container that comes after it.
 */
export interface Pod {
  readonly task: ClusterTask;
  /** Of its text. */
  readonly taskHash: Digest;
  readonly job: JobUid;
  /** The pod's own volume. */
  readonly work: string;
  /** A cache that pods share; undefined where there is none. */
  readonly cache: string | undefined;
  readonly environment: Environment;
  /** Says something to whoever reads the log. */
  readonly tell: (line: string) => void;
  readonly onProgress: (progress: Progress) => void;
}

/** A project without Git, settings files or records, whose cache can be emptied. */
export interface PodWorkspace extends Workspace {
  /** How files get their bytes: never by links, which the stage could write through. */
  readonly links: readonly ('reflink' | 'copy')[];
  /** Whether what is in the cache is of use to other pods. */
  readonly isShared: boolean;
  emptyCache(): void;
}

/** The one remote that a pod knows. */
export const POD_REMOTE = 'task';

const STATE_PREFIX = '.mlv-';
/** Making files on volumes in a network takes longer than copying out of packs. */
const PACK_BELOW = 1 << 20;

/** The folder that stands for the project's. */
export function projectFolder(work: string): string {
  return join(work, 'project');
}

/**
 * Runs work with the shared cache, where there is one, and again with one of the pod's own where that turns out to be of no use: damaged,
 * full, or not to be written to.
 */
export async function withPodWorkspace<T>(pod: Pod, work: (workspace: PodWorkspace) => Promise<T>): Promise<T> {
  if (pod.cache !== undefined) {
    try {
      return await withWorkspace(pod, pod.cache, work);
    } catch (error) {
      if (!isOfCache(error)) throw error;
      pod.tell(`the shared cache is of no use: ${error.message}. Going on without it`);
    }
  }
  return withWorkspace(pod, undefined, work);
}

async function withWorkspace<T>(
  pod: Pod,
  shared: string | undefined,
  work: (workspace: PodWorkspace) => Promise<T>,
): Promise<T> {
  for (const name of listNames(pod.work)) if (name.startsWith(STATE_PREFIX)) wipe(join(pod.work, name));
  // Under a name that the stage could not know: a link that it made is never one into this cache.
  const state = mkdtempSync(join(realpathSync.native(pod.work), STATE_PREFIX));
  const workspace = openPodWorkspace(pod, state, shared);
  try {
    return await work(workspace);
  } finally {
    await workspace.close();
    wipe(state);
  }
}

function openPodWorkspace({ task, work, environment }: Pod, state: string, shared: string | undefined): PodWorkspace {
  const cacheFolder = join(state, 'cache');
  if (shared !== undefined) {
    // Only a new one: to look through what others have there may take minutes.
    if (!existsSync(cacheFolders(shared).loose)) shareCache(shared);
    symlinkSync(realpathSync.native(shared), cacheFolder);
  }
  let cache: LocalCache | undefined;
  const unused = join(state, 'config.yaml');
  return {
    root: join(realpathSync.native(work), 'project'),
    layout: undefined,
    prefix: '',
    sharedFolder: state,
    ownFolder: state,
    remoteBase: undefined,
    settingsFiles: { user: unused, tracked: unused, clone: unused },
    settings: resolveSettings([remoteEntries(task)]),
    cacheFolder,
    environment,
    locks: {},
    links: shared === undefined ? ['reflink', 'copy'] : ['copy'],
    isShared: shared !== undefined,
    keepsModes: () => true,
    git: () => Promise.resolve(undefined),
    purged: () => new Map(),
    reloadPurged: () => {},
    cache: () => (cache ??= openLocalCache({ folder: cacheFolder, packBelow: () => PACK_BELOW })),
    emptyCache() {
      cache?.close();
      cache = undefined;
      wipe(cacheFolder);
    },
    close() {
      cache?.close();
      return Promise.resolve();
    },
  };
}

function remoteEntries({ remote }: ClusterTask): SettingEntry[] {
  return Object.entries(remote).map(([field, value]) => ({
    key: `remotes.${POD_REMOTE}.${field}`,
    value,
    scope: 'clone',
    origin: 'the task',
  }));
}

/**
 * Removes what is there, whoever's turn left it; what resists is at least out of the way, and its room not free. Throws
 * `work-not-wiped`.
 */
export function wipe(path: string): void {
  try {
    removeAll(path);
  } catch (error) {
    if (!hasErrorCode(error, 'EACCES', 'EPERM', 'ENOTEMPTY', 'EBUSY')) throw error;
    try {
      renameSync(path, `${path}-left-${randomName()}`);
    } catch (cause) {
      throw new MlvError({
        code: 'work-not-wiped',
        kind: 'io',
        message: `what is at ${path} can be neither removed nor moved`,
        hint: 'Does the stage run as another user than the rest of the pod? Its files are then not to be removed by it.',
        cause,
      });
    }
  }
}

function removeAll(path: string): void {
  try {
    rmSync(path, { recursive: true, force: true });
  } catch (error) {
    if (!hasErrorCode(error, 'EACCES', 'EPERM')) throw error;
    // A folder that nobody may write to keeps what is in it.
    openFolders(path);
    rmSync(path, { recursive: true, force: true });
  }
}

function openFolders(folder: string): void {
  // Never through a symlink.
  if (!lstatSync(folder).isDirectory()) return;
  chmodSync(folder, 0o700);
  for (const entry of readdirSync(folder, { withFileTypes: true }))
    if (entry.isDirectory()) openFolders(join(folder, entry.name));
}

/** Makes the folders that a path of the project lies in; returns where it is. Throws `path-beyond-symlink`. */
export function makeWay(root: string, path: string): string {
  let at = root;
  for (const name of path.split('/').slice(0, -1)) {
    at = join(at, name);
    try {
      mkdirSync(at);
    } catch (error) {
      if (!hasErrorCode(error, 'EEXIST')) throw error;
    }
  }
  requireWay(root, path, 'path-beyond-symlink');
  return join(root, path);
}

/** Throws an error of this code where a folder that a path lies in is none, or a symlink. */
export function requireWay(root: string, path: string, code: 'path-beyond-symlink' | 'output-beyond-symlink'): void {
  const folder = join(root, path, '..');
  if (realPath(folder) === folder) return;
  throw new MlvError({
    code,
    kind: 'refused',
    message: `${path} lies behind a symlink, or in what is no folder`,
    hint: 'Name in the pipeline the folder that the link leads to, or let the stage leave it as it is.',
  });
}

function realPath(path: string): string | undefined {
  try {
    return realpathSync.native(path);
  } catch (error) {
    if (hasErrorCode(error, 'ENOENT', 'ENOTDIR', 'ELOOP', 'EACCES')) return undefined;
    throw error;
  }
}

const TROUBLE = new Set([
  'blob-corrupt',
  'blob-missing',
  'disk-full',
  'no-space',
  'permission-denied',
  'read-only-disk',
]);

function isOfCache(error: unknown): error is Error {
  if (error instanceof MlvError) return TROUBLE.has(error.code);
  return hasErrorCode(error, 'EACCES', 'EPERM', 'EROFS', 'ENOSPC', 'EDQUOT', 'EIO', 'ESTALE') && error instanceof Error;
}
