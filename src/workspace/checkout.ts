import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Digest } from '../domain/digest.ts';
import { MlvError } from '../domain/errors.ts';
import { findCollisions } from '../domain/name-collisions.ts';
import { readEntries } from '../domain/tree-reader.ts';
import { probeNames } from '../platform/disk-probe.ts';
import type { RepoPath } from '../domain/repo-path.ts';
import { treePathToText } from '../domain/tree-path.ts';
import type { CheckoutStep } from '../domain/three-way.ts';
import type { Content, Selection } from './checkout-record.ts';
import { readCheckoutRecord, sameContent, selectionToBe } from './checkout-record.ts';
import { forgetCompleteRoots } from './complete-roots.ts';
import type { CheckoutSituation } from './checkout-plan.ts';
import { openPlan } from './checkout-plan.ts';
import { applyPlan } from './checkout-apply.ts';
import type { Workspace } from './open.ts';
import type { VerbOptions } from './progress.ts';
import { takeSnapshot } from './snapshot.ts';
import { progressOptions } from './status.ts';
import type { StorageTasks } from './task-runner.ts';
import { createStorageTasks } from './task-runner.ts';
import type { Selected, Targets } from './targets.ts';
import { selectTracked } from './targets.ts';
import { contentOf } from './tracked.ts';

export interface CheckoutItem {
  readonly path: RepoPath;
  readonly written: number;
  readonly removed: number;
  /** Local edits that the new version does not touch; they stay. */
  readonly kept: number;
  readonly bytes: number;
}

export interface CheckoutResult {
  readonly items: readonly CheckoutItem[];
  /** With `force`: paths whose local edits were overwritten. */
  readonly overwritten: readonly string[];
}

export interface CheckoutOptions extends Targets, VerbOptions {
  /** Overwrite local edits of tracked files. */
  readonly force?: boolean | undefined;
  /** Make again, with the link types now set, what is right already. */
  readonly relink?: boolean | undefined;
}

/**
 * Brings tracked paths to what their pointers name, three-way: edits that the new version does not touch stay, and where both
 * sides changed nothing at all is done (`checkout-conflict`). What the cache lacks is left out, the rest done, and then told
 * (`checkout-incomplete`).
 */
export async function checkout(workspace: Workspace, options: CheckoutOptions): Promise<CheckoutResult> {
  const selected = await selectTracked(workspace, options);
  const tasks = createStorageTasks(workspace.cache(), options.signal);
  try {
    const situations: CheckoutSituation[] = [];
    for (const each of selected) {
      const situation = await assess(workspace, each, options, tasks);
      if (situation !== undefined) situations.push(situation);
    }
    for (const situation of situations) requireDistinctNames(workspace, situation);
    const overwritten = refuseConflicts(workspace, situations, options.force === true);
    const items: CheckoutItem[] = selected
      .filter(({ tracked }) => !situations.some(({ path }) => path === tracked.path))
      .map(({ tracked }) => ({ path: tracked.path, written: 0, removed: 0, kept: 0, bytes: 0 }));
    const failed: string[] = [];
    for (const situation of situations) {
      const { item, problems } = await applyPlan(workspace, situation, { tasks, ...progressOptions(options) });
      items.push(item);
      failed.push(...problems);
    }
    if (failed.length > 0) {
      forgetCompleteRoots(workspace);
      throw incomplete(failed);
    }
    return { items: items.sort((a, b) => (a.path < b.path ? -1 : 1)), overwritten };
  } catch (error) {
    // A tree object that was taken to be there: the next fetch looks again.
    if (error instanceof MlvError && (error.code === 'blob-missing' || error.kind === 'corrupt')) forgetCompleteRoots(workspace);
    throw error;
  } finally {
    await tasks.close();
  }
}

