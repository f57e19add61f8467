import { basename, dirname, join } from 'node:path';
import type { Digest } from '../domain/digest.ts';
import type { IgnoreRules } from '../domain/ignore-rules.ts';
import type { RepoPath } from '../domain/repo-path.ts';
import type { TreeEntry, TreeSummary } from '../domain/tree.ts';
import { EMPTY_CURSOR, openTree } from '../domain/tree-reader.ts';
import type { TreeCursor } from '../domain/tree-reader.ts';
import { entryCursor } from '../domain/tree-cursors.ts';
import type { TreePath } from '../domain/tree-path.ts';
import { treePathFromText, treePathToText } from '../domain/tree-path.ts';
import { statsAt } from '../platform/stats-at.ts';
import type { WalkedPath, WalkProblem } from '../platform/walk.ts';
import { NO_RULES, walkTree } from '../platform/walk.ts';
import type { StatBlock, StatCache } from '../storage/stat-cache.ts';
import { openStatCache } from '../storage/stat-cache.ts';
import type { CheckoutRecord, Content } from './checkout-record.ts';
import { stateFiles } from './checkout-record.ts';
import { completeRoots } from './complete-roots.ts';
import { ignoreRulesFor } from './ignore-rules.ts';
import { openContent } from './content.ts';
import { entriesOf, followStatCache, StatCacheReplaced } from './follow-stat-cache.ts';
import { modesOf } from './file-modes.ts';
import type { Workspace } from './open.ts';
import type { VerbOptions } from './progress.ts';
import { refusePurged } from './purge-record.ts';
import { scan } from './scan.ts';
import { contextOf, createContentCollector } from './snapshot-tree.ts';
import type { StorageTasks } from './task-runner.ts';
import { createTreeObjectStore } from './tree-object-store.ts';

/** What a tracked path holds in the workspace right now, entries that were never checked out included. */
export interface Snapshot {
  /** Undefined when nothing is there. */
  readonly content: Content | undefined;
  readonly files: number;
  readonly bytes: number;
  /** Entries of the last materialised version that are not in the workspace because they were never asked for. */
  readonly notCheckedOut: number;
  /** Of a partly checked-out directory: paths whose entries differ from the base's, or are new. */
  readonly brought: readonly TreePath[];
  /** Paths that could not be read; what was known of them is then not in `content`. */
  readonly problems: readonly WalkProblem[];
  /** Files whose content was read. */
  readonly read: number;
  /** Why what was found is not in the stat cache, where it should be. */
  readonly unnoted: unknown;
  /** The content as a tree; a tracked file is a tree of one entry. */
  cursor(): TreeCursor;
}

export interface SnapshotOptions extends VerbOptions {
  readonly workspace: Workspace;
  readonly path: RepoPath;
  readonly record: CheckoutRecord;
  readonly tasks: StorageTasks;
  /** Whether content and tree objects are put into the cache. */
  readonly store: boolean;
  /** True for what nobody writes any more, however new it is. */
  readonly isFinished?: boolean;
  /** With `store`: throws `content-purged` for what must not exist any more. It is never put into the cache. */
  readonly refusesPurged?: boolean;
  /** Absolute path of data outside the project that is scanned in its stead; no stat cache is kept of it. */
  readonly source?: string;
  /** What is passed over, where that is not what `.mlvignore` says. */
  readonly rules?: IgnoreRules;
  /** What of a folder is meant, in tree order, where that is known: then nothing is walked. */
  readonly paths?: readonly WalkedPath[];
}

const NOTHING: Snapshot = {
  content: undefined,
  files: 0,
  bytes: 0,
  notCheckedOut: 0,
  brought: [],
  problems: [],
  read: 0,
  unnoted: undefined,
  cursor: () => EMPTY_CURSOR,
};

/**
 * Scans a tracked path. Only files that changed since the last scan are read; when nothing changed no tree is built either.
 * The stat cache is brought up to date on the way.
 */
export async function takeSnapshot(options: SnapshotOptions): Promise<Snapshot> {
  const { workspace, path } = options;
  const stats = statsAt(options.source ?? join(workspace.root, path));
  if (stats === undefined) return NOTHING;
  try {
    const snapshot = await (stats.isDirectory() ? snapshotDirectory(options) : snapshotFile(options));
    // It may be that the cache has lost something: the next fetch looks.
    if (snapshot.problems.length > 0) completeRoots(workspace).forget();
    return snapshot;
  } catch (error) {
    if (!(error instanceof StatCacheReplaced)) throw error;
    return takeSnapshot(options);
  }
}

