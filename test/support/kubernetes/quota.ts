/** Resource quotas: what an object would use, and whether it may; apiserver's plugin/resourcequota of 1.34. */
import type { KubeObject, Pod, PodSpec } from './objects.ts';
import { addAmounts, type Amounts, amountOf, amountsOf, maxAmounts, quantityOf } from './quantity.ts';
import { qualified, resourceNamed, type ResourceName } from './resources.ts';
import type { Store } from './store.ts';

/** Why a quota keeps an object out; undefined where none does. */
export function quotaRefusal(store: Store, resource: ResourceName, object: KubeObject): string | undefined {
  const asked = usageOf(resource, object);
  for (const quota of store.list('resourcequotas', { namespace: object.metadata.namespace ?? '' })) {
    const hard = quota.spec.hard ?? {};
    const { name } = quota.metadata;
    if (resource === 'pods') {
      const missing = unspecified((object as Pod).spec, Object.keys(hard));
      if (missing !== '') return `failed quota: ${name}: must specify ${missing}`;
    }
    const used = usedIn(store, quota.metadata.namespace ?? '');
    const over = Object.keys(hard)
      .filter((key) => (asked[key] ?? 0) > 0 && (asked[key] ?? 0) + (used[key] ?? 0) > amountOf(hard[key] ?? ''))
      .sort();
    if (over.length === 0) continue;
    const told = (amounts: Readonly<Amounts>): string =>
      over.map((key) => `${key}=${quantityOf(amounts[key] ?? 0)}`).join(',');
    const limited = over.map((key) => `${key}=${hard[key]}`).join(',');
    return `exceeded quota: ${name}, requested: ${told(asked)}, used: ${told(used)}, limited: ${limited}`;
  }
  return undefined;
}

/** What is used of everything that a quota can limit. */
export function usedIn(store: Store, namespace: string): Amounts {
  const used: Amounts = {};
  for (const resource of ['pods', 'jobs', 'configmaps', 'secrets', 'persistentvolumeclaims'] as const) {
    for (const object of store.list(resource, { namespace })) addAmounts(used, usageOf(resource, object));
  }
  return used;
}

/** A pod's requests: of its containers together, or of one init container where that is more. */
export function podRequests(spec: PodSpec, part: 'requests' | 'limits' = 'requests'): Amounts {
  const total: Amounts = {};
  for (const { resources } of spec.containers) addAmounts(total, amountsOf(resources?.[part]));
  for (const { resources } of spec.initContainers ?? []) maxAmounts(total, amountsOf(resources?.[part]));
  return total;
}

function usageOf(resource: ResourceName, object: KubeObject): Amounts {
  const usage: Amounts = { [`count/${qualified(resourceNamed(resource))}`]: 1, [resource]: 1 };
  if (resource !== 'pods') return usage;
  const { spec, status } = object as Pod;
  // Pods that have ended use nothing but their place as objects.
  if (status.phase === 'Succeeded' || status.phase === 'Failed') return { 'count/pods': 1 };
  for (const part of ['requests', 'limits'] as const) {
    for (const [name, amount] of Object.entries(podRequests(spec, part))) {
      usage[`${part}.${name}`] = amount;
      if (part === 'requests') usage[name] = amount;
    }
  }
  return usage;
}

function unspecified(spec: PodSpec, keys: readonly string[]): string {
  const missing = new Map<string, string[]>();
  for (const key of keys) {
    const [, part = 'requests', name = ''] = /^(?:(requests|limits)\.)?(cpu|memory)$/.exec(key) ?? [];
    if (name === '') continue;
    const without = spec.containers.filter(
      ({ resources }) => resources?.[part === 'limits' ? 'limits' : 'requests']?.[name] === undefined,
    );
    if (without.length > 0)
      missing.set(
        key,
        without.map((each) => each.name),
      );
  }
  return [...missing].map(([key, names]) => `${key} for: ${names.join(',')}`).join('; ');
}
