import { imageWarning } from '../domain/image-reference.ts';
import type { LockedOutput, Stage, StageId, StageObservation } from '../domain/pipeline.ts';
import type { RepoPath } from '../domain/repo-path.ts';
import type { RunRecord } from '../domain/run-record.ts';
import type { StaleReason } from '../domain/staleness.ts';
import { decide } from '../domain/staleness.ts';
import { lackingInputs } from '../workspace/bring-inputs.ts';
import { readLocks } from '../workspace/locks.ts';
import { observeStages } from '../workspace/observe-stages.ts';
import type { Workspace } from '../workspace/open.ts';
import type { VerbOptions } from '../workspace/progress.ts';
import { canRestore } from '../workspace/restore-outputs.ts';
import { openRunCache } from '../workspace/run-cache.ts';
import type { AskedTools } from '../workspace/tool-versions.ts';
import { createStorageTasks } from '../workspace/task-runner.ts';
import { fingerprintOf, recordOf, outputsAway, reasonsOf } from './bring-up-to-date.ts';
import { openClusters } from './kubernetes/open-cluster.ts';
import type { ChosenStages } from './repro.ts';
import { chooseStages } from './repro.ts';

/** What `repro` would do with a stage. */
export interface PlannedStage {
  readonly stage: StageId;
  /**
   * `depends`: it reads what a stage before it is yet to make, and runs only if that becomes something else. `blocked`: it cannot run, as what
   * it reads is not there.
   */
  readonly action: 'skip' | 'frozen' | 'restore' | 'run' | 'depends' | 'blocked';
  readonly reasons: readonly StaleReason[];
  /** The stages before it that are yet to run, of one that depends. */
  readonly after: readonly StageId[];
  /** Whose result would be restored. */
  readonly record?: RunRecord;
  /** Bytes that would be brought into the workspace: outputs of a known result, or inputs of a run that are not there. */
  readonly bytes: number;
  /** What there is to say about its image. */
  readonly warning?: string;
}

/**
 * Tells what `repro` would do, and does nothing; of the pipeline's commands it runs at most those for versions of tools that `repro` ran here.
 * What a restored result makes is known, so that what depends on it is told, too; what a run makes is not. Throws as `repro` does before it
 * begins.
 */