async function snapshotFile(options: SnapshotOptions): Promise<Snapshot> {
  const { workspace, path } = options;
  const collected: TreeEntry[] = [];
  const absolute = options.source ?? join(workspace.root, path);
  const name = treePathFromText(basename(absolute));
  const follower = followStatCache({
    previous: usableStatCache(options, 'file'),
    file: options.source === undefined ? stateFiles(workspace, path).statCache : undefined,
    take: (block) => collected.push(...entriesOf(block)),
  });
  try {
    const summary = await runScan(
      options,
      dirname(absolute),
      [{ path: name, kind: 'other' }],
      follower.onBlock,
      follower.previous,
    );
    for (const block of follower.heldBack()) collected.push(...entriesOf(block));
    const [found] = collected;
    const entry = found && modesOf(workspace, () => openContent(workspace, path, options.record.base))(found);
    const { problems, read } = summary;
    if (entry === undefined) {
      follower.abandon();
      return { ...NOTHING, problems, read };
    }
    await options.tasks.flush();
    const { digest: root, size: bytes } = entry;
    if (options.refusesPurged === true && workspace.purged().has(root))
      refusePurged(workspace.purged(), [{ path, digest: root }]);
    const unnoted = follower.finish({
      generation: workspace.cache().generation(),
      context: 'file',
      root,
      files: 1,
      bytes,
      notCheckedOut: 0,
    });
    const content: Content = { type: 'file', hash: root, exec: entry.kind === 'x' };
    return {
      content,
      files: 1,
      bytes,
      notCheckedOut: 0,
      brought: [],
      problems,
      read,
      unnoted,
      cursor: () => entryCursor(entry),
    };
  } catch (error) {
    follower.abandon();
    throw error;
  }
}

async function snapshotDirectory(options: SnapshotOptions): Promise<Snapshot> {
  const { workspace, path, record, store } = options;
  const cache = workspace.cache();
  const root = options.source ?? join(workspace.root, path);
  const objects = createTreeObjectStore(workspace, store);
  const context = contextOf(workspace, record);
  const purged = workspace.purged();
  const refused: { path: string; digest: Digest }[] = [];
  let collector: ReturnType<typeof createContentCollector> | undefined;
  const contents = () => (collector ??= createContentCollector(workspace, record, objects));
  const take = (block: StatBlock): void => {
    for (const entry of entriesOf(block)) {
      if (purged.has(entry.digest))
        refused.push({ path: join(path, treePathToText(entry.path)), digest: entry.digest });
      contents().entry(entry);
    }
  };
  const follower = followStatCache({
    previous: usableStatCache(options, context),
    file: options.source === undefined ? stateFiles(workspace, path).statCache : undefined,
    take,
  });
  const walkProblems: WalkProblem[] = [];
  const ignoreRules =
    options.source !== undefined
      ? { rules: NO_RULES, base: '' }
      : options.rules !== undefined
        ? { rules: options.rules, base: path }
        : ignoreRulesFor(workspace, path);
  const walked = options.paths ?? walkTree(root, { ...ignoreRules, problem: (problem) => walkProblems.push(problem) });
  try {
    const summary = await runScan(options, root, walked, follower.onBlock, follower.previous);
    const problems = [...walkProblems, ...summary.problems];

    const known = follower.isUnchanged() ? follower.previous : undefined;
    // A tree that no cache has must be built again to be read; that of the base is there, or is not needed.
    const isBase = known?.root === record.base?.hash;
    const isReadable = (!store && isBase) || (known !== undefined && cache.has(known.root));
    // Older versions that are in the cache may have what is to be refused.
    const isLookedAt = isBase || purged.size === 0 || options.refusesPurged !== true;
    let tree: TreeSummary & { notCheckedOut: number; brought?: readonly TreePath[] };
    // Built again, too, where one asks what of it is not in the base.
    if (
      known !== undefined &&
      problems.length === 0 &&
      isReadable &&
      isLookedAt &&
      (isBase || record.selected === 'all')
    ) {
      tree = known;
    } else {
      for (const block of follower.heldBack()) take(block);
      tree = contents().finish();
    }
    if (store && options.refusesPurged === true) refusePurged(purged, refused);
    // Bytes first, then the trees that name them, then the claim that the cache has them.
    await options.tasks.flush();
    await objects.finish();
    let unnoted: unknown;
    if (problems.length > 0) follower.abandon();
    else unnoted = follower.finish({ generation: cache.generation(), context, ...tree });
    return {
      content: { type: 'dir', hash: tree.root, exec: false },
      files: tree.files,
      bytes: tree.bytes,
      notCheckedOut: tree.notCheckedOut,
      brought: tree.brought ?? [],
      problems,
      read: summary.read,
      unnoted,
      cursor: () => openTree(tree.root, objects.load),
    };
  } catch (error) {
    follower.abandon();
    await objects.abandon();
    throw error;
  }
}

function runScan(
  options: SnapshotOptions,
  root: string,
  paths: Iterable<WalkedPath>,
  onBlock: (block: StatBlock) => void,
  previous: StatCache | undefined,
) {
  const { workspace, store, tasks, onProgress, signal } = options;
  return scan({
    root,
    paths,
    previous,
    trustStored: previous !== undefined && previous.generation === workspace.cache().generation(),
    store,
    isFinished: options.isFinished ?? false,
    keepsModes: workspace.keepsModes(),
    tasks,
    probeFolder: workspace.ownFolder,
    onBlock,
    ...(onProgress && { onProgress }),
    ...(signal && { signal }),
  });
}

/** The last scan's records; what they add up to holds only in the same context. */
function usableStatCache(
  options: SnapshotOptions,
  context: string,
): (StatCache & { sameContext: boolean }) | undefined {
  if (options.source !== undefined) return undefined;
  const previous = openStatCache(stateFiles(options.workspace, options.path).statCache);
  return previous === undefined ? undefined : { ...previous, sameContext: previous.context === context };
}
