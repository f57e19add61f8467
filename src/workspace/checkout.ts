import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { MlvError } from '../domain/errors.ts';
import { readEntries } from '../domain/tree-reader.ts';
import type { RepoPath } from '../domain/repo-path.ts';
import { treePathToText } from '../domain/tree-path.ts';
import type { CheckoutRecord } from './checkout-record.ts';
import {
  joinSelections,
  readCheckoutRecord,
  settleCheckoutRecord,
  sameContent,
  selectionToBe,
} from './checkout-record.ts';
import { takeSnapshotWithPages } from './ensure-pages.ts';
import { completeRoots } from './complete-roots.ts';
import type { Examined } from './checkout-conflicts.ts';
import { findLosses, refuseConflicts, requireDistinctNames } from './checkout-conflicts.ts';
import type { CheckoutSituation } from './checkout-plan.ts';
import { applyPlan } from './checkout-apply.ts';
import type { Workspace } from './open.ts';
import type { VerbOptions } from './progress.ts';
import { purgedLine } from './purge-record.ts';
import { requireHeld } from './require-held.ts';
import { requireRoomToCheckOut } from './room-to-check-out.ts';
import { takeSnapshot } from './snapshot.ts';
import { progressOptions } from './status.ts';
import type { StorageTasks } from './task-runner.ts';
import { createStorageTasks } from './task-runner.ts';
import type { Selected, Targets } from './targets.ts';
import { selectTracked } from './targets.ts';
import { isLock } from './references.ts';
import { contentOf } from './tracked.ts';
import { holdsPurged } from './unpurged-roots.ts';

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
  /** What was left out, as it must not exist any more: a line for each path. */
  readonly purged: readonly string[];
}

/** How to check out, whatever is selected. */
interface CheckoutManner extends VerbOptions {
  /** Overwrite local edits of tracked files. */
  readonly force?: boolean | undefined;
  /** Make again, with the link types now set, what is right already. */
  readonly relink?: boolean | undefined;
  /** Lists of files that are needed to tell edits are fetched where the cache lacks them. */
  readonly mayFetch?: boolean | undefined;
}

export type CheckoutOptions = Targets & CheckoutManner;

/** What a checkout did, and what it could not do. */
export interface CheckoutOutcome extends CheckoutResult {
  /** With `onConflict: 'skip'`: paths that are as they were, because both sides changed. */
  readonly conflicts: readonly MlvError[];
  /** What the cache lacks, or stands in the way: a line for each. */
  readonly failed: readonly string[];
}

/**
 * Brings tracked paths to what their pointers name, three-way: edits that the new version does not touch stay, and where both
 * sides changed nothing at all is done (`checkout-conflict`). What the cache lacks is left out, the rest done, and then told
 * (`checkout-incomplete`).
 */
export async function checkout(workspace: Workspace, options: CheckoutOptions): Promise<CheckoutResult> {
  const unresolved: string[] = [];
  const selected = await selectTracked(workspace, options, (path) =>
    unresolved.push(
      isLock(path)
        ? `${path}: a merge left a conflict in it; choose a side with "git checkout --ours -- ${path}" or "--theirs"`
        : `${path}: a merge left a conflict in it; "mlv checkout --ours ${path}" or "--theirs", or file by file, resolves it`,
    ),
  );
  const { failed, conflicts: _none, ...result } = await checkoutSelected(workspace, selected, options);
  const left = [...unresolved, ...failed];
  if (left.length > 0) throw incomplete(left);
  return result;
}

/** The same for these tracked paths; with `onConflict: 'skip'` those where both sides changed are left alone, and the rest is done. */
export async function checkoutSelected(
  workspace: Workspace,
  selected: readonly Selected[],
  options: CheckoutManner & { readonly onConflict?: 'skip' },
): Promise<CheckoutOutcome> {
  const tasks = createStorageTasks(workspace.cache(), options.signal);
  try {
    const failed: string[] = [];
    const conflicts: MlvError[] = [];
    /** What the cache lacks of one path's list of files stops that path, and no other; so does a conflict that is to be skipped. */
    async function attempt<T>(path: string, work: () => T | Promise<T>): Promise<T | undefined> {
      try {
        return await work();
      } catch (error) {
        if (!(error instanceof MlvError)) throw error;
        if (error.kind === 'conflict' && options.onConflict === 'skip') {
          conflicts.push(error);
          return undefined;
        }
        if (error.code !== 'blob-missing' && error.code !== 'blob-corrupt') throw error;
        failed.push(
          `${path}: ${error.code === 'blob-missing' ? 'its list of files is not, or not whole, in the cache' : error.message}`,
        );
        return undefined;
      }
    }
    const examined: Examined[] = [];
    const items: CheckoutItem[] = [];
    for (const each of selected) {
      const { path, pointer, isLocal } = each.tracked;
      // What stays where it was made is not missed anywhere else.
      if (isLocal && !each.isNamed && !workspace.cache().has(pointer.hash)) continue;
      await attempt(path, async () => {
        const found = await examine(workspace, each, options, tasks);
        if (found === undefined) items.push({ path, written: 0, removed: 0, kept: 0, bytes: 0 });
        else examined.push(found);
      });
    }
    const isForced = options.force === true;
    const clear: Examined[] = [];
    const overwritten: string[] = [];
    // What is refused together is told together.
    for (const lot of options.onConflict === 'skip' ? examined.map((each) => [each]) : [examined])
      await attempt(lot[0]?.situation.path ?? '', () => {
        overwritten.push(...refuseConflicts(lot, isForced));
        clear.push(...lot);
      });
    requireRoomToCheckOut(
      workspace,
      clear.map(({ situation }) => situation),
    );
    for (const { situation } of clear) {
      const applied = await attempt(situation.path, () =>
        applyPlan(workspace, situation, { tasks, ...progressOptions(options) }),
      );
      if (applied === undefined) continue;
      items.push(applied.item);
      for (const problem of applied.problems) failed.push(problem);
      // Of a folder without a file there is nothing to be written but itself, which whoever reads it needs.
      if (situation.content?.type === 'dir' && situation.size.files === 0 && applied.problems.length === 0)
        mkdirSync(join(workspace.root, situation.path), { recursive: true });
    }
    if (failed.length > 0) completeRoots(workspace).forget();
    const purged = failed.length > 0 ? [] : selected.flatMap((each) => purgedLines(workspace, each));
    return { items: items.sort((a, b) => (a.path < b.path ? -1 : 1)), overwritten, purged, conflicts, failed };
  } catch (error) {
    // A tree object that was taken to be there: the next fetch looks again.
    if (error instanceof MlvError && (error.code === 'blob-missing' || error.kind === 'corrupt'))
      completeRoots(workspace).forget();
    throw error;
  } finally {
    await tasks.close();
  }
}

