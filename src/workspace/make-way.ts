import type { LockedOutput, LockedStage, OutputState, Stage } from '../domain/pipeline.ts';
import type { RepoPath } from '../domain/repo-path.ts';
import { dropCheckoutRecord } from './checkout-record.ts';
import type { Workspace } from './open.ts';
import { prepareOutputs } from './prepare-outputs.ts';
import type { VerbOptions } from './progress.ts';
import { restoreOutputs } from './restore-outputs.ts';
import { clearRunMark } from './run-marks.ts';
import type { StorageTasks } from './task-runner.ts';

/**
 * Makes the workspace fit for a result that was made elsewhere, and stays there: what is at its outputs goes into the cache and away, as before
 * a run here, unless it is what was made; then they count as never brought here, not as deleted or out of date, for which a stage would have to
 * run again. What Git keeps is brought. Throws as `prepareOutputs` and `restoreOutputs` do.
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
  const { stage, outs, now } = options;
  const away = stage.outs.filter(({ path, cache }) => {
    const state = now.get(path);
    const made = outs.get(path);
    const isMade = typeof state === 'object' && state.hash === made?.hash && state.exec === made.exec;
    return cache && !isMade;
  });
  const gone = away.map((out) => ({ ...out, persist: false }));
  await prepareOutputs(workspace, { ...options, stage: { ...stage, outs: gone } });
  for (const { path } of away) dropCheckoutRecord(workspace, path);
  const ofGit = new Map([...outs].filter(([, { cache }]) => !cache));
  if (ofGit.size > 0) await restoreOutputs(workspace, { ...options, outs: ofGit, pull: true });
  clearRunMark(workspace, stage.id);
}
