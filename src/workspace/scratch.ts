import { mkdtempSync, rmSync } from 'node:fs';
import { makeFolderDurably } from '../platform/durable-write.ts';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { hasErrorCode, MlvError } from '../domain/errors.ts';
import { cacheFolders, SCRATCH_PREFIX } from '../storage/cache-layout.ts';
import type { Workspace } from './open.ts';

/**
 * Runs `work` with a new folder for as long as that takes. It is on the cache's disk, which has room for what a remote holds; what a
 * killed process leaves there goes with the cache's other leftovers.
 */
export async function withScratch<T>(workspace: Workspace, work: (folder: string) => Promise<T>): Promise<T> {
  const folder = makeScratch(cacheFolders(workspace.cacheFolder).temporary);
  try {
    return await work(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Who may only read the cache has the system's folder for such things. */
function makeScratch(temporary: string): string {
  try {
    makeFolderDurably(temporary);
    return mkdtempSync(join(temporary, SCRATCH_PREFIX));
  } catch (error) {
    if (!hasErrorCode(error, 'EACCES', 'EPERM', 'EROFS')) throw error;
    return makeTemporary(tmpdir());
  }
}

function makeTemporary(folder: string): string {
  try {
    return mkdtempSync(join(folder, `mlv-${SCRATCH_PREFIX}`));
  } catch (cause) {
    throw new MlvError({
      code: 'no-temporary-folder',
      kind: 'io',
      message: `the cache is not to be written to, and nothing can be made in ${folder} either`,
      hint: 'Set TMPDIR to a folder with some room.',
      cause,
    });
  }
}
