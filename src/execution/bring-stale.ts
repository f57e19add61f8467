import { formatLock } from '../domain/lock-file.ts';
import type { LockedOutput, LockedStage, Stage, StageId, StageObservation } from '../domain/pipeline.ts';
import type { RepoPath } from '../domain/repo-path.ts';
import { REPO_ROOT } from '../domain/repo-path.ts';
import type { RunRecord } from '../domain/run-record.ts';
import { decide, lockedStage } from '../domain/staleness.ts';
import { bringInputs } from '../workspace/bring-inputs.ts';
import { lockFileOf, readLock } from '../workspace/locks.ts';
import { changedDependencies, dependencyRewritten } from '../workspace/observe-stages.ts';
import { makeWay } from '../workspace/make-way.ts';
import { prepareOutputs } from '../workspace/prepare-outputs.ts';
import { recordStage } from '../workspace/record-stage.ts';
import { canRestore, restoreOutputs } from '../workspace/restore-outputs.ts';
import type { RunCache, RunOrigin } from '../workspace/run-cache.ts';
import { describeRun, openRunCache, runOrigin } from '../workspace/run-cache.ts';
import { fetchRuns } from '../workspace/run-transfer.ts';
import { markRunEnded } from '../workspace/run-marks.ts';
import { storeOutputs } from '../workspace/store-outputs.ts';
import type { BringStale, Run } from './bring-up-to-date.ts';
import { fingerprintOf, observe, outputsAway, reasonsOf, recordOf, requireRunnable } from './bring-up-to-date.ts';
import { runStage } from './local-runner.ts';
import type { StageClaim } from './stage-claim.ts';
import { withStageClaim } from './stage-claim.ts';
import type { StageOutcome } from './stage-event.ts';

/** What a run that has stale stages shares beside the rest. */
interface StaleRun extends Run {
  readonly runCache: RunCache;
  /** Who runs it, asked once. */
  readonly origin: () => Promise<RunOrigin>;
}

/** What a stage finds that is about to run. */
interface RunOfStage {
  readonly stage: Stage;
  readonly seen: StageObservation;
  readonly recorded: LockedStage | undefined;
  readonly claim: StageClaim;
  readonly signal: AbortSignal;
}

/** Restores known results of stages that are not up to date, or runs them. */
export function openBringStale(run: Run): BringStale {
  const { workspace } = run;
  let origin: Promise<RunOrigin> | undefined;
  const stale = { ...run, runCache: openRunCache(workspace), origin: () => (origin ??= runOrigin(workspace)) };
  return ({ stage, before }, signal) => bring(stale, { stage, before, signal });
}

function bring(
  run: StaleRun,
  given: { readonly stage: Stage; readonly before: LockedStage | undefined; readonly signal: AbortSignal },
): Promise<StageOutcome> {
  const { workspace, locked, made } = run;
  const { stage, before, signal } = given;
  const isForced = run.forced.has(stage.id);
  return withStageClaim(workspace, stage.id, { command: 'mlv repro', ...workspace.locks }, async (claim) => {
    // Since the run began, which may be hours ago, files may have been edited, and another mlv may have run the stage.
    const recorded = (await readLock(workspace, lockFileOf(stage))).get(stage.name);
    const isOther = recorded !== before && entryText(recorded) !== entryText(before);
    const found = await observe(isOther ? { ...run, locked: withEntry(locked, stage.id, recorded) } : run, stage);
    const seen = stage.kubernetes === undefined ? found : withPrevious(stage, found, recorded);
    const decision = decide({ stage, locked: recorded, seen, isForced });
    if (decision.type !== 'outputs-missing' && decision.type !== 'stale') {
      // What reads from it has yet to learn of it.
      for (const [path, output] of recorded?.outs ?? []) made.set(path, output);
      return decision;
    }
    requireRunnable(stage, decision, run.graph);
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
    const ready = { stage, seen, recorded, claim, signal };
    return stage.kubernetes === undefined
      ? { type: 'ran', ...(await runHere(run, ready)) }
      : await runThere(run, { ...ready, isForced });
  });
}

