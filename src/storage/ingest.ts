import type { Stats } from 'node:fs';
import {
  closeSync,
  constants,
  copyFileSync,
  fchmodSync,
  fstatSync,
  fsyncSync,
  lstatSync,
  openSync,
  readSync,
  rmSync,
} from 'node:fs';
import { digestFromBytes } from '../domain/digest.ts';
import { hasErrorCode } from '../domain/errors.ts';
import { hashEngine } from '../platform/hash.ts';
import type { CacheWriter } from './cache-writer.ts';
import { namingFullDisk } from './disk-full.ts';
import { writeFully } from '../platform/read-write.ts';

/** Files from this size on are read in pieces, and become tasks of their own. */
export const LARGE_FILE_BYTES = 8 << 20;
const CHUNK_BYTES = 1 << 20;

/** What reading a file came to: its digest (32 raw bytes) and the stats that held before and after. */
export type Ingested = { readonly digest: Buffer; readonly stats: Stats } | { readonly problem: string };

export const DENIED = 'it cannot be read (permission denied)';
const RACED = 'it changed while it was read';
let buffer: Buffer | undefined;

export interface IngestOptions {
  /** Puts it into the cache; without one it is only hashed. */
  readonly writer: CacheWriter | undefined;
  /** What last changed before this moment (ms, by its disk's clock, before `seen`) shows every later change in its times. */
  readonly settledBefore: number;
}

/**
 * Hashes a regular file and, with a writer, puts it into the cache. The stats seen before and after must agree; where they do
 * not it is tried once more, then given up. Never follows a symlink.
 */
export function ingestFile(path: string, seen: Stats, options: IngestOptions): Ingested {
  const first = ingestOnce(path, seen, options);
  if (!('problem' in first) || first.problem !== RACED) return first;
  const again = lstatSync(path, { throwIfNoEntry: false });
  return again?.isFile() === true ? ingestOnce(path, again, options) : { problem: 'it vanished while it was read' };
}

/** A file of this size or more is looked at before it is read. */
const AT_ONCE_BYTES = 256 << 10;

/**
 * As `ingestFile`, for a path that nothing is known of but that it was a regular file when its folder was listed: it is read
 * first and looked at once. Only what last changed before `settledBefore` (ms, by its disk's clock, before the scan began) cannot have
 * changed while it was read. Undefined for everything else, of which nothing was stored.
 */
export function ingestSettled(
  path: string,
  settledBefore: number,
  writer: CacheWriter | undefined,
): { readonly digest: Buffer; readonly stats: Stats } | undefined {
  const file = openQuietly(path);
  if (file === undefined) return undefined; // looking at it tells why
  try {
    buffer ??= Buffer.allocUnsafe(LARGE_FILE_BYTES);
    const length = readSync(file, buffer, 0, AT_ONCE_BYTES, null);
    const stats = fstatSync(file);
    const isWhole = stats.isFile() && length === stats.size && length < AT_ONCE_BYTES;
    if (!isWhole || Math.max(stats.mtimeMs, stats.ctimeMs) >= settledBefore) return undefined;
    const bytes = buffer.subarray(0, length);
    const digest = hashEngine().hash(bytes);
    writer?.put(digest, bytes, 'data');
    return { digest, stats };
  } catch (error) {
    if (hasErrorCode(error, 'EISDIR', 'EAGAIN', 'ESTALE')) return undefined;
    throw error;
  } finally {
    closeSync(file);
  }
}

const READ_FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
/** Only Linux has it. */
const { O_NOATIME } = constants as { readonly O_NOATIME?: number };

/** Spares the disk a new access time of every file, where the file is one's own; undefined where it cannot be opened. */
function openQuietly(path: string): number | undefined {
  for (const flags of O_NOATIME === undefined ? [READ_FLAGS] : [READ_FLAGS | O_NOATIME, READ_FLAGS]) {
    try {
      return openSync(path, flags);
    } catch (error) {
      if (!hasErrorCode(error, 'EPERM')) return undefined;
    }
  }
  return undefined;
}

function ingestOnce(path: string, seen: Stats, { writer, settledBefore }: IngestOptions): Ingested {
  let file: number;
  try {
    file = openSync(path, READ_FLAGS);
  } catch (error) {
    if (hasErrorCode(error, 'EACCES', 'EPERM')) return { problem: DENIED };
    if (hasErrorCode(error, 'ENOENT', 'ELOOP', 'ENXIO', 'ESTALE')) return { problem: RACED };
    throw error;
  }
  try {
    const digest =
      seen.size < LARGE_FILE_BYTES ? ingestSmall(file, seen, writer) : ingestLarge({ path, file, seen, writer });
    if (digest === undefined || (writer !== undefined && !staysUnchanged(file, seen, settledBefore)))
      return { problem: RACED };
    return { digest, stats: seen };
  } catch (error) {
    throw writer === undefined ? error : namingFullDisk(error, path, writer.folder);
  } finally {
    closeSync(file);
  }
}

