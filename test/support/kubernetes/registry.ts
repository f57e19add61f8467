/** Creating, changing and deleting objects with all the API server's rules; what its own controllers use, too. */
import { randomUUID } from 'node:crypto';
import { fillDefaults } from './defaults.ts';
import { dropFields } from './feature-gates.ts';
import { type Cause, conflict, forbidden, alreadyExists, invalid, notFound, failure } from './status.ts';
import type { Job, KubeObject, Metadata, Pod } from './objects.ts';
import { wholeSeconds } from './objects.ts';
import { securityViolation } from './pod-security.ts';
import { quotaRefusal } from './quota.ts';
import { resourceNamed, type ResourceName, type ResourceType, type Stored } from './resources.ts';
import { type Key, keyOf, type Store } from './store.ts';
import { checkConfigMap, checkConfigMapUpdate } from './validate-config-map.ts';
import { checkJob, checkJobUpdate } from './validate-job.ts';
import { checkMetadata, checkMetadataUpdate } from './validate-metadata.ts';
import { checkPodSpec, checkPodUpdate } from './validate-pod.ts';

export interface DeleteOptions {
  readonly propagationPolicy?: 'Background' | 'Foreground' | 'Orphan';
  readonly gracePeriodSeconds?: number;
  readonly uid?: string;
  readonly resourceVersion?: string;
}

export interface Registry {
  readonly store: Store;
  /** Milliseconds. */
  now(): number;
  create<R extends ResourceName>(
    resource: R,
    object: NewObject,
    options?: { dryRun?: boolean; warnings?: string[] },
  ): Stored[R];
  /** Changes an object's own part or its status, and checks what may not change. */
  update<R extends ResourceName>(
    key: Key<R>,
    edit: (draft: Stored[R]) => void,
    options?: { dryRun?: boolean; part?: 'main' | 'status' },
  ): Stored[R];
  /** Gives what is left of the object: as it was, or waiting for its finalizers and its grace. */
  delete<R extends ResourceName>(key: Key<R>, options?: DeleteOptions): { object: Stored[R]; isGone: boolean };
}

/** An object before the API server has seen it. */
export type NewObject = Omit<KubeObject, 'metadata'> & { metadata: Partial<Metadata> };

const NAME_LETTERS = 'bcdfghjklmnpqrstvwxz2456789';

export function openRegistry({
  store,
  now,
  drops,
}: {
  store: Store;
  now: () => number;
  drops: readonly string[];
}): Registry {
  function create<R extends ResourceName>(
    resource: R,
    given: NewObject,
    { dryRun = false, warnings = [] }: { dryRun?: boolean; warnings?: string[] } = {},
  ): Stored[R] {
    const type = resourceNamed(resource);
    const object = structuredClone(given) as KubeObject;
    const { metadata } = object;
    metadata.uid = randomUUID();
    metadata.creationTimestamp = wholeSeconds(now());
    for (const key of ['resourceVersion', 'deletionTimestamp', 'deletionGracePeriodSeconds'] as const)
      delete metadata[key];
    if ((metadata.name ?? '') === '') metadata.name = generatedName(metadata.generateName ?? '');
    if (type.isNamespaced) requireNamespace(store, metadata.namespace ?? '');
    fillDefaults(resource, object);
    // A feature that is switched off has no default either.
    dropFields(object, drops, resource);
    const before = admit(store, type, object, warnings);
    const causes = [...checkMetadata(metadata, type), ...checkContent(resource, object)];
    if (causes.length > 0) throw invalid(type, metadata.name, causes);
    if (before !== undefined) throw before;
    const refusal = quotaRefusal(store, resource, object);
    if (refusal !== undefined) throw forbidden(type, metadata.name, refusal);
    const there = store.get(keyOf(resource, object));
    if (there !== undefined) throw alreadyExists(type, metadata.name, there.metadata.deletionTimestamp !== undefined);
    return dryRun ? (object as Stored[R]) : store.add(resource, object as Stored[R]);
  }

  function update<R extends ResourceName>(
    key: Key<R>,
    edit: (draft: Stored[R]) => void,
    { dryRun = false, part = 'main' }: { dryRun?: boolean; part?: 'main' | 'status' } = {},
  ): Stored[R] {
    const type = resourceNamed(key.resource);
    const before = requireObject(store, key);
    const next = structuredClone(before);
    edit(next);
    const { uid, resourceVersion } = next.metadata;
    if (uid !== before.metadata.uid) {
      const why = `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${before.metadata.uid}`;
      throw conflict(type, key.name, why);
    }
    if (resourceVersion !== before.metadata.resourceVersion && (resourceVersion ?? '') !== '') {
      throw conflict(
        type,
        key.name,
        'the object has been modified; please apply your changes to the latest version and try again',
      );
    }
    next.metadata.resourceVersion = before.metadata.resourceVersion;
    if (part === 'status') Object.assign(next, structuredClone({ ...before, status: next.status }));
    else {
      if (type.hasStatus) next.status = structuredClone(before.status);
      const causes = [...checkMetadataUpdate(next, before), ...checkChange(key.resource, next, before)];
      if (causes.length > 0) throw invalid(type, key.name, causes);
      bumpGeneration(next, before);
    }
    if (dryRun) return next;
    return (
      store.change(key, (draft) => {
        replace(draft, next);
      }) ?? next
    );
  }

  function remove<R extends ResourceName>(
    key: Key<R>,
    options: DeleteOptions = {},
  ): { object: Stored[R]; isGone: boolean } {
    const type = resourceNamed(key.resource);
    const before = requireObject(store, key);
    const { uid, resourceVersion } = before.metadata;
    if (options.uid !== undefined && options.uid !== uid) {
      throw conflict(
        type,
        key.name,
        `Precondition failed: UID in precondition: ${options.uid}, UID in object meta: ${uid}`,
      );
    }
    if (options.resourceVersion !== undefined && options.resourceVersion !== resourceVersion) {
      const why = `Precondition failed: ResourceVersion in precondition: ${options.resourceVersion}, ResourceVersion in object meta: ${resourceVersion}`;
      throw conflict(type, key.name, why);
    }
    const grace = key.resource === 'pods' ? graceOf(before as Pod, options.gracePeriodSeconds) : 0;
    const waitsFor = { Background: undefined, Foreground: 'foregroundDeletion', Orphan: 'orphan' }[
      options.propagationPolicy ?? defaultPolicy(key.resource)
    ];
    store.change(key, ({ metadata }) => {
      const told = metadata.deletionGracePeriodSeconds;
      metadata.deletionTimestamp ??= wholeSeconds(now() + grace * 1000);
      // A shorter grace than the one told before counts, a longer one does not.
      metadata.deletionGracePeriodSeconds = told === undefined ? grace : Math.min(told, grace);
      const kept = (metadata.finalizers ?? []).filter((each) => each !== 'foregroundDeletion' && each !== 'orphan');
      if (waitsFor !== undefined) kept.push(waitsFor);
      if (kept.length > 0) metadata.finalizers = kept;
      else delete metadata.finalizers;
    });
    const left = store.get(key);
    return { object: left ?? before, isGone: left === undefined };
  }

  return { store, now, create, update, delete: remove };
}

