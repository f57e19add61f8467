/**
 * What batch/v1 does with Jobs of one completion mode, NonIndexed: pods, counts, conditions, back-off; the order of steps and the
 * words are those of pkg/controller/job/job_controller.go of 1.34.
 */
import { openRecorder } from './events.ts';
import { type Condition, type Job, type JobStatus, type Pod, wholeSeconds } from './objects.ts';
import {
  isActive,
  isFailed,
  isFinished,
  isReady,
  isTerminating,
  isTracked,
  replacesOnlyFailed,
  TRACKING,
  withCondition,
} from './job-state.ts';
import { judgeFailure } from './pod-failure-policy.ts';
import { openReconciler, type Reconciler } from './reconcile.ts';
import type { Registry } from './registry.ts';
import { keyOf } from './store.ts';

export interface JobTiming {
  /** How long a second of a deadline takes. */
  readonly secondMs: number;
  /** The wait after the first failed pod, 10 s in a real cluster; doubled with each further one. */
  readonly backoffMs: number;
}

/** What is known of a Job between two looks at it. */
interface Memory {
  startedAt?: number;
  failures: number;
  lastFailure: number;
  refusals: number;
}

interface Sync {
  readonly job: Job;
  readonly status: JobStatus;
  readonly pods: readonly Pod[];
  readonly memory: Memory;
}

const MAX_BACKOFF_FACTOR = 36;

