import { MlvError } from '../../domain/errors.ts';
import { forEachParallel } from '../../platform/parallel.ts';
import type { Workspace } from '../../workspace/open.ts';
import type { OpenCluster } from './open-cluster.ts';
import { openClusters, profilesNamed } from './open-cluster.ts';

export interface AskClustersOptions {
  /** The profile to ask by; all of the settings where it is undefined. */
  readonly profile: string | undefined;
  /** Takes what the servers warn of. */
  readonly onWarning: (text: string) => void;
  readonly signal?: AbortSignal | undefined;
}

/** A cluster that could not be asked. */
export interface ClusterFailure {
  readonly profile: string;
  readonly error: MlvError;
}

const AT_ONCE = 4;

/**
 * Asks the clusters of profiles, each namespace once, in the order of the profiles. Throws what the first throws where none answers, and
 * what `profilesNamed` does.
 */
export async function askClusters<T>(
  workspace: Workspace,
  { profile, onWarning, signal }: AskClustersOptions,
  ask: (cluster: OpenCluster, signal: AbortSignal) => Promise<T>,
): Promise<{ readonly answers: readonly T[]; readonly failures: readonly ClusterFailure[] }> {
  const profiles = profilesNamed(workspace, profile);
  const clusters = openClusters(workspace, { onWarning });
  const answers = new Map<string, T>();
  const failures: ClusterFailure[] = [];
  const places = new Map<string, OpenCluster>();
  const attempt = async (name: string, work: () => Promise<void>): Promise<void> => {
    try {
      await work();
    } catch (error) {
      if (!(error instanceof MlvError) || error.kind === 'interrupted') throw error;
      failures.push({ profile: name, error });
    }
  };
  try {
    for (const each of profiles) {
      await attempt(each.name, async () => {
        const cluster = await clusters.open(each);
        const place = JSON.stringify([cluster.api.context, cluster.api.namespace]);
        if (!places.has(place)) places.set(place, cluster);
      });
    }
    await forEachParallel(places.values(), { jobs: AT_ONCE, signal }, async (cluster, stop) => {
      const { name } = cluster.profile;
      await attempt(name, async () => void answers.set(name, await ask(cluster, stop)));
    });
  } finally {
    await clusters.close();
  }
  const [first] = failures;
  if (first !== undefined && answers.size === 0) throw first.error;
  return { answers: profiles.flatMap(({ name }) => answers.get(name) ?? []), failures };
}
