import { writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { MlvError } from '../domain/errors.ts';
import { MAX_LOCK_BYTES } from '../domain/lock-file.ts';
import { readTextFile } from '../platform/durable-write.ts';
import type { DriverFiles, DriverOutcome } from './merge-driver.ts';

/** Merges three versions of `mlv.lock`, as Git's merge driver for it; what is dropped is told in the outcome. */
export async function mergeLockFiles(files: DriverFiles, cwd: string): Promise<DriverOutcome> {
  try {
    const [base = '', ours = '', theirs = ''] = [files.base, files.ours, files.theirs].map((file) =>
      readTextFile(resolve(cwd, file), MAX_LOCK_BYTES),
    );
    const { mergeLocks } = await import('../domain/lock-merge.ts');
    // Without an ancestor Git gives an empty file.
    const { text, dropped } = mergeLocks({ base: base === '' ? undefined : base, ours, theirs }, files.path);
    writeFileSync(resolve(cwd, files.ours), text);
    const lines = dropped.map(
      (stage) =>
        `${files.path}: stage ${stage} was changed on both sides; its record is dropped, and it will run again`,
    );
    return { type: 'merged', lines };
  } catch (error) {
    if (!(error instanceof MlvError)) throw error;
    return { type: 'unreadable', error };
  }
}
