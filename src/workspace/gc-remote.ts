import type { RemoteGcPlan, RemoteGcResult } from '../storage/collect-remote.ts';
import { collectJobRecords } from '../storage/collect-job-records.ts';
import { collectRemote } from '../storage/collect-remote.ts';
import type { GcRoot } from '../storage/mark-needed.ts';
import { publishedCommits } from './gc-remote-roots.ts';
import type { GcScope } from './gc-roots.ts';
import { readCloneRoots } from './gc-roots.ts';
import type { Workspace } from './open.ts';
import { openNamedRemote } from './open-remote.ts';
import type { VerbOptions } from './progress.ts';
import { withScratch } from './scratch.ts';

export interface NamedGcResult extends RemoteGcResult {
  readonly name: string;
  readonly url: string;
  /** Records of Kubernetes Jobs that ended over 90 days ago, and go, too. */
  readonly jobs: number;
}

export interface RemoteGcOptions extends GcScope, VerbOptions {
  readonly name: string;
  readonly dryRun?: boolean | undefined;
  /** Asked before anything is changed. */
  readonly confirm: (plan: RemoteGcPlan) => Promise<boolean>;
}

/**
 * Takes from a remote what nobody needs. Needed is what commits of the Git remotes and of this clone name (all of them, unless the
 * scope says less), and what was pushed in the last 90 days. Throws what `publishedCommits` and `collectRemote` throw.
 */
export async function gcRemote(workspace: Workspace, options: RemoteGcOptions): Promise<NamedGcResult> {
  const { signal, onProgress, confirm, dryRun } = options;
  const { remote, name, url } = await openNamedRemote(workspace, options.name, { signal });

  async function* roots(): AsyncGenerator<GcRoot> {
    yield* readCloneRoots(workspace, scopeOf(options), await publishedCommits(workspace));
  }

  try {
    remote.requirePresent();
    const result = await withScratch(workspace, (scratch) =>
      collectRemote({
        remote,
        cache: workspace.cache(),
        scratch,
        roots,
        purged: workspace.purged(),
        confirm: dryRun === true ? async () => false : confirm,
        onProgress: onProgress && (({ phase, bytes }) => onProgress({ phase, files: 0, bytes })),
        signal,
      }),
    );
    const jobs = await collectJobRecords(remote.home, { isDry: dryRun === true || !result.done, signal });
    return { ...result, name, url, jobs };
  } finally {
    remote.close();
  }
}

/** All commits, unless something is said; then the tips of everything, and what that says. */
function scopeOf({ rev, allBranches, allTags, allCommits, keepWithin }: GcScope): GcScope {
  const isSaid = rev !== undefined || keepWithin !== undefined || allBranches === true || allTags === true;
  return { rev, keepWithin, allBranches: true, allCommits: allCommits === true || !isSaid };
}
