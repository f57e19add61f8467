/** A scheduler: places pods on nodes, or says why it cannot in the words of kube-scheduler 1.34. */
import { openRecorder } from './events.ts';
import { type Node, type Pod, type Taint, type Toleration, wholeSeconds } from './objects.ts';
import { addAmounts, type Amounts, amountsOf } from './quantity.ts';
import { podRequests } from './quota.ts';
import { openReconciler } from './reconcile.ts';
import type { Registry } from './registry.ts';
import { keyOf } from './store.ts';

/** Why a node does not take a pod, and whether taking other pods off it could help. */
interface Obstacle {
  readonly reasons: readonly string[];
  readonly isFinal: boolean;
}

const HOPELESS = 'Preemption is not helpful for scheduling';
const NO_VICTIMS = 'No preemption victims found for incoming pod';

export function startScheduler(
  registry: Registry,
  { storageClasses }: { storageClasses: readonly string[] },
): { close(): void } {
  const { store, now } = registry;
  const recorder = openRecorder(store, { now, source: { component: 'default-scheduler' } });
  const told = new Map<string, string>();

  return openReconciler(store, ['pods', 'nodes', 'persistentvolumeclaims'], () => {
    for (const pod of store.list('pods')) {
      const isWaiting = (pod.spec.nodeName ?? '') === '' && pod.status.phase === 'Pending';
      if (isWaiting && pod.metadata.deletionTimestamp === undefined) place(pod);
    }
  });

  function place(pod: Pod): void {
    const nodes = store.list('nodes');
    if (nodes.length === 0) {
      refuse(pod, 'no nodes available to schedule pods');
      return;
    }
    const claim = missingClaim(pod);
    const obstacles = nodes.map((node) =>
      claim === undefined ? obstacleOn(node, pod) : { reasons: [claim], isFinal: true },
    );
    const fitting = nodes[obstacles.indexOf(undefined)];
    if (fitting !== undefined) {
      bind(pod, fitting);
      return;
    }
    const found = obstacles.filter((each) => each !== undefined);
    const head = `0/${nodes.length} nodes are available: `;
    const reasons = claim ?? histogram(found.flatMap((each) => each.reasons));
    const preemption = histogram(found.map(({ isFinal }) => (isFinal ? HOPELESS : NO_VICTIMS)));
    refuse(pod, `${head}${reasons}. no new claims to deallocate, preemption: ${head}${preemption}.`);
  }

  function missingClaim(pod: Pod): string | undefined {
    const { namespace = '' } = pod.metadata;
    for (const { persistentVolumeClaim, ephemeral } of pod.spec.volumes ?? []) {
      const storageClass = ephemeral?.volumeClaimTemplate?.spec?.storageClassName;
      if (storageClass !== undefined && !storageClasses.includes(storageClass)) {
        return 'pod has unbound immediate PersistentVolumeClaims';
      }
      const name = persistentVolumeClaim?.claimName;
      if (name === undefined) continue;
      const claim = store.get({ resource: 'persistentvolumeclaims', namespace, name });
      if (claim === undefined) return `persistentvolumeclaim "${name}" not found`;
      if (claim.metadata.deletionTimestamp !== undefined) return `persistentvolumeclaim "${name}" is being deleted`;
      const { phase = 'Bound' } = (claim.status ?? {}) as { phase?: string };
      if (phase === 'Lost') return `persistentvolumeclaim "${name}" bound to non-existent persistentvolume ""`;
      if (phase === 'Pending') return 'pod has unbound immediate PersistentVolumeClaims';
    }
    return undefined;
  }

  /** The first filter that a node does not pass; of resources all that are short. */
  function obstacleOn(node: Node, pod: Pod): Obstacle | undefined {
    const tolerations = pod.spec.tolerations ?? [];
    const taints = (node.spec.taints ?? []).filter(({ effect }) => effect !== 'PreferNoSchedule');
    if (node.spec.unschedulable === true && !tolerations.some((each) => tolerates(each, UNSCHEDULABLE))) {
      return { reasons: ['node(s) were unschedulable'], isFinal: true };
    }
    const taint = taints.find((each) => !tolerations.some((toleration) => tolerates(toleration, each)));
    if (taint !== undefined) {
      // From 1.35 on: `node(s) had untolerated taint(s)`.
      return { reasons: [`node(s) had untolerated taint {${taint.key}: ${taint.value ?? ''}}`], isFinal: true };
    }
    const labels = node.metadata.labels ?? {};
    if (Object.entries(pod.spec.nodeSelector ?? {}).some(([key, value]) => labels[key] !== value)) {
      return { reasons: ["node(s) didn't match Pod's node affinity/selector"], isFinal: true };
    }
    return shortage(node, pod);
  }

  function shortage(node: Node, pod: Pod): Obstacle | undefined {
    const allocatable = amountsOf(node.status.allocatable);
    const running = store
      .list('pods')
      .filter(
        ({ spec, status }) => spec.nodeName === node.metadata.name && !['Succeeded', 'Failed'].includes(status.phase),
      );
    const used: Amounts = { pods: running.length };
    for (const each of running) addAmounts(used, podRequests(each.spec));
    const asked = podRequests(pod.spec);
    const short = Object.keys(asked).filter(
      (name) => (asked[name] ?? 0) > 0 && (asked[name] ?? 0) + (used[name] ?? 0) > (allocatable[name] ?? 0),
    );
    const isFull = (used['pods'] ?? 0) + 1 > (allocatable['pods'] ?? 110);
    if (short.length === 0 && !isFull) return undefined;
    const reasons = [...(isFull ? ['Too many pods'] : []), ...short.map((name) => `Insufficient ${name}`)];
    return { reasons, isFinal: short.some((name) => (asked[name] ?? 0) > (allocatable[name] ?? 0)) };
  }

  function bind(pod: Pod, node: Node): void {
    const { name, namespace } = pod.metadata;
    store.change(keyOf('pods', pod), (draft) => {
      draft.spec.nodeName = node.metadata.name;
      draft.status.conditions = [
        { type: 'PodScheduled', status: 'True', lastProbeTime: null, lastTransitionTime: wholeSeconds(now()) },
      ];
    });
    recorder.event(pod, {
      reason: 'Scheduled',
      message: `Successfully assigned ${namespace}/${name} to ${node.metadata.name}`,
    });
  }

  function refuse(pod: Pod, message: string): void {
    if (told.get(pod.metadata.uid) === message) return;
    told.set(pod.metadata.uid, message);
    recorder.event(pod, { type: 'Warning', reason: 'FailedScheduling', message });
    store.change(keyOf('pods', pod), (draft) => {
      const time = wholeSeconds(now());
      const condition = { type: 'PodScheduled', status: 'False', reason: 'Unschedulable', message } as const;
      draft.status.conditions = [{ ...condition, lastProbeTime: null, lastTransitionTime: time }];
    });
  }
}

const UNSCHEDULABLE: Taint = { key: 'node.kubernetes.io/unschedulable', effect: 'NoSchedule' };

function tolerates({ key = '', operator = 'Equal', value = '', effect = '' }: Toleration, taint: Taint): boolean {
  if (effect !== '' && effect !== taint.effect) return false;
  if (key !== '' && key !== taint.key) return false;
  return operator === 'Exists' || value === (taint.value ?? '');
}

/** `1 Insufficient cpu, 2 Insufficient memory`, sorted as text. */
function histogram(reasons: readonly string[]): string {
  const counts = new Map<string, number>();
  for (const reason of reasons) counts.set(reason, (counts.get(reason) ?? 0) + 1);
  return [...counts]
    .map(([reason, count]) => `${count} ${reason}`)
    .sort()
    .join(', ');
}
