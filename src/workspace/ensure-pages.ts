import { join } from 'node:path';
import type { Digest } from '../domain/digest.ts';
import { MlvError } from '../domain/errors.ts';
import type { RepoPath } from '../domain/repo-path.ts';
import { readRoot } from '../domain/tree-reader.ts';
import type { TreePath } from '../domain/tree-path.ts';
import { walkTree } from '../platform/walk.ts';
import { download } from '../storage/download.ts';
import type { Selection } from './checkout-record.ts';
import { isSelected } from './checkout-record.ts';
import { ignoreRulesFor } from './ignore-rules.ts';
import type { Workspace } from './open.ts';
import { openNamedRemote, remoteNameFor } from './open-remote.ts';
import type { VerbOptions } from './progress.ts';
import type { Snapshot, SnapshotOptions } from './snapshot.ts';
import { takeSnapshot } from './snapshot.ts';
import { unavailable, unreadable } from './unavailable.ts';
import type { Tracked } from './tracked.ts';

/**
 * Runs work that compares versions of one tracked directory, opening no page that all of them have. Where the cache lacks tree
 * objects they are fetched, and the work is begun anew. Throws `tree-unavailable`.
 */
export async function withTrees<T>(
  workspace: Workspace,
  versions: readonly NamedTree[],
  options: VerbOptions,
  work: () => T | Promise<T>,
): Promise<T> {
  for (const attempt of ['here', 'differing', 'all'] as const) {
    try {
      if (attempt !== 'here') await fetchTrees(workspace, versions, { attempt, signal: options.signal });
      return await work();
    } catch (error) {
      if (attempt === 'all' || !(error instanceof MlvError) || error.code !== 'blob-missing') throw error;
    }
  }
  throw new Error('unreachable');
}

/** A version of a tracked path; of a file there is nothing to be fetched. */
type NamedTree = Pick<Tracked, 'path' | 'pointer'>;

/** Each version from its own remote, should they have several. */
async function fetchTrees(
  workspace: Workspace,
  versions: readonly NamedTree[],
  { attempt, signal }: { readonly attempt: 'differing' | 'all'; readonly signal: AbortSignal | undefined },
): Promise<void> {
  const folders = versions.filter(({ pointer }) => pointer.type === 'dir');
  const names = new Set(folders.map(({ pointer }) => remoteNameFor(workspace, pointer, undefined)));
  for (const name of names) {
    const named = await openNamedRemote(workspace, name, { signal });
    try {
      const result = await download({
        remote: named.remote,
        cache: workspace.cache(),
        // What belongs to another remote is compared with, too; that this one lacks it is told by the work that then misses it.
        wanted: folders.map(({ path, pointer: { hash: digest, size } }) => ({ digest, type: 'dir', size, name: path })),
        treesOnly: attempt === 'all' ? true : 'differing',
        signal,
      });
      const [failed] = result.failed;
      if (failed !== undefined)
        throw unreadable('tree-unavailable', { what: listOf(failed.path), remote: named.name, reason: failed.reason });
      const [lost] = [...result.missing, ...result.damaged];
      if (lost !== undefined && names.size === 1) throw unavailable('tree-unavailable', listOf(lost.path), named.name);
    } finally {
      named.remote.close();
    }
  }
}

/** A version of a tracked directory, and the paths around which it is read. */
interface WantedPages {
  readonly tracked: Tracked;
  readonly root: Digest;
  readonly around: () => readonly TreePath[];
}

/**
 * Runs work that reads a tracked directory's tree around some paths. Where the cache lacks tree objects they are fetched and the work
 * is begun anew: first the pages that can hold the paths, then, should it reach beyond them, all. Throws `tree-unavailable`.
 */
export async function withPages<T>(
  workspace: Workspace,
  wanted: WantedPages | undefined,
  { signal }: VerbOptions,
  work: () => Promise<T>,
): Promise<T> {
  for (const attempt of ['here', 'around', 'all'] as const) {
    try {
      if (wanted !== undefined && attempt !== 'here') await fetchPages(workspace, { ...wanted, attempt, signal });
      return await work();
    } catch (error) {
      const isLast = wanted === undefined || attempt === 'all';
      if (isLast || !(error instanceof MlvError) || error.code !== 'blob-missing') throw error;
    }
  }
  throw new Error('unreachable');
}

/**
 * Takes a snapshot of a directory of which a part is checked out, or some may have been purged. What was added beside that part changes pages that nobody has
 * asked for so far: they are fetched.
 */
export function takeSnapshotWithPages(
  options: SnapshotOptions & { readonly tracked: Tracked | undefined },
): Promise<Snapshot> {
  const { workspace, path, tracked, record } = options;
  const { base, selected } = record;
  const isPart = tracked !== undefined && base?.type === 'dir' && (selected !== 'all' || workspace.purged().size > 0);
  const around = (): TreePath[] => pathsBeside(workspace, path, selected);
  return withPages(workspace, isPart ? { tracked, root: base.hash, around } : undefined, options, () =>
    takeSnapshot(options),
  );
}

/** What is in the workspace, and not in the part of a directory that is checked out. */
function pathsBeside(workspace: Workspace, path: RepoPath, selected: Selection): TreePath[] {
  const walked = walkTree(join(workspace.root, path), { ...ignoreRulesFor(workspace, path), problem: () => {} });
  return Array.from(walked, (each) => each.path).filter((each) => !isSelected(selected, each));
}

async function fetchPages(
  workspace: Workspace,
  given: WantedPages & { readonly attempt: 'around' | 'all'; readonly signal: AbortSignal | undefined },
): Promise<void> {
  const { tracked, root, around, attempt, signal } = given;
  const { path, pointer } = tracked;
  const cache = workspace.cache();
  const named = await openNamedRemote(workspace, remoteNameFor(workspace, pointer, undefined), { signal });
  const fetch = async (below: readonly TreePath[] | undefined): Promise<void> => {
    const wanted = [{ digest: root, type: 'dir' as const, size: pointer.size, name: path, below }];
    const { missing, damaged, failed } = await download({
      remote: named.remote,
      cache,
      wanted,
      treesOnly: true,
      signal,
    });
    if (failed[0] !== undefined)
      throw unreadable('tree-unavailable', { what: listOf(path), remote: named.name, reason: failed[0].reason });
    if (missing.length + damaged.length > 0) throw unavailable('tree-unavailable', listOf(path), named.name);
  };
  try {
    if (attempt === 'all') return await fetch(undefined);
    const paths = around();
    await fetch(paths);
    // A path after all others goes into the last page.
    const last = readRoot(root, cache.read).nodes.at(-1)?.lastPath;
    if (last !== undefined && paths.some((each) => last < each)) await fetch([last]);
  } finally {
    named.remote.close();
  }
}

function listOf(path: string): string {
  return `the list of what ${path} holds`;
}
