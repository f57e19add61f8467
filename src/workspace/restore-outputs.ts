import { join } from 'node:path';
import type { Digest } from '../domain/digest.ts';
import { MlvError } from '../domain/errors.ts';
import type { LockedOutput, Stage } from '../domain/pipeline.ts';
import type { RepoPath } from '../domain/repo-path.ts';
import { readEntries } from '../domain/tree-reader.ts';
import { statsAt } from '../platform/stats-at.ts';
import type { CheckoutItem } from './checkout.ts';
import { removeLeftovers } from './checkout-apply.ts';
import { checkoutSelected } from './checkout.ts';
import type { CheckoutRecord } from './checkout-record.ts';
import { joinSelections, readCheckoutRecord, sameContent, writeCheckoutRecord } from './checkout-record.ts';
import { takeSnapshotWithPages } from './ensure-pages.ts';
import { lockFileOf } from './locks.ts';
import { unreadable } from './look-at-files.ts';
import { oneAtATime } from './one-at-a-time.ts';
import type { Workspace } from './open.ts';
import { openNamedRemote, remoteNameFor } from './open-remote.ts';
import type { VerbOptions } from './progress.ts';
import { openVersion } from './read-version.ts';
import { clearRunMark, markRun } from './run-marks.ts';
import { progressOptions } from './status.ts';
import type { StorageTasks } from './task-runner.ts';
import type { Tracked } from './tracked.ts';
import { contentOf, trackedOutput } from './tracked.ts';

export interface RestoreOptions extends VerbOptions {
  readonly stage: Stage;
  /** What is to be there. */
  readonly outs: ReadonlyMap<RepoPath, LockedOutput>;
  /** What the cache lacks may come from remotes. */
  readonly pull: boolean;
}

/**
 * Whether all data of these outputs is at hand: in the cache, or, with `pull`, on the remotes they belong to. Nothing is brought. Throws
 * what asking a remote does.
 */
export async function canRestore(
  workspace: Workspace,
  { outs, pull, signal }: VerbOptions & { readonly outs: Iterable<LockedOutput>; readonly pull: boolean },
): Promise<boolean> {
  const lacking = [...outs].filter((output) => !isInCache(workspace, output));
  const purged = workspace.purged();
  if (lacking.some(({ hash }) => purged.has(hash))) return false;
  if (lacking.length === 0 || !pull || workspace.settings.remotes.size === 0) return lacking.length === 0;
  return (await missingOnRemotes(workspace, lacking, { remote: undefined, signal })).size === 0;
}

/** Of what some outputs name, that which their remotes lack, or are not to have. Of each remote the indexes are listed once. */
export async function missingOnRemotes(
  workspace: Workspace,
  outputs: readonly LockedOutput[],
  { remote: asked, signal }: { readonly remote: string | undefined; readonly signal: AbortSignal | undefined },
): Promise<ReadonlySet<Digest>> {
  const missing = new Set(outputs.flatMap(({ push, hash }) => (push ? [] : hash)));
  const groups = new Map<string, LockedOutput[]>();
  for (const output of outputs.filter(({ push }) => push)) {
    const name = remoteNameFor(workspace, output, asked);
    groups.set(name, [...(groups.get(name) ?? []), output]);
  }
  for (const [name, group] of groups) {
    const { remote } = await openNamedRemote(workspace, name, { signal });
    try {
      // Of a tree, an index that has the root vouches for all that it names.
      for (const as of ['tree', 'blob'] as const) {
        const hashes = group.flatMap(({ type, hash }) => ((type === 'dir') === (as === 'tree') ? hash : []));
        const places = await remote.find(hashes, as, signal);
        for (const [index, hash] of hashes.entries()) if (places[index] === undefined) missing.add(hash);
      }
    } finally {
      remote.close();
    }
  }
  return missing;
}

/**
 * Brings outputs into the workspace, in the place of what is there, which goes into the cache first. Throws `outputs-not-restored`, and,
 * with `pull`, what fetching does.
 */
