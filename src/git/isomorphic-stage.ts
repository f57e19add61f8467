import { createHash } from 'node:crypto';
import {
  closeSync,
  copyFileSync,
  existsSync,
  lstatSync,
  openSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import type isomorphicGit from 'isomorphic-git';
import { hasErrorCode, MlvError } from '../domain/errors.ts';
import { indexLocked } from './git-process.ts';
import { readIndexFile, unsupportedIndex } from './index-file.ts';
import { isomorphicFiles } from './isomorphic-files.ts';
import type { GitLayout } from './layout.ts';
import { ancestorsOf } from './paths.ts';

/** Files open at once. */
const BATCH = 256;

/**
 * Stages additions and deletions of these paths. Git's own lock file is held and changed, then renamed over the index:
 * isomorphic-git itself takes no lock and writes in place.
 */
export async function stageIsomorphic(
  git: typeof isomorphicGit,
  layout: GitLayout,
  paths: readonly string[],
): Promise<void> {
  if (paths.length === 0) return;
  const index = join(layout.gitDir, 'index');
  const lock = `${index}.lock`;
  try {
    closeSync(openSync(lock, 'wx'));
  } catch (error) {
    throw hasErrorCode(error, 'EEXIST') ? indexLocked(lock) : error;
  }
  try {
    const { version, entries } = readIndexFile(index);
    if (version > 3) throw unsupportedIndex(index, `is of version ${version}, to be changed`);
    const before = Math.floor(statSync(existsSync(index) ? index : lock).mtimeMs / 1000);
    if (existsSync(index)) copyFileSync(index, lock);
    else writeFileSync(lock, emptyIndex());
    const known = new Set(entries.map(({ path }) => path));
    const folders = new Set([...known].flatMap(ancestorsOf));
    const added = paths.filter((path) => isOnDisk(layout, path, known));
    const onDisk = new Set(added);
    const skipped = new Set(entries.filter(({ isSkipped }) => isSkipped).map(({ path }) => path));
    // A file where Git has a folder, or the reverse, takes its place.
    const removed = paths.filter((path) =>
      onDisk.has(path) ? folders.has(path) : known.has(path) && !skipped.has(path),
    );
    const replaced = added.flatMap((path) => ancestorsOf(path).filter((folder) => known.has(folder)));
    const access = {
      fs: isomorphicFiles(layout, { index: lock, onPack: () => undefined }),
      dir: layout.workTree,
      gitdir: layout.gitDir,
      cache: {},
    };
    await git.remove({ ...access, filepath: [...removed, ...replaced] });
    for (let at = 0; at < added.length; at += BATCH) {
      await git.add({ ...access, filepath: added.slice(at, at + BATCH), force: true });
    }
    // Git looks again at files that are not older than the index. isomorphic-git does not mark those that are so now, so
    // that the index must not get newer.
    utimesSync(lock, before, before);
    renameSync(lock, index);
  } catch (error) {
    rmSync(lock, { force: true });
    throw error;
  }
}

/** What Git has before the first `add`: a header without entries, and its checksum. */
function emptyIndex(): Buffer {
  const header = Buffer.from('DIRC\0\0\0\x02\0\0\0\0', 'latin1');
  return Buffer.concat([header, createHash('sha1').update(header).digest()]);
}

/** Whether a path is to be added (true) or removed; throws for what Git cannot hold. */
function isOnDisk(layout: GitLayout, path: string, known: ReadonlySet<string>): boolean {
  try {
    const stat = lstatSync(join(layout.workTree, path));
    if (stat.isFile() || stat.isSymbolicLink()) return true;
    if (stat.isDirectory() && known.has(path)) return false;
  } catch (error) {
    if (hasErrorCode(error, 'ENOENT', 'ENOTDIR')) return false;
    throw error;
  }
  throw new MlvError({
    code: 'git-failed',
    kind: 'io',
    message: `${path} cannot be staged: it is neither a file nor a symbolic link`,
    hint: 'Name the files in it',
  });
}
