import { join } from 'node:path';
import { MlvError } from '../domain/errors.ts';
import type { RepoPath } from '../domain/repo-path.ts';
import { diffTrees } from '../domain/tree-diff.ts';
import type { TreeCursor } from '../domain/tree-reader.ts';
import { treePathToText } from '../domain/tree-path.ts';
import { isMergeUnderWay } from '../git/layout.ts';
import { statsAt } from '../platform/stats-at.ts';
import type { CheckoutRecord, Content, Selection } from './checkout-record.ts';
import { isSelected, readCheckoutRecord, sameContent } from './checkout-record.ts';
import { openContent } from './content.ts';
import type { Workspace } from './open.ts';
import type { VerbOptions } from './progress.ts';
import { takeSnapshot } from './snapshot.ts';
import type { StorageTasks } from './task-runner.ts';
import { createStorageTasks } from './task-runner.ts';
import type { Targets } from './targets.ts';
import { selectTracked } from './targets.ts';
import type { Tracked } from './tracked.ts';
import { contentOf, stageIdOf } from './tracked.ts';

export interface StatusChange {
  readonly path: string;
  readonly kind: 'added' | 'changed' | 'removed';
}

export interface StatusItem {
  readonly path: RepoPath;
  readonly type: 'file' | 'dir';
  /** `elsewhere` for what a stage made on another machine, where it is to stay. */
  readonly state: 'unchanged' | 'modified' | 'missing' | 'not-checked-out' | 'elsewhere' | 'purged';
  /** The stage that it is an output of; undefined where a pointer tracks it. */
  readonly stage?: string;
  readonly added: number;
  readonly changed: number;
  readonly removed: number;
  /** The first of them, at most `MAX_CHANGES`. */
  readonly changes: readonly StatusChange[];
  /** Files that the pointer counts. */
  readonly files: number;
  /** Bytes that the pointer counts. */
  readonly size: number;
  /** Files of it that are not in the workspace because they were never asked for. */
  readonly notCheckedOut: number;
  /** True when the cache lacks the pointer's blob or tree root. */
  readonly notInCache: boolean;
  /** True when the pointer names another version than the workspace was brought to. */
  readonly outOfDate: boolean;
  /** True when a checkout was interrupted, or could not restore everything. */
  readonly unfinishedCheckout: boolean;
  /** Paths that cannot be versioned as they are, with the reason. */
  readonly problems: readonly { readonly path: string; readonly reason: string }[];
  /** With `remote`: whether the remote has it. */
  readonly remote?: { readonly name: string; readonly missing: boolean };
}

export interface StatusMerge {
  readonly path: RepoPath;
  /** Those that nothing was chosen for, the first `MAX_CHANGES`; none where Git knows nothing of a conflict any more. */
  readonly conflicts: readonly { readonly path: string; readonly reason: string }[];
  /** How many those are. */
  readonly left: number;
}

export interface StatusResult {
  readonly items: readonly StatusItem[];
  /** What a merge left to be resolved: tracked paths, which have no item where their pointer holds its marks, and lock files. */
  readonly merges: readonly StatusMerge[];
  /** True when nothing is to be added, checked out or, where asked for, pushed. */
  readonly clean: boolean;
}

const MAX_CHANGES = 1_000;

/**
 * Compares each tracked path's workspace with what was last materialised there, and that with the pointer. Reads only files that
 * changed since the last look, and no tree where nothing did. With `remote`, one listing tells what is not pushed.
 */
export async function status(
  workspace: Workspace,
  options: Targets & { readonly remote?: true | string | undefined } & VerbOptions,
): Promise<StatusResult> {
  const marked: RepoPath[] = [];
  const selected = await selectTracked(workspace, options, (path) => marked.push(path));
  const merges = await findMerges(
    workspace,
    marked,
    selected.map(({ tracked }) => tracked.path),
  );
  const tasks = createStorageTasks(workspace.cache(), options.signal);
  try {
    let items: StatusItem[] = [];
    for (const { tracked, selection } of selected)
      items.push(await statusOf(workspace, { tracked, selection, tasks, options }));
    if (options.remote !== undefined) {
      const { addRemoteState } = await import('./remote-state.ts');
      items = await addRemoteState(workspace, { items, selected, remote: options.remote });
    }
    return { items, merges, clean: merges.length === 0 && items.every(isClean) };
  } finally {
    await tasks.close();
  }
}

