/** Whether a pod can ever run on one of the nodes there are: by what they have when they are empty, their labels and lasting taints (pure). */
import { amountOf, amountText } from './amounts.ts';
import type { PodToleration } from './objects.ts';
import type { KubernetesObject } from './resources.ts';

export interface SeenNode extends KubernetesObject {
  readonly spec?: { readonly taints?: readonly SeenTaint[] };
  readonly status?: { readonly allocatable?: Readonly<Record<string, string>> };
}

interface SeenTaint {
  readonly key: string;
  readonly value?: string;
  readonly effect: string;
}

export interface PodNeeds {
  readonly amounts: ReadonlyMap<string, number>;
  readonly nodeSelector: Readonly<Record<string, string>>;
  readonly tolerations: readonly Partial<PodToleration>[];
}

export interface NodeFit {
  /** Nodes that would do. */
  readonly fitting: readonly SeenNode[];
  /** Where none does: the node that comes nearest, and what is wrong with it; undefined where there is no node. */
  readonly nearest: { readonly node: string; readonly lacks: readonly string[] } | undefined;
  /** Whether nodes are of a pool that may make others, of other sizes too. */
  readonly mayGrow: boolean;
}

interface Lack {
  readonly text: string;
  /** From 0, nothing, to 1, all of it. */
  readonly share: number;
}

/** Labels of nodes that a provider or autoscaler makes as they are needed. */
const POOLS = [
  'eks.amazonaws.com/nodegroup',
  'alpha.eksctl.io/nodegroup-name',
  'cloud.google.com/gke-nodepool',
  'kubernetes.azure.com/agentpool',
  'karpenter.sh/nodepool',
  'karpenter.sh/provisioner-name',
];
/** These come and go by themselves. */
const PASSING_TAINT = /^node\.(?:cloudprovider\.)?kubernetes\.io\//;

export function nodeFit(needs: PodNeeds, nodes: readonly SeenNode[]): NodeFit {
  const seen = nodes.map((node) => ({ node, lacks: lacksOf(needs, node) }));
  const [nearest] = seen.toSorted((a, b) => a.lacks.length - b.lacks.length || shareOf(a.lacks) - shareOf(b.lacks));
  return {
    fitting: seen.filter(({ lacks }) => lacks.length === 0).map(({ node }) => node),
    nearest: nearest && { node: nearest.node.metadata.name, lacks: nearest.lacks.map(({ text }) => text) },
    mayGrow: nodes.some(({ metadata: { labels = {} } }) => POOLS.some((label) => Object.hasOwn(labels, label))),
  };
}

function lacksOf({ amounts, nodeSelector, tolerations }: PodNeeds, { metadata, spec, status }: SeenNode): Lack[] {
  const labels = metadata.labels ?? {};
  const unlabelled = Object.entries(nodeSelector)
    .filter(([key, value]) => labels[key] !== value)
    .map(([key, value]) => ({ text: `no label ${key}=${value}`, share: 1 }));
  const tainted = (spec?.taints ?? [])
    .filter(({ key, effect }) => effect !== 'PreferNoSchedule' && !PASSING_TAINT.test(key))
    .filter((taint) => !tolerations.some((each) => isTolerated(taint, each)))
    .map(({ key, value = '', effect }) => ({
      text: `a taint ${key}${value === '' ? '' : `=${value}`}:${effect} that is not tolerated`,
      share: 1,
    }));
  const small = [...amounts].flatMap(([name, amount]): Lack[] => {
    const has = amountOf(status?.allocatable?.[name]) ?? 0;
    if (has >= amount) return [];
    const text = `${amountText(name, has)} of ${amountText(name, amount)} ${name}`;
    return [{ text, share: 1 - has / amount }];
  });
  return [...unlabelled, ...tainted, ...small];
}

function isTolerated(
  { key, value = '', effect }: SeenTaint,
  { key: wanted, operator = 'Equal', value: given = '', effect: only }: Partial<PodToleration>,
): boolean {
  if (only !== undefined && only !== effect) return false;
  if (wanted === undefined) return operator === 'Exists';
  return wanted === key && (operator === 'Exists' || given === value);
}

function shareOf(lacks: readonly Lack[]): number {
  return lacks.reduce((sum, { share }) => sum + share, 0);
}
