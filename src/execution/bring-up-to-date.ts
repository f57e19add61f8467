import type { Digest } from '../domain/digest.ts';
import { digestFromBytes } from '../domain/digest.ts';
import { MlvError } from '../domain/errors.ts';
import { fingerprintText } from '../domain/fingerprint.ts';
import { formatLock } from '../domain/lock-file.ts';
import type { LockedOutput, LockedStage, Stage, StageId, StageObservation } from '../domain/pipeline.ts';
import type { RepoPath } from '../domain/repo-path.ts';
import { REPO_ROOT } from '../domain/repo-path.ts';
import type { RunRecord } from '../domain/run-record.ts';
import type { StageGraph } from '../domain/stage-graph.ts';
import type { StageDecision, StaleReason } from '../domain/staleness.ts';
import { decide, lockedStage } from '../domain/staleness.ts';
import { hashEngine } from '../platform/hash.ts';
import { bringInputs } from '../workspace/bring-inputs.ts';
import { lockFileOf, readLock } from '../workspace/locks.ts';
import { changedDependencies, dependencyRewritten, observeStages } from '../workspace/observe-stages.ts';
import type { Workspace } from '../workspace/open.ts';
import type { Pipeline } from '../workspace/pipeline.ts';
import { prepareOutputs } from '../workspace/prepare-outputs.ts';
import { recordStage } from '../workspace/record-stage.ts';
import { canRestore, restoreOutputs } from '../workspace/restore-outputs.ts';
import type { RunCache, RunOrigin } from '../workspace/run-cache.ts';
import { describeRun } from '../workspace/run-cache.ts';
import { fetchRuns } from '../workspace/run-transfer.ts';
import { markRunEnded } from '../workspace/run-marks.ts';
import type { Staging } from '../workspace/staging.ts';
import { storeOutputs } from '../workspace/store-outputs.ts';
import type { StorageTasks } from '../workspace/task-runner.ts';
import { runStage } from './local-runner.ts';
import { withStageClaim } from './stage-claim.ts';
import type { StageEvent, StageOutcome } from './stage-event.ts';

/** What the stages of one run share. */
export interface Run {
  readonly workspace: Workspace;
  readonly pipeline: Pipeline;
  readonly graph: StageGraph;
  readonly tasks: StorageTasks;
  readonly runCache: RunCache;
  readonly staging: Staging;
  /** Who runs it, asked once. */
  readonly origin: () => Promise<RunOrigin>;
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
    });
  }
  if (first.type !== 'outputs-missing' && first.type !== 'stale') return first;
  requireRunnable(stage, first, graph);
  return withStageClaim(workspace, stage.id, { command: 'mlv repro', ...workspace.locks }, async (claim) => {
    // Since the run began, which may be hours ago, files may have been edited, and another mlv may have run the stage.
    const recorded = (await readLock(workspace, lockFileOf(stage))).get(stage.name);
    const isOther = entryText(recorded) !== entryText(before);
    const seen = await observe(isOther ? { ...run, locked: withEntry(locked, stage.id, recorded) } : run, stage);
    const decision = decide({ stage, locked: recorded, seen, isForced });
    if (decision.type !== 'outputs-missing' && decision.type !== 'stale') {
      // What reads from it has yet to learn of it.
      for (const [path, output] of recorded?.outs ?? []) made.set(path, output);
      return decision;
    }
    requireRunnable(stage, decision, graph);
    run.reasons.set(stage.id, reasonsOf(decision));
    if (decision.type === 'outputs-missing' && recorded !== undefined) {
      const outs = outputsAway(recorded, decision.reasons);
      if (await canRestore(workspace, { outs: outs.values(), pull: run.pull, signal })) {
        await restoreOutputs(workspace, { stage, outs, pull: run.pull, tasks: run.tasks, signal });
        for (const [path, output] of outs) made.set(path, output);
        return { type: 'restored', record: await recordOf(run.runCache, { stage, seen, outs: recorded.outs }) };
      }
    }
    if (run.useRunCache && (decision.type === 'outputs-missing' || decision.isRestorable)) {
      const record = await restoreKnown(run, { stage, seen, signal });
      if (record !== undefined) return { type: 'restored', record };
    }
    return { type: 'ran', ...(await runHere(run, { stage, seen, recorded, claim, signal })) };
  });
}

