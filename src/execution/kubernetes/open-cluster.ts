import type { Digest } from '../../domain/digest.ts';
import { MlvError } from '../../domain/errors.ts';
import type { KubernetesProfile } from '../../domain/kubernetes-profile.ts';
import { nearestName } from '../../domain/nearest-name.ts';
import type { Stage } from '../../domain/pipeline.ts';
import { parseRemoteUrl } from '../../domain/remote-url.ts';
import type { RemoteSettings } from '../../domain/setting-table.ts';
import type { Workspace } from '../../workspace/open.ts';
import { remoteNameFor } from '../../workspace/open-remote.ts';
import type { KubernetesApi } from './api.ts';
import { projectOf } from './job-names.ts';
import type { SeenNode } from './node-fit.ts';
import { coreCollection } from './resources.ts';

/** The cluster of a profile, and the remote by which data gets there and back. */
export interface OpenCluster {
  readonly profile: KubernetesProfile;
  readonly api: KubernetesApi;
  readonly remote: ReachableRemote;
  /** What stands for the project there. */
  readonly project: Digest;
  /** Asked once; undefined where it is not to be known. */
  readonly nodes: () => Promise<readonly SeenNode[] | undefined>;
}

export interface ReachableRemote {
  readonly name: string;
  readonly settings: RemoteSettings;
}

/** Clusters of a run, each opened once. */
export interface Clusters {
  open(profile: KubernetesProfile): Promise<OpenCluster>;
  close(): Promise<void>;
}

export function openClusters(workspace: Workspace, given: { readonly onWarning: (text: string) => void }): Clusters {
  const opened = new Map<string, Promise<OpenCluster>>();

  async function openOne(profile: KubernetesProfile): Promise<OpenCluster> {
    const remote = reachableRemote(workspace);
    const api = await openApi(workspace, profile, given);
    let nodes: ReturnType<typeof nodesOf> | undefined;
    const ask = (): ReturnType<typeof nodesOf> =>
      nodesOf(api).catch((error: unknown) => {
        nodes = undefined;
        throw error;
      });
    const project = projectOf(remote.settings.url, workspace.prefix);
    return { profile, api, remote, project, nodes: () => (nodes ??= ask()) };
  }

  return {
    open(profile) {
      const cluster = opened.get(profile.name) ?? openOne(profile);
      opened.set(profile.name, cluster);
      return cluster;
    },
    async close() {
      for (const each of await Promise.allSettled(opened.values()))
        if (each.status === 'fulfilled') each.value.api.close();
    },
  };
}

/** The API of a profile's cluster; nothing is sent yet. Throws as `openKubernetes` does. */
export async function openApi(
  workspace: Workspace,
  { context, namespace }: KubernetesProfile,
  given: { readonly onWarning: (text: string) => void; readonly patienceMs?: number },
): Promise<KubernetesApi> {
  const { openKubernetes } = await import('./open-api.ts');
  return openKubernetes({
    environment: workspace.environment,
    ...given,
    ...(context !== undefined && { context }),
    ...(namespace !== undefined && { namespace }),
  });
}

/** The nodes of a cluster; undefined where one may not see them, as users often may not. */
export async function nodesOf(api: KubernetesApi): Promise<readonly SeenNode[] | undefined> {
  try {
    return (await api.list<SeenNode>(coreCollection('nodes', undefined))).items;
  } catch (error) {
    if (error instanceof MlvError && error.code === 'kubernetes-forbidden') return undefined;
    throw error;
  }
}

/** The profile that a stage names. Throws `kubernetes-profile-unknown`. */
export function profileOf(workspace: Workspace, { id, file, line, kubernetes: name = '' }: Stage): KubernetesProfile {
  const profile = workspace.settings.kubernetes.get(name);
  if (profile !== undefined) return profile;
  throw profileUnknown(
    workspace,
    name,
    `stage ${id} is to run on Kubernetes by the profile ${JSON.stringify(name)}, which the settings do not have (${file}, line ${line})`,
  );
}

/** The profile of a name, all of them where there is none. Throws `kubernetes-profile-unknown`, also where the settings have none at all. */
export function profilesNamed(workspace: Workspace, name: string | undefined): KubernetesProfile[] {
  const profiles = workspace.settings.kubernetes;
  if (name === undefined && profiles.size > 0) return [...profiles.values()];
  const profile = profiles.get(name ?? '');
  if (profile !== undefined) return [profile];
  const message =
    name === undefined
      ? 'the settings have no profile of a Kubernetes cluster'
      : `the settings have no Kubernetes profile ${JSON.stringify(name)}`;
  throw profileUnknown(workspace, name ?? '', message);
}

/** For a profile that is not there. */
export function profileUnknown(workspace: Workspace, name: string, message: string): MlvError {
  const known = [...workspace.settings.kubernetes.keys()];
  const near = nearestName(name, known);
  return new MlvError({
    code: 'kubernetes-profile-unknown',
    kind: 'missing',
    message,
    hint:
      near !== undefined
        ? `Did you mean ${near}?`
        : known.length > 0
          ? `There are ${known.join(', ')}.`
          : `Set what it needs, for one: mlv config kubernetes.${name === '' ? 'NAME' : name}.namespace NAMESPACE`,
  });
}

/** The remote by which data gets to the pods. Throws `remote-none`, `kubernetes-remote-folder`. */
export function reachableRemote(workspace: Workspace): ReachableRemote {
  const name = remoteNameFor(workspace, undefined, undefined);
  const settings = workspace.settings.remotes.get(name) ?? { url: '' };
  if (parseRemoteUrl(settings.url).kind === 's3') return { name, settings };
  throw new MlvError({
    code: 'kubernetes-remote-folder',
    kind: 'refused',
    message: `remote ${name} is a folder, which pods of a cluster cannot reach: ${settings.url}`,
    hint: 'Data goes to a cluster and comes back by a bucket: mlv remote add -d NAME s3://BUCKET/PREFIX',
  });
}