/** Finds out what is there and what is to come; undefined where nothing is to be done. */
async function assess(
  workspace: Workspace,
  { tracked, selection, isNamed, record }: Selected & { readonly record: CheckoutRecord },
  options: CheckoutManner,
  tasks: StorageTasks,
): Promise<CheckoutSituation | undefined> {
  const { path } = tracked;
  const content = contentOf(tracked.pointer);
  if (content.type === 'dir') {
    const roots = [content, record.base].flatMap((version) => (version?.type === 'dir' ? version.hash : []));
    requireHeld(workspace, path, roots, selection);
  }
  const isPresent = existsSync(join(workspace.root, path));
  const wanted = selectionToBe(record, selection, { content, isNamed });
  const given = { workspace, path, record, tasks, store: false, ...progressOptions(options) };
  const snapshot = await (options.mayFetch === true
    ? takeSnapshotWithPages({ ...given, tracked })
    : takeSnapshot(given));
  const isDone =
    options.relink !== true &&
    record.target === undefined &&
    sameContent(record.base, content) &&
    sameContent(snapshot.content, content) &&
    String(record.selected) === String(wanted) &&
    snapshot.problems.length === 0;
  if (isDone) return undefined;
  // Found out before anything is on record.
  if (content.type === 'dir') workspace.cache().read(content.hash);
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
    restore: isPresent ? joinSelections(isNamed ? selection : [], record.target?.restore ?? []) : 'all',
  };
}

/** What of a version was purged, and would be here. */
function purgedLines(workspace: Workspace, { tracked: { path, pointer }, selection: asked }: Selected): string[] {
  const record = workspace.purged();
  if (record.size === 0) return [];
  // Of the rest of what is partly checked out the lists of files need not be here.
  const selection = asked === 'all' ? readCheckoutRecord(workspace, path, contentOf(pointer)).selected : asked;
  if (pointer.type === 'file') {
    const purged = record.get(pointer.hash);
    return purged === undefined ? [] : [purgedLine(path, purged)];
  }
  const { read } = workspace.cache();
  if (selection === 'all' && !holdsPurged(workspace, pointer.hash, read)) return [];
  const lines: string[] = [];
  for (const below of selection === 'all' ? [undefined] : selection) {
    for (const entry of readEntries(pointer.hash, read, below)) {
      const purged = record.get(entry.digest);
      if (purged !== undefined) lines.push(purgedLine(`${path}/${treePathToText(entry.path)}`, purged));
    }
  }
  return lines;
}

/** Undefined where nothing is to be done. Throws `blob-missing` where the tree that is to come is not whole. */
async function examine(
  workspace: Workspace,
  selected: Selected,
  options: CheckoutManner,
  tasks: StorageTasks,
): Promise<Examined | undefined> {
  const { path } = selected.tracked;
  const onDisk = settleCheckoutRecord(workspace, path, contentOf(selected.tracked.pointer));
  const examineWith = async (record: CheckoutRecord): Promise<Examined | undefined> => {
    const situation = await assess(workspace, { ...selected, record }, options, tasks);
    if (situation === undefined) return undefined;
    requireDistinctNames(workspace, situation);
    const losses = findLosses(workspace, situation);
    if (losses.unsaved.length === 0) return { situation, ...losses };
    // The cache has lost what is here, and is about to be overwritten: it goes there again.
    const snapshot = await takeSnapshot({ workspace, path, record, tasks, store: true, ...progressOptions(options) });
    const { unsaved, ...rest } = findLosses(workspace, { ...situation, snapshot });
    return { situation: { ...situation, snapshot }, ...rest, conflicts: [...rest.conflicts, ...unsaved] };
  };
  try {
    return await examineWith(onDisk);
  } catch (error) {
    if (!(error instanceof MlvError) || error.code !== 'blob-missing' || onDisk.base === undefined) throw error;
    // Without the tree of what was there, all that is not as it is to be counts as an edit.
    return examineWith({ ...onDisk, base: undefined });
  }
}

function incomplete(items: readonly string[]): MlvError {
  return new MlvError({
    code: 'checkout-incomplete',
    kind: 'missing',
    message: `${items.length} ${items.length === 1 ? 'path' : 'paths'} could not be checked out; everything else was`,
    items,
    hint: 'For what is not in the cache, run "mlv pull"; mend the rest, then run "mlv checkout" again to finish.',
  });
}