export function startJobController(registry: Registry, { secondMs, backoffMs }: JobTiming): { close(): void } {
  const { store, now } = registry;
  const recorder = openRecorder(store, { now, source: { component: 'job-controller' } });
  const memories = new Map<string, Memory>();
  const loop: Reconciler = openReconciler(store, ['jobs', 'pods', 'serviceaccounts', 'resourcequotas'], () => {
    for (const job of store.list('jobs')) syncJob(job);
    releaseOrphans();
  });

  function syncJob(job: Job): void {
    if (isFinished(job) || job.spec.managedBy !== undefined) return;
    const { uid } = job.metadata;
    const memory = memories.get(uid) ?? { failures: 0, lastFailure: 0, refusals: 0 };
    memories.set(uid, memory);
    const pods = store
      .list('pods', { namespace: job.metadata.namespace ?? '' })
      .filter((pod) => pod.metadata.ownerReferences?.some((owner) => owner.uid === uid && owner.controller === true));
    const status = structuredClone(job.status);
    const sync = { job, status, pods, memory };
    status.uncountedTerminatedPods ??= {};
    if (status.startTime === undefined && job.spec.suspend !== true) start(sync);
    const fresh = pods.filter(isTracked);
    const failed = fresh.filter((pod) => isFailed(pod, job));
    const succeeded = fresh.filter((pod) => pod.status.phase === 'Succeeded');
    rememberFailures(memory, failed.length, succeeded.length);
    const counted = failed.filter((pod) => judgeFailure(job.spec, pod).isCounted);
    const failures = (status.failed ?? 0) + counted.length;
    let active = pods.filter(isActive).length;
    let terminating = pods.filter(isTerminating).length;
    let ending = endingOf(sync, failures);
    if (ending !== undefined) {
      for (const pod of pods.filter(isActive)) {
        deletePod(job, pod);
        active--;
        terminating++;
      }
    } else {
      if (job.metadata.deletionTimestamp === undefined) {
        const change = manage(sync, { active, terminating, succeeded: (status.succeeded ?? 0) + succeeded.length });
        active += change.created - change.deleted;
        terminating += change.deleted;
        tellSuspension(sync);
      }
      const wanted = job.spec.completions ?? 1;
      if ((status.succeeded ?? 0) + succeeded.length >= wanted && active === 0)
        ending = condition('SuccessCriteriaMet', 'CompletionsReached', 'Reached expected number of succeeded pods');
    }
    Object.assign(status, { active, terminating, ready: pods.filter(isActive).filter(isReady).length });
    track(sync, { failed, succeeded, ending, terminating });
  }

  /** Counts pods, takes their finalizers, and says how the Job ended once nothing of it is left running. */
  function track(
    { job, status, pods }: Sync,
    found: { failed: readonly Pod[]; succeeded: readonly Pod[]; ending: Condition | undefined; terminating: number },
  ): void {
    const { ending } = found;
    const isFailing = ending?.type === 'FailureTarget';
    const leaving = pods.filter(
      (pod) =>
        isTracked(pod) &&
        (ending !== undefined ||
          job.metadata.deletionTimestamp !== undefined ||
          found.failed.includes(pod) ||
          found.succeeded.includes(pod)),
    );
    const lost = leaving.filter((pod) => !found.succeeded.includes(pod) && (found.failed.includes(pod) || isFailing));
    const counted = lost.filter((pod) => judgeFailure(job.spec, pod).isCounted);
    if (ending !== undefined) status.conditions = withCondition(status.conditions, ending);
    writeStatus(job, {
      ...status,
      uncountedTerminatedPods: {
        ...(found.succeeded.length === 0 ? {} : { succeeded: found.succeeded.map(({ metadata }) => metadata.uid) }),
        ...(counted.length === 0 ? {} : { failed: counted.map(({ metadata }) => metadata.uid) }),
      },
    });
    for (const pod of leaving) releasePod(pod);
    status.succeeded = (status.succeeded ?? 0) + found.succeeded.length;
    status.failed = (status.failed ?? 0) + counted.length;
    for (const key of ['succeeded', 'failed', 'active', 'terminating'] as const) {
      if (status[key] === 0 && key !== 'terminating') delete status[key];
    }
    if (ending !== undefined && found.terminating === 0) {
      const final: Condition = {
        ...ending,
        type: isFailing ? 'Failed' : 'Complete',
        lastTransitionTime: wholeSeconds(now()),
      };
      status.conditions = withCondition(status.conditions, final);
      if (!isFailing) status.completionTime = wholeSeconds(now());
      if (isFailing) recorder.event(job, { type: 'Warning', reason: final.reason ?? '', message: final.message ?? '' });
      else recorder.event(job, { reason: 'Completed', message: 'Job completed' });
      memories.delete(job.metadata.uid);
    }
    writeStatus(job, status);
  }

  /** Why the Job is over, if it is; as the interim condition that says so. */
  function endingOf({ job, status, pods, memory }: Sync, failures: number): Condition | undefined {
    const told = status.conditions?.find(
      (each) => ['FailureTarget', 'SuccessCriteriaMet'].includes(each.type) && each.status === 'True',
    );
    if (told !== undefined) return told;
    for (const pod of pods.filter((each) => isFailed(each, job))) {
      const { failJob } = judgeFailure(job.spec, pod);
      if (failJob !== undefined) return condition('FailureTarget', 'PodFailurePolicy', failJob);
    }
    if (failures > (job.spec.backoffLimit ?? 6)) {
      return condition('FailureTarget', 'BackoffLimitExceeded', 'Job has reached the specified backoff limit');
    }
    const deadline = job.spec.activeDeadlineSeconds;
    if (deadline === undefined || memory.startedAt === undefined || job.spec.suspend === true) return undefined;
    const left = memory.startedAt + deadline * secondMs - now();
    if (left <= 0)
      return condition('FailureTarget', 'DeadlineExceeded', 'Job was active longer than specified deadline');
    loop.wakeIn(left);
    return undefined;
  }

  /** Creates and deletes pods, until there are as many as there should be. */
  function manage(
    { job, pods, memory }: Sync,
    { active, terminating, succeeded }: { active: number; terminating: number; succeeded: number },
  ): { created: number; deleted: number } {
    const { spec } = job;
    const wanted = Math.max(Math.min((spec.completions ?? 1) - succeeded, spec.parallelism ?? 1), 0);
    const surplus = spec.suspend === true ? active : Math.max(active - wanted, 0);
    if (surplus > 0) {
      for (const pod of pods.filter(isActive).slice(0, surplus)) {
        releasePod(pod);
        deletePod(job, pod);
      }
      return { created: 0, deleted: surplus };
    }
    const missing = spec.suspend === true ? 0 : wanted - active - (replacesOnlyFailed(job) ? terminating : 0);
    if (missing <= 0) return { created: 0, deleted: 0 };
    const wait = memory.lastFailure + backoffOf(memory.failures) - now();
    if (memory.failures > 0 && wait > 0) {
      loop.wakeIn(wait);
      return { created: 0, deleted: 0 };
    }
    let created = 0;
    while (created < missing && createPod(job, memory)) created++;
    return { created, deleted: 0 };
  }

  function backoffOf(failures: number): number {
    return backoffMs * Math.min(2 ** (failures - 1), MAX_BACKOFF_FACTOR);
  }

  function createPod(job: Job, memory: Memory): boolean {
    const { name, namespace = '', uid } = job.metadata;
    const { metadata = {}, spec } = job.spec.template;
    const owner = { apiVersion: 'batch/v1', kind: 'Job', name, uid, controller: true, blockOwnerDeletion: true };
    try {
      const pod = registry.create('pods', {
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: {
          ...metadata,
          namespace,
          generateName: `${name}-`,
          ownerReferences: [owner],
          finalizers: [...(metadata.finalizers ?? []), TRACKING],
        },
        spec,
      });
      recorder.event(job, { reason: 'SuccessfulCreate', message: `Created pod: ${pod.metadata.name}` });
      memory.refusals = 0;
      return true;
    } catch (error) {
      const message = `Error creating: ${error instanceof Error ? error.message : String(error)}`;
      recorder.event(job, { type: 'Warning', reason: 'FailedCreate', message });
      memory.refusals++;
      loop.wakeIn(backoffOf(memory.refusals));
      return false;
    }
  }

  function deletePod(job: Job, pod: Pod): void {
    if (store.get(keyOf('pods', pod)) === undefined) return;
    registry.delete(keyOf('pods', pod), { propagationPolicy: 'Background' });
    recorder.event(job, { reason: 'SuccessfulDelete', message: `Deleted pod: ${pod.metadata.name}` });
  }

  function releasePod(pod: Pod): void {
    store.change(keyOf('pods', pod), ({ metadata }) => {
      const left = (metadata.finalizers ?? []).filter((each) => each !== TRACKING);
      if (left.length === 0) delete metadata.finalizers;
      else metadata.finalizers = left;
    });
  }

  /** Pods whose Job is gone keep no finalizer. */
  function releaseOrphans(): void {
    const jobs = new Set(store.list('jobs').map(({ metadata }) => metadata.uid));
    for (const pod of store.list('pods').filter(isTracked)) {
      if (!(pod.metadata.ownerReferences ?? []).some(({ uid }) => jobs.has(uid))) releasePod(pod);
    }
  }

  function tellSuspension(sync: Sync): void {
    const { job, status } = sync;
    const known = status.conditions?.find(({ type }) => type === 'Suspended');
    const isSuspended = job.spec.suspend === true;
    if ((known?.status === 'True') === isSuspended) return;
    const [reason, message] = isSuspended ? ['JobSuspended', 'Job suspended'] : ['JobResumed', 'Job resumed'];
    const told = { ...condition('Suspended', reason, message), status: isSuspended ? 'True' : 'False' } as const;
    status.conditions = withCondition(status.conditions, told);
    recorder.event(job, { reason: isSuspended ? 'Suspended' : 'Resumed', message });
    // The deadline counts from the resumption.
    if (!isSuspended) start(sync);
  }

  function start({ status, memory }: Sync): void {
    memory.startedAt = now();
    status.startTime = wholeSeconds(now());
  }

  function rememberFailures(memory: Memory, failed: number, succeeded: number): void {
    if (succeeded > 0) memory.failures = 0;
    if (failed === 0) return;
    memory.failures += failed;
    memory.lastFailure = now();
  }

  function condition(type: string, reason: string, message: string): Condition {
    const time = wholeSeconds(now());
    return { type, status: 'True', lastProbeTime: time, lastTransitionTime: time, reason, message };
  }

  function writeStatus(job: Job, status: JobStatus): void {
    store.change(keyOf('jobs', job), (draft) => {
      draft.status = structuredClone(status);
    });
  }

  return loop;
}
