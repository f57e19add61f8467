/**
 * Runs a stage on a cluster: what it reads goes to the remote, a Job fetches it, makes what the stage makes and sends that to the remote, and its
 * record there tells what it was. The data stays there; only what Git keeps comes here.
 */
import { readFileSync } from 'node:fs';
import { formatClusterTask } from '../../domain/cluster-task.ts';
import type { Digest } from '../../domain/digest.ts';
import { MlvError } from '../../domain/errors.ts';
import type { LockedStage, Stage, StageObservation } from '../../domain/pipeline.ts';
import { isJobUid } from '../../domain/remote-layout.ts';
import { digestOfBytes } from '../../platform/hash.ts';
import { storeInputs } from '../../workspace/cluster-inputs.ts';
import type { HarvestedResult } from '../../workspace/cluster-transfer.ts';
import { readClusterResult, sendToCluster } from '../../workspace/cluster-transfer.ts';
import { storeCode } from '../../workspace/code-tree.ts';
import { changedDependencies, dependencyRewritten } from '../../workspace/observe-stages.ts';
import type { Workspace } from '../../workspace/open.ts';
import { prepareOutputs } from '../../workspace/prepare-outputs.ts';
import type { RunOrigin } from '../../workspace/run-cache.ts';
import { clearRunMark } from '../../workspace/run-marks.ts';
import type { StorageTasks } from '../../workspace/task-runner.ts';
import { createLineSplitter } from '../line-splitter.ts';
import { tellable } from '../command-failure.ts';
import type { StageClaim } from '../stage-claim.ts';
import type { StageEvent } from '../stage-event.ts';
import { beginStageLog } from '../stage-logs.ts';
import { requireAccepted } from './draft.ts';
import type { OpenCluster } from './open-cluster.ts';
import { runtimeName, TASK, USER } from './job-names.ts';
import { runtimeMap } from './job.ts';
import type { Step } from './job-state.ts';
import { jobFailed, jobGone } from './job-errors.ts';
import { quietEviction } from './follow-job.ts';
import { podBundle } from './pod-bundle.ts';
import { submit } from './submit.ts';
import type { WatchEnd } from './watch-over-job.ts';
import { watchOverJob } from './watch-over-job.ts';

export interface ClusterRunOptions {
  readonly cluster: OpenCluster;
  readonly stage: Stage;
  /** Of the whole pipeline. */
  readonly stages: readonly Stage[];
  readonly seen: StageObservation;
  readonly fingerprint: Digest;
  readonly recorded: LockedStage | undefined;
  readonly isForced: boolean;
  readonly claim: StageClaim;
  readonly origin: () => Promise<RunOrigin>;
  readonly tasks: StorageTasks;
  readonly signal: AbortSignal;
  /** What the stage finds now. */
  readonly observe: () => Promise<StageObservation>;
  readonly onEvent: (event: StageEvent) => void;
}

export type ClusterRun =
  | ({ readonly type: 'made' } & HarvestedResult)
  | { readonly type: 'detached'; readonly job: string };

const LAST_LINES = 10;
/** Results may be deleted by others while they are harvested; not again and again. */
const TRIES = 2;

/**
 * What a pod makes goes to the remote that its cluster uses, and to no other: an output that belongs elsewhere would be looked for where it is
 * not. Throws `kubernetes-output-remote`.
 */
function requireOneRemote({ stage, cluster: { remote } }: ClusterRunOptions): void {
  const other = stage.outs.find(({ remote: own = remote.name }) => own !== remote.name);
  if (other === undefined) return;
  throw new MlvError({
    code: 'kubernetes-output-remote',
    kind: 'refused',
    message: `stage ${stage.id} cannot run on a cluster: its output ${other.path} belongs to remote ${other.remote}, and a pod stores all that it makes on ${remote.name}`,
    hint: `Take "remote" from that output in ${stage.file}, line ${stage.line}, or "run_on" from the stage.`,
  });
}

