/**
 * Profiles of clusters: what `run_on: {kubernetes: NAME}` of a stage means, as settings `kubernetes.NAME.FIELD`. A profile is there as soon as
 * one of its fields is.
 */
import { IMAGE_PATTERN } from './image-reference.ts';
import {
  LABEL_VALUE,
  NAMESPACE_PATTERN,
  OBJECT_NAME_PATTERN,
  QUALIFIED_NAME,
  QUEUE_NAME_PATTERN,
} from './kubernetes-name.ts';
import { CPU_PATTERN, DURATION_PATTERN, parseCores, parseDuration, parseSize, SIZE_PATTERN } from './quantity.ts';
import type { Setting, SettingValue } from './setting-table.ts';
import { oneOf, text } from './setting-table.ts';

export interface KubernetesProfile {
  readonly name: string;
  /** Of the kubeconfig; undefined for its current one. */
  readonly context?: string;
  /** Undefined for that of the context. */
  readonly namespace?: string;
  readonly serviceAccount?: string;
  /** What mlv's own containers run in: Node, 20 or later. */
  readonly image: string;
  /** Names of secrets to pull images with. */
  readonly pullSecrets: readonly string[];
  /** The secret whose keys are the environment variables that open the remote. */
  readonly credentials?: string;
  /** The claim of a cache that pods share, and of checkpoints. */
  readonly cacheClaim?: string;
  /** Of the volume that a stage works in; without it the node's own disk is used. */
  readonly storageClass?: string;
  readonly queue?: string;
  /** What Ctrl-C does with a Job that runs. */
  readonly interrupt: 'ask' | 'detach' | 'delete';
  /** Seconds for which an image may fail to be pulled, and a secret, a claim or a service account may not be there. */
  readonly imageGrace: number;
  /** What a core of `resources.cpu` is asked of the cluster as: nodes keep some of theirs for themselves. */
  readonly cpuScale: number;
  /** Never 0: pods do not run as root. */
  readonly runAsUser: number;
  /** Seconds for which a Job that has ended can be looked at. */
  readonly ttl: number;
  /** For stages that do not say: cores, bytes, bytes. */
  readonly cpu?: number;
  readonly memory?: number;
  readonly disk?: number;
  /** By what `resources.gpu_type` calls them. */
  readonly gpuTypes: ReadonlyMap<string, GpuType>;
}

export interface GpuType {
  /** What GPUs are asked for as. */
  readonly resource: string;
  readonly nodeSelector: ReadonlyMap<string, string>;
  readonly tolerations: readonly Toleration[];
}

export interface Toleration {
  readonly key: string;
  readonly operator: 'Exists' | 'Equal';
  readonly value?: string;
  readonly effect?: string;
}

type ProfileFields = Omit<KubernetesProfile, 'name' | 'gpuTypes'>;
type Settings<T> = { readonly [K in keyof T]-?: Setting<NonNullable<T[K]>> };

const NVIDIA = 'nvidia.com/gpu';
const SELECTOR = new RegExp(`^(${QUALIFIED_NAME})=(${LABEL_VALUE})?$`);
const TOLERATION = new RegExp(
  `^(${QUALIFIED_NAME})(?:=(${LABEL_VALUE})?)?(?::(NoSchedule|PreferNoSchedule|NoExecute))?$`,
);

export const KUBERNETES_SETTINGS: Settings<ProfileFields> = {
  // It chooses whose credentials are used, and where: nobody is to be led to a cluster by what they cloned.
  context: { ...text('context of the kubeconfig, instead of its current one'), tracked: false },
  namespace: {
    ...matching('namespace, instead of that of the context', NAMESPACE_PATTERN, 'the name of a namespace'),
    tracked: true,
  },
  serviceAccount: { ...objectName('service account of the pods'), tracked: true },
  image: {
    ...matching('image with Node, in which mlv fetches and pushes', IMAGE_PATTERN, 'an image such as node:20-slim'),
    default: 'node:20-slim',
    tracked: true,
  },
  pullSecrets: {
    doc: 'Kubernetes secrets to pull images with',
    default: [],
    list: true,
    tracked: true,
    expected: 'a list of names of secrets',
    parse: (given) => listOf(given, (name) => (new RegExp(OBJECT_NAME_PATTERN).test(name) ? name : undefined)),
  },
  credentials: {
    ...objectName('Kubernetes secret with the variables that open the remote, AWS_ACCESS_KEY_ID …'),
    tracked: true,
  },
  cacheClaim: { ...objectName('claim of a volume for a cache that pods share, and for checkpoints'), tracked: true },
  storageClass: { ...objectName("storage class of the volume to work in, instead of the node's disk"), tracked: true },
  queue: { ...matching('queue of Kueue', QUEUE_NAME_PATTERN, 'the name of a queue'), tracked: true },
  interrupt: {
    ...oneOf('what Ctrl-C does with a Job that runs', ['ask', 'detach', 'delete']),
    default: 'ask',
    tracked: true,
  },
  imageGrace: {
    ...duration('how long an image may fail to be pulled, or what a stage names be missing'),
    default: 300,
    tracked: true,
  },
  cpuScale: {
    doc: 'cores asked of the cluster for each core of resources.cpu: nodes keep some for themselves',
    default: 1,
    tracked: true,
    expected: 'a number above 0, at most 1',
    parse: (given) => number(given, (value) => value > 0 && value <= 1),
  },
  runAsUser: {
    doc: 'numeric user and group of the pods',
    default: 65_532,
    tracked: true,
    expected: 'a number from 1 to 2147483647',
    parse: (given) => number(given, (value) => Number.isInteger(value) && value >= 1 && value <= 2_147_483_647),
  },
  ttl: { ...duration('how long a Job that has ended stays'), default: 7 * 86_400, tracked: true },
  cpu: {
    doc: 'cores for stages that do not say',
    tracked: true,
    expected: 'a number of cores such as 2 or 500m',
    parse: (given) => (new RegExp(CPU_PATTERN).test(given) ? parseCores(given) : undefined),
  },
  memory: { ...size('memory for stages that do not say'), tracked: true },
  disk: { ...size('disk for stages that do not say'), tracked: true },
};

