import { randomBytes } from 'node:crypto';
import type { Dirent, Stats } from 'node:fs';
import { constants, existsSync, statSync } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { chmod, copyFile, mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { hasErrorCode } from '../domain/errors.ts';
import { tryLinkTypes } from '../platform/link-types.ts';
import { writeFullyTo } from '../platform/read-write.ts';
import { roomAt } from '../platform/room.ts';
import { cloneSource, copyHashing, sourceGone } from './folder-copy.ts';
import { readError, remoteMissing, writeError } from './folder-errors.ts';
import type { Home, StoredObject } from './home.ts';
import { objectMissing, objectShort, objectTooLarge, sourceDamaged } from './home.ts';

/** What is being written lies here, below the remote's folder; no key starts with it. */
const TEMPORARY = 'tmp';
/** What a crash left behind is removed after this long, by the store's clock. */
const LEFTOVER_MS = 24 * 60 * 60 * 1000;
/** What only the owner can do with the remote's folder says nothing of what the group may. */
const GROUP_WRITE = 0o020;

/** A remote in a folder, which may be on another disk and shared by a team. Nothing is touched until it is asked for. */
export function openFolderHome(folder: string): Home {
  const made = new Set<string>();
  let prepared: Promise<Stats> | undefined;

  /** Makes sure of the folder, and of the place for temporary files; tells how the folder is shared. */
  function prepare(): Promise<Stats> {
    prepared ??= (async () => {
      await makeFolder(folder, undefined);
      const root = await stat(folder);
      await makeFolder(join(folder, TEMPORARY), root);
      await removeLeftovers();
      return root;
    })().catch((error: unknown) => {
      prepared = undefined;
      throw error;
    });
    return prepared;
  }

  /** Its parent must exist: a path that is wrong from further up, or on a disk that is not mounted, is told. */
  async function makeFolder(path: string, root: Stats | undefined): Promise<void> {
    if (made.has(path)) return;
    try {
      await mkdir(path);
      // What the umask took away from the group is given back where the remote's folder is the group's.
      if (root !== undefined && (root.mode & GROUP_WRITE) !== 0) await chmod(path, root.mode & 0o7777);
      await syncFolder(dirname(path));
    } catch (error) {
      if (!hasErrorCode(error, 'EEXIST')) throw error;
    }
    made.add(path);
  }

  async function removeLeftovers(): Promise<void> {
    const temporary = join(folder, TEMPORARY);
    const now = (await stat(temporary)).mtimeMs;
    for (const name of await readdir(temporary)) {
      const path = join(temporary, name);
      const stats = await stat(path).catch(() => undefined);
      // Another user's file may not be ours to remove; it is in nobody's way.
      if (stats !== undefined && now - stats.mtimeMs > LEFTOVER_MS) await rm(path, { force: true }).catch(() => {});
    }
  }

  /** Creates `key` with what `fill` puts into an empty file. */
  async function store(
    key: string,
    size: number,
    fill: (file: FileHandle, path: string) => Promise<void>,
  ): Promise<void> {
    if ((await home.size(key)) === size) return;
    const target = join(folder, key);
    try {
      const root = await prepare();
      const temporary = join(folder, TEMPORARY, `${basename(key)}-${randomBytes(6).toString('hex')}`);
      const file = await open(temporary, 'wx+');
      try {
        if ((root.mode & GROUP_WRITE) !== 0) await file.chmod(root.mode & 0o666);
        await fill(file, temporary);
        await file.sync();
        for (const parent of parentFolders(key)) await makeFolder(join(folder, parent), root);
        await rename(temporary, target);
      } catch (error) {
        await rm(temporary, { force: true }).catch(() => {});
        throw error;
      } finally {
        await file.close();
      }
      await syncFolder(dirname(target));
    } catch (error) {
      throw writeError(error, folder, target);
    }
  }

  const home: Home = {
    name: folder,

    async time() {
      const path = join(folder, TEMPORARY, `time-${randomBytes(6).toString('hex')}`);
      try {
        await prepare();
        const file = await open(path, 'wx');
        try {
          return (await file.stat()).mtimeMs;
        } finally {
          await file.close();
          await rm(path, { force: true });
        }
      } catch (error) {
        throw writeError(error, folder, path);
      }
    },

    room: () => roomAt(folder),

    sharesBlocks(path) {
      const [here, there] = [path, folder].map((each) => statSync(each, { throwIfNoEntry: false })?.dev);
      return here !== undefined && here === there && tryLinkTypes(join(folder, TEMPORARY)).reflink;
    },

    async *list(prefix, signal) {
      await requireFolder(folder);
      yield* listBelow(prefix.slice(0, prefix.lastIndexOf('/') + 1), prefix, signal);
    },

    async size(key) {
      try {
        const stats = await stat(join(folder, key));
        return stats.isFile() ? stats.size : undefined;
      } catch (error) {
        if (hasErrorCode(error, 'ENOENT', 'ENOTDIR')) return undefined;
        throw readError(error, folder, key);
      }
    },

    async read(key, { offset, length, into }, signal) {
      return withFile(key, async (file) => {
        const bytes = into ?? Buffer.allocUnsafeSlow(length);
        for (let done = 0; done < length;) {
          signal?.throwIfAborted();
          const { bytesRead } = await file.read(bytes, done, length - done, offset + done);
          if (bytesRead === 0) throw objectShort(folder, key);
          done += bytesRead;
        }
        return bytes;
      });
    },

    async readAll(key, limit, signal) {
      const size = await home.size(key);
      if (size === undefined) {
        await requireFolder(folder);
        throw objectMissing(folder, key);
      }
      if (size > limit) throw objectTooLarge(folder, key, limit);
      return home.read(key, { offset: 0, length: size }, signal);
    },

    async clone(key, path) {
      if ((await home.size(key)) === undefined) return false;
      try {
        await copyFile(join(folder, key), path, constants.COPYFILE_FICLONE_FORCE | constants.COPYFILE_EXCL);
        await chmod(path, 0o600); // copying brought the remote's
        return true;
      } catch (error) {
        if (!hasErrorCode(error, 'EEXIST')) await rm(path, { force: true });
        return false;
      }
    },

    async write(key, chunks, signal) {
      const size = chunks.reduce((sum, { length }) => sum + length, 0);
      await store(key, size, async (file) => {
        for (const chunk of chunks) {
          signal?.throwIfAborted();
          await writeFullyTo(file, chunk);
        }
      });
    },

    writeFile: (key, source, signal) =>
      store(key, source.length, async (file, path) => {
        const clone = await cloneSource(source, file, path);
        const from = clone ?? (await open(source.path, 'r').catch((error: unknown) => sourceGone(error, source)));
        try {
          const hash = await copyHashing({ from, source, to: clone === undefined ? file : undefined, signal });
          if (hash !== source.digest) throw sourceDamaged(source);
          await clone?.sync();
        } finally {
          await from.close();
        }
      }),

    async delete(key) {
      try {
        const path = join(folder, key);
        await rm(path, { force: true });
        // A damaged index that came back would be believed in again.
        if (existsSync(dirname(path))) await syncFolder(dirname(path));
      } catch (error) {
        throw writeError(error, folder, join(folder, key));
      }
    },
  };
  return home;

  async function* listBelow(
    below: string,
    prefix: string,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<StoredObject> {
    signal?.throwIfAborted();
    for (const entry of await readFolder(join(folder, below))) {
      const key = `${below}${entry.name}`;
      // Names with a leading dot are left by network file systems and file managers.
      if (entry.name.startsWith('.') || key === TEMPORARY) continue;
      if (entry.isDirectory()) {
        const inside = `${key}/`;
        if (inside.startsWith(prefix) || prefix.startsWith(inside)) yield* listBelow(inside, prefix, signal);
      } else if (key.startsWith(prefix)) {
        const stats = await stat(join(folder, key)).catch(() => undefined); // gone since
        if (stats?.isFile() === true) yield { key, size: stats.size, modified: stats.mtimeMs };
      }
    }
  }

  async function readFolder(path: string): Promise<Dirent[]> {
    try {
      return await readdir(path, { withFileTypes: true });
    } catch (error) {
      if (hasErrorCode(error, 'ENOENT', 'ENOTDIR')) return [];
      throw readError(error, folder, path);
    }
  }

  async function withFile<T>(key: string, use: (file: FileHandle) => Promise<T>): Promise<T> {
    let file: FileHandle;
    try {
      // Opening a pipe would wait for somebody to write, and no signal would end that.
      file = await open(join(folder, key), constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
    } catch (error) {
      if (!hasErrorCode(error, 'ENOENT', 'ENOTDIR')) throw readError(error, folder, key);
      await requireFolder(folder);
      throw objectMissing(folder, key, error);
    }
    try {
      if (!(await file.stat()).isFile()) throw objectMissing(folder, key);
      return await use(file);
    } catch (error) {
      throw readError(error, folder, key);
    } finally {
      await file.close();
    }
  }
}

/** `a`, `a/b` for `a/b/c`. */
function parentFolders(key: string): string[] {
  const segments = key.split('/').slice(0, -1);
  return segments.map((_, index) => segments.slice(0, index + 1).join('/'));
}

async function requireFolder(folder: string): Promise<void> {
  const stats = await stat(folder).catch((error: unknown) => {
    if (hasErrorCode(error, 'ENOENT', 'ENOTDIR')) return undefined;
    throw readError(error, folder, folder);
  });
  if (stats?.isDirectory() !== true) throw remoteMissing(folder);
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } catch (error) {
    // Some network file systems have no such call.
    if (!hasErrorCode(error, 'EINVAL', 'ENOTSUP')) throw error;
  } finally {
    await folder.close();
  }
}
