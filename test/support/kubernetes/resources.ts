/** The kinds of objects that the double serves, as the API names them. */
import type { ConfigMap, Job, KubeObject, Node, Pod, ResourceQuota, Secret } from './objects.ts';

/** What is stored under each resource. */
export interface Stored {
  namespaces: KubeObject;
  nodes: Node;
  pods: Pod;
  jobs: Job;
  configmaps: ConfigMap;
  secrets: Secret;
  events: KubeObject;
  resourcequotas: ResourceQuota;
  persistentvolumeclaims: KubeObject;
  serviceaccounts: KubeObject;
}

export type ResourceName = keyof Stored;

export interface ResourceType {
  readonly name: ResourceName;
  readonly kind: string;
  /** Empty for the core group. */
  readonly group: string;
  readonly isNamespaced: boolean;
  readonly hasStatus: boolean;
}

const table: readonly [name: ResourceName, kind: string, group: string, isNamespaced: boolean, hasStatus: boolean][] = [
  ['namespaces', 'Namespace', '', false, true],
  ['nodes', 'Node', '', false, true],
  ['pods', 'Pod', '', true, true],
  ['jobs', 'Job', 'batch', true, true],
  ['configmaps', 'ConfigMap', '', true, false],
  ['secrets', 'Secret', '', true, false],
  ['events', 'Event', '', true, false],
  ['resourcequotas', 'ResourceQuota', '', true, true],
  ['persistentvolumeclaims', 'PersistentVolumeClaim', '', true, true],
  ['serviceaccounts', 'ServiceAccount', '', true, false],
];

export const RESOURCES: readonly ResourceType[] = table.map(([name, kind, group, isNamespaced, hasStatus]) => ({
  name,
  kind,
  group,
  isNamespaced,
  hasStatus,
}));

/** As in messages: `jobs.batch`, `pods`. */
export function qualified({ name, group }: Pick<ResourceType, 'name' | 'group'>): string {
  return group === '' ? name : `${name}.${group}`;
}

export function apiVersionOf({ group }: Pick<ResourceType, 'group'>): string {
  return group === '' ? 'v1' : `${group}/v1`;
}

export function resourceNamed(name: string): ResourceType {
  const found = RESOURCES.find((each) => each.name === name);
  if (found === undefined) throw new Error(`no resource ${name}`);
  return found;
}