/** What a cluster is to go on from is what was made last, here or not: what it makes stays away. */
function withPrevious(
  { outs: declared }: Stage,
  seen: StageObservation,
  recorded: LockedStage | undefined,
): StageObservation {
  const outs = new Map(seen.outs);
  for (const { path, persist } of declared) {
    const before = recorded?.outs.get(path);
    const state = outs.get(path);
    if (persist && before !== undefined && (state === 'not-checked-out' || state === 'out-of-date')) {
      const { type, hash, size, files, exec } = before;
      outs.set(path, { type, hash, size, ...(files !== undefined && { files }), ...(exec !== undefined && { exec }) });
    }
  }
  return { ...seen, outs };
}

/** On the cluster of the stage's profile. */
async function runThere(run: StaleRun, given: RunOfStage & { readonly isForced: boolean }): Promise<StageOutcome> {
  const { workspace, pipeline, runCache } = run;
  const { stage, seen, recorded, signal } = given;
  const { clusterFor } = await import('./kubernetes/draft.ts');
  const cluster = await clusterFor(workspace, { clusters: run.clusters, stage });
  const fingerprint = fingerprintOf(stage, seen);
  const { runOnCluster } = await import('./kubernetes/run-on-cluster.ts');
  const ran = await runOnCluster(workspace, {
    ...given,
    cluster,
    stages: pipeline.stages,
    fingerprint,
    origin: run.origin,
    tasks: run.tasks,
    observe: () => observe(run, stage),
    onEvent: run.onEvent,
  });
  if (ran.type === 'detached') return ran;
  const { outs, seconds, finished } = ran;
  const now = await observe({ ...run, made: new Map() }, stage);
  await makeWay(workspace, { stage, recorded, outs, now: now.outs, tasks: run.tasks, signal });
  // First: killed after it, the next run takes the job's result again.
  if (!stage.alwaysChanged)
    runCache.put(describeRun({ stage, fingerprint, outs, seconds, origin: await run.origin(), finished }));
  await recordOutputs(run, { stage, seen, outs, outputs: 'as they were' });
  return { type: 'ran', seconds };
}

function withEntry(locked: Run['locked'], id: StageId, entry: LockedStage | undefined): Run['locked'] {
  const others = [...locked].filter(([other]) => other !== id);
  return new Map(entry === undefined ? others : [...others, [id, entry]]);
}

function entryText(entry: LockedStage | undefined): string {
  return formatLock(new Map(entry === undefined ? [] : [['', entry]]), REPO_ROOT);
}

/** Restores a known result of the same inputs. Undefined where none is known whose data is at hand. */
async function restoreKnown(
  run: StaleRun,
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
  await recordOutputs(run, { stage, seen, outs, outputs: 'restored' });
  return record;
}

async function runHere(run: StaleRun, given: RunOfStage): Promise<{ readonly seconds: number }> {
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
        // Asked while the command runs: that takes a few processes of Git.
        run.origin().catch(() => undefined);
        onEvent({ type: 'started', stage: stage.id, attempt });
      },
      onLine: (stream, text) => onEvent({ type: 'line', stage: stage.id, stream, text }),
    });
    // Also what this run knows of other stages: this one may have rewritten it.
    const after = await observe({ ...run, made: new Map() }, stage);
    const rewritten = changedDependencies(seen, after);
    if (rewritten.length > 0) throw dependencyRewritten(stage, rewritten);
    const outs = await storeOutputs(workspace, { stage, recorded, tasks, signal });
    await recordOutputs(run, { stage, seen, outs, outputs: 'made' });
    if (!stage.alwaysChanged) {
      const fingerprint = fingerprintOf(stage, seen);
      runCache.put(describeRun({ stage, fingerprint, outs, seconds, origin: await run.origin() }));
    }
    return { seconds };
  } catch (error) {
    // What somebody writes there from now on is his, and kept.
    markRunEnded(workspace, stage.id);
    throw error;
  }
}

async function recordOutputs(
  { workspace, pipeline, locked, made, staging }: Run,
  given: {
    readonly stage: Stage;
    readonly seen: StageObservation;
    readonly outs: ReadonlyMap<RepoPath, LockedOutput>;
    readonly outputs: 'made' | 'restored' | 'as they were';
  },
): Promise<void> {
  const { stage, seen, outs, outputs } = given;
  await recordStage(workspace, stage, {
    locked: lockedStage(stage, seen, outs),
    stages: pipeline.stages,
    outputs,
    staging,
    before: locked,
  });
  for (const [path, output] of outs) made.set(path, output);
}