export const GPU_TYPE_SETTINGS: {
  readonly resource: Setting<string>;
  readonly nodeSelector: Setting<readonly string[]>;
  readonly tolerations: Setting<readonly string[]>;
} = {
  resource: {
    ...matching('what these GPUs are asked for as', `^(?=[^/]+/)${QUALIFIED_NAME}$`, `a resource such as ${NVIDIA}`),
    default: NVIDIA,
    tracked: true,
  },
  nodeSelector: {
    doc: 'labels of nodes that have them',
    default: [],
    list: true,
    tracked: true,
    expected: 'a list of KEY=VALUE',
    parse: (given) => listOf(given, (item) => (SELECTOR.test(item) ? item : undefined)),
  },
  tolerations: {
    doc: 'taints of these nodes',
    default: [],
    list: true,
    tracked: true,
    expected:
      'a list of KEY, KEY:EFFECT or KEY=VALUE:EFFECT, an effect being NoSchedule, PreferNoSchedule or NoExecute',
    parse: (given) => listOf(given, (item) => (TOLERATION.test(item) ? item : undefined)),
  },
};

/** The profile of what was set under `kubernetes.NAME`: values of `KUBERNETES_SETTINGS` by field, and of `GPU_TYPE_SETTINGS` by `gpuTypes.TYPE.FIELD`. */
export function kubernetesProfile(name: string, given: ReadonlyMap<string, SettingValue>): KubernetesProfile {
  const types = new Map<string, Map<string, SettingValue>>();
  for (const [key, value] of given) {
    const [group, type = '', field = ''] = key.split('.');
    if (group === 'gpuTypes') types.set(type, new Map([...(types.get(type) ?? []), [field, value]]));
  }
  // Each value was parsed by the table's own entry for its key.
  const fields = withDefaults(KUBERNETES_SETTINGS, given) as unknown as ProfileFields;
  return { name, ...fields, gpuTypes: new Map([...types].map(([type, each]) => [type, gpuType(each)])) };
}

function gpuType(given: ReadonlyMap<string, SettingValue>): GpuType {
  const { resource, nodeSelector, tolerations } = withDefaults(GPU_TYPE_SETTINGS, given) as {
    readonly resource: string;
    readonly nodeSelector: readonly string[];
    readonly tolerations: readonly string[];
  };
  const selectors = nodeSelector.map((item): [string, string] => {
    const [, key = '', value = ''] = SELECTOR.exec(item) ?? [];
    return [key, value];
  });
  return { resource, nodeSelector: new Map(selectors), tolerations: tolerations.map(toleration) };
}

function toleration(item: string): Toleration {
  const [, key = '', value = '', effect] = TOLERATION.exec(item) ?? [];
  return {
    key,
    ...(item.includes('=') ? { operator: 'Equal', value } : { operator: 'Exists' }),
    ...(effect !== undefined && { effect }),
  };
}

function withDefaults(
  table: Readonly<Record<string, Setting<SettingValue>>>,
  given: ReadonlyMap<string, SettingValue>,
): Record<string, SettingValue> {
  const values: Record<string, SettingValue> = {};
  for (const [field, setting] of Object.entries(table)) {
    const value = given.get(field) ?? setting.default;
    if (value !== undefined) values[field] = value;
  }
  return values;
}

type Parsed<T> = Pick<Setting<T>, 'doc' | 'expected' | 'parse'>;

function matching(doc: string, pattern: string, expected: string): Parsed<string> {
  return { doc, expected, parse: (given) => (new RegExp(pattern).test(given) ? given : undefined) };
}

function objectName(doc: string): Parsed<string> {
  return matching(doc, OBJECT_NAME_PATTERN, 'a name as Kubernetes has them: a-z, 0-9, "-" and "."');
}

function duration(doc: string): Parsed<number> {
  return {
    doc,
    expected: 'seconds, or a time like 90s or 2h',
    parse: (given) => (new RegExp(DURATION_PATTERN).test(given) ? parseDuration(given) : undefined),
  };
}

function size(doc: string): Parsed<number> {
  return {
    doc,
    expected: 'bytes, or a size like 8Gi or 500M',
    parse: (given) => (new RegExp(SIZE_PATTERN).test(given) ? parseSize(given) : undefined),
  };
}

function number(given: string, isRight: (value: number) => boolean): number | undefined {
  const value = /^\d+(\.\d+)?$/.test(given) ? Number(given) : NaN;
  return isRight(value) ? value : undefined;
}

function listOf(given: string, parse: (item: string) => string | undefined): string[] | undefined {
  const items: string[] = [];
  for (const item of given.split(',')) {
    const parsed = parse(item.trim());
    if (parsed === undefined) return undefined;
    items.push(parsed);
  }
  return items;
}
