import { existsSync } from 'node:fs';
import { makeFolderDurably } from '../platform/durable-write.ts';
import { join } from 'node:path';
import type { Digest } from '../domain/digest.ts';
import { MlvError } from '../domain/errors.ts';
import { findCollisions } from '../domain/name-collisions.ts';
import { readEntries } from '../domain/tree-reader.ts';
import { probeNames } from '../platform/disk-probe.ts';
import type { RepoPath } from '../domain/repo-path.ts';
import { treePathToText } from '../domain/tree-path.ts';
import type { TreeEntry } from '../domain/tree.ts';
import type { CheckoutStep } from '../domain/three-way.ts';
import type { CheckoutRecord, Selection } from './checkout-record.ts';
import {
  joinSelections,
  readCheckoutRecord,
  settleCheckoutRecord,
  sameContent,
  selectionToBe,
} from './checkout-record.ts';
import { takeSnapshotWithPages } from './ensure-pages.ts';
import { forgetCompleteRoots } from './complete-roots.ts';
import type { CheckoutSituation } from './checkout-plan.ts';
import { changesType, openPlan } from './checkout-plan.ts';
import { applyPlan } from './checkout-apply.ts';
import type { Workspace } from './open.ts';
import { isOnOneDisk } from './open.ts';
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
  /** What was left out, as it must not exist any more: a line for each path. */
  readonly purged: readonly string[];
}

export interface CheckoutOptions extends Targets, VerbOptions {
  /** Overwrite local edits of tracked files. */
  readonly force?: boolean | undefined;
  /** Make again, with the link types now set, what is right already. */
  readonly relink?: boolean | undefined;
  /** Lists of files that are needed to tell edits are fetched where the cache lacks them. */
  readonly mayFetch?: boolean | undefined;
}

/**
 * Brings tracked paths to what their pointers name, three-way: edits that the new version does not touch stay, and where both
 * sides changed nothing at all is done (`checkout-conflict`). What the cache lacks is left out, the rest done, and then told
 * (`checkout-incomplete`).
 */
export async function checkout(workspace: Workspace, options: CheckoutOptions): Promise<CheckoutResult> {
  const failed: string[] = [];
  const selected = await selectTracked(workspace, options, (path) =>
    failed.push(
      `${path}: a merge left a conflict in it; "mlv checkout --ours ${path}" or "--theirs", or file by file, resolves it`,
    ),
  );
  const tasks = createStorageTasks(workspace.cache(), options.signal);
  try {
    /** What the cache lacks of one path's list of files stops that path, and no other. */
    async function attempt<T>(path: RepoPath, work: () => T | Promise<T>): Promise<T | undefined> {
      try {
        return await work();
      } catch (error) {
        if (!(error instanceof MlvError) || (error.code !== 'blob-missing' && error.code !== 'blob-corrupt'))
          throw error;
        failed.push(
          `${path}: ${error.code === 'blob-missing' ? 'its list of files is not, or not whole, in the cache' : error.message}`,
        );
        return undefined;
      }
    }
    const examined: Examined[] = [];
    const items: CheckoutItem[] = [];
    for (const each of selected) {
      const { path } = each.tracked;
      await attempt(path, async () => {
        const found = await examine(workspace, each, options, tasks);
        if (found === undefined) items.push({ path, written: 0, removed: 0, kept: 0, bytes: 0 });
        else examined.push(found);
      });
    }
    const overwritten = refuseConflicts(examined, options.force === true);
    requireRoomToCheckOut(
      workspace,
      examined.map(({ situation }) => situation),
    );
    for (const { situation } of examined) {
      const applied = await attempt(situation.path, () =>
        applyPlan(workspace, situation, { tasks, ...progressOptions(options) }),
      );
      if (applied === undefined) continue;
      items.push(applied.item);
      for (const problem of applied.problems) failed.push(problem);
    }
    if (failed.length > 0) {
      forgetCompleteRoots(workspace);
      throw incomplete(failed);
    }
    const purged = selected.flatMap((each) => purgedLines(workspace, each));
    return { items: items.sort((a, b) => (a.path < b.path ? -1 : 1)), overwritten, purged };
  } catch (error) {
    // A tree object that was taken to be there: the next fetch looks again.
    if (error instanceof MlvError && (error.code === 'blob-missing' || error.kind === 'corrupt'))
      forgetCompleteRoots(workspace);
    throw error;
  } finally {
    await tasks.close();
  }
}

