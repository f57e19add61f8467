/** An API server: what it is asked, in JSON over HTTPS. */
import type { CollectionRef, KubernetesObject, ResourceRef, Selector } from './resources.ts';

/** One cluster, as one user. All that fails in passing is tried again for a while; all but iterables reject with the signal's reason. */
export interface KubernetesApi {
  /** As the kubeconfig calls it, or `in-cluster`. */
  readonly context: string;
  readonly namespace: string;
  /** Of the server: `v1.34.1`. */
  version(options?: CallOptions): Promise<string>;
  /** Undefined where there is none. */
  get<T extends KubernetesObject>(resource: ResourceRef, options?: CallOptions): Promise<T | undefined>;
  /** All of them, as of one moment. */
  list<T extends KubernetesObject>(collection: CollectionRef, options?: SelectOptions): Promise<ObjectList<T>>;
  /**
   * Makes one; unknown fields are refused. Throws `kubernetes-conflict` where there is one of that name. That may be the one asked for,
   * of a try whose answer got lost.
   */
  create<T>(collection: CollectionRef, object: object, options?: CreateOptions): Promise<T>;
  /** By a JSON merge patch (RFC 7386). Throws `kubernetes-missing`. */
  patch<T extends KubernetesObject>(resource: ResourceRef, patch: object, options?: CallOptions): Promise<T>;
  /** False where there was none. Throws `kubernetes-conflict` where it is not what the options say. */
  delete(resource: ResourceRef, options?: DeleteOptions): Promise<boolean>;
  /**
   * What happens after `resourceVersion`. Ends after some minutes, when the connection is cut, and with EXPIRED where the server cannot
   * go on from there: then list again.
   */
  watch<T extends KubernetesObject>(collection: CollectionRef, options: WatchOptions): AsyncIterable<WatchEvent<T>>;
  /** The bytes of a log. Ends where the server ended it; throws `TransientError` where it was cut off. */
  logs(pod: ResourceRef, options: LogOptions): AsyncIterable<Buffer>;
  /** Closes all connections. */
  close(): void;
}

export interface CallOptions {
  readonly signal?: AbortSignal | undefined;
}

export interface SelectOptions extends CallOptions {
  readonly selector?: Selector | undefined;
}

export interface CreateOptions extends CallOptions {
  /** All is checked, nothing is made. */
  readonly isDryRun?: boolean;
}

export interface DeleteOptions extends CallOptions {
  /** What becomes of what it owns: in the background unless said otherwise. */
  readonly propagationPolicy?: 'Background' | 'Foreground' | 'Orphan';
  /** Only if it is this very object. */
  readonly uid?: string | undefined;
  /** Only if nobody has changed it since. */
  readonly resourceVersion?: string | undefined;
}

export interface WatchOptions extends SelectOptions {
  readonly resourceVersion: string;
}

export interface LogOptions extends CallOptions {
  readonly container: string;
  /** Until the container ends. */
  readonly isFollowing?: boolean;
  /** ISO 8601. Servers look at whole seconds. */
  readonly sinceTime?: string | undefined;
  /** Each line begins with its time. */
  readonly hasTimestamps?: boolean;
}

export interface ObjectList<T> {
  readonly items: readonly T[];
  readonly resourceVersion: string;
}

export type WatchEvent<T> =
  | { readonly type: 'ADDED' | 'MODIFIED' | 'DELETED'; readonly object: T }
  /** Nothing happened until this version. */
  | { readonly type: 'BOOKMARK'; readonly resourceVersion: string }
  | { readonly type: 'EXPIRED' };
