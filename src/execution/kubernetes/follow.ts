import { MlvError } from '../../domain/errors.ts';
import type { KubernetesApi, ObjectList, SelectOptions } from './api.ts';
import { pause, pauseMs } from './retry.ts';
import type { CollectionRef, KubernetesObject } from './resources.ts';

export type Sighting<T> =
  | { readonly kind: 'state'; readonly object: T }
  /** It is there no more, or not selected any more; with its last state. */
  | { readonly kind: 'gone'; readonly object: T }
  /** All that was there at the begin has been told. */
  | { readonly kind: 'listed' };

export interface FollowOptions extends SelectOptions {
  readonly signal: AbortSignal;
  /** Told each time that the cluster cannot be asked; it goes on being asked. */
  readonly onTrouble?: ((error: MlvError) => void) | undefined;
}

/** A watch that ended sooner, having told nothing, was no use. */
const USEFUL_MS = 5_000;
/** So often in a row a login may fail while the cluster is followed. */
const FAILED_LOGINS = 6;
const PASSING = new Set(['kubernetes-unreachable', 'kubernetes-server-failing', 'kubernetes-answer-invalid']);
const LOGIN = new Set(['kubernetes-unauthorized', 'kubernetes-plugin-failed']);

/**
 * Tells every state of the selected objects that the server tells, in order, without end. When the connection was cut, the server was
 * away or has forgotten where this was, it lists again: of what happened meanwhile the outcome is told. Throws the signal's reason; what
 * the first listing throws; later only what waiting does not mend.
 */
export async function* follow<T extends KubernetesObject>(
  api: KubernetesApi,
  collection: CollectionRef,
  { selector, signal, onTrouble }: FollowOptions,
): AsyncGenerator<Sighting<T>> {
  const known = new Map<string, T>();
  let version: string | undefined;
  let hasListed = false;

  function* seen(object: T): Generator<Sighting<T>> {
    const { name, uid, resourceVersion } = object.metadata;
    const before = known.get(name);
    if (before?.metadata.uid === uid && before.metadata.resourceVersion === resourceVersion) return;
    if (before !== undefined && before.metadata.uid !== uid) yield { kind: 'gone', object: before };
    known.set(name, object);
    yield { kind: 'state', object };
  }

  function* listed({ items }: ObjectList<T>): Generator<Sighting<T>> {
    const names = new Set(items.map(({ metadata }) => metadata.name));
    for (const [name, object] of known) {
      if (names.has(name)) continue;
      known.delete(name);
      yield { kind: 'gone', object };
    }
    for (const object of items) yield* seen(object);
    if (!hasListed) yield { kind: 'listed' };
    hasListed = true;
  }

  for (let failures = 0; ;) {
    try {
      if (version === undefined) {
        const list: ObjectList<T> = await api.list<T>(collection, { selector, signal });
        yield* listed(list);
        version = list.resourceVersion;
      }
      const began = performance.now();
      let isUseful = false;
      for await (const event of api.watch<T>(collection, { selector, signal, resourceVersion: version })) {
        if (event.type === 'EXPIRED') {
          version = undefined;
          break;
        }
        isUseful = true;
        version = event.type === 'BOOKMARK' ? event.resourceVersion : event.object.metadata.resourceVersion;
        if (event.type === 'DELETED') {
          known.delete(event.object.metadata.name);
          yield { kind: 'gone', object: event.object };
        } else if (event.type !== 'BOOKMARK') {
          yield* seen(event.object);
        }
      }
      failures = isUseful || performance.now() - began > USEFUL_MS ? 0 : failures + 1;
    } catch (error) {
      signal.throwIfAborted();
      failures += 1;
      if (!hasListed || !isPassing(error, failures)) throw error;
      onTrouble?.(error);
      version = undefined;
    }
    if (failures > 0) await pause(pauseMs(failures), signal);
  }
}

/** Whether waiting may mend what failed so many times in a row. */
export function isPassing(error: unknown, failures: number): error is MlvError {
  if (!(error instanceof MlvError)) return false;
  return PASSING.has(error.code) || (LOGIN.has(error.code) && failures < FAILED_LOGINS);
}
