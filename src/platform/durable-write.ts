import {
  closeSync,
  constants,
  fchmodSync,
  fstatSync,
  fsyncSync,
  openSync,
  readSync,
  renameSync,
  rmSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { hasErrorCode, MlvError } from '../domain/errors.ts';
import { ioError } from './io-error.ts';
import { writeFully } from './read-write.ts';
import { makeFolder } from './make-folder.ts';

const TEMPORARY_PREFIX = '.mlv-tmp-';

/** A new name for a file that is about to be renamed or removed. */
export function temporaryName(): string {
  return `${TEMPORARY_PREFIX}${process.pid}-${randomName()}`;
}

/** Unlikely to be chosen twice; made exclusively all the same. (Loading node:crypto would cost every command 4 ms.) */
export function randomName(): string {
  return Math.random().toString(36).slice(2) + Math.random().toString(36).slice(2);
}

/** True for a name that `temporaryName` made: what a crash may leave behind, never data. */
export function isTemporaryName(name: string): boolean {
  return name.startsWith(TEMPORARY_PREFIX);
}

export interface WriteOptions {
  /** Permission bits, whatever the umask; without it 0666 less the umask. */
  readonly mode?: number;
  /** Runs when the new content is on disk under its temporary name; what it throws leaves the file as it was. */
  readonly beforeRename?: () => void;
}

/**
 * Replaces a file so that a crash leaves the old content or the new, and the new is there for good once this returns. The
 * folder must exist. A symlink is replaced, not followed. Throws an error of kind io that names the path.
 */
export function writeFileDurably(path: string, data: string | Uint8Array, options: WriteOptions = {}): void {
  const temporary = join(dirname(path), temporaryName());
  try {
    const fd = openSync(temporary, 'wx');
    try {
      writeFully(fd, typeof data === 'string' ? Buffer.from(data) : data);
      if (options.mode !== undefined) fchmodSync(fd, options.mode);
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    options.beforeRename?.();
    renameSync(temporary, path);
    fsyncFolder(dirname(path));
  } catch (error) {
    removeIfThere(temporary);
    throw ioError(error, 'write', path);
  }
}

/**
 * Replaces a file whole, as other processes see it, and without waiting for the disk: after a crash of the machine it may be as it was,
 * empty or cut. For what tells by itself whether it is whole, and can be missed. The folder must exist. Throws as `writeFileDurably`.
 */
export function replaceFile(path: string, text: string): void {
  const temporary = join(dirname(path), temporaryName());
  try {
    writeFileSync(temporary, text, { flag: 'wx' });
    renameSync(temporary, path);
  } catch (error) {
    removeIfThere(temporary);
    throw ioError(error, 'write', path);
  }
}

/** Makes names that were created, renamed or removed in a folder last through a crash. Throws Node's own errors. */
export function fsyncFolder(folder: string): void {
  // Windows opens no folders, and its renames need no such call.
  if (process.platform === 'win32') return;
  const fd = openSync(folder, constants.O_RDONLY);
  try {
    fsyncSync(fd);
  } catch (error) {
    // Some network and FUSE file systems have no sync for folders.
    if (!hasErrorCode(error, 'EINVAL', 'ENOTSUP')) throw error;
  } finally {
    closeSync(fd);
  }
}

/**
 * Makes a folder and those above it, whose names last through a crash once this returns. Returns the first that had to be made. Throws
 * Node's own errors.
 */
export function makeFolderDurably(folder: string): string | undefined {
  const first = makeFolder(folder);
  if (first !== undefined)
    for (let made = folder; made.length >= first.length; made = dirname(made)) fsyncFolder(dirname(made));
  return first;
}

/** Removes a file, where it is there, for good once this returns. Throws Node's own errors. */
export function removeFileDurably(path: string): void {
  rmSync(path, { force: true });
  fsyncFolder(dirname(path));
}

/**
 * The text of a file, a byte order mark included; undefined where there is none of that name. Throws `not-a-file`,
 * `file-too-large`, `not-utf8`, or an error of kind io; each names the path.
 */
export function readTextFile(path: string, maxBytes: number): string | undefined {
  const bytes = readSmallFile(path, maxBytes);
  return bytes && decodeText(bytes, path, { keepsMark: true });
}

/** Text that came as bytes, without its byte order mark unless that is to be kept. Throws `not-utf8`, which names the path. */
export function decodeText(bytes: Uint8Array, path: string, { keepsMark = false } = {}): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: keepsMark }).decode(bytes);
  } catch (cause) {
    throw new MlvError({
      code: 'not-utf8',
      kind: 'corrupt',
      message: `${path} is not UTF-8 text`,
      hint: 'Save it again as UTF-8.',
      cause,
    });
  }
}

/** The bytes of a file; undefined where there is none of that name. Throws as `readTextFile` does, but for `not-utf8`. */
export function readSmallFile(path: string, maxBytes: number): Buffer | undefined {
  const bytes = readUpTo(path, maxBytes + 1);
  if (bytes === undefined || bytes.length <= maxBytes) return bytes;
  throw new MlvError({
    code: 'file-too-large',
    kind: 'refused',
    message: `${path} is larger than ${maxBytes} bytes, which no file of its kind is`,
  });
}

function readUpTo(path: string, limit: number): Buffer | undefined {
  try {
    // O_NONBLOCK: opening a fifo would wait for somebody to write.
    const fd = openSync(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
    try {
      const stat = fstatSync(fd);
      if (!stat.isFile()) throw new MlvError({ code: 'not-a-file', kind: 'refused', message: `${path} is not a file` });
      const buffer = Buffer.allocUnsafe(Math.min(limit, stat.size + 1));
      let length = 0;
      while (length < buffer.length) {
        const read = readSync(fd, buffer, length, buffer.length - length, null);
        if (read === 0) break;
        length += read;
      }
      return buffer.subarray(0, length);
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    if (hasErrorCode(error, 'ENOENT', 'ENOTDIR')) return undefined;
    throw ioError(error, 'read', path);
  }
}

function removeIfThere(path: string): void {
  try {
    unlinkSync(path);
  } catch {
    // Never made, or already renamed; and what matters now is the first error.
  }
}