/** As far apart as two writes can be and leave the same times: a tick of the kernel's clock, doubled. */
const CLOCK_TICK_MS = 20;

/** Looks once more at a file that was changed just now, when a change during the reading must show. */
function staysUnchanged(file: number, seen: Stats, settledBefore: number): boolean {
  const changed = Math.max(seen.mtimeMs, seen.ctimeMs);
  if (changed < settledBefore) return true;
  const wait = changed + CLOCK_TICK_MS - Date.now();
  if (wait <= 0 || wait > CLOCK_TICK_MS) return true;
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, wait);
  return isUnchanged(seen, fstatSync(file));
}

/** Returns undefined when the file is not what was seen. */
function ingestSmall(file: number, seen: Stats, writer: CacheWriter | undefined): Buffer | undefined {
  buffer ??= Buffer.allocUnsafe(LARGE_FILE_BYTES);
  let length = 0;
  while (length < buffer.length) {
    const read = readSync(file, buffer, length, Math.min(buffer.length - length, seen.size - length + 1), null);
    length += read;
    // Less than was asked for is the end of a regular file: one more byte was asked for than it had.
    if (read === 0 || length === seen.size) break;
  }
  if (length !== seen.size || !isUnchanged(seen, fstatSync(file))) return undefined;
  const bytes = buffer.subarray(0, length);
  const digest = hashEngine().hash(bytes);
  writer?.put(digest, bytes, 'data');
  return digest;
}

function ingestLarge(options: {
  path: string;
  file: number;
  seen: Stats;
  writer: CacheWriter | undefined;
}): Buffer | undefined {
  const { path, file, seen, writer } = options;
  if (writer === undefined) return hashOpenFile(file, seen);
  const temporary = writer.temporaryPath();
  try {
    const digest = cloneAndHash(path, temporary, file, seen) ?? copyAndHash(file, temporary, seen);
    if (digest === undefined) return undefined;
    writer.adopt(digestFromBytes(digest), temporary);
    return digest;
  } finally {
    rmSync(temporary, { force: true });
  }
}

/** The digest (32 raw bytes) of a file of any size. */
export function hashFile(path: string): Buffer {
  const file = openSync(path, 'r');
  try {
    const hasher = hashEngine().createHasher();
    readChunks(file, (chunk) => hasher.update(chunk));
    return hasher.digest();
  } finally {
    closeSync(file);
  }
}

function hashOpenFile(file: number, seen: Stats): Buffer | undefined {
  const hasher = hashEngine().createHasher();
  const length = readChunks(file, (chunk) => hasher.update(chunk));
  const digest = hasher.digest();
  return length === seen.size && isUnchanged(seen, fstatSync(file)) ? digest : undefined;
}

/** A reflink is a snapshot, so it is what gets hashed. Undefined where the disk has none. */
function cloneAndHash(path: string, temporary: string, file: number, seen: Stats): Buffer | undefined {
  try {
    copyFileSync(path, temporary, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE_FORCE);
  } catch (error) {
    if (hasErrorCode(error, 'ENOSPC', 'EDQUOT')) throw error;
    rmSync(temporary, { force: true });
    return undefined;
  }
  const clone = openSync(temporary, 'r');
  try {
    fchmodSync(clone, 0o444);
    const cloned = fstatSync(clone);
    const digest = hashOpenFile(clone, cloned);
    fsyncSync(clone);
    return cloned.size === seen.size && isUnchanged(seen, fstatSync(file)) && isUnchanged(seen, lstatSync(path))
      ? digest
      : undefined;
  } finally {
    closeSync(clone);
  }
}

/** Reads once: what is hashed is what is written. */
function copyAndHash(file: number, temporary: string, seen: Stats): Buffer | undefined {
  rmSync(temporary, { force: true });
  const copy = openSync(temporary, 'wx', 0o444);
  try {
    const hasher = hashEngine().createHasher();
    const length = readChunks(file, (chunk) => {
      hasher.update(chunk);
      writeFully(copy, chunk);
    });
    const digest = hasher.digest();
    if (length !== seen.size || !isUnchanged(seen, fstatSync(file))) return undefined;
    fchmodSync(copy, 0o444); // whatever the umask
    fsyncSync(copy);
    return digest;
  } finally {
    closeSync(copy);
  }
}

/** Reads from the beginning to the end. Returns how many bytes there were. */
export function readChunks(file: number, take: (chunk: Buffer) => void): number {
  const chunk = Buffer.allocUnsafe(CHUNK_BYTES);
  let position = 0;
  for (;;) {
    const read = readSync(file, chunk, 0, CHUNK_BYTES, position);
    if (read === 0) return position;
    take(chunk.subarray(0, read));
    position += read;
  }
}

/** True when nothing shows that a file was written to, or replaced, between two looks. */
function isUnchanged(before: Stats, after: Stats): boolean {
  return (
    before.ino === after.ino &&
    before.size === after.size &&
    before.mtimeMs === after.mtimeMs &&
    before.ctimeMs === after.ctimeMs
  );
}
