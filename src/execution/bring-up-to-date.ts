import type { Digest } from '../domain/digest.ts';
import { MlvError } from '../domain/errors.ts';
import { fingerprintText } from '../domain/fingerprint.ts';
import type { LockedOutput, LockedStage, Stage, StageId, StageObservation } from '../domain/pipeline.ts';
import type { RepoPath } from '../domain/repo-path.ts';
import type { RunRecord } from '../domain/run-record.ts';
import type { StageGraph } from '../domain/stage-graph.ts';
import type { StageDecision, StaleReason } from '../domain/staleness.ts';
import { decide, lockedStage } from '../domain/staleness.ts';
import { digestOfBytes } from '../platform/hash.ts';
import { observeStages } from '../workspace/observe-stages.ts';
import type { Workspace } from '../workspace/open.ts';
import type { Pipeline } from '../workspace/pipeline.ts';
import { recordStage } from '../workspace/record-stage.ts';
import type { Staging } from '../workspace/staging.ts';
import type { RunCache } from '../workspace/run-cache.ts';
import type { StorageTasks } from '../workspace/task-runner.ts';
import type { Clusters } from './kubernetes/open-cluster.ts';
import type { StageEvent, StageOutcome } from './stage-event.ts';

/** Brings up to date what is not, as it seems, and was `before` what its lock file said when the run began. */
export type BringStale = (
  given: { readonly stage: Stage; readonly before: LockedStage | undefined },
  signal: AbortSignal,
) => Promise<StageOutcome>;

/** What the stages of one run share. */
export interface Run {
  readonly workspace: Workspace;
  readonly pipeline: Pipeline;
  readonly graph: StageGraph;
  readonly tasks: StorageTasks;
  readonly staging: Staging;
  /** Loaded when the first stage is stale: mostly none is. */
  readonly bringStale: BringStale;
  /** What lock files said when the run began. */
  readonly locked: ReadonlyMap<StageId, LockedStage>;
  /** What stages found then. */
  readonly seen: ReadonlyMap<StageId, StageObservation>;
  /** Stages that are run whatever is known of them. */
  readonly forced: ReadonlySet<StageId>;
  /** Whether known results are taken in place of a run. */
  readonly useRunCache: boolean;
  /** Whether remotes are asked for known results and for data of outputs. */
  readonly pull: boolean;
  /** Why stages run, told before they do; filled by the run. */
  readonly reasons: Map<StageId, readonly StaleReason[]>;
  readonly clusters: Clusters;
  /** Aborted by the second interruption. */
  readonly killed?: AbortSignal | undefined;
  readonly onEvent: (event: StageEvent) => void;
  /** What outputs became in this run; filled by it. */
  readonly made: Map<RepoPath, LockedOutput>;
}

/**
 * Brings one stage up to date, those that it reads from being so: nothing is done where nothing changed, a known result is restored, else
 * its commands run. The lock file gets its entry as soon as its outputs are durable. Throws what any of that does; then nothing is recorded.
 */
export async function bringUpToDate(run: Run, stage: Stage, signal: AbortSignal): Promise<StageOutcome> {
  const { workspace, graph, locked, made } = run;
  if (stage.frozen) return { type: 'frozen' };
  const isTouched = graph.links(stage.id).some(({ output }) => made.has(output));
  const seenFirst = isTouched ? await observe(run, stage) : run.seen.get(stage.id);
  if (seenFirst === undefined) throw new Error(`stage ${stage.id} was not looked at`);
  const before = locked.get(stage.id);
  const isForced = run.forced.has(stage.id);
  const first = decide({ stage, locked: before, seen: seenFirst, isForced });
  if (first.type === 'up-to-date' && before !== undefined && isKeptOtherwise(stage, before)) {
    const entry = lockedStage(stage, seenFirst, before.outs);
    await recordStage(workspace, stage, {
      locked: entry,
      stages: run.pipeline.stages,
      outputs: 'as they were',
      staging: run.staging,
      before: locked,
    });
  }
  if (first.type !== 'outputs-missing' && first.type !== 'stale') return first;
  requireRunnable(stage, first, graph);
  return run.bringStale({ stage, before }, signal);
}

