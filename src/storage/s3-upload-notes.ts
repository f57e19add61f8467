import { createHash } from 'node:crypto';
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { makeFolderDurably, writeFileDurably } from '../platform/durable-write.ts';

/** An upload in parts that was begun. */
export interface UploadNote {
  readonly key: string;
  readonly uploadId: string;
  readonly partBytes: number;
  /** Of what is being uploaded. */
  readonly digest: string;
  readonly length: number;
  /** The parts were announced with CRC32. */
  readonly hasCrc32: boolean;
}

/** Notes in a folder of this clone, by which a later run goes on. Without them it begins anew, so nothing about them is an error. */
export function openUploadNotes(folder: string) {
  const path = (key: string): string =>
    join(folder, `${createHash('sha256').update(key).digest('hex').slice(0, 32)}.json`);
  return {
    find(wanted: Omit<UploadNote, 'uploadId' | 'hasCrc32'>): UploadNote | undefined {
      try {
        const note = JSON.parse(readFileSync(path(wanted.key), 'utf8')) as UploadNote;
        const isSame =
          note.key === wanted.key &&
          note.digest === wanted.digest &&
          note.length === wanted.length &&
          note.partBytes === wanted.partBytes;
        return isSame && typeof note.uploadId === 'string' && typeof note.hasCrc32 === 'boolean' ? note : undefined;
      } catch {
        return undefined;
      }
    },
    keep(note: UploadNote): void {
      try {
        makeFolderDurably(folder);
        writeFileDurably(path(note.key), `${JSON.stringify(note)}\n`);
      } catch {
        // A clone that may not be written to.
      }
    },
    forget(key: string): void {
      try {
        rmSync(path(key), { force: true });
      } catch {
        // The same.
      }
    },
  };
}
