import { existsSync, renameSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { hasErrorCode, MlvError } from '../domain/errors.ts';
import type { RepoPath } from '../domain/repo-path.ts';
import { joinRepoPath } from '../domain/repo-path.ts';
import { makeFolderDurably } from '../platform/durable-write.ts';
import { statsAt } from '../platform/stats-at.ts';
import {
  dropCheckoutRecord,
  readCheckoutRecord,
  sameContent,
  stateFiles,
  writeCheckoutRecord,
} from './checkout-record.ts';
import type { Workspace } from './open.ts';
import { resolveTarget, trackedAround } from './targets.ts';
import type { Tracked } from './tracked.ts';
import { contentOf, madeByStage, notTracked, pointerPath, readTracked, stageIdOf } from './tracked.ts';
import { writePointers } from './write-pointers.ts';

/** Moves a tracked path, its pointer and its line in `.gitignore`; into `to` where that is a folder. Nothing is copied. */
export async function move(
  workspace: Workspace,
  options: { readonly from: string; readonly to: string; readonly cwd: string },
): Promise<{ readonly from: RepoPath; readonly to: RepoPath }> {
  const { root } = workspace;
  const from = resolveTarget(workspace, options.cwd, options.from.replace(/\.mlv$/, ''));
  const tracked = from === '' ? undefined : await readTracked(workspace, from);
  if (tracked === undefined) {
    const around = from === '' ? undefined : await trackedAround(workspace, from);
    if (around?.made === undefined) throw notTracked(options.from);
    const stage = stageIdOf(around.made);
    throw madeByStage(around.path, around.made, `Change the stage's output in its file, then "mlv repro ${stage}".`);
  }
  const named = resolveTarget(workspace, options.cwd, options.to.replace(/\.mlv$/, ''));
  const isFolder = statsAt(resolve(root, named))?.isDirectory() === true;
  const isResumed = await isUnderWay(workspace, tracked, named);
  const to = isFolder && !isResumed ? joinRepoPath(named, basename(from)) : named;
  if (!isResumed) await requireFree(workspace, from, to);

  const isPresent = statsAt(join(root, from)) !== undefined;
  moveRecord(workspace, tracked, to);
  if (isPresent) {
    try {
      makeFolderDurably(dirname(join(root, to)));
      renameSync(join(root, from), join(root, to));
    } catch (error) {
      dropCheckoutRecord(workspace, to);
      if (!hasErrorCode(error, 'EXDEV', 'EACCES', 'EPERM', 'ENOTDIR', 'EEXIST', 'EINVAL')) throw error;
      throw new MlvError({
        code: 'move-failed',
        kind: 'io',
        message: `${from} cannot be moved to ${to}`,
        hint: 'Nothing was changed. Both must be on one disk, and writable.',
        cause: error,
      });
    }
  }
  try {
    await writePointers(workspace, [
      { path: to, pointer: tracked.pointer, text: tracked.text },
      { path: from, pointer: undefined, text: tracked.text },
    ]);
  } catch (error) {
    // As long as the old pointer is there, its data goes back to it.
    if (isPresent && statsAt(join(root, pointerPath(from))) !== undefined) {
      renameSync(join(root, to), join(root, from));
      dropCheckoutRecord(workspace, to);
    }
    throw error;
  }
  dropCheckoutRecord(workspace, from);
  return { from, to };
}

/**
 * Whether an earlier run was interrupted when the data was at its new place and the old pointer was still there: that place has
 * a record then, which is written first.
 */
async function isUnderWay(
  workspace: Workspace,
  { path: from, pointer, text }: Tracked,
  to: RepoPath,
): Promise<boolean> {
  const { root } = workspace;
  if (to === '' || statsAt(join(root, from)) !== undefined || statsAt(join(root, to)) === undefined) return false;
  const [old, moved] = [from, to].map((path) => readCheckoutRecord(workspace, path, contentOf(pointer)));
  if (moved?.base === undefined || !sameContent(old?.base, moved.base)) return false;
  const there = await readTracked(workspace, to);
  return there === undefined || there.text === text;
}

/** The record of the new place, before anything is there: whoever is interrupted goes on by it. */
function moveRecord(workspace: Workspace, { path: from, pointer }: Tracked, to: RepoPath): void {
  const record = readCheckoutRecord(workspace, from, contentOf(pointer));
  if (record.base !== undefined || record.target !== undefined) {
    writeCheckoutRecord(workspace, { ...record, path: to });
    const before = stateFiles(workspace, from).statCache;
    if (existsSync(before)) renameSync(before, stateFiles(workspace, to).statCache);
  }
}

async function requireFree(workspace: Workspace, from: RepoPath, to: RepoPath): Promise<void> {
  const around = to === '' ? undefined : await trackedAround(workspace, to);
  const isTaken = existsSync(join(workspace.root, to)) || existsSync(join(workspace.root, pointerPath(to)));
  if (around === undefined && !isTaken) return;
  throw new MlvError({
    code: 'destination-exists',
    kind: 'refused',
    message:
      around !== undefined && around.path !== to
        ? `${to} lies inside ${around.path}, which is tracked`
        : `${to} is there already`,
    hint: `Choose another name for ${from}. Nothing was changed.`,
  });
}
