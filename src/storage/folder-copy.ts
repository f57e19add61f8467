import { constants } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { chmod, copyFile, open, rename, stat } from 'node:fs/promises';
import { digestFromBytes } from '../domain/digest.ts';
import { hasErrorCode } from '../domain/errors.ts';
import { hashEngine } from '../platform/hash.ts';
import { writeFullyTo } from '../platform/read-write.ts';
import type { FileSource } from './home.ts';
import { sourceDamaged } from './home.ts';

const PIECE_BYTES = 4 << 20;

/**
 * Replaces the empty file by one that shares the source's blocks, and opens that. Undefined where the disk cannot; only a whole
 * file can be cloned. The clone is made beside it: where cloning fails, the file it was to become is removed.
 */
export async function cloneSource(source: FileSource, file: FileHandle, path: string): Promise<FileHandle | undefined> {
  if (source.offset !== 0 || (await stat(source.path).catch(() => undefined))?.size !== source.length) return undefined;
  const clone = `${path}-clone`;
  try {
    await copyFile(source.path, clone, constants.COPYFILE_FICLONE_FORCE | constants.COPYFILE_EXCL);
  } catch {
    return undefined;
  }
  const { mode } = await file.stat();
  await chmod(clone, mode & 0o7777); // copying brought the source's
  await rename(clone, path);
  return open(path, 'r+');
}

/** Hashes the source's bytes while it copies them, where `to` is given; a piece is written while the next is read. Returns the digest. */
export async function copyHashing(options: {
  readonly from: FileHandle;
  readonly source: FileSource;
  readonly to: FileHandle | undefined;
  readonly signal: AbortSignal | undefined;
}): Promise<string> {
  const { from, source, to, signal } = options;
  const hasher = hashEngine().createHasher();
  const buffers = [Buffer.allocUnsafeSlow(PIECE_BYTES), Buffer.allocUnsafeSlow(PIECE_BYTES)] as const;
  let writing = Promise.resolve();
  let done = 0;
  try {
    for (let turn = 0; done < source.length; turn = 1 - turn) {
      signal?.throwIfAborted();
      const buffer = turn === 0 ? buffers[0] : buffers[1];
      const start = to === undefined ? 0 : source.offset;
      const { bytesRead } = await from.read(buffer, 0, Math.min(PIECE_BYTES, source.length - done), start + done);
      if (bytesRead === 0) throw sourceDamaged(source); // shorter than it was
      const piece = buffer.subarray(0, bytesRead);
      hasher.update(piece);
      done += bytesRead;
      await writing;
      if (to === undefined) continue;
      writing = writeFullyTo(to, piece);
      writing.catch(() => {}); // it is awaited, but perhaps after the next read
    }
  } finally {
    await writing;
  }
  return digestFromBytes(hasher.digest());
}

/** A blob that is not there any more is as good as damaged. */
export function sourceGone(error: unknown, source: FileSource): never {
  if (hasErrorCode(error, 'ENOENT')) throw sourceDamaged(source);
  throw error;
}
