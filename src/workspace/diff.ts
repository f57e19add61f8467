import { MlvError } from '../domain/errors.ts';
import { meet, type RepoPath } from '../domain/repo-path.ts';
import { diffTrees, type TreeChange } from '../domain/tree-diff.ts';
import { treePathToText } from '../domain/tree-path.ts';
import { EMPTY_CURSOR } from '../domain/tree-reader.ts';
import { sameContent } from './checkout-record.ts';
import { createContentComparer } from './diff-content.ts';
import { readDiffWords, type DiffSide, type DiffWords } from './diff-revisions.ts';
import {
  datasetRow,
  type DiffCounts,
  type Difference,
  emitFiles,
  NO_RENAMES,
  type Renames,
  renamesIn,
} from './diff-rows.ts';
import { differingDatasets, selectedCursor, type DatasetPair, type DiffVersion } from './diff-versions.ts';
import { withTrees } from './ensure-pages.ts';
import type { Workspace } from './open.ts';
import type { VerbOptions } from './progress.ts';
import { isBelowAny } from './status.ts';
import { createStorageTasks } from './task-runner.ts';
import { resolveTarget } from './targets.ts';
import { listTrackedPaths } from './list-tracked.ts';
import { pointedAt } from './tracked.ts';
import { notTrackedAt, readReferencesAt, referencesAt } from './version-at.ts';

export interface DiffResult extends DiffCounts {
  /** The revisions as they were named; undefined for the workspace. */
  readonly before: string | undefined;
  readonly after: string | undefined;
  readonly datasets: number;
  /** Bytes that the later side has more. */
  readonly bytes: number;
  /** False where too much differs to look for renamed files. */
  readonly soughtRenames: boolean;
}

export interface DiffOptions extends DiffWords, VerbOptions {
  /** Whether the rows and columns of tables are compared. */
  readonly content: boolean;
  readonly emit: (difference: Difference) => Promise<void>;
}

/** Files that differ, of which renamed ones are looked for. */
const MOST_CANDIDATES = 100_000;

/**
 * Tells what differs between two sides, file by file, each tracked path summed up after its files. Reads the pages in which trees differ
 * alone, and fetches them where they are not here. Throws what `readDiffWords` does, and `not-tracked`.
 */
export async function diff(workspace: Workspace, options: DiffOptions): Promise<DiffResult> {
  const { signal, emit } = options;
  const question = await readDiffWords(workspace, options);
  const paths = question.paths.map((path) => pointedAt(resolveTarget(workspace, options.cwd, path)));
  await requireTracked(workspace, question, paths);
  const tasks = createStorageTasks(workspace.cache(), signal);
  const compareContent = options.content ? createContentComparer(workspace, signal) : undefined;
  const totals = { added: 0, modified: 0, deleted: 0, renamed: 0, datasets: 0, bytes: 0 };
  const buffered: Compared[] = [];
  let candidates = 0;
  let soughtRenames = true;

  async function tell({ pair, changes, unread }: Compared, renames: Renames): Promise<void> {
    const counts = await emitFiles(pair, changes, { renames, compareContent, emit });
    const isSilent = counts.added + counts.modified + counts.deleted + counts.renamed === 0 && unread === undefined;
    // What differs is not what was asked for.
    if (isSilent && pair.selection !== 'all') return;
    const row = datasetRow(pair, counts, unread);
    for (const key of ['added', 'modified', 'deleted', 'renamed'] as const) totals[key] += counts[key];
    totals.datasets += 1;
    totals.bytes += (pair.after?.size ?? 0) - (pair.before?.size ?? 0);
    await emit(row);
  }

  async function compare(pair: DatasetPair): Promise<void> {
    const room = soughtRenames ? MOST_CANDIDATES - candidates : 0;
    const compared = await compareTrees(workspace, pair, { room, signal });
    if (compared.isWhole) {
      buffered.push(compared);
      candidates += [...compared.changes].length;
      return;
    }
    if (soughtRenames) for (const each of buffered.splice(0)) await tell(each, NO_RENAMES);
    soughtRenames = false;
    await tell(compared, NO_RENAMES);
  }

  try {
    const oneSided: DatasetPair[] = [];
    for await (const pair of differingDatasets(workspace, { ...question, paths, tasks, ...(signal && { signal }) })) {
      if (pair.before === undefined || pair.after === undefined) oneSided.push(pair);
      else await compare(pair);
    }
    for (const pair of withMoves(oneSided)) {
      if (pair.before !== undefined && pair.after !== undefined) buffered.push({ pair, changes: [], isWhole: true });
      else await compare(pair);
    }
    const renames = soughtRenames ? renamesIn(buffered) : NO_RENAMES;
    buffered.sort((a, b) => (a.pair.path < b.pair.path ? -1 : 1));
    for (const each of buffered) await tell(each, renames);
  } finally {
    await tasks.close();
  }
  return { before: nameOf(question.before), after: nameOf(question.after), ...totals, soughtRenames };
}

