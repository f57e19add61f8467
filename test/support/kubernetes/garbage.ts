/** What cleans up: the garbage collector, the controller of `ttlSecondsAfterFinished`, and the status of quotas; as of 1.34. */
import type { KubeObject } from './objects.ts';
import { amountOf, quantityOf } from './quantity.ts';
import { usedIn } from './quota.ts';
import { openReconciler, type Reconciler } from './reconcile.ts';
import type { Registry } from './registry.ts';
import { RESOURCES, type ResourceName } from './resources.ts';
import { keyOf } from './store.ts';

interface Owned {
  readonly resource: ResourceName;
  readonly object: KubeObject;
}

const ALL = RESOURCES.map(({ name }) => name);

export function startGarbageCollection(registry: Registry, { secondMs }: { secondMs: number }): { close(): void } {
  const { store, now } = registry;

  function collect(): void {
    const all: Owned[] = ALL.flatMap((resource) => store.list(resource).map((object) => ({ resource, object })));
    const byUid = new Map(all.map(({ object }) => [object.metadata.uid, object]));
    for (const { resource, object } of all) {
      const { finalizers = [], uid, deletionTimestamp } = object.metadata;
      if (deletionTimestamp !== undefined) {
        const owned = all.filter(({ object: each }) =>
          each.metadata.ownerReferences?.some((owner) => owner.uid === uid),
        );
        if (finalizers.includes('orphan')) orphan(uid, owned);
        const isDone = finalizers.includes('orphan') || !owned.some(({ object: each }) => blocks(each, uid));
        if (finalizers.includes('foregroundDeletion') || finalizers.includes('orphan')) {
          if (isDone) release(resource, object);
        }
      }
      const owners = object.metadata.ownerReferences ?? [];
      if (owners.length === 0 || deletionTimestamp !== undefined) continue;
      const isWanted = owners.some((owner) => {
        const found = byUid.get(owner.uid);
        return found !== undefined && found.metadata.finalizers?.includes('foregroundDeletion') !== true;
      });
      if (!isWanted && store.get(keyOf(resource, object)) !== undefined) {
        registry.delete(keyOf(resource, object), { propagationPolicy: 'Background', uid });
      }
    }
  }

  function orphan(uid: string, owned: readonly Owned[]): void {
    for (const { resource, object } of owned) {
      store.change(keyOf(resource, object), ({ metadata }) => {
        const left = (metadata.ownerReferences ?? []).filter((owner) => owner.uid !== uid);
        if (left.length === 0) delete metadata.ownerReferences;
        else metadata.ownerReferences = left;
      });
    }
  }

  function release(resource: ResourceName, object: KubeObject): void {
    store.change(keyOf(resource, object), ({ metadata }) => {
      const left = (metadata.finalizers ?? []).filter((each) => each !== 'foregroundDeletion' && each !== 'orphan');
      metadata.finalizers = left;
    });
  }

  const finished = new Map<string, number>();
  function expire(reconciler: Reconciler): void {
    for (const job of store.list('jobs')) {
      const { ttlSecondsAfterFinished: ttl } = job.spec;
      const { uid, deletionTimestamp } = job.metadata;
      const isFinished = job.status.conditions?.some(
        ({ type, status }) => (type === 'Complete' || type === 'Failed') && status === 'True',
      );
      if (ttl === undefined || isFinished !== true || deletionTimestamp !== undefined) continue;
      const since = finished.get(uid) ?? now();
      finished.set(uid, since);
      const left = since + ttl * secondMs - now();
      if (left > 0) reconciler.wakeIn(left);
      else registry.delete(keyOf('jobs', job), { propagationPolicy: 'Foreground', uid });
    }
  }

  function count(): void {
    for (const quota of store.list('resourcequotas')) {
      const { hard = {} } = quota.spec;
      const used = usedIn(store, quota.metadata.namespace ?? '');
      store.change(keyOf('resourcequotas', quota), (draft) => {
        draft.status = {
          hard: { ...hard },
          used: Object.fromEntries(Object.keys(hard).map((key) => [key, quantityOf(used[key] ?? amountOf('0'))])),
        };
      });
    }
  }

  const collector = openReconciler(store, ALL, collect);
  const ttl: Reconciler = openReconciler(store, ['jobs'], () => expire(ttl));
  const quotas = openReconciler(
    store,
    ALL.filter((name) => name !== 'events'),
    count,
  );
  return {
    close() {
      for (const each of [collector, ttl, quotas]) each.close();
    },
  };
}

function blocks({ metadata }: KubeObject, uid: string): boolean {
  return metadata.ownerReferences?.some((owner) => owner.uid === uid && owner.blockOwnerDeletion === true) === true;
}
