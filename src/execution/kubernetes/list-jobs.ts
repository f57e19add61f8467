import type { MlvError } from '../../domain/errors.ts';
import type { StageId } from '../../domain/pipeline.ts';
import { forEachParallel } from '../../platform/parallel.ts';
import type { Workspace } from '../../workspace/open.ts';
import type { KubernetesApi } from './api.ts';
import type { AskClustersOptions, ClusterFailure } from './ask-clusters.ts';
import { askClusters } from './ask-clusters.ts';
import { eventsOf } from './follow-job.ts';
import { FINGERPRINT, projectSelector, STAGE, USER } from './job-names.ts';
import type { JobFailure, JobState, Step, Wait } from './job-state.ts';
import { jobState } from './job-state.ts';
import type { OpenCluster } from './open-cluster.ts';
import { jobs, pods } from './resources.ts';
import type { SeenJob, SeenPod } from './seen-objects.ts';

/** A job of this project, whoever sent it. */
export interface ListedJob {
  /** The first by which its cluster is known. */
  readonly profile: string;
  readonly context: string;
  readonly namespace: string;
  readonly job: string;
  readonly uid: string;
  readonly stage: StageId;
  readonly state: ListedState;
  /** `Ada <ada@example.org>`, as whoever sent it calls himself. */
  readonly sentBy: string;
  /** ISO 8601, by the cluster's clock. */
  readonly created: string;
  /** Likewise, where it has ended well. */
  readonly completed?: string;
  /** The first 40 digits of it. */
  readonly fingerprint: string;
}

/** What has become of a job; `ending`: somebody has deleted it, and it is not gone yet. */
export type ListedState =
  | { readonly type: 'waiting'; readonly wait: Wait; readonly message: string }
  | { readonly type: 'active'; readonly step: Step }
  | { readonly type: 'ending' }
  | { readonly type: 'complete' }
  | ({ readonly type: 'failed' } & JobFailure);

const AT_ONCE = 8;

/** The jobs of this project, the newest first, and the clusters that could not be asked. Throws as `askClusters` does. */
export async function listJobs(
  workspace: Workspace,
  options: AskClustersOptions,
): Promise<{ readonly jobs: readonly ListedJob[]; readonly failures: readonly ClusterFailure[] }> {
  const { answers, failures } = await askClusters(workspace, options, jobsOn);
  // Two contexts may lead to one cluster.
  const found = new Map(answers.flat().map((job) => [job.uid, job]));
  return { jobs: newestFirst([...found.values()]), failures };
}

/** The jobs of the project on a cluster, in any order. */
export async function jobsOn(cluster: OpenCluster, signal: AbortSignal): Promise<ListedJob[]> {
  const { api, project } = cluster;
  const select = { selector: { labels: projectSelector(project) }, signal };
  const { items } = await api.list<SeenJob>(jobs(api.namespace), select);
  const found = items.length === 0 ? [] : (await api.list<SeenPod>(pods(api.namespace), select)).items;
  const listed: ListedJob[] = [];
  await forEachParallel(items, { jobs: AT_ONCE, signal }, async (job, stop) => {
    const own = found.filter(({ metadata }) => metadata.ownerReferences?.some(({ uid }) => uid === job.metadata.uid));
    listed.push(listedJob(cluster, job, await stateOf(api, { job, pods: own, signal: stop })));
  });
  return listed;
}

export function hasEnded({ state }: ListedJob): boolean {
  return state.type === 'complete' || state.type === 'failed';
}

function newestFirst(listed: readonly ListedJob[]): ListedJob[] {
  return listed.toSorted((a, b) => compare(b.created, a.created) || compare(a.job, b.job));
}

function listedJob({ profile, api }: OpenCluster, { metadata, status }: SeenJob, state: JobState): ListedJob {
  const { name, uid, labels = {}, annotations = {}, creationTimestamp = '', deletionTimestamp } = metadata;
  const { completionTime } = status ?? {};
  return {
    profile: profile.name,
    context: api.context,
    namespace: api.namespace,
    job: name,
    uid,
    stage: (annotations[STAGE] ?? labels[STAGE] ?? '') as StageId,
    state: deletionTimestamp === undefined ? listedState(state) : { type: 'ending' },
    sentBy: annotations[USER] ?? 'unknown',
    created: creationTimestamp,
    ...(completionTime !== undefined && { completed: completionTime }),
    fingerprint: labels[FINGERPRINT] ?? '',
  };
}

function listedState(state: JobState): ListedState {
  if (state.type === 'active') return { type: 'active', step: state.step };
  return state.type === 'failed' ? { type: 'failed', ...state.failure } : state;
}

/** Events tell more of what waits without a reason of its own. */
async function stateOf(
  api: KubernetesApi,
  given: { readonly job: SeenJob; readonly pods: readonly SeenPod[]; readonly signal: AbortSignal },
): Promise<JobState> {
  const { job, pods: own, signal } = given;
  const state = jobState({ job, pods: own, events: [] });
  if (state.type !== 'waiting' || state.wait !== 'starting') return state;
  const about = [job, ...own].map(({ metadata }) => metadata.uid);
  const events = await eventsOf(api, about, signal).catch((error: MlvError) => {
    signal.throwIfAborted();
    if (error.code !== 'kubernetes-forbidden') throw error;
    return [];
  });
  return jobState({ job, pods: own, events });
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