/** Finds out what is there and what is to come; undefined where nothing is to be done. */
async function assess(
  workspace: Workspace,
  { tracked, selection, isNamed }: Selected,
  options: CheckoutOptions,
  tasks: StorageTasks,
): Promise<CheckoutSituation | undefined> {
  const { path } = tracked;
  const content = contentOf(tracked.pointer);
  const record = readCheckoutRecord(workspace, path);
  const isPresent = existsSync(join(workspace.root, path));
  const wanted = selectionToBe(record, selection, { content, isNamed });
  requireTree(workspace, path, content);
  const snapshot = await takeSnapshot({ workspace, path, record, tasks, store: false, ...progressOptions(options) });
  const isDone =
    options.relink !== true &&
    record.target === undefined &&
    sameContent(record.base, content) &&
    sameContent(snapshot.content, content) &&
    String(record.selected) === String(wanted) &&
    snapshot.problems.length === 0;
  if (isDone) return undefined;
  return {
    path,
    record,
    content,
    selected: wanted,
    snapshot,
    size: { files: tracked.pointer.files ?? 1, bytes: tracked.pointer.size },
    force: options.force === true,
    relink: options.relink === true,
    // What was deleted as a whole, or is asked for by name, is wanted back; single deleted files may be an edit.
    restoreDeleted: isNamed || !isPresent || record.target?.restoreDeleted === true,
  };
}

function requireTree(workspace: Workspace, path: RepoPath, content: Content): void {
  if (content.type === 'file' || workspace.cache().has(content.hash)) return;
  forgetCompleteRoots(workspace);
  throw new MlvError({
    code: 'checkout-incomplete',
    kind: 'missing',
    message: `nothing of ${path} is in the cache`,
    items: [path],
    hint: 'Run "mlv pull" to fetch it from the remote and check it out.',
  });
}

/** On a disk that ignores case or normalisation, two entries of one name would overwrite each other. */
function requireDistinctNames(workspace: Workspace, { path, content, selected }: CheckoutSituation): void {
  if (content?.type !== 'dir') return;
  const { ignoresCase, ignoresNormalisation } = probeNames(workspace.root);
  if (!ignoresCase && !ignoresNormalisation) return;
  const entries = selectedEntries(workspace, content.hash, selected);
  const collisions = findCollisions(entries);
  if (collisions.length === 0) return;
  throw new MlvError({
    code: 'checkout-names-collide',
    kind: 'conflict',
    message: `${path} holds names that are one and the same on this disk`,
    items: collisions.map((group) => group.map((name) => `${path}/${name}`).join(' = ')),
    hint: 'Nothing was changed. Rename them where case matters, or check out a part: "mlv checkout PATH/INSIDE".',
  });
}

function* selectedEntries(workspace: Workspace, root: Digest, selected: Selection): Generator<string> {
  for (const below of selected === 'all' ? [undefined] : selected) {
    for (const entry of readEntries(root, workspace.cache().read, below)) yield treePathToText(entry.path);
  }
}

/** Stops before anything is changed. With force, returns the paths whose edits will be overwritten. */
function refuseConflicts(workspace: Workspace, situations: readonly CheckoutSituation[], isForced: boolean): string[] {
  const conflicts: string[] = [];
  const overwritten: string[] = [];
  for (const situation of situations) {
    if (situation.snapshot.content === undefined && situation.record.base === undefined) continue;
    const plan = openPlan(workspace, situation);
    for (const step of plan.steps()) {
      const path = pathOf(situation, step);
      if (step.action === 'conflict') conflicts.push(path);
      else if (plan.losesEdit(step)) overwritten.push(path);
    }
  }
  if (conflicts.length === 0) return overwritten;
  throw new MlvError({
    code: 'checkout-conflict',
    kind: 'conflict',
    message: `${conflicts.length} ${conflicts.length === 1 ? 'path was' : 'paths were'} changed both here and in the version to check out`,
    items: conflicts,
    hint: isForced
      ? 'Files and folders stand in each other\'s place there: move your own away. Nothing was changed.'
      : 'Nothing was changed. Copy your versions elsewhere, or overwrite them with "mlv checkout --force".',
  });
}

function pathOf({ path, content }: CheckoutSituation, step: CheckoutStep): string {
  return content?.type === 'file' ? path : `${path}/${treePathToText(step.path)}`;
}

function incomplete(items: readonly string[]): MlvError {
  return new MlvError({
    code: 'checkout-incomplete',
    kind: 'missing',
    message: `${items.length} ${items.length === 1 ? 'path' : 'paths'} could not be checked out; everything else was`,
    items,
    hint: 'Mend what is named (for missing bytes: "mlv fetch"), then run "mlv checkout" again to finish.',
  });
}
