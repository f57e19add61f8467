/** What has become of a job, from what the cluster says of it, its pods and their events. Pure. */
import type { KubernetesObject } from './resources.ts';
import type { JobSighting, SeenCondition, SeenContainer, SeenEvent, SeenPod } from './seen-objects.ts';

/** The containers of a pod, in the order they run in. */
export const STEPS = ['fetch', 'stage', 'push'] as const;
export type Step = (typeof STEPS)[number];

/**
 * Why nothing runs: a queue holds it back; no pod could be made; no node takes it; an image does not come; a container cannot be set up as
 * declared; or it is just being set up.
 */
export type Wait = 'queued' | 'no-pod' | 'unschedulable' | 'image' | 'config' | 'starting';

/** In words. */
export const WAITS: Readonly<Record<Wait, string>> = {
  queued: 'waits in the queue',
  'no-pod': 'no pod could be made',
  unschedulable: 'waits for a node',
  image: 'waits for an image',
  config: 'cannot be set up',
  starting: 'is being set up',
};

export type FailureClass =
  | 'preempted'
  | 'out-of-memory'
  | 'out-of-disk'
  | 'timeout'
  | 'config'
  | 'credentials'
  | 'data'
  | 'remote'
  | 'output'
  | 'command'
  | 'unknown';

export interface JobFailure {
  readonly kind: FailureClass;
  /** In the cluster's words, or the container's. */
  readonly message: string;
  /** Where it went wrong. */
  readonly step?: Step;
  /** Of that container. */
  readonly exitCode?: number;
  readonly pod?: string;
}

export type JobState =
  | { readonly type: 'waiting'; readonly wait: Wait; readonly message: string }
  | { readonly type: 'active'; readonly step: Step; readonly pod: SeenPod }
  | { readonly type: 'complete' }
  | { readonly type: 'failed'; readonly failure: JobFailure };

/** Exit codes of fetch and push. */
const TRANSFER_FAILURES: Readonly<Record<number, FailureClass>> = {
  64: 'config',
  65: 'data',
  66: 'credentials',
  67: 'remote',
  68: 'out-of-disk',
  69: 'output',
};
/** What a container waits with while its image is not there. */
const IMAGE_WAITS = new Set(['ErrImagePull', 'ImagePullBackOff', 'ErrImageNeverPull', 'RegistryUnavailable']);
/** What no waiting mends: the pod names something that is not there, or that the node refuses. */
const CONFIG_WAITS = new Set([
  'CreateContainerConfigError',
  'CreateContainerError',
  'InvalidImageName',
  'RunContainerError',
  'ImageInspectError',
  'SignatureValidationFailed',
]);
/** A container that could not even begin. */
const NOT_BEGUN = new Set(['StartError', 'ContainerCannotRun']);
const KILLED = 137;

/** What a job waits for that has no pod, or no longer one that runs: nothing to tell of. */
export const POD_TO_COME = 'the pod is being made';

/** The state of a job. Success is not only this: the result has to be there, too. */
export function jobState({ job, pods, events }: JobSighting): JobState {
  const { conditions = [] } = job.status ?? {};
  if (holds(conditions, 'Complete') !== undefined) return { type: 'complete' };
  const failed = holds(conditions, 'Failed');
  const newest = newestOf(pods);
  if (failed !== undefined) return { type: 'failed', failure: failureOf(failed, pods) };
  if (job.spec?.suspend === true || holds(conditions, 'Suspended') !== undefined)
    return { type: 'waiting', wait: 'queued', message: 'the job is suspended: a queue holds it back' };
  if (newest === undefined || hasEnded(newest)) {
    // What came before the last try was made says nothing of the next.
    const event = lastEvent(
      events,
      (each) =>
        each.involvedObject?.kind === 'Job' &&
        each.reason === 'FailedCreate' &&
        (newest === undefined || createdAt(each) > createdAt(newest)),
    );
    return event !== undefined
      ? { type: 'waiting', wait: 'no-pod', message: event.message ?? 'no pod could be made' }
      : { type: 'waiting', wait: 'starting', message: POD_TO_COME };
  }
  return podState(newest, events);
}

/** How a try went wrong that the cluster follows by another; undefined for a pod that has not failed. */
export function podFailure(pod: SeenPod): JobFailure | undefined {
  return pod.status?.phase === 'Failed' ? failureOfPod(pod) : undefined;
}

/** Of several pods the one that counts: the newest. */
export function newestOf(pods: readonly SeenPod[]): SeenPod | undefined {
  return inOrder(pods).at(-1);
}

/** In the order in which they were made. */
export function inOrder<T extends KubernetesObject>(objects: readonly T[]): T[] {
  return objects.toSorted((a, b) => compare(createdAt(a), createdAt(b)) || compare(a.metadata.name, b.metadata.name));
}

