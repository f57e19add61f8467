import { existsSync, rmSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { CELL_BYTES } from '../domain/blob-index.ts';
import type { Digest } from '../domain/digest.ts';
import { digestToBytes } from '../domain/digest.ts';
import { MlvError } from '../domain/errors.ts';
import { fsyncFolder } from '../platform/durable-write.ts';
import { listNames } from '../platform/list-names.ts';
import { currentIndexes, looseDigests } from './cache-contents.ts';
import { cacheFolders, loosePath } from './cache-layout.ts';
import type { IsNeeded } from './collect-cache.ts';
import type { IndexFile } from './index-file.ts';
import { openIndexFile } from './index-file.ts';
import { rowChunks } from './index-rows.ts';
import type { TrashRun } from './trash.ts';
import { restoreLoose, restorePack, throwPackAway, trashFolders, trashIndexes } from './trash.ts';

/**
 * Brings back what of a run is needed, durably: the run may be deleted next. Returns how many blobs of their own and packs that were. Throws where it is not allowed to:
 * what is needed is then still there.
 */
export function restoreNeeded(folder: string, run: TrashRun, isNeeded: IsNeeded): number {
  let restored = 0;
  const changed = new Set<string>();
  for (const digest of looseDigests(trashFolders(run.folder).loose)) {
    if (!isNeeded(digestToBytes(digest))) continue;
    changed.add(dirname(restoreLoose(folder, run, digest)));
    restored += 1;
  }
  eachIndex(run, (index) => {
    const keys = index.keys();
    const needed = new Set<number>();
    for (const cells of rowChunks(index)) {
      for (let at = 0; at < cells.length; at += CELL_BYTES) {
        const key = cells.readUInt32LE(at + 32);
        if (!needed.has(key) && isNeeded(cells, at)) needed.add(key);
      }
    }
    for (const number of needed) {
      const name = keys[number]?.hash;
      const path = name === undefined ? undefined : restorePack(folder, run, { name, index });
      if (path === undefined) continue;
      changed.add(dirname(path));
      restored += 1;
    }
  });
  for (const each of changed) fsyncFolder(each);
  return restored;
}

/** Throws away what a collection that was killed had found and not come to. */
export function finishRun(folder: string, run: TrashRun): void {
  const named = new Set<Digest>();
  for (const index of currentIndexes(folder)) for (const { hash } of index.keys()) named.add(hash);
  eachIndex(run, (index) => {
    for (const { hash } of index.keys()) {
      const isThere = existsSync(join(cacheFolders(folder).packs, `${hash}.pack`));
      if (isThere && !named.has(hash)) throwPackAway(folder, run, hash);
    }
  });
}

/** How much a run holds. */
export function measureRun(run: TrashRun): { readonly files: number; readonly bytes: number } {
  const { loose, packs } = trashFolders(run.folder);
  let files = 0;
  let bytes = 0;
  const count = (path: string): void => {
    files += 1;
    bytes += statSync(path, { throwIfNoEntry: false })?.size ?? 0;
  };
  for (const digest of looseDigests(loose)) count(loosePath(run.folder, digest));
  for (const name of listNames(packs)) count(join(packs, name));
  return { files, bytes };
}

/** Deletes a run for good. */
export function emptyRun(run: TrashRun): void {
  rmSync(run.folder, { recursive: true, force: true });
}

/** Throws `trash-damaged`. */
function eachIndex(run: TrashRun, visit: (index: IndexFile) => void): void {
  for (const { path, name } of trashIndexes(run)) {
    const index = openTrashIndex(run, { path, name });
    try {
      visit(index);
    } finally {
      index.close();
    }
  }
}

function openTrashIndex(
  { folder }: TrashRun,
  { path, name }: { readonly path: string; readonly name: Digest },
): IndexFile {
  try {
    return openIndexFile(path, name);
  } catch (error) {
    if (!(error instanceof MlvError)) throw error;
    throw new MlvError({
      code: 'trash-damaged',
      kind: 'corrupt',
      message: `it cannot be told what is in the trash: ${path} is damaged`,
      hint: `Nothing was deleted. If "mlv verify" misses nothing, ${folder} may be deleted by hand.`,
      cause: error,
    });
  }
}
