/** What etcd and the watch cache hold: objects, one counter of versions for all of them, and what happened to them. */
import { isDeepStrictEqual } from 'node:util';
import type { KubeObject } from './objects.ts';
import type { ResourceName, Stored } from './resources.ts';

export interface Change {
  readonly version: number;
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
  readonly resource: ResourceName;
  /** After the change; of a deletion, the last state with the version of the deletion. */
  readonly object: KubeObject;
  readonly previous: KubeObject | undefined;
}

export interface Key<R extends ResourceName = ResourceName> {
  readonly resource: R;
  /** Empty for what is in no namespace. */
  readonly namespace: string;
  readonly name: string;
}

export interface Store {
  readonly version: number;
  /** Changes up to this version are forgotten. */
  readonly compacted: number;
  get<R extends ResourceName>(key: Key<R>): Stored[R] | undefined;
  /** In the order of their keys; of all namespaces unless told. With a version: as it was then. */
  list<R extends ResourceName>(resource: R, where?: { namespace?: string; version?: number }): Stored[R][];
  add<R extends ResourceName>(resource: R, object: Stored[R]): Stored[R];
  /**
   * Lets `edit` change a copy, and keeps it with a new version unless it is as it was. An object that is being deleted goes with its
   * last finalizer. Undefined where there is none.
   */
  change<R extends ResourceName>(key: Key<R>, edit: (draft: Stored[R]) => void): Stored[R] | undefined;
  remove(key: Key): void;
  since(version: number, resource: ResourceName): Change[];
  /** Called with every change, in their order; must not change the store itself. */
  onChange(listener: (change: Change) => void): () => void;
  /** Forgets all that happened up to now. */
  compact(): void;
}

export function keyOf<R extends ResourceName>(resource: R, { metadata }: Pick<KubeObject, 'metadata'>): Key<R> {
  return { resource, namespace: metadata.namespace ?? '', name: metadata.name };
}

export function openStore(): Store {
  const objects = new Map<string, { resource: ResourceName; object: KubeObject }>();
  const listeners = new Set<(change: Change) => void>();
  let changes: Change[] = [];
  let version = 100;
  let compacted = version;

  function record(type: Change['type'], resource: ResourceName, object: KubeObject, previous?: KubeObject): void {
    version++;
    object.metadata.resourceVersion = String(version);
    const change: Change = { version, type, resource, object: deepFreeze(object), previous };
    changes.push(change);
    const key = pathOf(keyOf(resource, object));
    if (type === 'DELETED') objects.delete(key);
    else objects.set(key, { resource, object });
    for (const listener of listeners) listener(change);
  }

  function get<R extends ResourceName>(key: Key<R>): Stored[R] | undefined {
    return objects.get(pathOf(key))?.object as Stored[R] | undefined;
  }

  return {
    get version() {
      return version;
    },
    get compacted() {
      return compacted;
    },
    get,
    list<R extends ResourceName>(resource: R, where: { namespace?: string; version?: number } = {}) {
      const then = new Map(objects);
      if (where.version !== undefined) {
        for (const change of changes.toReversed()) {
          if (change.version <= where.version) break;
          const key = pathOf(keyOf(change.resource, change.object));
          if (change.previous === undefined) then.delete(key);
          else then.set(key, { resource: change.resource, object: change.previous });
        }
      }
      return [...then]
        .filter(([, { resource: each }]) => each === resource)
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([, { object }]) => object as Stored[R])
        .filter(({ metadata }) => where.namespace === undefined || metadata.namespace === where.namespace);
    },
    add(resource, object) {
      const copy = structuredClone(object);
      record('ADDED', resource, copy);
      return copy;
    },
    change(key, edit) {
      const before = get(key);
      if (before === undefined) return undefined;
      const draft = structuredClone(before);
      edit(draft);
      const { deletionTimestamp, deletionGracePeriodSeconds = 0, finalizers = [] } = draft.metadata;
      if (deletionTimestamp !== undefined && deletionGracePeriodSeconds === 0 && finalizers.length === 0) {
        record('DELETED', key.resource, draft, before);
      } else if (!isDeepStrictEqual(draft, before)) record('MODIFIED', key.resource, draft, before);
      return draft;
    },
    remove(key) {
      const before = get(key);
      if (before !== undefined) record('DELETED', key.resource, structuredClone(before), before);
    },
    since: (from, resource) => changes.filter((each) => each.version > from && each.resource === resource),
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    compact() {
      compacted = version;
      changes = [];
    },
  };
}

function pathOf({ resource, namespace, name }: Key): string {
  return `${resource}/${namespace}/${name}`;
}

function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const each of Object.values(value)) deepFreeze(each);
  }
  return value;
}
