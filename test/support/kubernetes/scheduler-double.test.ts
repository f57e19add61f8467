import { expect, test } from 'vitest';
import type { Cluster, ClusterOptions } from './cluster.ts';
import type { PodSpec } from './objects.ts';
import { shell, startRig } from './rig.ts';

/** Why a pod stays where it is not: its condition, which an event repeats. */
async function refusalOf(cluster: Cluster, spec: Partial<PodSpec>, name = 'p'): Promise<string> {
  cluster.create('pods', { metadata: { name }, spec: { containers: [shell('a', 'sleep 30')], ...spec } });
  const pod = await cluster.until(
    'pods',
    ({ metadata, status }) =>
      metadata.name === name &&
      status.conditions?.[0]?.type === 'PodScheduled' &&
      status.conditions[0].status === 'False',
  );
  const { reason, message = '' } = pod.status.conditions?.[0] ?? {};
  expect([pod.status.phase, reason]).toEqual(['Pending', 'Unschedulable']);
  const events = cluster.list('events') as unknown as { reason: string; message: string; type: string }[];
  expect(events.filter((each) => each.message === message).map((each) => `${each.type} ${each.reason}`)).toEqual([
    'Warning FailedScheduling',
  ]);
  return message;
}

function wants(limits: Record<string, string>): Partial<PodSpec> {
  return { containers: [shell('a', 'sleep 30', { resources: { limits } })] };
}

const twoNodes: ClusterOptions = {
  nodes: [
    { name: 'a', gpus: { 'nvidia.com/gpu': 1 }, labels: { type: 'a100' } },
    { name: 'b', cpu: '2', taints: [{ key: 'gpu', value: 'yes', effect: 'NoSchedule' }] },
  ],
};
const end = (text: string): string => `no new claims to deallocate, preemption: 0/2 nodes are available: ${text}.`;

test.each<[string, Partial<PodSpec>, string]>([
  [
    'more than any node has',
    wants({ cpu: '16', memory: '64Gi' }),
    `0/2 nodes are available: 1 Insufficient cpu, 1 Insufficient memory, 1 node(s) had untolerated taint {gpu: yes}. ${end('2 Preemption is not helpful for scheduling')}`,
  ],
  [
    'a node with other labels',
    { nodeSelector: { type: 'h100' }, tolerations: [{ key: 'gpu', operator: 'Exists' }] },
    `0/2 nodes are available: 2 node(s) didn't match Pod's node affinity/selector. ${end('2 Preemption is not helpful for scheduling')}`,
  ],
  [
    'a claim that is not there',
    { volumes: [{ name: 'cache', persistentVolumeClaim: { claimName: 'none' } }] },
    `0/2 nodes are available: persistentvolumeclaim "none" not found. ${end('2 Preemption is not helpful for scheduling')}`,
  ],
  [
    'storage of a class that is not there',
    { volumes: [{ name: 'work', ephemeral: { volumeClaimTemplate: { spec: { storageClassName: 'fast' } } } }] },
    `0/2 nodes are available: pod has unbound immediate PersistentVolumeClaims. ${end('2 Preemption is not helpful for scheduling')}`,
  ],
])('says why a pod has no place that wants %s', async (_, spec, message) => {
  const cluster = await startRig(twoNodes);
  expect(await refusalOf(cluster, spec)).toBe(message);
});

test('holds a pod until what it waits for is free', async () => {
  const cluster = await startRig(twoNodes);
  cluster.create('pods', { metadata: { name: 'first' }, spec: wants({ 'nvidia.com/gpu': '1' }) });
  await cluster.until('pods', ({ spec }) => spec.nodeName === 'a');
  const taint = '1 node(s) had untolerated taint {gpu: yes}';
  expect(await refusalOf(cluster, wants({ 'nvidia.com/gpu': '1' }), 'second')).toBe(
    `0/2 nodes are available: 1 Insufficient nvidia.com/gpu, ${taint}. ${end('1 No preemption victims found for incoming pod, 1 Preemption is not helpful for scheduling')}`,
  );
  cluster.delete('pods', 'first');
  await cluster.until('pods', ({ metadata, spec }) => metadata.name === 'second' && spec.nodeName === 'a');
});

test('has nothing to place pods on without nodes, until there is one', async () => {
  const cluster = await startRig({ nodes: [] });
  expect(await refusalOf(cluster, {})).toBe('no nodes available to schedule pods');
  const allocatable = { cpu: '1', memory: '1Gi', pods: '10' };
  cluster.create('nodes', { metadata: { name: 'new' }, spec: {}, status: { allocatable, capacity: allocatable } });
  const pod = await cluster.until('pods', ({ spec }) => spec.nodeName === 'new');
  expect(pod.status.conditions?.find(({ type }) => type === 'PodScheduled')?.status).toBe('True');
});