/** Throws what keeps it from being sent, how its job failed, and `stage-interrupted` where that was deleted. */
export async function runOnCluster(workspace: Workspace, options: ClusterRunOptions): Promise<ClusterRun> {
  const { stage, cluster, claim } = options;
  requireOneRemote(options);
  const log = beginStageLog(workspace, stage.id, `the cluster of context ${cluster.api.context}`);
  claim.noteLog(log.path);
  claim.noteGroup(undefined);
  const started = performance.now();
  const seconds = (): number => (performance.now() - started) / 1000;
  try {
    const run = await sendAndStay(workspace, { ...options, log });
    log.end(run.type === 'made' ? 'succeeded' : 'interrupted', seconds());
    return run;
  } catch (error) {
    const isInterrupted = options.signal.aborted || (error instanceof MlvError && error.kind === 'interrupted');
    const reason = error instanceof Error ? error.message : String(error);
    log.end(isInterrupted ? 'interrupted' : 'failed', seconds(), isInterrupted ? undefined : reason);
    throw error;
  }
}

async function sendAndStay(
  workspace: Workspace,
  options: ClusterRunOptions & { readonly log: ReturnType<typeof beginStageLog> },
): Promise<ClusterRun> {
  const { stage, cluster, fingerprint, signal, log, onEvent } = options;
  const { api, profile, remote } = cluster;
  const lines: string[] = [];
  const say = (text: string): void => {
    log.say(text);
    onEvent({ type: 'line', stage: stage.id, stream: 'stderr', text });
  };
  const printed = (isKept: boolean) =>
    createLineSplitter((text) => {
      if (isKept && lines.push(text) > LAST_LINES) lines.shift();
      onEvent({ type: 'line', stage: stage.id, stream: isKept ? 'stdout' : 'stderr', text });
    });
  const splitters: Readonly<Record<Step, ReturnType<typeof createLineSplitter>>> = {
    fetch: printed(false),
    stage: printed(true),
    push: printed(false),
  };
  onEvent({ type: 'started', stage: stage.id, attempt: 1 });

  await requireAccepted(cluster, { stage, environment: workspace.environment, signal, onNote: say });
  const task = await sendTask(workspace, options);
  const { producer } = await options.origin();
  const request = {
    stage,
    profile,
    fingerprint,
    task,
    project: cluster.project,
    environment: workspace.environment,
    user: producer === undefined ? 'unknown' : `${producer.name} <${producer.email}>`,
  };
  const runtime = podProgram();
  let isForced = options.isForced || stage.alwaysChanged;
  for (let tried = 1; ; tried++) {
    const { job, how, hasOtherCode } = await submit(api, { request, runtime, isForced, signal });
    const { name, uid, annotations = {} } = job.metadata;
    if (how === 'created') say(`job ${name} was sent to ${api.context}, namespace ${api.namespace}`);
    else
      say(
        `job ${name} of ${annotations[USER] ?? 'somebody'} ${how === 'attached' ? 'is under way' : 'has ended'}: it is taken`,
      );
    if (hasOtherCode) say('it was sent with other code around the stage than is here');
    let end: WatchEnd = 'complete';
    if (how !== 'ended') {
      end = await watchOverJob(api, {
        stage,
        profile,
        job,
        isOwn: how === 'created' || annotations[USER] === request.user,
        signal,
        onNote: say,
        onAttempt: (attempt) => {
          if (attempt > 1) onEvent({ type: 'started', stage: stage.id, attempt });
        },
        onOutput(step, bytes, isLineEnd) {
          const whole = isLineEnd ? Buffer.concat([bytes, Buffer.from('\n')]) : bytes;
          log.write(whole);
          splitters[step].push(whole);
        },
        lastLines: () => tellable(lines),
      });
      if (end === 'detached') {
        say(`job ${name} goes on: run the same command again to join it, or mlv jobs cancel ${name} to end it`);
        return { type: 'detached', job: name };
      }
      if (end === 'deleted') throw interrupted(stage);
    }
    if (!isJobUid(uid)) throw new Error(`the UID of job ${name} is none: ${uid}`);
    const result: HarvestedResult | undefined = await readClusterResult(workspace, {
      remote: remote.name,
      job: uid,
      task: (annotations[TASK] ?? task.hash) as Digest,
      fingerprint,
      stage,
      signal,
    });
    if (result !== undefined) return { type: 'made', ...result };
    if (end === 'gone') throw jobGone({ stage, profile, job: name });
    if (how !== 'ended') {
      const message = await quietEviction(api, { job, signal });
      if (message !== undefined)
        throw jobFailed({ stage, profile, job: name }, { kind: 'out-of-disk', message, step: 'push' }, []);
    }
    if (how !== 'ended' || tried === TRIES) throw resultMissing(stage, name, remote.name);
    say(`job ${name} left no result on remote ${remote.name}: it is sent anew`);
    isForced = true;
  }
}