/** What the result of a stage depends on, as one digest. */
export function fingerprintOf(stage: Stage, seen: StageObservation): Digest {
  return digestFromBytes(hashEngine().hash(Buffer.from(fingerprintText(stage, seen), 'utf8')));
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

function withEntry(locked: Run['locked'], id: StageId, entry: LockedStage | undefined): Run['locked'] {
  const others = [...locked].filter(([other]) => other !== id);
  return new Map(entry === undefined ? others : [...others, [id, entry]]);
}

function entryText(entry: LockedStage | undefined): string {
  return formatLock(new Map(entry === undefined ? [] : [['', entry]]), REPO_ROOT);
}

async function observe({ workspace, pipeline, locked, tasks, made }: Run, stage: Stage): Promise<StageObservation> {
  // A stage may have made a file of parameters.
  await pipeline.reloadParams();
  const seen = await observeStages(workspace, { stages: [stage], pipeline, locked, known: made, tasks });
  const found = seen.get(stage.id);
  if (found === undefined) throw new Error(`stage ${stage.id} was not looked at`);
  return found;
}

/** Restores a known result of the same inputs. Undefined where none is known whose data is at hand. */
async function restoreKnown(
  run: Run,
  { stage, seen, signal }: { readonly stage: Stage; readonly seen: StageObservation; readonly signal: AbortSignal },
): Promise<RunRecord | undefined> {
  const { workspace, runCache, pull, tasks } = run;
  const fingerprint = fingerprintOf(stage, seen);
  const find = (): ReturnType<RunCache['find']> => runCache.find(fingerprint, { stage, pull, signal, seen: seen.outs });
  let found = await find();
  if (found === undefined && pull && workspace.settings.remotes.size > 0) {
    const { received } = await fetchRuns(workspace, { fingerprints: [fingerprint], signal });
    if (received > 0) found = await find();
  }
  if (found === undefined) return undefined;
  const { record, outs, away } = found;
  await restoreOutputs(workspace, { stage, outs: away, pull, tasks, signal });
  await recordMade(run, { stage, seen, outs });
  return record;
}

async function runHere(
  run: Run,
  given: {
    readonly stage: Stage;
    readonly seen: StageObservation;
    readonly recorded: LockedStage | undefined;
    readonly claim: Parameters<Parameters<typeof withStageClaim>[3]>[0];
    readonly signal: AbortSignal;
  },
): Promise<{ readonly seconds: number }> {
  const { workspace, tasks, runCache, killed, onEvent } = run;
  const { stage, seen, recorded, claim, signal } = given;
  await bringInputs(workspace, { stage, signal });
  const clear = (): Promise<unknown> => prepareOutputs(workspace, { stage, recorded, tasks, signal });
  try {
    const { seconds } = await runStage({
      folders: workspace,
      stage,
      claim,
      environment: workspace.environment,
      signal,
      ...(killed !== undefined && { killed }),
      async onAttempt(attempt) {
        if (attempt > 1) markRunEnded(workspace, stage.id);
        await clear();
        onEvent({ type: 'started', stage: stage.id, attempt });
      },
      onLine: (stream, text) => onEvent({ type: 'line', stage: stage.id, stream, text }),
    });
    // Also what this run knows of other stages: this one may have rewritten it.
    const after = await observe({ ...run, made: new Map() }, stage);
    const rewritten = changedDependencies(seen, after);
    if (rewritten.length > 0) throw dependencyRewritten(stage, rewritten);
    const outs = await storeOutputs(workspace, { stage, recorded, tasks, signal });
    await recordMade(run, { stage, seen, outs });
    if (!stage.alwaysChanged) {
      const fingerprint = fingerprintOf(stage, seen);
      runCache.put(await describeRun(workspace, { stage, fingerprint, outs, seconds, origin: await run.origin() }));
    }
    return { seconds };
  } catch (error) {
    // What somebody writes there from now on is his, and kept.
    markRunEnded(workspace, stage.id);
    throw error;
  }
}

async function recordMade(
  { workspace, pipeline, made, staging }: Run,
  given: {
    readonly stage: Stage;
    readonly seen: StageObservation;
    readonly outs: ReadonlyMap<RepoPath, LockedOutput>;
  },
): Promise<void> {
  const { stage, seen, outs } = given;
  await recordStage(workspace, stage, {
    locked: lockedStage(stage, seen, outs),
    stages: pipeline.stages,
    outputs: 'made',
    staging,
  });
  for (const [path, output] of outs) made.set(path, output);
}

/** Throws `dependency-missing`, `run-on-unsupported`. */
function requireRunnable(stage: Stage, decision: StageDecision, graph: StageGraph): void {
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
  if (stage.kubernetes !== undefined) {
    throw new MlvError({
      code: 'run-on-unsupported',
      kind: 'unsupported',
      message: `stage ${stage.id} is to run on Kubernetes, which this mlv cannot do yet`,
      hint: `Take "run_on" out of ${stage.file}, line ${stage.line}, to run it here.`,
    });
  }
}

function isMissing(reason: StaleReason): reason is Extract<StaleReason, { type: 'dependency-missing' }> {
  return reason.type === 'dependency-missing';
}
