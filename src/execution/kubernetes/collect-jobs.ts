/**
 * Deletes what jobs of this project left in clusters. It never takes what a submission needs that is under way: a submission notes what it is
 * about to use, and what was changed since it was looked at is not deleted.
 */
import { MlvError } from '../../domain/errors.ts';
import { openRunCache } from '../../workspace/run-cache.ts';
import type { Workspace } from '../../workspace/open.ts';
import type { AskClustersOptions, ClusterFailure } from './ask-clusters.ts';
import { askClusters } from './ask-clusters.ts';
import { isRuntimeName, MANAGED_BY, PROJECT, projectSelector, USED } from './job-names.ts';
import type { ListedJob } from './list-jobs.ts';
import { hasEnded, jobsOn } from './list-jobs.ts';
import type { OpenCluster } from './open-cluster.ts';
import type { KubernetesObject } from './resources.ts';
import { coreCollection, jobs } from './resources.ts';
import type { SeenJob } from './seen-objects.ts';

export interface CollectOptions extends AskClustersOptions {
  /** Nothing is deleted. */
  readonly isDry: boolean;
}

export interface CollectedMap {
  readonly profile: string;
  readonly name: string;
  /** `task`: of a job that never was, or is gone; `runtime`: what ran in the pods of an mlv. */
  readonly kind: 'task' | 'runtime';
}

export interface CollectedJobs {
  readonly jobs: readonly ListedJob[];
  readonly configMaps: readonly CollectedMap[];
  /** Jobs that ended well, and of which this clone does not have the result: `repro` takes it from them. */
  readonly kept: readonly ListedJob[];
  readonly failures: readonly ClusterFailure[];
}

const HOUR_MS = 60 * 60 * 1000;
/** A submission may be under way. */
const TASK_MS = HOUR_MS;
const RUNTIME_MS = 24 * HOUR_MS;

/** Returns what was deleted, or would be. Throws as `askClusters` does. */
export async function collectJobs(workspace: Workspace, options: CollectOptions): Promise<CollectedJobs> {
  const taken = new Map<string, number>();
  for (const { record, time } of openRunCache(workspace).list()) {
    const fingerprint = record.fingerprint.slice(0, 40);
    taken.set(fingerprint, Math.max(time, taken.get(fingerprint) ?? 0));
  }
  const { answers, failures } = await askClusters(workspace, options, (cluster, signal) =>
    collectOn(cluster, { taken, isDry: options.isDry, signal }),
  );
  return {
    jobs: answers.flatMap((each) => each.jobs),
    configMaps: answers.flatMap((each) => each.configMaps),
    kept: answers.flatMap((each) => each.kept),
    failures,
  };
}

async function collectOn(
  cluster: OpenCluster,
  given: { readonly taken: ReadonlyMap<string, number>; readonly isDry: boolean; readonly signal: AbortSignal },
): Promise<Omit<CollectedJobs, 'failures'>> {
  const { api, project, profile } = cluster;
  const { taken, isDry, signal } = given;
  const maps = coreCollection('configmaps', api.namespace);
  const select = (labels: string) => ({ selector: { labels }, signal });
  // Before the jobs: what is looked at afterwards may already be of a job that is not seen.
  const tasks = await api.list(maps, select(projectSelector(project)));
  const runtimes = await api.list(maps, select(`${MANAGED_BY}=mlv,!${PROJECT}`));
  const sent = await api.list<SeenJob>(jobs(api.namespace), select(`${MANAGED_BY}=mlv`));
  const ended = (await jobsOn(cluster, signal)).filter(hasEnded);
  const [gone, kept] = split(ended, ({ state, fingerprint, completed = '' }) => {
    const time = taken.get(fingerprint);
    // What is known may be of an earlier run that was forced anew.
    return state.type === 'failed' || (time !== undefined && time >= Date.parse(completed));
  });
  const used = new Set(sent.items.flatMap(mapsOf));
  const unused = [
    ...tasks.items.filter((map) => isOlder(map, TASK_MS)).map((map) => ({ map, kind: 'task' as const })),
    ...runtimes.items
      .filter((map) => isRuntimeName(map.metadata.name) && isOlder(map, RUNTIME_MS))
      .map((map) => ({ map, kind: 'runtime' as const })),
  ].filter(({ map }) => !used.has(map.metadata.name));
  const deletedJobs: ListedJob[] = [];
  for (const each of gone) {
    const resource = { ...jobs(api.namespace), name: each.job };
    if (isDry || (await isDeleted(api.delete(resource, { uid: each.uid, signal })))) deletedJobs.push(each);
  }
  const configMaps: CollectedMap[] = [];
  for (const { map, kind } of unused) {
    const { name, uid, resourceVersion } = map.metadata;
    const deleting = async (): Promise<boolean> =>
      isDeleted(api.delete({ ...maps, name }, { uid, resourceVersion, signal }));
    if (isDry || (await deleting())) configMaps.push({ profile: profile.name, name, kind });
  }
  return { jobs: deletedJobs, configMaps, kept };
}

/** False where it was gone, or somebody has begun to use it. */
async function isDeleted(deleting: Promise<boolean>): Promise<boolean> {
  try {
    return await deleting;
  } catch (error) {
    if (error instanceof MlvError && error.code === 'kubernetes-conflict') return false;
    throw error;
  }
}

function mapsOf({ spec }: SeenJob): string[] {
  return (spec?.template?.spec?.volumes ?? []).flatMap(({ configMap }) => configMap?.name ?? []);
}

/** By the clock here, since it was last used. */
function isOlder({ metadata }: KubernetesObject, ms: number): boolean {
  const times = [metadata.creationTimestamp, metadata.annotations?.[USED]].map((time) => Date.parse(time ?? ''));
  const known = times.filter((time) => !Number.isNaN(time));
  return known.length > 0 && Math.max(...known) < Date.now() - ms;
}

function split<T>(items: readonly T[], isFirst: (item: T) => boolean): [T[], T[]] {
  return [items.filter(isFirst), items.filter((item) => !isFirst(item))];
}