function nameOf(side: DiffSide): string | undefined {
  return side.kind === 'commit' ? side.name : undefined;
}

/** Throws `not-tracked` for a path that neither side tracks anything at. */
async function requireTracked(
  workspace: Workspace,
  { before, after }: { readonly before: DiffSide; readonly after: DiffSide },
  paths: readonly RepoPath[],
): Promise<void> {
  if (paths.length === 0) return;
  const missing = new Set(paths);
  const note = (tracked: RepoPath): void => {
    for (const path of missing) if (meet(path, tracked)) missing.delete(path);
  };
  for (const side of [before, after]) {
    if (missing.size === 0) return;
    if (side.kind === 'workspace') for (const path of await listTrackedPaths(workspace)) note(path);
    if (side.kind !== 'commit') continue;
    const locks = await referencesAt(workspace, side.commit, (path) => {
      note(path);
      return false;
    });
    if (missing.size > 0)
      for (const { path } of await readReferencesAt(workspace, side.commit, locks, () => true)) note(path);
  }
  const [first] = missing;
  if (first !== undefined) throw notTrackedAt(first === '' ? 'the project' : first, sidesInWords(before, after));
}

function sidesInWords(before: DiffSide, after: DiffSide): string {
  return [nameOf(before), nameOf(after)].filter((name) => name !== undefined).join(' or ') || 'HEAD';
}

/** A tracked path whose trees were compared. */
interface Compared {
  readonly pair: DatasetPair;
  readonly changes: Iterable<TreeChange>;
  /** False where `changes` compares anew each time, because they are many. */
  readonly isWhole: boolean;
  readonly unread?: MlvError;
}

/** Compares the trees of both sides once to the end, so that all pages are known to be here. */
async function compareTrees(
  workspace: Workspace,
  pair: DatasetPair,
  { room, signal }: { readonly room: number; readonly signal: AbortSignal | undefined },
): Promise<Compared> {
  const { before, after } = pair;
  if (before !== undefined && after !== undefined && before.content.type !== after.content.type)
    return { pair, changes: [], isWhole: true };
  const versions = [before, after].filter((version) => version !== undefined);
  try {
    return await withTrees(workspace, versions, { ...(signal && { signal }) }, () => {
      const changes: TreeChange[] = [];
      let count = 0;
      for (const change of changesIn(pair)) if (++count <= room) changes.push(change);
      const isWhole = count <= room;
      return { pair, changes: isWhole ? changes : { [Symbol.iterator]: () => changesIn(pair) }, isWhole };
    });
  } catch (error) {
    if (!(error instanceof MlvError) || error.kind === 'interrupted' || error.kind === 'corrupt') throw error;
    return { pair, changes: [], isWhole: true, unread: error };
  }
}

function* changesIn({ before, after, selection }: DatasetPair): Generator<TreeChange> {
  const problems = after?.problems ?? [];
  for (const change of diffTrees(cursorOf(before, selection), cursorOf(after, selection))) {
    // Of what cannot be read nobody knows whether it changed.
    if (problems.length > 0 && isBelowAny(problems, treePathToText(change.path))) continue;
    yield change;
  }
}

function cursorOf(version: DiffVersion | undefined, selection: DatasetPair['selection']) {
  return version === undefined ? EMPTY_CURSOR : selectedCursor(version, selection);
}

/** Tracked paths that went and came with the same content are one that was moved. */
function* withMoves(oneSided: readonly DatasetPair[]): Generator<DatasetPair> {
  const gone = oneSided.filter(({ after }) => after === undefined);
  const moved = new Set<DatasetPair>();
  const came: DatasetPair[] = [];
  for (const pair of oneSided.filter(({ before }) => before === undefined)) {
    const from = gone.find((each) => !moved.has(each) && sameContent(each.before?.content, pair.after?.content));
    if (from !== undefined) moved.add(from);
    came.push(from === undefined ? pair : { ...pair, before: from.before });
  }
  yield* came;
  yield* gone.filter((pair) => !moved.has(pair));
}
