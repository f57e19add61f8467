/** What a namespace lets in: its pod security standard, its quotas, and whether what profile and stages name is there. */
import type { KubernetesProfile } from '../../domain/kubernetes-profile.ts';
import type { Stage } from '../../domain/pipeline.ts';
import { amountOf, amountText, podAmounts } from './amounts.ts';
import type { KubernetesApi } from './api.ts';
import type { Check } from './check.ts';
import { checkingIfAllowed } from './check.ts';
import type { Job, PodSpec } from './objects.ts';
import type { KubernetesObject } from './resources.ts';
import { coreCollection } from './resources.ts';

interface Quota extends KubernetesObject {
  readonly spec?: { readonly hard?: Amounts; readonly scopes?: readonly string[]; readonly scopeSelector?: object };
  readonly status?: { readonly used?: Amounts };
}

type Amounts = Readonly<Record<string, string>>;

export interface Drafted {
  readonly stage: Stage;
  readonly job: Job;
}

const ENFORCED = 'pod-security.kubernetes.io/enforce';

/** Which standard pods have to keep to. */
export function checkPolicy(
  api: KubernetesApi,
  stages: readonly Stage[],
  signal?: AbortSignal,
): Promise<readonly Check[]> {
  const what = 'pod security';
  return checkingIfAllowed(what, async () => {
    const found = await api.get({ ...coreCollection('namespaces', undefined), name: api.namespace }, { signal });
    if (found === undefined) {
      return [
        {
          what,
          result: 'failed',
          message: `there is no namespace "${api.namespace}"`,
          hint: 'Name another, or ask whoever runs the cluster for it: kubectl get namespaces',
        },
      ];
    }
    const level = found.metadata.labels?.[ENFORCED] ?? 'privileged';
    const patched = stages.filter(({ cluster }) => cluster?.pod !== undefined).map(({ id }) => id);
    if (level === 'privileged' || patched.length === 0)
      return [
        {
          what,
          result: 'ok',
          message: `${level === 'privileged' ? 'no standard' : `the standard "${level}"`} is enforced; pods of mlv keep to "restricted"`,
        },
      ];
    return [
      {
        what,
        result: 'warning',
        message: `the standard "${level}" is enforced, and "pod" of ${patched.join(', ')} may go beyond it`,
        hint: 'What it refuses is told when the pod is made: see that the patch leaves "securityContext" and "volumes" within the standard.',
      },
    ];
  });
}

/** What quotas never grant, or not now. */
export function checkQuotas(
  api: KubernetesApi,
  drafts: readonly Drafted[],
  signal?: AbortSignal,
): Promise<readonly Check[]> {
  const what = 'quota';
  return checkingIfAllowed(what, async () => {
    const { items } = await api.list<Quota>(coreCollection('resourcequotas', api.namespace), { signal });
    // Those with scopes hold for some pods only: for which is the cluster's to know.
    const quotas = items.filter(({ spec }) => spec?.scopes === undefined && spec?.scopeSelector === undefined);
    const found = quotas.flatMap((quota) => drafts.flatMap((draft) => refusals(quota, draft)));
    if (found.length > 0) return found;
    const names = quotas.map(({ metadata }) => metadata.name).join(', ');
    return [{ what, result: 'ok', message: names === '' ? 'none' : `${names}: enough for each stage` }];
  });
}

function refusals({ metadata, spec, status }: Quota, { stage, job }: Drafted): Check[] {
  const { name } = metadata;
  const pod = job.spec.template.spec;
  const place = `"resources" of ${stage.file}, line ${stage.line}`;
  return Object.entries(spec?.hard ?? {}).flatMap(([key, limit]): Check[] => {
    const [, part = 'requests', resource = key] = /^(requests|limits)\.(.+)$/.exec(key) ?? [];
    const which = part === 'limits' ? 'limits' : 'requests';
    const hard = amountOf(limit);
    const asked = key === 'pods' ? 1 : podAmounts(pod, which).get(resource);
    if (hard === undefined) return [];
    const told = (amount: number): string => amountText(resource, amount);
    const check = { what: 'quota' as const, hint: `Ask for less in ${place}, or for a larger quota.` };
    const silent = /^(cpu|memory)$/.test(resource) ? silentIn(pod, which, resource) : [];
    if (silent.length > 0) {
      return [
        {
          ...check,
          result: 'warning',
          message: `quota ${name} counts ${key}, of which ${silent.join(', ')} of stage ${stage.id} ${silent.length === 1 ? 'says' : 'say'} nothing`,
          hint: `Unless a LimitRange of the namespace fills it in, its pods are refused: say ${resource} in ${place}, or patch ${part} in "pod".`,
        },
      ];
    }
    if (asked === undefined || asked === 0) return [];
    if (asked > hard)
      return [
        {
          ...check,
          result: 'failed',
          message: `quota ${name} never grants stage ${stage.id} ${key} ${told(asked)}: it has ${told(hard)}`,
        },
      ];
    const used = amountOf(status?.used?.[key]) ?? 0;
    if (asked + used <= hard) return [];
    return [
      {
        ...check,
        result: 'warning',
        message: `quota ${name} has no room for stage ${stage.id} now: ${key} ${told(asked)}, when ${told(used)} of ${told(hard)} are used`,
        hint: 'It waits until others end.',
      },
    ];
  });
}

/** The containers that do not say how much of it they want, as quotas demand. */
function silentIn(
  { initContainers, containers }: Pick<PodSpec, 'initContainers' | 'containers'>,
  part: 'requests' | 'limits',
  resource: string,
): string[] {
  return [...initContainers, ...containers]
    .filter(
      ({ resources }) => ({ ...(part === 'requests' && resources.limits), ...resources[part] })[resource] === undefined,
    )
    .map(({ name }) => name);
}

/** Whether service account, secrets and claims are there that profile and stages name. */
export async function checkNames(
  api: KubernetesApi,
  {
    profile,
    stages,
    signal,
  }: {
    readonly profile: KubernetesProfile;
    readonly stages: readonly Stage[];
    readonly signal?: AbortSignal | undefined;
  },
): Promise<readonly Check[]> {
  const setting = `kubernetes.${profile.name}`;
  const wanted = new Map<
    string,
    { readonly plural: string; readonly what: string; readonly name: string; readonly by: string }
  >();
  const want = (plural: string, what: string, name: string | undefined, by: string): void => {
    if (name !== undefined && !wanted.has(`${plural}/${name}`))
      wanted.set(`${plural}/${name}`, { plural, what, name, by });
  };
  want('serviceaccounts', 'service account', profile.serviceAccount, `${setting}.serviceAccount`);
  want('secrets', 'secret', profile.credentials, `${setting}.credentials`);
  for (const name of profile.pullSecrets) want('secrets', 'secret', name, `${setting}.pullSecrets`);
  want('persistentvolumeclaims', 'claim', profile.cacheClaim, `${setting}.cacheClaim`);
  for (const { id, cluster } of stages)
    for (const name of cluster?.secrets ?? []) want('secrets', 'secret', name, `stage ${id}`);

  const checks: Check[] = [];
  for (const { plural, what, name, by } of wanted.values()) {
    checks.push(
      ...(await checkingIfAllowed(what, async () => {
        const found = await api.get({ ...coreCollection(plural, api.namespace), name }, { signal });
        if (found !== undefined) return [{ what, result: 'ok', message: name }];
        return [
          {
            what,
            result: 'failed',
            message: `there is no ${what} "${name}" in namespace "${api.namespace}", which ${by} names`,
            hint: 'Pods wait for it without end: make it, or name another.',
          },
        ];
      })),
    );
  }
  return checks;
}
