import { join } from 'node:path';
import { MlvError } from '../domain/errors.ts';
import type { DataVersion } from '../domain/pipeline.ts';
import type { RepoPath } from '../domain/repo-path.ts';
import { EMPTY_DIGEST } from '../domain/tree.ts';
import type { TreePath } from '../domain/tree-path.ts';
import { treePathFromText, treePathToText } from '../domain/tree-path.ts';
import { statsAt } from '../platform/stats-at.ts';
import type { WalkProblem } from '../platform/walk.ts';
import type { StatBlock } from '../storage/stat-cache.ts';
import { openStatCache, writeStatCache } from '../storage/stat-cache.ts';
import { entriesOf } from './follow-stat-cache.ts';
import type { Workspace } from './open.ts';
import type { VerbOptions } from './progress.ts';
import { mergeRecords, readBlocks } from './record-seeker.ts';
import { scan } from './scan.ts';
import { progressOptions } from './status.ts';
import type { StorageTasks } from './task-runner.ts';

/** What stands at some paths. What is in none of these is not there. */
export interface SeenPaths {
  readonly files: ReadonlyMap<RepoPath, DataVersion>;
  readonly folders: ReadonlySet<RepoPath>;
  /** Symlinks that are not the cache's. */
  readonly links: ReadonlySet<RepoPath>;
}

const BLOCK_PATHS = 1_024;

/**
 * Looks at paths all over the project at once: one `lstat` for each file that is as it was at the last look, the others are hashed, in
 * threads where that is much. Throws `path-unreadable`.
 */
export async function lookAtFiles(
  workspace: Workspace,
  paths: Iterable<RepoPath>,
  options: VerbOptions & {
    readonly tasks: StorageTasks;
    /** These are all paths that such looks are for: others need no longer be remembered. */
    readonly isWhole: boolean;
    /** Whether what they hold is put into the cache, durably. */
    readonly store?: boolean;
  },
): Promise<SeenPaths> {
  const { root, ownFolder } = workspace;
  const { store = false } = options;
  const seen = { files: new Map<RepoPath, DataVersion>(), folders: new Set<RepoPath>(), links: new Set<RepoPath>() };
  const file = join(ownFolder, 'state', 'pipelines');
  const previous = openStatCache(file);
  const blocks: StatBlock[] = [];
  const { read, problems } = await scan({
    ...progressOptions(options),
    root,
    paths: inTreeOrder(paths).map((path) => ({ path, kind: 'other' })),
    previous,
    trustStored: false,
    store,
    keepsModes: workspace.keepsModes(),
    tasks: options.tasks,
    probeFolder: ownFolder,
    onBlock: (block) => blocks.push(block),
  });
  if (store) await options.tasks.flush();
  for (const { path, kind, size, digest: hash } of blocks.flatMap((block) => [...entriesOf(block)])) {
    const at = treePathToText(path) as RepoPath;
    if (kind === 'l') seen.links.add(at);
    else seen.files.set(at, { type: 'file', hash, size, ...(kind === 'x' && { exec: true }) });
  }
  for (const problem of problems) {
    const path = problem.path as RepoPath;
    const stats = statsAt(join(root, path));
    if (stats?.isDirectory() === true) seen.folders.add(path);
    else if (stats?.isSymbolicLink() === true) seen.links.add(path);
    else if (stats !== undefined) throw unreadable(problem);
  }
  // Written at once, with nothing awaited: stages that run beside each other look at files, too.
  if (read > 0) {
    const writer = writeStatCache(file);
    const kept = options.isWhole || previous === undefined ? [] : readBlocks(previous);
    for (const block of mergeRecords([kept, blocks], BLOCK_PATHS)) writer.add(block);
    const generation = workspace.cache().generation();
    writer.finish({ generation, context: 'files', root: EMPTY_DIGEST, files: 0, bytes: 0, notCheckedOut: 0 });
  }
  return seen;
}

function inTreeOrder(paths: Iterable<RepoPath>): TreePath[] {
  return [...new Set(paths)].map((path) => treePathFromText(path)).sort((a, b) => (a < b ? -1 : 1));
}

/** The error for what a stage reads or makes, and mlv cannot. */
export function unreadable(...problems: readonly WalkProblem[]): MlvError {
  return new MlvError({
    code: 'path-unreadable',
    kind: 'io',
    message: `${problems[0]?.path ?? ''} cannot be read: ${problems[0]?.reason ?? ''}`,
    items: problems.map(({ path, reason }) => `${path}: ${reason}`),
    hint: 'Mend it, or exclude it with a line in .mlvignore, and run the command again.',
  });
}
