/** What the control plane makes of nodes in trouble, and the conditions it puts on their pods; 1.34. */
import { type Condition, type Pod, wholeSeconds } from './objects.ts';
import type { Verdict } from './pod-status.ts';
import type { Registry } from './registry.ts';
import { keyOf, type Store } from './store.ts';

const DISRUPTIONS = {
  preempt: ['PreemptionByScheduler', 'default-scheduler: preempting to accommodate a higher priority pod'],
  drain: ['EvictionByEvictionAPI', 'Eviction API: evicting'],
  'node-lost': ['DeletionByTaintManager', 'Taint manager: deleting due to NoExecute taint'],
  'node-gone': ['DeletionByPodGC', 'PodGC: node no longer exists'],
} as const;

const UNREACHABLE = 'node.kubernetes.io/unreachable';

/** Says of a pod why it is about to be ended. Those of a node that is gone have failed by that. */
export function markDisrupted(registry: Registry, pod: Pod, kind: keyof typeof DISRUPTIONS): void {
  const [reason, message] = DISRUPTIONS[kind];
  registry.store.change(keyOf('pods', pod), ({ status }) => {
    const others = (status.conditions ?? []).filter(({ type }) => type !== 'DisruptionTarget');
    status.conditions = [disruption(registry, reason, message), ...others];
    if (kind === 'node-gone') status.phase = 'Failed';
  });
}

export function disruption({ now }: Registry, reason: string, message: string): Condition {
  return {
    type: 'DisruptionTarget',
    status: 'True',
    reason,
    message,
    lastProbeTime: null,
    lastTransitionTime: wholeSeconds(now()),
  };
}

export function cordon(store: Store, name: string): void {
  store.change({ resource: 'nodes', namespace: '', name }, (node) => {
    node.spec.unschedulable = true;
    node.spec.taints = [...(node.spec.taints ?? []), { key: 'node.kubernetes.io/unschedulable', effect: 'NoSchedule' }];
  });
}

/** A node that is not heard of: tainted, its pods not ready and to be deleted; they stay until it answers, or is gone. */
export function loseNode(registry: Registry, name: string): void {
  const { store, now } = registry;
  store.change({ resource: 'nodes', namespace: '', name }, (node) => {
    const taints = ['NoSchedule', 'NoExecute'].map((effect) => ({ key: UNREACHABLE, effect }));
    node.spec.taints = [...(node.spec.taints ?? []), ...taints];
    const time = wholeSeconds(now());
    const [reason, message] = ['NodeStatusUnknown', 'Kubelet stopped posting node status.'];
    node.status.conditions = [{ type: 'Ready', status: 'Unknown', reason, message, lastTransitionTime: time }];
  });
  for (const pod of store.list('pods')) {
    if (pod.spec.nodeName !== name || ['Succeeded', 'Failed'].includes(pod.status.phase)) continue;
    markDisrupted(registry, pod, 'node-lost');
    registry.delete(keyOf('pods', pod));
  }
}

export function nodeShutdown(registry: Registry): Verdict {
  const message = 'Pod was terminated in response to imminent node shutdown.';
  return {
    reason: 'Terminated',
    message,
    condition: disruption(registry, 'TerminationByKubelet', message),
    isForced: true,
  };
}
