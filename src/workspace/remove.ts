import { realpathSync, rmdirSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { hasErrorCode, MlvError } from '../domain/errors.ts';
import type { RepoPath } from '../domain/repo-path.ts';
import type { TreeEntry } from '../domain/tree.ts';
import { treePathToText } from '../domain/tree-path.ts';
import { readEntries } from '../domain/tree-reader.ts';
import { statsAt } from '../platform/stats-at.ts';
import { diffTrees } from '../domain/tree-diff.ts';
import { targetOfTracked } from './add-target.ts';
import { applyPlan } from './checkout-apply.ts';
import type { Content } from './checkout-record.ts';
import { dropCheckoutRecord, readCheckoutRecord, sameContent } from './checkout-record.ts';
import { openContent } from './content.ts';
import { digestOf } from './digest-of.ts';
import { removeFromDataset } from './edit-dataset.ts';
import type { Workspace } from './open.ts';
import type { VerbOptions } from './progress.ts';
import { takeSnapshot } from './snapshot.ts';
import { adoptPointer } from './status.ts';
import { createStorageTasks } from './task-runner.ts';
import type { Targets } from './targets.ts';
import { selectTracked } from './targets.ts';
import type { Tracked } from './tracked.ts';
import { contentOf, madeByStage, stageIdOf } from './tracked.ts';
import { writePointers } from './write-pointers.ts';

export interface RemoveResult {
  /** What was removed, whether data of it is still in the workspace, and whether some was deleted there. */
  readonly items: readonly { readonly path: string; readonly kept: boolean; readonly deleted: boolean }[];
}

/**
 * Stops tracking paths: the pointer goes, the data stays unless `data` is set. A target inside a tracked directory is taken out of
 * that directory. Edits that were never recorded are not deleted (`data-modified`); outputs
 * belong to their stages (`made-by-stage`).
 */
export async function remove(
  workspace: Workspace,
  options: Targets & { readonly data?: boolean | undefined } & VerbOptions,
): Promise<RemoveResult> {
  const deletesData = options.data === true;
  const items: RemoveResult['items'][number][] = [];
  const selected = await selectTracked(workspace, options);
  for (const { tracked } of selected) {
    const { path, made } = tracked;
    if (made !== undefined) throw madeByStage(path, made, `mlv stage remove ${stageIdOf(made)}`);
  }
  for (const { tracked, selection } of selected) {
    if (selection === 'all') {
      items.push(await removeWhole(workspace, tracked, { ...options, deletesData }));
      continue;
    }
    const target = { ...(await targetOfTracked(workspace, tracked, false)), inner: selection };
    const before = target.record.base;
    const recorded = await removeFromDataset(workspace, target, options);
    const { hash, type } = recorded.content;
    const pointer = { ...tracked.pointer, type, hash, size: recorded.bytes, files: recorded.files };
    const { record } = recorded;
    await writePointers(workspace, [{ path: tracked.path, pointer, text: tracked.text }], { records: [record] });
    for (const inner of selection) {
      const removed = before === undefined ? [] : readEntries(before.hash, workspace.cache().read, inner);
      const path = `${tracked.path}/${treePathToText(inner)}`;
      const wasThere = isThere(workspace, path);
      if (deletesData) for (const entry of removed) removeEntry(workspace, tracked.path, entry);
      const kept = isThere(workspace, path);
      items.push({ path, kept, deleted: wasThere && !kept });
    }
  }
  return { items };
}

async function removeWhole(
  workspace: Workspace,
  tracked: Tracked,
  options: VerbOptions & { deletesData: boolean },
): Promise<RemoveResult['items'][number]> {
  const { path } = tracked;
  const wasThere = isThere(workspace, path);
  if (options.deletesData) await deleteData(workspace, tracked, options);
  await writePointers(workspace, [{ path, pointer: undefined, text: tracked.text }]);
  dropCheckoutRecord(workspace, path);
  const kept = isThere(workspace, path);
  return { path, kept, deleted: wasThere && !kept };
}

function isThere(workspace: Workspace, path: string): boolean {
  return statsAt(join(workspace.root, path)) !== undefined;
}

/** Deletes what is in the workspace, all of which is in the cache by then. */
async function deleteData(workspace: Workspace, { path, pointer }: Tracked, options: VerbOptions): Promise<void> {
  const record = adoptPointer(readCheckoutRecord(workspace, path, contentOf(pointer)), contentOf(pointer));
  const tasks = createStorageTasks(workspace.cache(), options.signal);
  try {
    const snapshot = await takeSnapshot({ ...options, workspace, path, record, tasks, store: true });
    if (snapshot.content === undefined) return;
    if (hasEdits(workspace, path, record.base, snapshot.content) || snapshot.problems.length > 0) throw modified(path);
    const { problems } = await applyPlan(
      workspace,
      {
        path,
        record,
        content: undefined,
        selected: record.selected,
        snapshot,
        size: { files: 0, bytes: 0 },
        force: false,
        relink: false,
        restore: [],
      },
      { ...options, tasks },
    );
    if (problems.length > 0) throw undeleted(path, problems);
    if (pointer.type === 'dir') removeIfEmpty(join(workspace.root, path));
  } finally {
    await tasks.close();
  }
}

/** Whether there is anything but what was recorded. What is missing is no edit here: a removal that was interrupted is gone on with. */
function hasEdits(workspace: Workspace, path: RepoPath, base: Content | undefined, found: Content): boolean {
  if (sameContent(base, found)) return false;
  if (base?.type !== found.type) return true;
  const changes = diffTrees(openContent(workspace, path, base), openContent(workspace, path, found));
  // Nor is a folder that has been emptied.
  return [...changes].some(({ after }) => after !== undefined && after.kind !== 'd');
}

/** Deletes an entry that is still what it was recorded as, and that the cache has; with `mayLose`, wherever else it is. */
export function removeEntry(
  workspace: Workspace,
  path: RepoPath,
  entry: Pick<TreeEntry, 'path' | 'digest'>,
  { mayLose = false }: { readonly mayLose?: boolean } = {},
): void {
  const root = join(workspace.root, path);
  const file = `${root}/${treePathToText(entry.path)}`;
  const stats = statsAt(file);
  if (stats === undefined || realpathSync.native(dirname(file)) !== dirname(file)) return;
  if (stats.isFile() || stats.isSymbolicLink()) {
    if (digestOf(workspace, file) !== entry.digest || !(mayLose || workspace.cache().has(entry.digest))) return;
    rmSync(file);
  } else removeIfEmpty(file);
  for (let folder = dirname(file); folder.startsWith(`${root}/`); folder = dirname(folder))
    if (!removeIfEmpty(folder)) break;
}

function removeIfEmpty(folder: string): boolean {
  try {
    rmdirSync(folder);
    return true;
  } catch (error) {
    if (hasErrorCode(error, 'ENOTEMPTY', 'EEXIST', 'ENOENT', 'ENOTDIR')) return false;
    throw error;
  }
}

function modified(path: RepoPath): MlvError {
  return new MlvError({
    code: 'data-modified',
    kind: 'refused',
    message: `${path} has edits that were never recorded`,
    hint: `Record them with "mlv commit ${path}", or stop tracking without --data. Nothing was changed.`,
  });
}

function undeleted(path: RepoPath, items: readonly string[]): MlvError {
  return new MlvError({
    code: 'data-not-deleted',
    kind: 'io',
    message: `some of ${path} could not be deleted; it is still tracked`,
    items,
    hint: 'Mend what is named and run the command again.',
  });
}
