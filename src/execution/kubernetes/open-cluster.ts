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

/** The cluster of a profile, and the remote by which data gets there and back. */
export interface OpenCluster {
  readonly profile: KubernetesProfile;
  readonly api: KubernetesApi;
  readonly remote: { readonly name: string; readonly settings: RemoteSettings };
  /** What stands for the project there. */
  readonly project: Digest;
}

/** Clusters of a run, each opened once. */
export interface Clusters {
  open(profile: KubernetesProfile): Promise<OpenCluster>;
  close(): Promise<void>;
}

export function openClusters(workspace: Workspace, given: { readonly onWarning: (text: string) => void }): Clusters {
  const opened = new Map<string, Promise<OpenCluster>>();

  async function openOne(profile: KubernetesProfile): Promise<OpenCluster> {
    const { openKubernetes } = await import('./open-api.ts');
    const remote = reachableRemote(workspace);
    const { context, namespace } = profile;
    const api = await openKubernetes({
      environment: workspace.environment,
      ...given,
      ...(context !== undefined && { context }),
      ...(namespace !== undefined && { namespace }),
    });
    return { profile, api, remote, project: projectOf(remote.settings.url, workspace.prefix) };
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

/** The profile that a stage names. Throws `kubernetes-profile-unknown`. */
export function profileOf(workspace: Workspace, { id, file, line, kubernetes: name = '' }: Stage): KubernetesProfile {
  const whose = `stage ${id} is to run on Kubernetes by the profile ${JSON.stringify(name)}, which the settings do not have (${file}, line ${line})`;
  return workspace.settings.kubernetes.get(name) ?? profileUnknown(workspace, name, whose);
}

/** The profile of a name, all of them where there is none. Throws `kubernetes-profile-unknown`, also where the settings have none at all. */
export function profilesNamed(workspace: Workspace, name: string | undefined): KubernetesProfile[] {
  const profiles = workspace.settings.kubernetes;
  if (name === undefined && profiles.size > 0) return [...profiles.values()];
  const message =
    name === undefined
      ? 'the settings have no profile of a Kubernetes cluster'
      : `the settings have no Kubernetes profile ${JSON.stringify(name)}`;
  return [profiles.get(name ?? '') ?? profileUnknown(workspace, name ?? '', message)];
}

function profileUnknown(workspace: Workspace, name: string, message: string): never {
  const profiles = workspace.settings.kubernetes;
  const known = [...profiles.keys()];
  const near = nearestName(name, known);
  throw new MlvError({
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
function reachableRemote(workspace: Workspace): OpenCluster['remote'] {
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
