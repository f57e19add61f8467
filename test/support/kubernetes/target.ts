/** What a request's method and URL ask for. */
import { RESOURCES, type ResourceType } from './resources.ts';
import { failure } from './status.ts';

export interface Target {
  readonly verb: 'get' | 'list' | 'watch' | 'create' | 'update' | 'patch' | 'delete' | 'deletecollection';
  readonly type: ResourceType;
  /** Empty for all namespaces, and for what is in none. */
  readonly namespace: string;
  /** Empty for a collection. */
  readonly name: string;
  readonly subresource: string;
  readonly query: URLSearchParams;
}

const VERBS = { GET: 'get', POST: 'create', PUT: 'update', PATCH: 'patch', DELETE: 'delete' } as const;

/** Undefined for a path that no resource has. Throws 405 for what cannot be done there. */
export function parseTarget(method: string, url: string): Target | undefined {
  const { pathname, searchParams } = new URL(url, 'http://localhost');
  const [, group = '', rest = ''] = /^\/(?:api|apis\/([^/]+))\/v1\/(.+)$/.exec(pathname) ?? [];
  const parts = rest.split('/').map((part) => decodeURIComponent(part));
  const isInside = parts[0] === 'namespaces' && parts.length > 2;
  const namespace = isInside ? (parts[1] ?? '') : '';
  const [resource = '', name = '', subresource = '', ...more] = isInside ? parts.slice(2) : parts;
  const type = RESOURCES.find((each) => each.name === resource && each.group === group);
  if (type === undefined || more.length > 0 || (isInside && !type.isNamespaced)) return undefined;
  if (type.isNamespaced && namespace === '' && name !== '') return undefined;
  if (subresource !== '' && !subresourcesOf(type).includes(subresource)) return undefined;
  const verb = VERBS[method as keyof typeof VERBS];
  const isCollection = name === '';
  const isPossible =
    verb !== undefined && (verb === 'create' ? isCollection : verb === 'get' || verb === 'delete' || !isCollection);
  if (!isPossible || (type.isNamespaced && namespace === '' && verb !== 'get')) {
    throw failure(405, 'the server does not allow this method on the requested resource');
  }
  const target = {
    type,
    namespace: resource === 'namespaces' ? name : namespace,
    name,
    subresource,
    query: searchParams,
  };
  if (!isCollection) return { ...target, verb };
  const isWatch = ['true', '1'].includes(searchParams.get('watch') ?? '');
  if (verb === 'get') return { ...target, verb: isWatch ? 'watch' : 'list' };
  return { ...target, verb: verb === 'delete' ? 'deletecollection' : verb };
}

function subresourcesOf({ name, hasStatus }: ResourceType): string[] {
  return [...(hasStatus ? ['status'] : []), ...(name === 'pods' ? ['log'] : [])];
}
