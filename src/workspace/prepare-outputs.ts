import { readdirSync, realpathSync, rmdirSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { hasErrorCode, MlvError } from '../domain/errors.ts';
import type { LockedOutput, LockedStage, Stage } from '../domain/pipeline.ts';
import type { RepoPath } from '../domain/repo-path.ts';
import { treePathToText } from '../domain/tree-path.ts';
import { statsAt } from '../platform/stats-at.ts';
import { walkTree } from '../platform/walk.ts';
import { applyPlan } from './checkout-apply.ts';
import type { CheckoutRecord, Content } from './checkout-record.ts';
import { readCheckoutRecord, sameContent, writeCheckoutRecord } from './checkout-record.ts';
import { ignoreRulesFor } from './ignore-rules.ts';
import { unreadable } from './look-at-files.ts';
import { oneAtATime } from './one-at-a-time.ts';
import type { Workspace } from './open.ts';
import type { VerbOptions } from './progress.ts';
import type { RunMark } from './run-marks.ts';
import { markRun, readRunMark } from './run-marks.ts';
import { takeSnapshot } from './snapshot.ts';
import { progressOptions } from './status.ts';
import type { StorageTasks } from './task-runner.ts';

/** What was taken away that no lock file tells of: the cache keeps it for as long as it keeps anything that nothing needs. */
export interface SavedOutput {
  readonly path: RepoPath;
  readonly content: Content;
}

/**
 * Makes room for what a stage is about to make. What stands at its outputs goes into the cache, whether mlv or Git keeps it, and then
 * away; what a failed run of this very stage left there just goes, and what is declared as `persist` stays. What
 * `.mlvignore` excludes is nobody's output, and stays, too. From then on a run counts as begun. Throws `path-unreadable`,
 * `output-not-removed`, `output-beyond-symlink`.
 */
export async function prepareOutputs(
  workspace: Workspace,
  options: VerbOptions & {
    readonly stage: Stage;
    readonly recorded: LockedStage | undefined;
    readonly tasks: StorageTasks;
  },
): Promise<readonly SavedOutput[]> {
  const { stage, recorded } = options;
  const saved: SavedOutput[] = [];
  const mark = readRunMark(workspace, stage.id);
  for (const { path, persist } of stage.outs) {
    const stats = statsAt(join(workspace.root, path));
    if (stats === undefined) continue;
    requireNoSymlinkAbove(workspace, path);
    const before = contentOfOutput(recorded?.outs.get(path));
    const { base } = readCheckoutRecord(workspace, path, before);
    // It was here, and a person may want it back: at no moment does it count as never checked out.
    if (before !== undefined && !persist) requireRecord(workspace, path, before);
    if (!persist && mark !== undefined && isLeftOver(workspace, path, mark)) {
      for (const file of filesOf(workspace, path)) rmSync(file, { force: true });
      removeEmptyFolders(join(workspace.root, path));
    } else {
      const content = await oneAtATime(workspace, path, () =>
        save(workspace, { ...options, path, base, isRemoved: !persist }),
      );
      if (!persist && content !== undefined && !sameContent(content, before)) saved.push({ path, content });
    }
  }
  markRun(workspace, stage.id);
  return saved;
}

function requireRecord(workspace: Workspace, path: RepoPath, content: Content): void {
  const { base, selected, target } = readCheckoutRecord(workspace, path, content);
  if (sameContent(base, content) && selected === 'all' && target === undefined) return;
  writeCheckoutRecord(workspace, { path, base: content, selected: 'all' });
}

async function save(
  workspace: Workspace,
  given: VerbOptions & {
    readonly path: RepoPath;
    /** What was checked out last. */
    readonly base: Content | undefined;
    readonly tasks: StorageTasks;
    readonly isRemoved: boolean;
  },
): Promise<Content | undefined> {
  const { path, base, tasks } = given;
  const verb = { ...progressOptions(given), tasks };
  // Of the base only the modes of files are asked, on disks that keep none: what is not here is nothing to be saved.
  const record: CheckoutRecord = { path, base, selected: 'all' };
  const snapshot = await takeSnapshot({ ...verb, workspace, path, record, store: true });
  const { content, problems } = snapshot;
  if (problems.length > 0) throw unreadable(...problems.map((each) => ({ ...each, path: `${path}/${each.path}` })));
  if (content === undefined || !given.isRemoved) return content;
  const removed = await applyPlan(
    workspace,
    {
      path,
      record: { path, base: content, selected: 'all' },
      content: undefined,
      selected: 'all',
      snapshot,
      size: { files: 0, bytes: 0 },
      force: false,
      relink: false,
      restore: [],
    },
    { ...verb, keepsRecord: true },
  );
  if (removed.problems.length > 0) throw notRemoved(path, removed.problems);
  if (content.type === 'dir') removeEmptyFolders(join(workspace.root, path));
  return content;
}

/** Whether all that is at a path is what the run left there. */
function isLeftOver(workspace: Workspace, path: RepoPath, { ended }: RunMark): boolean {
  // A killed run cannot say when it ended: what is there may be somebody's by now.
  if (ended === undefined) return false;
  return filesOf(workspace, path).every((file) => (statsAt(file)?.ctimeMs ?? 0) <= ended);
}

/** The files of an output; what is excluded is no part of it. */
function filesOf(workspace: Workspace, path: RepoPath): string[] {
  const root = join(workspace.root, path);
  if (statsAt(root)?.isDirectory() !== true) return [root];
  const walked = walkTree(root, { ...ignoreRulesFor(workspace, path), problem: () => {} });
  return Array.from(walked, (each) =>
    each.kind === 'empty-folder' ? [] : `${root}/${treePathToText(each.path)}`,
  ).flat();
}

/** Those below, and the folder itself; what is not empty stays. */
function removeEmptyFolders(folder: string): void {
  try {
    for (const entry of readdirSync(folder, { withFileTypes: true }))
      if (entry.isDirectory()) removeEmptyFolders(join(folder, entry.name));
    rmdirSync(folder);
  } catch (error) {
    if (!hasErrorCode(error, 'ENOENT', 'ENOTDIR', 'ENOTEMPTY', 'EEXIST')) throw error;
  }
}

/** Nothing is taken away behind a symlink: that would be somebody else's. */
function requireNoSymlinkAbove({ root }: Workspace, path: RepoPath): void {
  const folder = dirname(join(root, path));
  if (realpathSync.native(folder) === folder) return;
  throw new MlvError({
    code: 'output-beyond-symlink',
    kind: 'refused',
    message: `${path} lies behind a symlink, so what is there is not removed`,
    hint: 'Name the folder that it leads to, or replace the link by a folder.',
  });
}

function contentOfOutput(output: LockedOutput | undefined): Content | undefined {
  return output && { type: output.type, hash: output.hash, exec: output.exec === true };
}

function notRemoved(path: RepoPath, items: readonly string[]): MlvError {
  return new MlvError({
    code: 'output-not-removed',
    kind: 'io',
    message: `what is at ${path} could not be taken away, so the stage was not run`,
    items,
    hint: 'Its content is in the cache. Mend what is named and run the command again.',
  });
}