/** Git is asked only where pointers hold the marks of a merge, or it is in the middle of one. */
async function findMerges(
  workspace: Workspace,
  marked: readonly RepoPath[],
  selected: readonly RepoPath[],
): Promise<StatusMerge[]> {
  const { layout } = workspace;
  if (marked.length === 0 && (layout === undefined || !isMergeUnderWay(layout))) return [];
  const { readMergeStates } = await import('./merge-conflicts.ts');
  const found = new Map<RepoPath, StatusMerge>(marked.map((path) => [path, { path, conflicts: [], left: 0 }]));
  for (const { path, conflicts } of await readMergeStates(workspace, [...marked, ...selected]))
    found.set(path, { path, conflicts: conflicts.slice(0, MAX_CHANGES), left: conflicts.length });
  return [...found.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
}

function isClean(item: StatusItem): boolean {
  const isRight = ['unchanged', 'elsewhere', 'purged'].includes(item.state);
  return isRight && !item.outOfDate && !item.unfinishedCheckout && item.remote?.missing !== true;
}

async function statusOf(
  workspace: Workspace,
  given: {
    readonly tracked: Tracked;
    readonly selection: Selection;
    readonly tasks: StorageTasks;
    readonly options: VerbOptions;
  },
): Promise<StatusItem> {
  const { tracked } = given;
  const { path, pointer, made, isLocal = false } = tracked;
  const content = contentOf(pointer);
  const record = readCheckoutRecord(workspace, path, content);
  const common = {
    path,
    type: pointer.type,
    ...(made !== undefined && { stage: stageIdOf(made) }),
    files: pointer.files ?? 1,
    size: pointer.size,
    notInCache: !workspace.cache().has(pointer.hash),
    unfinishedCheckout: record.target !== undefined,
  };
  const nothing = { added: 0, changed: 0, removed: 0, changes: [], problems: [] };
  if (statsAt(join(workspace.root, path)) === undefined) {
    const isPurged = pointer.type === 'file' && workspace.purged().has(pointer.hash);
    const isGone = isPurged || (isLocal && common.notInCache);
    const state = isPurged
      ? 'purged'
      : isGone
        ? 'elsewhere'
        : isNothingSelected(record)
          ? 'not-checked-out'
          : 'missing';
    const notInCache = common.notInCache && !isGone;
    return { ...common, ...nothing, notInCache, state, outOfDate: false, notCheckedOut: isGone ? 0 : common.files };
  }
  const adopted = adoptPointer(record, content);
  const outOfDate = !sameContent(adopted.base, content);
  try {
    return { ...common, ...nothing, outOfDate, ...(await compare(workspace, adopted, given)) };
  } catch (error) {
    if (!(error instanceof MlvError) || error.code !== 'blob-missing') throw error;
    // What is here differs from the base, whose tree the cache lacks: in what, nobody can tell.
    const state = isNothingSelected(record) ? 'not-checked-out' : 'modified';
    return {
      ...common,
      ...nothing,
      state,
      outOfDate,
      notInCache: true,
      notCheckedOut: state === 'modified' ? 0 : common.files,
    };
  }
}

/** Throws `blob-missing`. */
async function compare(
  workspace: Workspace,
  record: CheckoutRecord,
  { tasks, options, selection }: Omit<Parameters<typeof statusOf>[1], 'tracked'>,
): Promise<Pick<StatusItem, 'state' | 'notCheckedOut'> & Partial<StatusItem>> {
  const { path, base } = record;
  const snapshot = await takeSnapshot({ workspace, path, record, tasks, store: false, ...progressOptions(options) });
  const { content, notCheckedOut, problems } = snapshot;
  if (sameContent(content, base) && problems.length === 0) return { state: 'unchanged', notCheckedOut };
  if (content !== undefined && content.type !== base?.type) {
    return { state: 'modified', changed: 1, changes: [{ path, kind: 'changed' }], notCheckedOut, problems };
  }
  const changes = countChanges(workspace, { path, base, after: snapshot.cursor, selection, problems });
  const total = changes.added + changes.changed + changes.removed;
  const state = total > 0 || problems.length > 0 ? 'modified' : 'unchanged';
  return { ...changes, state, notCheckedOut, problems };
}

function isNothingSelected({ base, selected }: CheckoutRecord): boolean {
  return base === undefined || selected.length === 0;
}

/** Where nothing is known to have been materialised, the pointer says what belongs there; nothing of it counts as deleted. */
export function adoptPointer(record: CheckoutRecord, content: Content): CheckoutRecord {
  return record.base === undefined
    ? { ...record, base: content, selected: content.type === 'file' ? 'all' : [] }
    : record;
}

function countChanges(
  workspace: Workspace,
  options: {
    readonly path: RepoPath;
    readonly base: Content | undefined;
    readonly after: () => TreeCursor;
    readonly selection: Selection;
    readonly problems: StatusItem['problems'];
  },
) {
  const { path, base, after, selection, problems } = options;
  const counts = { added: 0, changed: 0, removed: 0 };
  const changes: StatusChange[] = [];
  const isFile = base?.type === 'file';
  for (const change of diffTrees(openContent(workspace, path, base), after())) {
    if (!isFile && !isSelected(selection, change.path)) continue;
    // Of what cannot be read nobody knows whether it changed.
    if (problems.length > 0 && isBelowAny(problems, treePathToText(change.path))) continue;
    const kind = change.before === undefined ? 'added' : change.after === undefined ? 'removed' : 'changed';
    counts[kind] += 1;
    if (changes.length < MAX_CHANGES)
      changes.push({ path: isFile ? path : `${path}/${treePathToText(change.path)}`, kind });
  }
  return { ...counts, changes };
}

/** True for a path that could not be read, and for what is inside of one. */
export function isBelowAny(problems: StatusItem['problems'], path: string): boolean {
  return problems.some(
    (problem) => problem.path === '.' || path === problem.path || path.startsWith(`${problem.path}/`),
  );
}

/** The part of a verb's options that scans take. */
export function progressOptions({ onProgress, signal }: VerbOptions): VerbOptions {
  return { ...(onProgress && { onProgress }), ...(signal && { signal }) };
}
