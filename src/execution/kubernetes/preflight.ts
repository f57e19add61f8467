/** What keeps stages from being sent to their clusters is told before other stages run for hours. */
import { imageWarning } from '../../domain/image-reference.ts';
import type { Stage } from '../../domain/pipeline.ts';
import { decide } from '../../domain/staleness.ts';
import { canRestore } from '../../workspace/restore-outputs.ts';
import { openRunCache } from '../../workspace/run-cache.ts';
import type { Run } from '../bring-up-to-date.ts';
import { fingerprintOf, outputsAway } from '../bring-up-to-date.ts';
import { clusterFor } from './draft.ts';

/** Throws what `clusterFor` does, for stages that are not up to date and of which no result is known. Returns warnings. */
export async function preflight(run: Run, stages: readonly Stage[], signal: AbortSignal): Promise<readonly string[]> {
  for (const stage of stages) {
    try {
      await clusterFor(run.workspace, { clusters: run.clusters, stage });
    } catch (error) {
      if (!(await mayBeRestored(run, stage, signal))) throw error;
    }
  }
  return [...new Set(stages.flatMap(({ image }) => (image === undefined ? [] : (imageWarning(image) ?? []))))];
}

async function mayBeRestored(run: Run, stage: Stage, signal: AbortSignal): Promise<boolean> {
  const { workspace, pull, useRunCache } = run;
  // Remotes are asked in its turn.
  if (pull) return true;
  const recorded = run.locked.get(stage.id);
  const seen = run.seen.get(stage.id);
  if (seen === undefined) return false;
  const decision = decide({ stage, locked: recorded, seen, isForced: run.forced.has(stage.id) });
  if (decision.type === 'outputs-missing' && recorded !== undefined) {
    const outs = outputsAway(recorded, decision.reasons).values();
    if (await canRestore(workspace, { outs, pull, signal })) return true;
  }
  if (!useRunCache || (decision.type !== 'outputs-missing' && !(decision.type === 'stale' && decision.isRestorable)))
    return false;
  const given = { stage, pull, signal, seen: seen.outs };
  return (await openRunCache(workspace).find(fingerprintOf(stage, seen), given)) !== undefined;
}
