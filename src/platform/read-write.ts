import { readSync, writeSync } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';

/** Reads `length` bytes at `offset` into `target`. Returns how many there were. */
export function readAt(file: number, target: Uint8Array, offset: number, length: number): number {
  let done = 0;
  while (done < length) {
    const read = readSync(file, target, done, length - done, offset + done);
    if (read === 0) break;
    done += read;
  }
  return done;
}

/**
 * As much as is best written at once: for a megabyte, ext4 (seen with Linux 6.18) looks for that much memory in one piece, and
 * takes nine times as long.
 */
const WRITE_BYTES = 256 << 10;

/** Writes all bytes, however many calls that takes: from `offset` on, or without one where the file stands. */
export function writeFully(file: number, bytes: Uint8Array, offset?: number): void {
  for (let written = 0; written < bytes.length;) {
    const length = Math.min(WRITE_BYTES, bytes.length - written);
    written += writeSync(file, bytes, written, length, offset === undefined ? null : offset + written);
  }
}

/** The same where the file stands, while other work is done. */
export async function writeFullyTo(file: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let written = 0; written < bytes.length;) {
    const length = Math.min(WRITE_BYTES, bytes.length - written);
    written += (await file.write(bytes, written, length)).bytesWritten;
  }
}
