import { isUtf8 } from 'node:buffer';
import type { Stats } from 'node:fs';
import {
  chmodSync,
  closeSync,
  constants,
  copyFileSync,
  fstatSync,
  lstatSync,
  mkdirSync,
  openSync,
  readlinkSync,
  realpathSync,
  renameSync,
  rmdirSync,
  rmSync,
  symlinkSync,
  unlinkSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import type { LinkType } from '../domain/setting-table.ts';
import type { Digest } from '../domain/digest.ts';
import { digestFromBytes } from '../domain/digest.ts';
import { hasErrorCode, MlvError } from '../domain/errors.ts';
import { requireSymlinkTarget } from '../domain/tree-order.ts';
import type { EntryKind } from '../domain/tree.ts';
import type { TreePath } from '../domain/tree-path.ts';
import { treePathToText } from '../domain/tree-path.ts';
import { temporaryName } from '../platform/durable-write.ts';
import { DIGEST_OFFSET, kindOf, RECORD_BYTES, STORED, WRITTEN, writeRecord } from './file-record.ts';
import { hashFile, LARGE_FILE_BYTES } from './ingest.ts';
import type { BlobLocation, LocalCache } from './local-cache.ts';
import { writeFully } from '../platform/read-write.ts';
import { copyVerified, readVerified } from './read-verified.ts';

/** Brings a run of paths into a workspace, each only where what stands there is what the plan saw. */
export interface MaterialiseTask {
  readonly type: 'materialise';
  /** Absolute real path of the tracked folder's parent's project; no folder on the way below it may be a symlink. */
  readonly boundary: string;
  /** Absolute path that paths are relative to, inside the boundary. */
  readonly root: string;
  /** Written paths joined by NUL. */
  readonly paths: string;
  /** The entry to make of each path, as in a tree; '-' to remove what is there. */
  readonly kinds: string;
  /** 32 bytes for each path. */
  readonly digests: Uint8Array;
  /** What the plan saw at each path, a record each; kind 0 where nothing was there. */
  readonly expected: Uint8Array;
  /** How a file gets its bytes, in order of preference. */
  readonly links: readonly LinkType[];
  readonly umask: number;
  /** False where executable bits say nothing: files are then recorded as 'f'. */
  readonly keepsModes: boolean;
}

export interface MaterialiseProblem {
  readonly position: number;
  readonly kind: 'missing' | 'conflict' | 'corrupt' | 'io';
  readonly reason: string;
}

export interface MaterialiseResult {
  readonly type: 'materialise';
  /** What now stands at each path; kind 0 where it was removed or not made. */
  readonly records: Uint8Array;
  readonly bytes: number;
  readonly problems: readonly MaterialiseProblem[];
}

/** The reason of a problem. */
export const NO_ROOM = 'no room on the disk';

/** Why a path was left as it was. */
class Obstacle extends Error {
  readonly kind: MaterialiseProblem['kind'];
  constructor(kind: MaterialiseProblem['kind'], reason: string) {
    super(reason);
    this.kind = kind;
  }
}

interface Place {
  readonly path: TreePath;
  readonly absolute: string;
  readonly kind: EntryKind;
  readonly digest: Digest;
}

export function runMaterialiseTask(task: MaterialiseTask, cache: LocalCache): MaterialiseResult {
  const paths = task.paths.split('\0') as TreePath[];
  const records = Buffer.alloc(paths.length * RECORD_BYTES);
  const expected = Buffer.from(task.expected.buffer, task.expected.byteOffset, task.expected.byteLength);
  const digests = Buffer.from(task.digests.buffer, task.digests.byteOffset, task.digests.byteLength);
  const folders = createFolderGuard(task.boundary);
  const problems: MaterialiseProblem[] = [];
  let bytes = 0;

  for (const [position, path] of paths.entries()) {
    const at = position * RECORD_BYTES;
    const absolute = `${task.root}/${treePathToText(path)}`;
    const kind = task.kinds[position] ?? '-';
    try {
      folders.require(dirname(absolute), kind !== '-');
      const aside = takeAway(absolute, expected, at);
      try {
        if (kind !== '-') {
          const place = { path, absolute, kind: kind as EntryKind, digest: digestFromBytes(digests, position * 32) };
          const made = make(place, task, cache);
          writeRecord(records, at, place.kind === 'x' && !task.keepsModes ? 'f' : place.kind, made.stats);
          // Of a symlink there are no bytes to be lost.
          records[at + 1] = made.stats?.isFile() === true ? STORED | WRITTEN : STORED;
          records.writeDoubleLE(made.size, at + 8);
          digests.copy(records, at + DIGEST_OFFSET, position * 32, position * 32 + 32);
          bytes += made.size;
        }
      } catch (error) {
        if (aside !== undefined) renameSync(aside, absolute);
        throw error;
      }
      if (aside !== undefined) unlinkSync(aside);
    } catch (error) {
      problems.push({ position, ...describe(error) });
    }
  }
  return { type: 'materialise', records, bytes, problems };
}

function describe(error: unknown): Omit<MaterialiseProblem, 'position'> {
  if (error instanceof Obstacle) return { kind: error.kind, reason: error.message };
  if (error instanceof MlvError) return { kind: error.kind === 'corrupt' ? 'corrupt' : 'io', reason: error.message };
  if (hasErrorCode(error, 'ENOSPC', 'EDQUOT')) return { kind: 'io', reason: NO_ROOM };
  if (hasErrorCode(error, 'EACCES', 'EPERM', 'EROFS')) return { kind: 'io', reason: 'the folder cannot be written to' };
  if (hasErrorCode(error, 'EEXIST', 'ENOTEMPTY', 'EISDIR', 'ENOTDIR', 'ENOENT'))
    return { kind: 'conflict', reason: 'something else is there' };
  if (hasErrorCode(error, 'ENAMETOOLONG', 'EIO', 'EMFILE', 'ENFILE', 'EINVAL', 'EILSEQ')) {
    return { kind: 'io', reason: error instanceof Error ? error.message : String(error) };
  }
  throw error;
}

/**
 * Moves what stands at a path out of the way, if it still is what the plan saw; otherwise it stays. (A rename changes ctime, so
 * inode and mtime are compared.) Returns where it is now; undefined where nothing was expected, or an empty folder was removed.
 */
function takeAway(absolute: string, expected: Buffer, at: number): string | undefined {
  const kind = expected[at];
  if (kind === 0) return undefined;
  if (kind === 'd'.charCodeAt(0)) {
    rmdirSync(absolute);
    return undefined;
  }
  const aside = join(dirname(absolute), temporaryName());
  try {
    renameSync(absolute, aside);
  } catch (error) {
    if (hasErrorCode(error, 'ENOENT')) throw new Obstacle('conflict', 'it was removed meanwhile');
    throw error;
  }
  const stats = lstatSync(aside);
  if (expected.readDoubleLE(at + 32) === stats.ino && expected.readDoubleLE(at + 16) === stats.mtimeMs) return aside;
  renameSync(aside, absolute);
  throw new Obstacle('conflict', 'it was changed meanwhile');
}

/** Creates an entry where nothing is. Returns the stats of what was made, and the size its tree entry has. */
function make(place: Place, task: MaterialiseTask, cache: LocalCache): { stats: Stats | undefined; size: number } {
  const { absolute, kind, digest, path } = place;
  if (kind === 'd') {
    if (lstatSync(absolute, { throwIfNoEntry: false })?.isDirectory() !== true) mkdirSync(absolute);
    return { stats: undefined, size: 0 };
  }
  const location = cache.locate(digest);
  if (location === undefined) throw new Obstacle('missing', 'its bytes are not in the cache');
  if (kind === 'l') {
    const bytes = readVerified(location, digest);
    if (!isUtf8(bytes)) throw new Obstacle('conflict', 'it is a symlink to a name that is not UTF-8');
    const target = bytes.toString('utf8');
    requireSymlinkTarget(target, path);
    symlinkSync(target, absolute);
    return { stats: lstatSync(absolute), size: location.length };
  }
  if (!location.isPacked) {
    for (const link of task.links) {
      if (link === 'symlink' && kind === 'f') {
        symlinkSync(location.path, absolute);
        return { stats: lstatSync(absolute), size: location.length };
      }
      if (
        link === 'reflink' &&
        lstatSync(absolute, { throwIfNoEntry: false }) === undefined &&
        reflink(location.path, absolute)
      ) {
        chmodSync(absolute, (kind === 'x' ? 0o777 : 0o666) & ~task.umask);
        return { stats: lstatSync(absolute), size: location.length };
      }
    }
  }
  return { stats: writeCopy(place, location) ?? adopt(place, location, task.keepsModes), size: location.length };
}

/** What is there already is as good as what was to be made, if it is the same. */
function adopt({ absolute, kind, digest }: Place, location: BlobLocation, keepsModes: boolean): Stats {
  const stats = lstatSync(absolute);
  if (
    !stats.isFile() ||
    stats.size !== location.length ||
    (keepsModes && kindOf(stats, keepsModes) !== kind) ||
    digestFromBytes(hashFile(absolute)) !== digest
  ) {
    throw new Obstacle('conflict', 'something else is there');
  }
  return stats;
}

/**
 * Writes the bytes, compared with their digest. What was begun and fails is removed; what a kill leaves is a prefix. Undefined
 * when something is there.
 */
function writeCopy({ absolute, kind, digest }: Place, location: BlobLocation): Stats | undefined {
  const isSmall = location.length < LARGE_FILE_BYTES;
  const bytes = isSmall ? readVerified(location, digest) : undefined;
  const file = createFile(absolute, kind === 'x' ? 0o777 : 0o666);
  if (file === undefined) return undefined;
  try {
    if (bytes === undefined) copyVerified(location, digest, file);
    else writeFully(file, bytes);
    return fstatSync(file);
  } catch (error) {
    unlinkSync(absolute);
    throw error;
  } finally {
    closeSync(file);
  }
}

function createFile(path: string, mode: number): number | undefined {
  try {
    return openSync(path, 'wx', mode);
  } catch (error) {
    if (hasErrorCode(error, 'EEXIST')) return undefined;
    throw error;
  }
}

function reflink(source: string, target: string): boolean {
  try {
    copyFileSync(source, target, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE_FORCE);
    return true;
  } catch (error) {
    if (hasErrorCode(error, 'EEXIST', 'ENOSPC', 'EDQUOT', 'EACCES')) throw error;
    rmSync(target, { force: true });
    return false;
  }
}

/**
 * Makes and checks folders: from the boundary down, each must be a real folder. So neither a symlink that Git checked out nor
 * one that a tree brings leads a write to another place.
 */
function createFolderGuard(boundary: string) {
  const checked = new Set<string>([boundary]);
  function requireFolder(folder: string, create: boolean): void {
    if (checked.has(folder)) return;
    if (!folder.startsWith(`${boundary}/`)) throw new Obstacle('conflict', 'it is outside the project');
    const way: string[] = [];
    for (let above = folder; !checked.has(above); above = dirname(above)) way.push(above);
    let last: string | undefined;
    while (way.length > 0 && requireRealFolder(way.at(-1) ?? '')) last = way.pop();
    // Of the last one only: it costs the square of its depth.
    if (last !== undefined && realpathSync.native(last) !== last)
      throw new Obstacle('conflict', `${last} leads to another place`);
    for (let known = last ?? boundary; !checked.has(known); known = dirname(known)) checked.add(known);
    for (const missing of create ? way.toReversed() : []) {
      makeRealFolder(missing);
      checked.add(missing);
    }
  }
  return { require: requireFolder };
}

/** False where nothing is. */
function requireRealFolder(folder: string): boolean {
  const stats = lstatSync(folder, { throwIfNoEntry: false });
  if (stats?.isSymbolicLink() === true)
    throw new Obstacle('conflict', `${folder} is a symlink to ${readlinkSync(folder)}`);
  if (stats?.isDirectory() === false) throw new Obstacle('conflict', `${folder} is not a folder`);
  return stats !== undefined;
}

/** Another thread may have been quicker. */
function makeRealFolder(folder: string): void {
  try {
    mkdirSync(folder);
  } catch (error) {
    if (!hasErrorCode(error, 'EEXIST')) throw error;
    requireRealFolder(folder);
  }
}
