import type { LockedOutput, LockedStage, OutputState, Stage } from '../domain/pipeline.ts';
import type { RepoPath } from '../domain/repo-path.ts';
import type { Workspace } from './open.ts';
import { prepareOutputs } from './prepare-outputs.ts';
import type { VerbOptions } from './progress.ts';
import { restoreOutputs } from './restore-outputs.ts';
import { clearRunMark } from './run-marks.ts';
import type { StorageTasks } from './task-runner.ts';

/**
 * Makes the workspace fit for a result that was made elsewhere, and stays there: what somebody wrote at its outputs goes into the cache and
 * away, as before a run here; what a lock file tells of stays, as the version that it is; what Git keeps is brought. Throws as
 * `prepareOutputs` and `restoreOutputs` do.
 */
export async function makeWay(
  workspace: Workspace,
  options: VerbOptions & {
    readonly stage: Stage;
    /** What the lock says of it so far. */
    readonly recorded: LockedStage | undefined;
    /** What was made. */
    readonly outs: ReadonlyMap<RepoPath, LockedOutput>;
    /** What is at its outputs. */
    readonly now: ReadonlyMap<RepoPath, OutputState>;
    readonly tasks: StorageTasks;
  },
): Promise<void> {
  const { stage, recorded, outs, now } = options;
  const isWritten = (path: RepoPath): boolean => {
    const state = now.get(path);
    return typeof state === 'object' && state.hash !== recorded?.outs.get(path)?.hash;
  };
  const written = stage.outs.filter(({ path, cache, persist }) => cache && !persist && isWritten(path));
  if (written.length > 0) await prepareOutputs(workspace, { ...options, stage: { ...stage, outs: written } });
  const ofGit = new Map([...outs].filter(([, { cache }]) => !cache));
  if (ofGit.size > 0) await restoreOutputs(workspace, { ...options, outs: ofGit, pull: true });
  clearRunMark(workspace, stage.id);
}
