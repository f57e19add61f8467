/** What the job of a stage prints, for whoever wants to see it. Nothing is taken from it, and nothing recorded. */
import { MlvError } from '../../domain/errors.ts';
import type { Stage, StageId } from '../../domain/pipeline.ts';
import { TransientError } from '../../storage/transient-error.ts';
import type { Workspace } from '../../workspace/open.ts';
import { readPipeline } from '../../workspace/pipeline.ts';
import { selectStages } from '../../workspace/select-stages.ts';
import type { KubernetesApi } from './api.ts';
import { followJob } from './follow-job.ts';
import { projectSelector, STAGE, USER } from './job-names.ts';
import { inOrder, jobState, STEPS, WAITS } from './job-state.ts';
import type { OpenCluster } from './open-cluster.ts';
import { openClusters, profileOf } from './open-cluster.ts';
import { followPod } from './pod-logs.ts';
import { jobs, pods } from './resources.ts';
import type { SeenJob, SeenPod } from './seen-objects.ts';

export interface StageJobLogsOptions {
  /** As on the command line. */
  readonly target: string;
  readonly cwd: string;
  /** Goes on until the job has ended. */
  readonly isFollowing: boolean;
  /** Whether a job that has ended will do, and after which time (ISO 8601) it has to have ended. */
  readonly ended: { readonly since: string | undefined } | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Takes the next bytes; waited for. */
  readonly onBytes: (bytes: Uint8Array) => Promise<void>;
  /** Told what is no output of the stage. */
  readonly onNote: (text: string) => void;
}

/** What is known at the end of a job whose logs were printed. */
export interface LoggedJob {
  readonly stage: StageId;
  readonly job: string;
  readonly context: string;
  readonly namespace: string;
  readonly sentBy: string;
  /** `gone`: somebody deleted it. */
  readonly outcome: 'running' | 'complete' | 'failed' | 'gone';
}

const NOT_THERE = new Set(['kubernetes-missing', 'kubernetes-refused']);

/**
 * Hands over what the newest job of a stage that is under way has printed and prints, or, where that will do, the newest that has ended.
 * Undefined where there is none, or the stage does not run on a cluster. Throws what reading the pipeline and asking the cluster do, and
 * `stage-unknown`.
 */
export async function printStageJob(
  workspace: Workspace,
  options: StageJobLogsOptions,
): Promise<LoggedJob | undefined> {
  const stage = await clusterStage(workspace, options);
  if (stage === undefined) return undefined;
  const { onNote } = options;
  const clusters = openClusters(workspace, { onWarning: onNote });
  try {
    const cluster = await clusters.open(profileOf(workspace, stage));
    const job = await jobOf(cluster, stage.id, options);
    if (job === undefined) return undefined;
    const { context, namespace } = cluster.api;
    const { name, annotations = {} } = job.metadata;
    const sentBy = annotations[USER] ?? 'unknown';
    onNote(`job ${name}, sent by ${sentBy}, in namespace ${namespace} of ${context}`);
    const outcome = await (options.isFollowing ? follow : printNow)(cluster.api, job, options);
    return { stage: stage.id, job: name, context, namespace, sentBy, outcome };
  } finally {
    await clusters.close();
  }
}

async function clusterStage(workspace: Workspace, { target, cwd }: StageJobLogsOptions): Promise<Stage | undefined> {
  const pipeline = await readPipeline(workspace);
  const ids = selectStages(pipeline, { root: workspace.root, cwd }, [target]);
  const stages = pipeline.stages.filter(({ id, kubernetes }) => ids.includes(id) && kubernetes !== undefined);
  if (stages.length < 2) return stages[0];
  throw new MlvError({
    code: 'usage',
    kind: 'usage',
    message: `${target} stands for ${stages.length} stages, and one has logs at a time`,
    items: stages.map(({ id }) => id),
    hint: `Name one: mlv logs ${stages[0]?.id ?? 'STAGE'}`,
  });
}

