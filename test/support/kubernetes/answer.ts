/** What each verb does with a request that has been let in. */
import { type Identity, isAllowed } from './access.ts';
import { mergePatch } from './merge-patch.ts';
import type { KubeObject } from './objects.ts';
import {
  defaultPolicy,
  type DeleteOptions,
  type NewObject,
  type Registry,
  requireObject,
  unsupportedMedia,
} from './registry.ts';
import { apiVersionOf, type ResourceType } from './resources.ts';
import { decode } from './schema.ts';
import { failure, invalid, success, undecodable } from './status.ts';
import type { Key } from './store.ts';
import type { Target } from './target.ts';
import { listPage } from './watch.ts';

export interface Call {
  readonly target: Target;
  readonly body: Buffer;
  readonly contentType: string;
  /** Sent as headers. */
  readonly warnings: string[];
}

export interface Reply {
  readonly status: number;
  readonly body: unknown;
}

const MERGE = 'application/merge-patch+json';

/** Does what is asked for at once; watches and logs are streams of their own. */
export function perform(call: Call, registry: Registry): Reply {
  const { target } = call;
  const { type, namespace, name } = target;
  const key: Key = { resource: type.name, namespace: type.isNamespaced ? namespace : '', name };
  switch (target.verb) {
    case 'get':
      return { status: 200, body: requireObject(registry.store, key) };
    case 'list':
      return { status: 200, body: listPage(registry.store, target) };
    case 'create':
      return create(call, registry);
    case 'patch':
    case 'update':
      return { status: 200, body: update(call, registry, key) };
    case 'delete':
      return remove(call, registry, key);
    case 'watch':
    case 'deletecollection':
      break;
  }
  throw failure(405, 'the server does not allow this method on the requested resource');
}

/** Whether the one who asks may do something: the answer to a SelfSubjectAccessReview. */
export function reviewAccess(body: Buffer, identity: Identity): Reply {
  const review = parseJson(body, { kind: 'SelfSubjectAccessReview' }) as {
    spec?: {
      resourceAttributes?: Partial<
        Record<'verb' | 'resource' | 'subresource' | 'group' | 'namespace' | 'name', string>
      >;
    };
  };
  const attributes = review.spec?.resourceAttributes;
  if (attributes === undefined) {
    const why =
      'spec.resourceAttributes: Invalid value: null: exactly one of nonResourceAttributes or resourceAttributes must be specified';
    throw failure(422, `SelfSubjectAccessReview.authorization.k8s.io "" is invalid: ${why}`);
  }
  const { verb = '', resource = '', subresource = '', group = '', namespace = '', name = '' } = attributes;
  const allowed = isAllowed(identity, { verb, resource, subresource, group, namespace, name });
  const kind = { kind: 'SelfSubjectAccessReview', apiVersion: 'authorization.k8s.io/v1' };
  return { status: 201, body: { ...kind, metadata: {}, spec: review.spec, status: { allowed } } };
}

/** The name of the object that a request is about, of a new one from its body. */
export function subjectOf({ name, verb, type }: Target, body: Buffer): string {
  if (verb !== 'create') return name;
  try {
    const { metadata = {} } = parseJson(body, type) as { metadata?: { name?: string } };
    return metadata.name ?? '';
  } catch {
    return '';
  }
}

function create({ target, body, contentType, warnings }: Call, registry: Registry): Reply {
  const { type, namespace, query } = target;
  if (contentType !== 'application/json') throw unsupportedMedia(['application/json', 'application/yaml']);
  const object = readObject(type, parseJson(body, type), { query, warnings });
  const given = object.metadata.namespace;
  if (type.isNamespaced && given !== undefined && given !== namespace) {
    throw failure(400, 'the namespace of the provided object does not match the namespace sent on the request');
  }
  if (type.isNamespaced) object.metadata.namespace = namespace;
  return { status: 201, body: registry.create(type.name, object, { dryRun: isDryRun(query), warnings }) };
}

function update({ target, body, contentType, warnings }: Call, registry: Registry, key: Key): KubeObject {
  const { type, verb, subresource, query } = target;
  if (verb === 'patch' && contentType !== MERGE) throw unsupportedMedia([MERGE]);
  if (verb === 'update' && contentType !== 'application/json') throw unsupportedMedia(['application/json']);
  const given = parseJson(body, type);
  const before = requireObject(registry.store, key);
  const merged = verb === 'patch' ? mergePatch(before, given) : given;
  const next = readObject(type, merged, { query, warnings });
  const part = subresource === 'status' ? 'status' : 'main';
  const edit = (draft: object): void => {
    for (const name of Object.keys(draft)) if (name !== 'status') Reflect.deleteProperty(draft, name);
    Object.assign(draft, next);
  };
  return registry.update(key, edit, { dryRun: isDryRun(query), part });
}

