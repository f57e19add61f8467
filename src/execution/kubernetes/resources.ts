/** What an API server keeps, and where it is asked about it. */

export interface CollectionRef {
  /** The empty text is the core group. */
  readonly group: string;
  readonly version: string;
  /** As in paths: `jobs`. */
  readonly plural: string;
  /** Undefined for what belongs to none. */
  readonly namespace: string | undefined;
}

export interface ResourceRef extends CollectionRef {
  readonly name: string;
}

/** As in `kubectl --selector` and `--field-selector`. */
export interface Selector {
  readonly labels?: string | undefined;
  readonly fields?: string | undefined;
}

export interface ObjectMeta {
  readonly name: string;
  readonly namespace?: string;
  readonly uid: string;
  readonly resourceVersion: string;
  readonly generation?: number;
  readonly creationTimestamp?: string;
  readonly deletionTimestamp?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly ownerReferences?: readonly OwnerReference[];
}

export interface OwnerReference {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly uid: string;
  readonly controller?: boolean;
  readonly blockOwnerDeletion?: boolean;
}

/** What every object has; objects of a list lack the first two. */
export interface KubernetesObject {
  readonly apiVersion?: string;
  readonly kind?: string;
  readonly metadata: ObjectMeta;
}

/** Of the core group. */
export function coreCollection(plural: string, namespace: string | undefined): CollectionRef {
  return { group: '', version: 'v1', plural, namespace };
}

export function jobs(namespace: string): CollectionRef {
  return { group: 'batch', version: 'v1', plural: 'jobs', namespace };
}

export function pods(namespace: string): CollectionRef {
  return coreCollection('pods', namespace);
}

/** Where it is asked about. */
export function pathOf(collection: CollectionRef, name?: string, subresource?: string): string {
  const { group, version, plural, namespace } = collection;
  const parts = [
    ...(group === '' ? ['api', version] : ['apis', group, version]),
    ...(namespace === undefined ? [] : ['namespaces', namespace]),
    plural,
    ...(name === undefined ? [] : [name]),
    ...(subresource === undefined ? [] : [subresource]),
  ];
  return `/${parts.map(encodeURIComponent).join('/')}`;
}

/** A path with what of the query is said. */
export function withQuery(
  path: string,
  query: Readonly<Record<string, string | number | boolean | undefined>>,
): string {
  const said = new URLSearchParams();
  for (const [key, value] of Object.entries(query)) if (value !== undefined) said.set(key, String(value));
  return said.size === 0 ? path : `${path}?${said.toString()}`;
}

/** The part of a query that selects. */
export function selection({ labels, fields }: Selector = {}): Readonly<Record<string, string | undefined>> {
  return { labelSelector: labels, fieldSelector: fields };
}
