/** What a cluster has from the start. */
import type { Taint } from './objects.ts';
import type { NewObject } from './registry.ts';
import type { ResourceName } from './resources.ts';

export interface NodeOptions {
  readonly name: string;
  /** Quantities; 8, 32Gi and 100Gi unless told. */
  readonly cpu?: string;
  readonly memory?: string;
  readonly disk?: string;
  /** Such as `{'nvidia.com/gpu': 2}`. */
  readonly gpus?: Readonly<Record<string, number>>;
  readonly labels?: Readonly<Record<string, string>>;
  readonly taints?: readonly Taint[];
}

export interface Contents {
  /** What pods' own claims may be of; `standard` unless told. */
  readonly storageClasses?: readonly string[];
  /** The first is the one that `Cluster` means where none is told; `ml` unless told. `default` is always there. */
  readonly namespaces?: readonly (
    | string
    | { readonly name: string; readonly labels: Readonly<Record<string, string>> }
  )[];
  /** One, called `node-1`, unless told. */
  readonly nodes?: readonly NodeOptions[];
  /** In the first namespace: claims, secrets as texts, service accounts besides `default`, and what quotas allow. */
  readonly claims?: readonly string[];
  readonly secrets?: Readonly<Record<string, Readonly<Record<string, string>>>>;
  readonly serviceAccounts?: readonly string[];
  readonly quotas?: Readonly<Record<string, Readonly<Record<string, string>>>>;
}

type Create = (resource: ResourceName, object: Partial<NewObject> & Pick<NewObject, 'metadata'>) => unknown;

/** The namespaces that a cluster has. */
export function namespacesOf({
  namespaces = ['ml'],
}: Contents): { name: string; labels: Readonly<Record<string, string>> }[] {
  const all = namespaces.map((each) => (typeof each === 'string' ? { name: each, labels: {} } : each));
  return all.some(({ name }) => name === 'default') ? all : [...all, { name: 'default', labels: {} }];
}

/** Makes what a cluster has from the start. */
export function furnish(options: Contents, create: Create): void {
  const all = namespacesOf(options);
  const namespace = all[0]?.name ?? 'default';
  for (const { name, labels } of all) {
    create('namespaces', { metadata: { name, labels: { 'kubernetes.io/metadata.name': name, ...labels } } });
    create('serviceaccounts', { metadata: { name: 'default', namespace: name } });
  }
  for (const node of options.nodes ?? [{ name: 'node-1' }]) create('nodes', nodeOf(node));
  for (const name of options.serviceAccounts ?? []) create('serviceaccounts', { metadata: { name, namespace } });
  for (const name of options.claims ?? []) {
    const spec = { accessModes: ['ReadWriteMany'], resources: { requests: { storage: '10Gi' } } };
    create('persistentvolumeclaims', { metadata: { name, namespace }, spec, status: { phase: 'Bound' } });
  }
  for (const [name, texts] of Object.entries(options.secrets ?? {})) {
    const data = Object.fromEntries(
      Object.entries(texts).map(([key, text]) => [key, Buffer.from(text).toString('base64')]),
    );
    const secret = { metadata: { name, namespace }, type: 'Opaque', data };
    create('secrets', secret);
  }
  for (const [name, hard] of Object.entries(options.quotas ?? {})) {
    create('resourcequotas', { metadata: { name, namespace }, spec: { hard }, status: {} });
  }
}

function nodeOf({
  name,
  cpu = '8',
  memory = '32Gi',
  disk = '100Gi',
  gpus = {},
  labels = {},
  taints = [],
}: NodeOptions) {
  const counts = Object.fromEntries(Object.entries(gpus).map(([resource, count]) => [resource, String(count)]));
  const allocatable = { cpu, memory, 'ephemeral-storage': disk, pods: '110', ...counts };
  const time = new Date().toISOString();
  return {
    metadata: { name, labels: { 'kubernetes.io/hostname': name, 'kubernetes.io/os': 'linux', ...labels } },
    spec: { taints: [...taints] },
    status: {
      allocatable,
      capacity: allocatable,
      conditions: [{ type: 'Ready', status: 'True', reason: 'KubeletReady', lastTransitionTime: time }],
    },
  };
}