function podState(pod: SeenPod, events: readonly SeenEvent[]): JobState {
  const containers = containersOf(pod);
  for (const step of STEPS) {
    const state = containers.find(({ name }) => name === step)?.state;
    if (state?.running !== undefined) return { type: 'active', step, pod };
    const { reason = '', message = reason } = state?.waiting ?? {};
    if (IMAGE_WAITS.has(reason)) return { type: 'waiting', wait: 'image', message: `${step}: ${message}` };
    if (CONFIG_WAITS.has(reason)) return { type: 'waiting', wait: 'config', message: `${step}: ${message}` };
  }
  const unscheduled = (pod.status?.conditions ?? []).find(
    ({ type, status }) => type === 'PodScheduled' && status === 'False',
  );
  if (unscheduled !== undefined) {
    const { message = 'no node takes the pod' } = unscheduled;
    return { type: 'waiting', wait: 'unschedulable', message };
  }
  const warning = lastEvent(
    events,
    ({ type, involvedObject }) => type === 'Warning' && involvedObject?.uid === pod.metadata.uid,
  );
  return { type: 'waiting', wait: 'starting', message: warning?.message ?? 'the pod is being set up' };
}

/** A job ends for a reason of its own, or for that of a pod: which is told more closely. */
function failureOf({ reason, message = 'the job failed' }: SeenCondition, pods: readonly SeenPod[]): JobFailure {
  if (reason === 'DeadlineExceeded') return { kind: 'timeout', message };
  const failed = newestOf(pods.filter((pod) => pod.status?.phase === 'Failed'));
  return failed === undefined ? { kind: 'unknown', message } : failureOfPod(failed);
}

function failureOfPod(pod: SeenPod): JobFailure {
  const { reason, message, conditions = [] } = pod.status ?? {};
  const at = { pod: pod.metadata.name };
  if (reason === 'Evicted' && /ephemeral|emptyDir|local storage|disk/i.test(message ?? ''))
    return { ...at, kind: 'out-of-disk', message: message ?? reason };
  if (reason === 'DeadlineExceeded') return { ...at, kind: 'timeout', message: message ?? reason };
  const ended = containersOf(pod).flatMap(({ name, state }) => {
    const step = STEPS.find((each) => each === name);
    const { terminated } = state ?? {};
    return step === undefined || terminated === undefined || terminated.exitCode === 0 ? [] : [{ step, terminated }];
  });
  const outOfMemory = ended.find(({ terminated }) => terminated.reason === 'OOMKilled');
  if (outOfMemory !== undefined) {
    const { step, terminated } = outOfMemory;
    return {
      ...at,
      kind: 'out-of-memory',
      step,
      exitCode: terminated.exitCode,
      message: `${step} was killed for its memory`,
    };
  }
  const disruption = holds(conditions, 'DisruptionTarget');
  if (disruption !== undefined || reason === 'Evicted' || reason === 'NodeLost' || reason === 'Shutdown')
    return { ...at, kind: 'preempted', message: disruption?.message ?? message ?? 'the node let it go' };
  const [first] = ended;
  if (first === undefined) return { ...at, kind: 'unknown', message: message ?? reason ?? 'the pod failed' };
  const { step, terminated } = first;
  const { exitCode } = terminated;
  const told = { ...at, step, exitCode };
  if (NOT_BEGUN.has(terminated.reason ?? ''))
    return { ...told, kind: 'config', message: terminated.message ?? `${step} could not be started` };
  if (step !== 'stage') {
    const { message: why } = lastWords(terminated.message);
    return {
      ...told,
      kind: TRANSFER_FAILURES[exitCode] ?? 'unknown',
      message: why ?? `${step} ended with code ${exitCode}`,
    };
  }
  const how = exitCode === KILLED ? 'was killed (code 137)' : `ended with code ${exitCode}`;
  return { ...told, kind: 'command', message: `its command ${how}` };
}

/** What fetch and push say last is JSON; what else stands there is told as it is. */
function lastWords(text: string | undefined): { readonly message?: string } {
  const line = text?.trim().split('\n').at(-1);
  if (line === undefined || line === '') return {};
  try {
    const told: unknown = JSON.parse(line);
    if (typeof told === 'object' && told !== null && 'message' in told && typeof told.message === 'string')
      return { message: told.message };
  } catch {
    // not JSON
  }
  return { message: line };
}

function containersOf({ status }: SeenPod): readonly SeenContainer[] {
  return [...(status?.initContainerStatuses ?? []), ...(status?.containerStatuses ?? [])];
}

function hasEnded({ status }: SeenPod): boolean {
  return status?.phase === 'Failed' || status?.phase === 'Succeeded';
}

function holds(conditions: readonly SeenCondition[], type: string): SeenCondition | undefined {
  return conditions.find((condition) => condition.type === type && condition.status === 'True');
}

function lastEvent(events: readonly SeenEvent[], isMeant: (event: SeenEvent) => boolean): SeenEvent | undefined {
  return events.findLast(isMeant);
}

function createdAt({ metadata }: KubernetesObject): string {
  return metadata.creationTimestamp ?? '';
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
