import { statfsSync } from 'node:fs';
import { dirname } from 'node:path';
import { hasErrorCode, MlvError } from '../domain/errors.ts';

/** What this user can still put on a disk. */
export interface Room {
  readonly bytes: number;
  /** Infinity where a disk has no fixed number of them. */
  readonly files: number;
  /** A file takes whole blocks of so many bytes. */
  readonly blockBytes: number;
  /** What is on the disk already. */
  readonly usedBytes: number;
}

/** Room on the disk that a folder is on, or will be; undefined where the disk does not tell. */
export function roomAt(folder: string): Room | undefined {
  try {
    const { bavail, bfree, blocks, bsize, files, ffree } = statfsSync(folder);
    // Some network and FUSE file systems say nothing but zeros, others more is free than there is.
    const isTold = blocks > 0 && bsize > 0 && bavail >= 0 && bavail <= blocks;
    if (!isTold) return undefined;
    const isCounted = files > 0 && ffree >= 0 && ffree <= files;
    return {
      bytes: bavail * bsize,
      files: isCounted ? ffree : Infinity,
      blockBytes: bsize,
      usedBytes: (blocks - bfree) * bsize,
    };
  } catch (error) {
    if (!hasErrorCode(error, 'ENOENT', 'ENOTDIR')) return undefined;
    return dirname(folder) === folder ? undefined : roomAt(dirname(folder));
  }
}

/** Left alone beside what is counted: indexes, notes, folders. */
const MARGIN_BYTES = 1 << 20;
const MARGIN_SHARE = 0.01;

/** Whether so much fits. */
export function fits(room: Room, bytes: number, files = 0): boolean {
  return bytes === 0 || (bytes * (1 + MARGIN_SHARE) + MARGIN_BYTES <= room.bytes && files <= room.files);
}

/** The error for what does not fit: `what` is to happen to so much, on the disk of `folder`. */
export function noRoom(given: {
  readonly what: string;
  readonly folder: string;
  readonly room: Room;
  readonly bytes: number;
  readonly files?: number;
  readonly hint: string;
}): MlvError {
  const { what, folder, room, bytes, files = 0, hint } = given;
  const [needed, left] =
    files > room.files
      ? [`${files} files`, `room for ${room.files} more`]
      : [`${megabytes(bytes, Math.ceil)} MB`, `${megabytes(room.bytes, Math.floor)} MB left`];
  return new MlvError({
    code: 'no-space',
    kind: 'io',
    message: `${needed} ${what}, and the disk of ${folder} has ${left}`,
    hint,
  });
}

function megabytes(bytes: number, round: (value: number) => number): string {
  const digits = bytes < 1e7 ? 10 : 1;
  return (round((bytes / 1e6) * digits) / digits).toLocaleString('en-US');
}
