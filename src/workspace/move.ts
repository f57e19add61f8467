import { existsSync, renameSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { hasErrorCode, MlvError } from '../domain/errors.ts';
import type { RepoPath } from '../domain/repo-path.ts';
import { joinRepoPath } from '../domain/repo-path.ts';
import { statsAt } from '../platform/stats-at.ts';
import { dropCheckoutRecord, readCheckoutRecord, stateFiles, writeCheckoutRecord } from './checkout-record.ts';
import type { Workspace } from './open.ts';
import { resolveTarget, trackedAround } from './targets.ts';
import type { Tracked } from './tracked.ts';
import { contentOf, notTracked, pointerPath, readTracked } from './tracked.ts';
import { writePointers } from './write-pointers.ts';
import { makeFolder } from '../platform/make-folder.ts';

/** Moves a tracked path, its pointer and its line in `.gitignore`; into `to` where that is a folder. Nothing is copied. */
export async function move(
  workspace: Workspace,
  options: { readonly from: string; readonly to: string; readonly cwd: string },
): Promise<{ readonly from: RepoPath; readonly to: RepoPath }> {
  const { root } = workspace;
  const from = resolveTarget(workspace, options.cwd, options.from.replace(/\.mlv$/, ''));
  const tracked = from === '' ? undefined : await readTracked(workspace, from);
  if (tracked === undefined) throw notTracked(options.from);
  const named = resolveTarget(workspace, options.cwd, options.to.replace(/\.mlv$/, ''));
  const isFolder = statsAt(resolve(root, named))?.isDirectory() === true;
  const to = isFolder ? joinRepoPath(named, basename(from)) : named;
  await requireFree(workspace, from, to);

  const isPresent = statsAt(join(root, from)) !== undefined;
  if (isPresent) {
    try {
      makeFolder(dirname(join(root, to)));
      renameSync(join(root, from), join(root, to));
    } catch (error) {
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
    moveRecord(workspace, tracked, to);
    await writePointers(workspace, [
      { path: to, pointer: tracked.pointer, text: tracked.text },
      { path: from, pointer: undefined, text: tracked.text },
    ]);
  } catch (error) {
    // As long as the old pointer is there, its data goes back to it.
    if (isPresent && statsAt(join(root, pointerPath(from))) !== undefined) renameSync(join(root, to), join(root, from));
    throw error;
  }
  dropCheckoutRecord(workspace, from);
  return { from, to };
}

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
