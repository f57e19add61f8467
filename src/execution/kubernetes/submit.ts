/**
 * Sends the job of a stage, or finds the one that was sent before. At most one of a stage and fingerprint runs: its name follows from them, so
 * of two who send at once one is told that it is there, and joins. The next try has the next
 * number, as long as the one before can be seen.
 */
import { MlvError } from '../../domain/errors.ts';
import type { KubernetesApi } from './api.ts';
import { droppedFields } from './dropped-fields.ts';
import { FINGERPRINT, projectSelector, STAGE, TASK, USED } from './job-names.ts';
import type { JobRequest, Submission } from './job.ts';
import { submissionOf } from './job.ts';
import { jobState } from './job-state.ts';
import type { ConfigMap } from './objects.ts';
import { coreCollection, jobs } from './resources.ts';
import type { SeenJob } from './seen-objects.ts';

export interface SubmitOptions {
  readonly request: Omit<JobRequest, 'runtime' | 'attempt'>;
  /** What the containers of mlv run. */
  readonly runtime: ConfigMap;
  /** Whether the result of a job that has ended is not to be taken. */
  readonly isForced: boolean;
  readonly signal: AbortSignal;
}

export interface SubmittedJob {
  readonly job: SeenJob & { readonly metadata: { readonly uid: string } };
  /** `attached`: it runs already; `ended`: it has, and well. */
  readonly how: 'created' | 'attached' | 'ended';
  /** True where it was sent with other files around the stage than are here: nothing that the stage is declared to depend on. */
  readonly hasOtherCode: boolean;
}

/** Others may send, and end, the same job again and again; not that often. */
const TRIES = 5;

/**
 * Returns the job to be followed. Throws what the API does, what `submissionOf` throws, `kubernetes-field-dropped`. Killed before it returns,
 * it leaves at most a ConfigMap that nothing reads, or a job that the next run joins.
 */
export async function submit(api: KubernetesApi, options: SubmitOptions): Promise<SubmittedJob> {
  const { request, runtime, isForced, signal } = options;
  const { namespace } = api;
  for (let tried = 1; ; tried++) {
    const known = await sentBefore(api, options);
    const newest = known.at(-1);
    const state = newest === undefined ? undefined : jobState({ job: newest, pods: [], events: [] }).type;
    if (newest !== undefined && newest.metadata.deletionTimestamp === undefined && state !== 'failed') {
      if (state !== 'complete') return { ...joined(newest, request), how: 'attached' };
      if (!isForced) return { ...joined(newest, request), how: 'ended' };
    }
    const attempt = newest === undefined ? 0 : attemptOf(newest) + 1;
    const submission = submissionOf({ ...request, runtime: runtime.metadata.name, attempt });
    try {
      await requireUnderstood(api, submission.job, signal);
      await provide(api, runtime, signal);
      await createOnce(api, submission.task, signal);
      signal.throwIfAborted();
      // Not given up in the middle, which is bounded: what the server may have made already has to be known here.
      const never = new AbortController().signal;
      const job = await api.create<SeenJob>(jobs(namespace), submission.job, { signal: never });
      await own(api, submission.task, job, never);
      return { job, how: 'created', hasOtherCode: false };
    } catch (error) {
      // Somebody was faster, or the answer to an earlier try of this very request got lost.
      if (!isConflict(error) || tried === TRIES) throw error;
    }
  }
}

/** The jobs of this stage with these inputs, the oldest try first. */
async function sentBefore(api: KubernetesApi, { request, signal }: SubmitOptions): Promise<readonly SeenJob[]> {
  const labels = `${projectSelector(request.project)},${FINGERPRINT}=${request.fingerprint.slice(0, 40)}`;
  const { items } = await api.list<SeenJob>(jobs(api.namespace), { selector: { labels }, signal });
  return items
    .filter(({ metadata }) => metadata.annotations?.[STAGE] === request.stage.id)
    .toSorted((a, b) => attemptOf(a) - attemptOf(b));
}

/** The number of a try, as its name tells it. */
function attemptOf({ metadata }: SeenJob): number {
  return Number(/-r(\d{1,9})$/.exec(metadata.name)?.[1] ?? 0);
}

function joined(job: SeenJob, { task }: SubmitOptions['request']): Omit<SubmittedJob, 'how'> {
  return { job, hasOtherCode: job.metadata.annotations?.[TASK] !== task.hash };
}

/**
 * A cluster may take a field and not keep it, where that is switched off, or too new for it: it tells when it is asked what it would make.
 * Throws `kubernetes-field-dropped`, and what creating a job does.
 */
export async function requireUnderstood(
  api: KubernetesApi,
  job: Submission['job'],
  signal: AbortSignal,
): Promise<void> {
  const kept = await api.create<object>(jobs(api.namespace), job, { isDryRun: true, signal });
  const dropped = droppedFields(job, kept);
  if (dropped.length === 0) return;
  throw new MlvError({
    code: 'kubernetes-field-dropped',
    kind: 'unsupported',
    message: `the cluster of context ${api.context} does not keep ${dropped.join(', ')} of a Job`,
    hint: 'A run could end otherwise than mlv tells. Kubernetes 1.31 or newer keeps all of them, unless a feature gate or an admission hook takes them away.',
  });
}

/** What nobody uses is deleted some day: that it is about to be used is noted before a job names it, or it is made again. */
async function provide(api: KubernetesApi, runtime: ConfigMap, signal: AbortSignal): Promise<void> {
  const annotations = { [USED]: new Date().toISOString() };
  const { metadata } = runtime;
  const resource = { ...coreCollection('configmaps', api.namespace), name: metadata.name };
  try {
    await api.patch(resource, { metadata: { annotations } }, { signal });
  } catch (error) {
    if (!isMissing(error)) throw error;
    await createOnce(api, { ...runtime, metadata: { ...metadata, annotations } }, signal);
  }
}

async function createOnce(api: KubernetesApi, map: ConfigMap, signal: AbortSignal): Promise<void> {
  try {
    await api.create(coreCollection('configmaps', api.namespace), map, { signal });
  } catch (error) {
    // Its name follows from its content, and it cannot be changed.
    if (!isConflict(error)) throw error;
  }
}

/** So that the task goes with its job. One that was left there by a submission that never ended may have been cleaned up meanwhile. */
async function own(api: KubernetesApi, task: ConfigMap, job: SeenJob, signal: AbortSignal): Promise<void> {
  const owner = { apiVersion: 'batch/v1', kind: 'Job', name: job.metadata.name, uid: job.metadata.uid };
  const resource = { ...coreCollection('configmaps', api.namespace), name: task.metadata.name };
  const ownerReferences = [owner];
  try {
    await api.patch(resource, { metadata: { ownerReferences } }, { signal });
  } catch (error) {
    if (!isMissing(error)) throw error;
    await createOnce(api, { ...task, metadata: { ...task.metadata, ownerReferences } }, signal);
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof MlvError && error.code === 'kubernetes-missing';
}

function isConflict(error: unknown): boolean {
  return error instanceof MlvError && error.code === 'kubernetes-conflict';
}