export async function plan(
  workspace: Workspace,
  options: ChosenStages &
    VerbOptions & {
      readonly force?: boolean | undefined;
      readonly useRunCache: boolean;
      readonly tools: AskedTools;
      readonly mayFetch: boolean;
      /** Whether to throw what keeps stages that are to run from being sent to their clusters, and to look at their images. */
      readonly checksSending?: boolean;
    },
): Promise<readonly PlannedStage[]> {
  const { onProgress, signal, useRunCache } = options;
  const verb = { ...(onProgress !== undefined && { onProgress }), ...(signal !== undefined && { signal }) };
  const { pipeline, graph, selected } = await chooseStages(workspace, options);
  const locked = await readLocks(workspace);
  const tasks = createStorageTasks(workspace.cache(), signal);
  const runCache = openRunCache(workspace);
  const made = new Map<RepoPath, LockedOutput>();
  const planned = new Map<StageId, PlannedStage>();
  const look = (stages: readonly Stage[]): Promise<ReadonlyMap<StageId, StageObservation>> =>
    observeStages(workspace, {
      ...verb,
      stages,
      pipeline,
      locked,
      known: made,
      tasks,
      tools: options.tools,
      mayFetch: options.mayFetch,
    });

  async function planOne(stage: Stage, first: StageObservation): Promise<Omit<PlannedStage, 'stage'>> {
    const after = graph.upstream(stage.id).filter((id) => ['run', 'depends', 'blocked'].includes(actionOf(id)));
    const isTouched = graph.links(stage.id).some(({ output }) => made.has(output));
    const seen = isTouched ? ((await look([stage])).get(stage.id) ?? first) : first;
    const recorded = locked.get(stage.id);
    const decision = decide({ stage, locked: recorded, seen, isForced: options.force ?? false });
    const known = { reasons: reasonsOf(decision), after, bytes: 0 };
    if (decision.type === 'up-to-date' || decision.type === 'frozen') {
      if (after.length > 0 && decision.type === 'up-to-date') return { ...known, action: 'depends' };
      return { ...known, action: decision.type === 'frozen' ? 'frozen' : 'skip' };
    }
    if (after.length > 0) {
      // What is missing is what a stage before it makes.
      const reasons = known.reasons.filter(({ type }) => type !== 'dependency-missing');
      return { ...known, reasons, action: reasons.length === 0 ? 'depends' : 'run' };
    }
    if (known.reasons.some(({ type }) => type === 'dependency-missing')) return { ...known, action: 'blocked' };
    if (decision.type === 'outputs-missing' && recorded !== undefined) {
      const outs = outputsAway(recorded, decision.reasons);
      if (await canRestore(workspace, { outs: outs.values(), pull: false, ...verb })) {
        for (const [path, output] of outs) made.set(path, output);
        const record = await recordOf(runCache, { stage, seen, outs: recorded.outs });
        return { ...known, action: 'restore', ...(record && { record }), bytes: bytesOf(outs) };
      }
    }
    if (useRunCache && (decision.type === 'outputs-missing' || decision.isRestorable)) {
      const found = await runCache.find(fingerprintOf(stage, seen), { ...verb, stage, pull: false, seen: seen.outs });
      if (found !== undefined) {
        for (const [path, output] of found.outs) made.set(path, output);
        return { ...known, action: 'restore', record: found.record, bytes: bytesOf(found.away) };
      }
    }
    return { ...known, action: 'run', bytes: await bytesOfInputs(stage, seen) };
  }

  async function bytesOfInputs(stage: Stage, { deps }: StageObservation): Promise<number> {
    // Of what is tracked as a part of more, at most its own size.
    const lacking = await lackingInputs(workspace, stage);
    return sumOf([...lacking].map(([path, bytes]) => Math.min(bytes, deps.get(path)?.size ?? bytes)));
  }

  function actionOf(id: StageId): string {
    return planned.get(id)?.action ?? 'skip';
  }

  async function checkSending(stages: readonly Stage[]): Promise<void> {
    const there = stages.filter(
      ({ id, kubernetes }) => kubernetes !== undefined && ['run', 'depends'].includes(actionOf(id)),
    );
    if (there.length === 0) return;
    const { clusterFor } = await import('./kubernetes/draft.ts');
    // Nothing is sent to them that they could answer.
    const clusters = openClusters(workspace, { onWarning: () => undefined });
    try {
      for (const stage of there) {
        await clusterFor(workspace, { clusters, stage });
        const known = planned.get(stage.id);
        const warning = imageWarning(stage.image ?? '');
        if (known !== undefined && warning !== undefined) planned.set(stage.id, { ...known, warning });
      }
    } finally {
      await clusters.close();
    }
  }

  try {
    const stages = selected.map((id) => graph.stage(id));
    const seen = await look(stages.filter(({ frozen }) => !frozen));
    for (const stage of stages) {
      const first = seen.get(stage.id);
      planned.set(
        stage.id,
        first === undefined
          ? { stage: stage.id, action: 'frozen', reasons: [], after: [], bytes: 0 }
          : { stage: stage.id, ...(await planOne(stage, first)) },
      );
    }
    if (options.checksSending ?? false) await checkSending(stages);
    return [...planned.values()];
  } finally {
    await tasks.close();
  }
}

function bytesOf(outs: ReadonlyMap<RepoPath, LockedOutput>): number {
  return sumOf([...outs.values()].map(({ size }) => size));
}

function sumOf(sizes: Iterable<number>): number {
  return [...sizes].reduce((sum, size) => sum + size, 0);
}
