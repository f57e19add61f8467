/** Whether one may do in a namespace all that mlv does there. */
import { forEachParallel } from '../../platform/parallel.ts';
import type { KubernetesApi } from './api.ts';
import type { Check } from './check.ts';

interface Right {
  readonly verb: string;
  readonly group: string;
  readonly resource: string;
  readonly subresource?: string;
}

interface Review {
  readonly status?: { readonly allowed?: boolean };
}

/** What is only told less of without it. */
const SPARE = new Set(['events']);
const AT_ONCE = 8;

const RIGHTS: readonly Right[] = [
  ...rights('batch', 'jobs', ['get', 'list', 'watch', 'create', 'delete']),
  ...rights('', 'pods', ['get', 'list', 'watch']),
  { verb: 'get', group: '', resource: 'pods', subresource: 'log' },
  ...rights('', 'configmaps', ['get', 'list', 'create', 'patch', 'delete']),
  ...rights('', 'events', ['list']),
];

/** One check where all is allowed, else one for each resource of which something is not. */
export async function checkAccess(api: KubernetesApi, signal?: AbortSignal): Promise<readonly Check[]> {
  const refused = new Set<Right>();
  await forEachParallel(RIGHTS, { jobs: AT_ONCE, signal }, async (right, stop) => {
    if (!(await isAllowed(api, right, stop))) refused.add(right);
  });
  if (refused.size === 0)
    return [
      {
        what: 'permissions',
        result: 'ok',
        message: `all ${RIGHTS.length} that mlv uses in namespace ${api.namespace}`,
      },
    ];
  const lacking = RIGHTS.filter((right) => refused.has(right));
  return [...new Set(lacking.map(nameOf))].map((name) => {
    const verbs = lacking.filter((right) => nameOf(right) === name).map(({ verb }) => verb);
    const canI = `kubectl auth can-i ${verbs[0] ?? ''} ${name.split('/')[0] ?? ''}${name.includes('/') ? ' --subresource=log' : ''} -n ${api.namespace}`;
    return {
      what: 'permissions',
      result: SPARE.has(name) ? 'warning' : 'failed',
      message: `you may not ${verbs.join(', ')} ${name} in namespace "${api.namespace}" of context "${api.context}"`,
      hint: `Ask whoever runs the cluster for it. "${canI}" asks for ${verbs.length === 1 ? 'it' : 'the first'}.`,
    };
  });
}

async function isAllowed(api: KubernetesApi, right: Right, signal: AbortSignal): Promise<boolean> {
  const reviews = {
    group: 'authorization.k8s.io',
    version: 'v1',
    plural: 'selfsubjectaccessreviews',
    namespace: undefined,
  };
  const review = await api.create<Review>(
    reviews,
    {
      apiVersion: 'authorization.k8s.io/v1',
      kind: 'SelfSubjectAccessReview',
      spec: { resourceAttributes: { ...right, namespace: api.namespace } },
    },
    { signal },
  );
  return review.status?.allowed === true;
}

function rights(group: string, resource: string, verbs: readonly string[]): Right[] {
  return verbs.map((verb) => ({ verb, group, resource }));
}

function nameOf({ group, resource, subresource }: Right): string {
  return `${resource}${group === '' ? '' : `.${group}`}${subresource === undefined ? '' : `/${subresource}`}`;
}