/** Sends what the pod needs to the remote. Returns what it is told. */
async function sendTask(workspace: Workspace, options: ClusterRunOptions) {
  const { stage, stages, seen, fingerprint, tasks, signal, cluster } = options;
  const { name: remote, settings } = cluster.remote;
  const outs = stages.flatMap((each) => each.outs.map(({ path }) => path));
  const code = await storeCode(workspace, { outs, tasks, signal });
  const inputs = await storeInputs(workspace, { stage, stages, seen: seen.deps, tasks, signal });
  // Between the look that the fingerprint is of and the copies that are sent somebody may have written.
  const rewritten = changedDependencies(seen, await options.observe());
  if (rewritten.length > 0) throw dependencyRewritten(stage, rewritten);
  const persisting = stage.outs.filter(({ persist }) => persist);
  // What a person changed there is what the stage is to find.
  if (persisting.length > 0) {
    await prepareOutputs(workspace, {
      stage: { ...stage, outs: persisting },
      recorded: options.recorded,
      tasks,
      signal,
    });
    clearRunMark(workspace, stage.id);
  }
  await tasks.flush();
  const previous = persisting.flatMap(({ path }) => {
    const state = seen.outs.get(path);
    return typeof state === 'object' ? [{ path, ...state }] : [];
  });
  await sendToCluster(workspace, { remote, code, inputs: [...inputs, ...previous], signal });
  const { profile: _, ...place } = settings;
  const text = formatClusterTask({
    stage: stage.id,
    fingerprint,
    commands: stage.commands,
    wdir: stage.wdir,
    code: code.root,
    inputs,
    outs: stage.outs.map(({ path, cache, persist, push }) => {
      const before = previous.find((each) => each.path === path);
      return { path, cache, persist, push, ...(before !== undefined && { previous: before }) };
    }),
    remote: place,
  });
  return { text, hash: digestOfBytes(Buffer.from(text)), code: code.root };
}

/** What fetch and push run: built beside this program. */
function podProgram() {
  const text = readFileSync(podBundle(), 'utf8');
  return runtimeMap(runtimeName(digestOfBytes(Buffer.from(text))), { 'pod.cjs': text });
}

function interrupted({ id }: Stage): MlvError {
  return new MlvError({
    code: 'stage-interrupted',
    kind: 'interrupted',
    message: `stage ${id} was interrupted, and its job deleted`,
    hint: 'Run the same command again: what has ended well is not run again',
  });
}

function resultMissing({ id }: Stage, job: string, remote: string): MlvError {
  return new MlvError({
    code: 'cluster-result-missing',
    kind: 'missing',
    message: `job ${job} of stage ${id} ended well, and there is no record of its result on remote ${remote}`,
    hint: `Run the stage again: mlv repro --force ${id}`,
  });
}