export async function restoreOutputs(
  workspace: Workspace,
  options: RestoreOptions & { readonly tasks: StorageTasks },
): Promise<readonly CheckoutItem[]> {
  const { stage, outs } = options;
  const made = { lock: lockFileOf(stage), stage: stage.name };
  const tracked = [...outs].map(([path, output]) => trackedOutput(path, output, made));
  if (options.pull) for (const each of tracked) await fetchVersion(workspace, each, options);
  // Whoever finds it looks whether what is here is on its way still.
  markRun(workspace, stage.id);
  for (const each of tracked) {
    if (statsAt(join(workspace.root, each.path)) !== undefined) await saveEdits(workspace, each, options);
  }
  const selected = tracked.map((each) => ({ tracked: each, selection: 'all' as const, isNamed: false }));
  const { items, failed } = await checkoutSelected(workspace, selected, options);
  // What is never pushed and not here is passed over in silence.
  const lacking = tracked.filter(({ path }) => items.every((item) => item.path !== path)).map(({ path }) => path);
  const left = failed.length > 0 ? failed : lacking;
  if (left.length > 0) throw notRestored(stage, left);
  clearRunMark(workspace, stage.id);
  return items;
}

async function fetchVersion(workspace: Workspace, { path, pointer }: Tracked, options: VerbOptions): Promise<void> {
  const reader = openVersion(workspace, { path, pointer, selection: 'all', revision: undefined }, options);
  try {
    if (pointer.type === 'file')
      return await reader.ensureBlob({ digest: pointer.hash, size: pointer.size, name: path });
    await reader.ensureTree({ below: undefined });
    await reader.ensureFiles(undefined);
  } finally {
    reader.close();
  }
}

/** What is there becomes the version that a checkout starts from: it is in the cache, and so nothing to be kept from being overwritten. */
async function saveEdits(
  workspace: Workspace,
  tracked: Tracked,
  options: VerbOptions & { readonly tasks: StorageTasks },
): Promise<void> {
  const { path, pointer } = tracked;
  const content = contentOf(pointer);
  const stored = readCheckoutRecord(workspace, path, content);
  // Where nothing was ever checked out, what is there is all there is: no part of what is to come.
  const record: CheckoutRecord = stored.base === undefined ? { path, base: content, selected: 'all' } : stored;
  const { tasks } = options;
  // After this nothing tells of a checkout that was not finished; and a folder in which it left something could not be removed.
  const isFolder = statsAt(join(workspace.root, path))?.isDirectory() === true;
  if (isFolder || stored.target !== undefined) removeLeftovers(workspace, path, isFolder ? 'dir' : 'file');
  const snapshot = await oneAtATime(workspace, path, () =>
    takeSnapshotWithPages({ ...progressOptions(options), workspace, path, tracked, record, tasks, store: true }),
  );
  if (snapshot.problems.length > 0)
    throw unreadable(...snapshot.problems.map((each) => ({ ...each, path: `${path}/${each.path}` })));
  const isAsRecorded = sameContent(snapshot.content, stored.base) && stored.target === undefined;
  if (isAsRecorded || snapshot.content === undefined) return;
  const isPart = snapshot.content.type === 'dir' && snapshot.notCheckedOut > 0;
  const selected = isPart ? joinSelections(record.selected, snapshot.brought) : 'all';
  writeCheckoutRecord(workspace, { path, base: snapshot.content, selected });
}

function isInCache(workspace: Workspace, { type, hash }: LockedOutput): boolean {
  const cache = workspace.cache();
  if (type === 'file') return cache.has(hash);
  const isThere = (digest: Digest): boolean => cache.has(digest);
  if (!isThere(hash)) return false;
  try {
    for (const { kind, digest } of readEntries(hash, cache.read)) if (kind !== 'd' && !isThere(digest)) return false;
    return true;
  } catch (error) {
    if (error instanceof MlvError && (error.code === 'blob-missing' || error.kind === 'corrupt')) return false;
    throw error;
  }
}

function notRestored({ id }: Stage, items: readonly string[]): MlvError {
  return new MlvError({
    code: 'outputs-not-restored',
    kind: 'missing',
    message: `the recorded outputs of ${id} could not be brought back`,
    items,
    hint: 'Run the stage again: "mlv repro --force", or bring its data from a remote with "mlv pull".',
  });
}
