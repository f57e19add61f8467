import { MlvError } from '../domain/errors.ts';
import { readRoot } from '../domain/tree-reader.ts';
import type { TreePath } from '../domain/tree-path.ts';
import { download } from '../storage/download.ts';
import type { Workspace } from './open.ts';
import { openNamedRemote, remoteNameFor } from './open-remote.ts';
import type { VerbOptions } from './progress.ts';
import type { Tracked } from './tracked.ts';

/**
 * Runs work that reads a tracked directory's tree around some paths. Where the cache lacks tree objects they are fetched and the work
 * is begun anew: first the pages that can hold the paths, then, should an edit reach beyond them, all. Throws `tree-unavailable`.
 */
export async function withPages<T>(
  workspace: Workspace,
  { tracked, inner }: { readonly tracked: Tracked | undefined; readonly inner: readonly TreePath[] },
  { signal }: VerbOptions,
  work: () => Promise<T>,
): Promise<T> {
  for (const attempt of ['here', 'around', 'all'] as const) {
    try {
      if (tracked !== undefined && attempt !== 'here') await fetchPages(workspace, { tracked, inner, attempt, signal });
      return await work();
    } catch (error) {
      if (!(error instanceof MlvError) || error.code !== 'blob-missing' || attempt === 'all') throw error;
    }
  }
  throw new Error('unreachable');
}

async function fetchPages(
  workspace: Workspace,
  given: {
    readonly tracked: Tracked;
    readonly inner: readonly TreePath[];
    readonly attempt: 'around' | 'all';
    readonly signal: AbortSignal | undefined;
  },
): Promise<void> {
  const { tracked, inner, attempt, signal } = given;
  const { path, pointer } = tracked;
  const cache = workspace.cache();
  const named = await openNamedRemote(workspace, remoteNameFor(workspace, pointer, undefined), signal);
  const fetch = async (below: readonly TreePath[] | undefined): Promise<void> => {
    const wanted = [{ digest: pointer.hash, type: pointer.type, size: pointer.size, name: path, below }];
    const { missing, damaged } = await download({ remote: named.remote, cache, wanted, treesOnly: true, signal });
    if (missing.length + damaged.length > 0) throw unavailable(path, named.name);
  };
  try {
    if (attempt === 'all') return await fetch(undefined);
    await fetch(inner);
    // A path after all others goes into the last page.
    const last = readRoot(pointer.hash, cache.read).nodes.at(-1)?.lastPath;
    if (last !== undefined && inner.some((each) => last < each)) await fetch([last]);
  } finally {
    named.remote.close();
  }
}

function unavailable(path: string, remote: string): MlvError {
  return new MlvError({
    code: 'tree-unavailable',
    kind: 'missing',
    message: `the list of what ${path} holds is neither in the cache nor, whole, on remote ${remote}`,
    hint: 'Push it from where it is: "mlv push" in the clone that recorded it.',
  });
}