/** What the API does where a deletion does not say: Jobs of batch/v1 leave their pods behind. */
export function defaultPolicy(resource: ResourceName): 'Background' | 'Orphan' {
  return resource === 'jobs' ? 'Orphan' : 'Background';
}

/** Pods that no kubelet has, and those that have ended, go at once. */
function graceOf({ spec, status }: Pod, asked: number | undefined): number {
  if ((spec.nodeName ?? '') === '' || status.phase === 'Succeeded' || status.phase === 'Failed') return 0;
  return asked ?? spec.terminationGracePeriodSeconds ?? 30;
}

/** Admission: refuses pods, and warns of pods that a Job would not get. Returned, since validation comes first. */
function admit(store: Store, type: ResourceType, object: KubeObject, warnings: string[]): Error | undefined {
  const { namespace = '', name } = object.metadata;
  const where = store.get({ resource: 'namespaces', namespace: '', name: namespace });
  const template =
    type.name === 'pods' ? (object as Pod).spec : type.name === 'jobs' ? (object as Job).spec.template.spec : undefined;
  if (template === undefined) return undefined;
  for (const mode of ['warn', 'enforce'] as const) {
    if (type.name === 'pods' && mode === 'enforce') break;
    const told = securityViolation(where, template, mode);
    if (told !== undefined) {
      warnings.push(`would violate PodSecurity ${told}`);
      break;
    }
  }
  if (type.name !== 'pods') return undefined;
  const account = template.serviceAccountName ?? 'default';
  if (store.get({ resource: 'serviceaccounts', namespace, name: account }) === undefined) {
    const why = `error looking up service account ${namespace}/${account}: serviceaccount "${account}" not found`;
    return forbidden(type, name, why);
  }
  const violation = securityViolation(where, template, 'enforce');
  return violation === undefined ? undefined : forbidden(type, name, `violates PodSecurity ${violation}`);
}

function checkContent(resource: ResourceName, object: KubeObject): Cause[] {
  if (resource === 'jobs') return checkJob(object as Job);
  if (resource === 'pods') return checkPodSpec((object as Pod).spec, 'spec');
  return resource === 'configmaps' ? checkConfigMap(object) : [];
}

function checkChange(resource: ResourceName, next: KubeObject, before: KubeObject): Cause[] {
  if (resource === 'jobs') return checkJobUpdate(next as Job, before as Job);
  if (resource === 'pods') return checkPodUpdate(next as Pod, before as Pod);
  return resource === 'configmaps' ? checkConfigMapUpdate(next, before) : [];
}

function bumpGeneration(next: KubeObject, before: KubeObject): void {
  if (before.metadata.generation === undefined) return;
  if (JSON.stringify(next.spec) === JSON.stringify(before.spec)) return;
  next.metadata.generation = before.metadata.generation + 1;
}

function requireNamespace(store: Store, name: string): void {
  const type = resourceNamed('namespaces');
  if (store.get({ resource: 'namespaces', namespace: '', name }) === undefined) throw notFound(type, name);
}

export function requireObject<R extends ResourceName>(store: Store, key: Key<R>): Stored[R] {
  const found = store.get(key);
  if (found === undefined) throw notFound(resourceNamed(key.resource), key.name);
  return found;
}

function generatedName(base: string): string {
  if (base === '') return '';
  const letters = Array.from({ length: 5 }, () => NAME_LETTERS[Math.floor(Math.random() * NAME_LETTERS.length)]);
  return `${base.slice(0, 58)}${letters.join('')}`;
}

function replace(target: object, source: object): void {
  for (const key of Object.keys(target)) Reflect.deleteProperty(target, key);
  Object.assign(target, source);
}

export function unsupportedMedia(accepted: readonly string[]): Error {
  return failure(
    415,
    `the body of the request was in an unknown format - accepted media types include: ${accepted.join(', ')}`,
  );
}