/** What became of stages that are up to date by what was found when the run began, as is all that they read from. */
export function alreadyCurrent(run: Run, stages: readonly Stage[]): Map<StageId, StageOutcome> {
  const { graph, locked, seen, forced } = run;
  const selected = new Set(stages.map(({ id }) => id));
  const current = new Map<StageId, StageOutcome>();
  for (const stage of stages) {
    if (graph.upstream(stage.id).some((id) => selected.has(id) && !current.has(id))) continue;
    const found = seen.get(stage.id);
    const before = locked.get(stage.id);
    if (stage.frozen) current.set(stage.id, { type: 'frozen' });
    else if (found !== undefined && before !== undefined && !isKeptOtherwise(stage, before)) {
      const decision = decide({ stage, locked: before, seen: found, isForced: forced.has(stage.id) });
      if (decision.type === 'up-to-date') current.set(stage.id, decision);
    }
  }
  return current;
}

/** What the result of a stage depends on, as one digest. */
export function fingerprintOf(stage: Stage, seen: StageObservation): Digest {
  return digestOfBytes(Buffer.from(fingerprintText(stage, seen), 'utf8'));
}

/** What is known of the run that made these outputs. */
export async function recordOf(
  runCache: RunCache,
  { stage, seen, outs }: { readonly stage: Stage; readonly seen: StageObservation; readonly outs: LockedStage['outs'] },
): Promise<RunRecord | undefined> {
  const found = await runCache.find(fingerprintOf(stage, seen), { stage, pull: false, seen: seen.outs });
  const isSame = [...outs].every(([path, { hash }]) => found?.outs.get(path)?.hash === hash);
  return isSame ? found?.record : undefined;
}

/** Whether it is declared of an output by now where it is pushed to, which changes nothing of it. */
function isKeptOtherwise(stage: Stage, { outs }: LockedStage): boolean {
  return stage.outs.some(
    ({ path, push, remote }) => outs.get(path)?.push !== push || outs.get(path)?.remote !== remote,
  );
}

/** What was recorded of the outputs that are not as they were made. */
export function outputsAway(
  { outs }: LockedStage,
  reasons: readonly { readonly path: RepoPath }[],
): ReadonlyMap<RepoPath, LockedOutput> {
  return new Map([...outs].filter(([path]) => reasons.some((reason) => reason.path === path)));
}

/** Why a stage has to run, or would have to. */
export function reasonsOf(decision: StageDecision): readonly StaleReason[] {
  return decision.type === 'stale' || decision.type === 'outputs-missing' ? decision.reasons : [];
}

/** What a stage finds now. */
export async function observe(
  { workspace, pipeline, locked, tasks, made }: Run,
  stage: Stage,
): Promise<StageObservation> {
  // A stage may have made a file of parameters.
  await pipeline.reloadParams();
  const seen = await observeStages(workspace, { stages: [stage], pipeline, locked, known: made, tasks });
  const found = seen.get(stage.id);
  if (found === undefined) throw new Error(`stage ${stage.id} was not looked at`);
  return found;
}

/** Throws `dependency-missing`. */
export function requireRunnable(stage: Stage, decision: StageDecision, graph: StageGraph): void {
  const missing = decision.type === 'stale' ? decision.reasons.filter(isMissing).map(({ path }) => path) : [];
  const [first] = missing;
  if (first !== undefined) {
    const producer = graph.producerOf(first);
    const it = missing.length === 1 ? 'it' : 'them';
    throw new MlvError({
      code: 'dependency-missing',
      kind: 'missing',
      message: `stage ${stage.id} reads ${missing.join(', ')}, which ${missing.length === 1 ? 'is' : 'are'} not there`,
      hint:
        producer === undefined
          ? `No stage makes ${it}: put ${it} there, or correct "deps" in ${stage.file}, line ${stage.line}.`
          : `Stage ${producer.id} makes ${first}${producer.frozen ? ', and is frozen: mlv unfreeze' : ': mlv repro'} ${producer.id}`,
    });
  }
}

function isMissing(reason: StaleReason): reason is Extract<StaleReason, { type: 'dependency-missing' }> {
  return reason.type === 'dependency-missing';
}