async function jobOf(
  { api, project }: OpenCluster,
  stage: StageId,
  { ended, signal }: StageJobLogsOptions,
): Promise<SeenJob | undefined> {
  const selector = { labels: projectSelector(project) };
  const { items } = await api.list<SeenJob>(jobs(api.namespace), { selector, signal });
  const found = inOrder(items.filter(({ metadata }) => metadata.annotations?.[STAGE] === stage));
  const underWay = found.findLast((job) => endOf(job) === undefined);
  if (underWay !== undefined || ended === undefined) return underWay;
  // Times of Kubernetes are whole seconds.
  const since = ended.since === undefined ? 0 : Math.floor(Date.parse(ended.since) / 1000) * 1000;
  return found.findLast((job) => Date.parse(endOf(job) ?? '') >= since);
}

/** When a job ended. */
function endOf({ status }: SeenJob): string | undefined {
  const end = status?.conditions?.find(
    (each) => (each.type === 'Complete' || each.type === 'Failed') && each.status === 'True',
  );
  return end && (end.lastTransitionTime ?? '');
}

async function podsOf(api: KubernetesApi, { metadata }: SeenJob, signal?: AbortSignal): Promise<SeenPod[]> {
  const selector = { labels: `batch.kubernetes.io/controller-uid=${metadata.uid}` };
  return inOrder((await api.list<SeenPod>(pods(api.namespace), { selector, signal })).items);
}

async function follow(
  api: KubernetesApi,
  job: SeenJob,
  { signal, onBytes, onNote }: StageJobLogsOptions,
): Promise<LoggedJob['outcome']> {
  const over = new AbortController();
  const stop = signal === undefined ? over.signal : AbortSignal.any([signal, over.signal]);
  const seen = new Set<string>();
  let printed = Promise.resolve();
  // One try after the other, however many there are by now.
  const onPod = (pod: SeenPod): void => {
    if (seen.has(pod.metadata.uid)) return;
    seen.add(pod.metadata.uid);
    printed = printed.then(() =>
      followPod(api, pod, {
        signal: stop,
        onNote,
        onOutput: (_, bytes, isEnd) => onBytes(isEnd ? Buffer.concat([bytes, Buffer.from('\n')]) : bytes),
      }),
    );
    printed.catch((error: unknown) => over.abort(error));
  };
  try {
    for (const pod of await podsOf(api, job, stop)) onPod(pod);
    const end = await followJob(api, {
      job,
      signal: stop,
      onPod,
      onState(state) {
        if (state.type === 'waiting') onNote(`${WAITS[state.wait]}: ${state.message}`);
      },
      onPodFailed: ({ message }) => onNote(`a try failed: ${message}`),
      onTrouble: ({ message }) => onNote(message),
    });
    await printed;
    if (end.type === 'complete') onNote('the job is complete: mlv repro takes its result');
    else if (end.type === 'failed') onNote(`the job failed: ${end.failure.message}`);
    else onNote('somebody deleted the job');
    return end.type;
  } finally {
    over.abort();
    await printed.catch(() => undefined);
  }
}

async function printNow(
  api: KubernetesApi,
  job: SeenJob,
  { signal, onBytes, onNote }: StageJobLogsOptions,
): Promise<LoggedJob['outcome']> {
  const own = await podsOf(api, job, signal);
  for (const { metadata } of own) {
    for (const container of STEPS) {
      try {
        const pod = { ...pods(api.namespace), name: metadata.name };
        for await (const bytes of api.logs(pod, { container, signal })) await onBytes(bytes);
      } catch (error) {
        if (error instanceof TransientError) onNote(`the log of "${container}" was cut off: ${error.message}`);
        // It has not begun, or the node has removed it.
        else if (!(error instanceof MlvError && NOT_THERE.has(error.code))) throw error;
      }
    }
  }
  const state = jobState({ job, pods: own, events: [] });
  if (state.type === 'complete' || state.type === 'failed') {
    if (state.type === 'failed') onNote(`the job failed: ${state.failure.message}`);
    return state.type;
  }
  if (state.type === 'waiting') onNote(`${WAITS[state.wait]}: ${state.message}`);
  return 'running';
}