function remove({ target, body, warnings }: Call, registry: Registry, key: Key): Reply {
  const { type, query } = target;
  const options = readDeleteOptions(body, query);
  if (type.name === 'jobs' && options.propagationPolicy === undefined && defaultPolicy('jobs') === 'Orphan') {
    warnings.push(
      'child pods are preserved by default when jobs are deleted; set propagationPolicy=Background to remove them or set propagationPolicy=Orphan to suppress this warning',
    );
  }
  if (isDryRun(query)) return { status: 200, body: requireObject(registry.store, key) };
  const { object, isGone } = registry.delete(key, options);
  // Pods are told as they were; of anything else that is gone, only that it is.
  return { status: 200, body: isGone && type.name !== 'pods' ? success(type, object.metadata) : object };
}

function readDeleteOptions(body: Buffer, query: URLSearchParams): DeleteOptions {
  const {
    propagationPolicy,
    gracePeriodSeconds,
    preconditions = {},
  } = (body.length === 0 ? {} : parseJson(body, { kind: 'DeleteOptions' })) as {
    propagationPolicy?: string;
    gracePeriodSeconds?: number;
    preconditions?: { uid?: string; resourceVersion?: string };
  };
  const policy = propagationPolicy ?? query.get('propagationPolicy') ?? undefined;
  const grace =
    gracePeriodSeconds ?? (query.has('gracePeriodSeconds') ? Number(query.get('gracePeriodSeconds')) : undefined);
  if (policy !== undefined && !['Background', 'Foreground', 'Orphan'].includes(policy)) {
    const known = '"Foreground", "Background", "Orphan", "nil"';
    const why = `propagationPolicy: Unsupported value: "${policy}": supported values: ${known}`;
    throw failure(422, `DeleteOptions.meta.k8s.io "" is invalid: ${why}`);
  }
  return {
    ...(policy === undefined ? {} : { propagationPolicy: policy as 'Background' }),
    ...(grace === undefined ? {} : { gracePeriodSeconds: grace }),
    ...preconditions,
  };
}

/** Decodes an object; what is unknown is refused with `fieldValidation=Strict`, and otherwise left out, with a warning. */
function readObject(
  type: ResourceType,
  value: unknown,
  { query, warnings }: { query: URLSearchParams; warnings: string[] },
): NewObject {
  const { apiVersion, kind, metadata } = value as Partial<KubeObject>;
  if ((kind !== undefined && kind !== type.kind) || (apiVersion !== undefined && apiVersion !== apiVersionOf(type))) {
    const given = `${apiVersion ?? ''}, Kind=${kind ?? ''}`;
    throw undecodable(type, `no kind "${kind ?? ''}" is registered for version ${given}`);
  }
  const decoded = decode(type, { ...(value as object), apiVersion: apiVersionOf(type), kind: type.kind });
  if (decoded.mistyped !== undefined) throw undecodable(type, decoded.mistyped);
  const mode = query.get('fieldValidation') ?? 'Warn';
  if (decoded.unknown.length > 0 && mode === 'Strict') {
    const fields = decoded.unknown.map((field) => `unknown field "${field}"`).join(', ');
    throw undecodable(type, `strict decoding error: ${fields}`);
  }
  if (mode === 'Warn') warnings.push(...decoded.unknown.map((field) => `unknown field "${field}"`));
  if (decoded.causes.length > 0) throw invalid(type, metadata?.name ?? '', decoded.causes);
  const object = decoded.object as NewObject;
  object.metadata = { ...object.metadata };
  return object;
}

function parseJson(body: Buffer, { kind }: { kind: string }): unknown {
  let value: unknown;
  try {
    value = JSON.parse(body.toString());
  } catch (error) {
    throw undecodable({ kind }, `couldn't get version/kind; json parse error: ${String(error)}`);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw undecodable({ kind }, `couldn't get version/kind; json parse error: json: cannot unmarshal into a struct`);
  }
  return value;
}

function isDryRun(query: URLSearchParams): boolean {
  const asked = query.getAll('dryRun');
  if (asked.length === 0) return false;
  if (asked.join(',') === 'All') return true;
  throw failure(
    422,
    `CreateOptions.meta.k8s.io "" is invalid: dryRun: Unsupported value: ["${asked.join('","')}"]: supported values: "All"`,
  );
}
