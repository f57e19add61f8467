import type { MlvError } from '../../domain/errors.ts';
import type { KubernetesApi } from './api.ts';
import { follow } from './follow.ts';
import type { JobFailure, JobState } from './job-state.ts';
import { jobState, newestOf, podFailure } from './job-state.ts';
import { coreCollection, jobs, pods } from './resources.ts';
import { pause } from './retry.ts';
import type { SeenEvent, SeenJob, SeenPod } from './seen-objects.ts';

/** How a job ended; `gone`: somebody deleted it. */
export type JobEnd = Extract<JobState, { type: 'complete' | 'failed' }> | { readonly type: 'gone' };

export interface FollowJobOptions {
  readonly job: SeenJob;
  readonly signal: AbortSignal;
  /** Told each state that differs from the one before; what it throws ends this. */
  readonly onState: (state: JobState) => void;
  /** Told each pod when it is first seen. */
  readonly onPod: (pod: SeenPod) => void;
  /** Told how a try failed, once; the job may go on with another. */
  readonly onPodFailed: (failure: JobFailure) => void;
  readonly onTrouble: (error: MlvError) => void;
}

/** Events tell why a job has no pod and why a pod does not start: asked for while nothing runs. */
const EVENTS_MS = 3_000;

/** Follows a job to its end. Throws the signal's reason, and what asking the cluster does that waiting does not mend. */
export async function followJob(api: KubernetesApi, options: FollowJobOptions): Promise<JobEnd> {
  const { job, onState, onPod, onPodFailed, onTrouble } = options;
  const { name, uid } = job.metadata;
  const over = new AbortController();
  const signal = AbortSignal.any([options.signal, over.signal]);
  const seenPods = new Map<string, SeenPod>();
  let current: SeenJob | undefined;
  let events: readonly SeenEvent[] = [];
  let listed = 0;
  let told = '';
  let end: JobEnd | undefined;

  const look = (): void => {
    if (listed < 2 || end !== undefined) return;
    const state: JobState | { readonly type: 'gone' } =
      current === undefined ? { type: 'gone' } : jobState({ job: current, pods: [...seenPods.values()], events });
    if (state.type !== 'gone') {
      const text = JSON.stringify(state.type === 'active' ? [state.step, state.pod.metadata.uid] : state);
      if (text !== told) onState(state);
      told = text;
    }
    if (state.type !== 'complete' && state.type !== 'failed' && state.type !== 'gone') return;
    end = state;
    over.abort();
  };

  /** The job may tell of its end before its pod has told of its own, which says more. */
  async function lastWord(failed: Extract<JobEnd, { type: 'failed' }>): Promise<JobEnd> {
    const { items } = await api.list<SeenPod>(pods(api.namespace), { selector: podSelector, signal: options.signal });
    for (const pod of items) seenPods.set(pod.metadata.uid, pod);
    const state = current && jobState({ job: current, pods: [...seenPods.values()], events });
    return state?.type === 'failed' ? state : failed;
  }

  const podSelector = { labels: `batch.kubernetes.io/controller-uid=${uid}` };
  const followed = { signal, onTrouble };
  const tasks = [
    async () => {
      const collection = jobs(api.namespace);
      for await (const seen of follow<SeenJob>(api, collection, {
        ...followed,
        selector: { fields: `metadata.name=${name}` },
      })) {
        if (seen.kind === 'listed') listed += 1;
        else if (seen.object.metadata.uid === uid) current = seen.kind === 'state' ? seen.object : undefined;
        look();
      }
    },
    async () => {
      for await (const seen of follow<SeenPod>(api, pods(api.namespace), { ...followed, selector: podSelector })) {
        if (seen.kind === 'listed') listed += 1;
        else {
          // The last state of one that is gone tells how it ended.
          if (!seenPods.has(seen.object.metadata.uid)) onPod(seen.object);
          const before = seenPods.get(seen.object.metadata.uid);
          seenPods.set(seen.object.metadata.uid, seen.object);
          const failure =
            before !== undefined && podFailure(before) !== undefined ? undefined : podFailure(seen.object);
          if (failure !== undefined) onPodFailed(failure);
        }
        look();
      }
    },
    async () => {
      for (;;) {
        await pause(EVENTS_MS, signal);
        if (!told.includes('"waiting"')) continue;
        const newest = newestOf([...seenPods.values()]);
        const about = [uid, ...(newest === undefined ? [] : [newest.metadata.uid])];
        events = await eventsOf(api, about, signal).catch(() => events); // they only tell more
        look();
      }
    },
  ];
  try {
    await Promise.all(tasks.map((task) => task()));
  } catch (error) {
    if (end === undefined) throw error;
    return end.type === 'failed' ? await lastWord(end) : end;
  } finally {
    over.abort();
  }
  throw new Error('a job that is followed for ever was followed to no end');
}

/**
 * What an eviction said that ended a job's pod and still counts as success, where its last container was kind enough to end with code 0: only
 * an event tells of it. Undefined where nothing did, or is known any more.
 */
export async function quietEviction(
  api: KubernetesApi,
  { job, signal }: { readonly job: SeenJob; readonly signal: AbortSignal },
): Promise<string | undefined> {
  const labels = `batch.kubernetes.io/controller-uid=${job.metadata.uid}`;
  const { items } = await api.list<SeenPod>(pods(api.namespace), { selector: { labels }, signal });
  const newest = newestOf(items);
  if (newest === undefined) return undefined;
  const events = await eventsOf(api, [newest.metadata.uid], signal);
  return events.findLast(({ reason }) => reason === 'Evicted')?.message;
}

/** What is told of these objects, the oldest first. */
export async function eventsOf(
  api: KubernetesApi,
  uids: readonly (string | undefined)[],
  signal: AbortSignal,
): Promise<SeenEvent[]> {
  const lists = await Promise.all(
    uids.map((uid) =>
      api.list<SeenEvent>(coreCollection('events', api.namespace), {
        selector: { fields: `involvedObject.uid=${uid}` },
        signal,
      }),
    ),
  );
  return lists
    .flatMap(({ items }) => items)
    .toSorted((a, b) => ((a.metadata.creationTimestamp ?? '') < (b.metadata.creationTimestamp ?? '') ? -1 : 1));
}