/** Finds out what is there and what is to come; undefined where nothing is to be done. */
async function assess(
  workspace: Workspace,
  { tracked, selection, isNamed, record }: Selected & { readonly record: CheckoutRecord },
  options: CheckoutOptions,
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

/** On a disk that ignores case or normalisation, two entries of one name would overwrite each other. */
function requireDistinctNames(workspace: Workspace, { path, content, selected }: CheckoutSituation): void {
  if (content?.type !== 'dir') return;
  const { root, ownFolder } = workspace;
  // A trial file that a killed command leaves is to be nothing that Git would add.
  makeFolderDurably(ownFolder);
  const { ignoresCase, ignoresNormalisation } = probeNames(isOnOneDisk(ownFolder, root) ? ownFolder : root);
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
  const lines: string[] = [];
  for (const below of selection === 'all' ? [undefined] : selection) {
    for (const entry of readEntries(pointer.hash, workspace.cache().read, below)) {
      const purged = record.get(entry.digest);
      if (purged !== undefined) lines.push(purgedLine(`${path}/${treePathToText(entry.path)}`, purged));
    }
  }
  return lines;
}

function* selectedEntries(workspace: Workspace, root: Digest, selected: Selection): Generator<string> {
  for (const below of selected === 'all' ? [undefined] : selected) {
    for (const entry of readEntries(root, workspace.cache().read, below)) yield treePathToText(entry.path);
  }
}

/** A situation, and what carrying it out would lose. */
interface Examined {
  readonly situation: CheckoutSituation;
  /** Paths that both sides changed. */
  readonly conflicts: readonly string[];
  /** With force: paths whose edits will be overwritten. */
  readonly overwritten: readonly string[];
}

/** Undefined where nothing is to be done. Throws `blob-missing` where the tree that is to come is not whole. */
async function examine(
  workspace: Workspace,
  selected: Selected,
  options: CheckoutOptions,
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

/** `unsaved` are paths that are not edited, and whose content only the workspace has. */
function findLosses(
  workspace: Workspace,
  situation: CheckoutSituation,
): Omit<Examined, 'situation'> & { unsaved: string[] } {
  const conflicts: string[] = [];
  const overwritten: string[] = [];
  const unsaved: string[] = [];
  const { snapshot, record, restore } = situation;
  // Nothing is here, and nothing that was deleted is to stay so.
  if (snapshot.content === undefined && (record.base === undefined || restore === 'all'))
    return { conflicts, overwritten, unsaved };
  const plan = openPlan(workspace, situation);
  for (const step of plan.steps()) {
    const path = pathOf(situation, step);
    if (step.action === 'conflict') conflicts.push(path);
    else if (plan.losesEdit(step)) overwritten.push(path);
    else if (step.action !== 'keep' && step.found !== undefined && !isSaved(workspace, step.found)) unsaved.push(path);
  }
  return { conflicts, overwritten, unsaved };
}

function isSaved(workspace: Workspace, { kind, digest }: TreeEntry): boolean {
  return kind === 'd' || workspace.purged().has(digest) || workspace.cache().has(digest);
}

/** Stops before anything is changed. With force, returns the paths whose edits will be overwritten. */
function refuseConflicts(examined: readonly Examined[], isForced: boolean): string[] {
  for (const { situation } of examined) requireFreeFolder(situation);
  const conflicts = examined.flatMap((each) => each.conflicts);
  if (conflicts.length === 0) return examined.flatMap((each) => each.overwritten);
  throw new MlvError({
    code: 'checkout-conflict',
    kind: 'conflict',
    message: `${conflicts.length} ${conflicts.length === 1 ? 'path was' : 'paths were'} changed both here and in the version to check out`,
    items: conflicts,
    hint: isForced
      ? "Files and folders stand in each other's place there: move your own away. Nothing was changed."
      : 'Nothing was changed. Copy your versions elsewhere, or overwrite them with "mlv checkout --force".',
  });
}

/** A folder may not take the place of a file that is nobody's, nor the other way round. */
function requireFreeFolder({ path, content, snapshot, record }: CheckoutSituation): void {
  if (content === undefined || snapshot.content === undefined || snapshot.content.type === content.type) return;
  if (record.base?.type === snapshot.content.type) return;
  throw new MlvError({
    code: 'checkout-conflict',
    kind: 'conflict',
    message: `${path} is a ${snapshot.content.type === 'dir' ? 'folder' : 'file'} here and a ${content.type === 'dir' ? 'folder' : 'file'} in the version to check out`,
    items: [path],
    hint: 'Nothing was changed. Move yours away, then run "mlv checkout" again.',
  });
}

function pathOf(situation: CheckoutSituation, step: CheckoutStep): string {
  const { path, content, record } = situation;
  const type = changesType(situation) ? record.base?.type : content?.type;
  return type === 'file' ? path : `${path}/${treePathToText(step.path)}`;
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
