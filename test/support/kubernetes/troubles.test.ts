import { expect, test } from 'vitest';
import type { Cluster, ClusterOptions } from './cluster.ts';
import { isFinished } from './job-state.ts';
import type { Pod } from './objects.ts';
import { follow, job, JOBS, PODS, post, runPod, send, shell, startRig } from './rig.ts';
import type { Order, Trouble } from './troubles.ts';

const sleeper = 'trap "exit 143" TERM; echo up; sleep 30 & wait';

/** Runs a pod that meets a trouble as soon as its container prints something; gives it as it was when it had ended. */
async function meet(
  trouble: Trouble,
  { command = sleeper, ...options }: ClusterOptions & { command?: string } = {},
): Promise<Pod['status']> {
  const cluster = await startRig({ orders: [{ on: { moment: { line: 'up' } }, trouble }], ...options });
  runCommand(cluster, command);
  const { status } = await cluster.until(
    'pods',
    ({ status: { phase } }) => phase === 'Succeeded' || phase === 'Failed',
  );
  return status;
}

function runCommand(cluster: Cluster, command: string): void {
  runPod(cluster, { terminationGracePeriodSeconds: 1, containers: [shell('main', command)] });
}

function summary({ phase, reason, message, conditions = [], containerStatuses = [] }: Pod['status']): unknown {
  const disruption = conditions.find(({ type }) => type === 'DisruptionTarget');
  const { exitCode, reason: why } = containerStatuses[0]?.state.terminated ?? {};
  return { phase, reason, message, disruption: disruption?.reason, ended: [exitCode, why] };
}

const none = { reason: undefined, message: undefined, disruption: undefined };

test.each<[string, Trouble, unknown]>([
  ['is killed', { kind: 'kill' }, { ...none, phase: 'Failed', ended: [137, 'Error'] }],
  ['is out of memory', { kind: 'oom' }, { ...none, phase: 'Failed', ended: [137, 'OOMKilled'] }],
  [
    'is on a node that is short of memory',
    { kind: 'evict', resource: 'memory' },
    {
      phase: 'Failed',
      reason: 'Evicted',
      message: 'The node was low on resource: memory. Threshold quantity: 100Mi, available: 81920Ki. ',
      disruption: 'TerminationByKubelet',
      ended: [143, 'Error'],
    },
  ],
  [
    'is over its limit of disk space',
    { kind: 'exceed-disk', limit: '2Gi' },
    {
      phase: 'Failed',
      reason: 'Evicted',
      message: 'Usage of EmptyDir volume "work" exceeds the limit "2Gi". ',
      disruption: undefined,
      ended: [143, 'Error'],
    },
  ],
  // It looks like a success.
  [
    'is over its limit of disk space and exits 0',
    { kind: 'exceed-disk', exitCode: 0 },
    { ...none, phase: 'Succeeded', ended: [0, 'Completed'] },
  ],
  [
    'is over its limit of disk space and exits 0 in front of another kubelet',
    { kind: 'exceed-disk', exitCode: 0, phase: 'Failed' },
    {
      phase: 'Failed',
      reason: 'Evicted',
      message: 'Usage of EmptyDir volume "work" exceeds the limit "1Gi". ',
      disruption: undefined,
      ended: [0, 'Completed'],
    },
  ],
  [
    'is on a node that shuts down',
    { kind: 'shutdown' },
    {
      phase: 'Failed',
      reason: 'Terminated',
      message: 'Pod was terminated in response to imminent node shutdown.',
      disruption: 'TerminationByKubelet',
      ended: [143, 'Error'],
    },
  ],
  [
    'is preempted',
    { kind: 'preempt' },
    { ...none, phase: 'Failed', disruption: 'PreemptionByScheduler', ended: [143, 'Error'] },
  ],
  [
    'is drained',
    { kind: 'drain' },
    { ...none, phase: 'Failed', disruption: 'EvictionByEvictionAPI', ended: [143, 'Error'] },
  ],
  ['loses its sandbox', { kind: 'lose-sandbox' }, { ...none, phase: 'Failed', ended: [137, 'Error'] }],
])('a pod that %s', async (_, trouble, end) => {
  expect(summary(await meet(trouble))).toEqual(end);
});

test('a pod whose disk limit ends it leaves an event, whatever its phase', async () => {
  const cluster = await startRig({ orders: [{ trouble: { kind: 'exceed-disk', exitCode: 0 } }] });
  runCommand(cluster, sleeper);
  await cluster.until('pods', ({ status }) => status.phase === 'Succeeded');
  const events = cluster.list('events') as unknown as { reason: string }[];
  expect(events.map(({ reason }) => reason)).toContain('Evicted');
});

test('a node that is lost keeps its pods as they were until it is gone', async () => {
  const cluster = await startRig({ nodes: [{ name: 'a' }, { name: 'b', labels: { zone: 'b' } }] });
  await post(cluster, JOBS, job('j', sleeper, { spec: { podReplacementPolicy: 'Failed', backoffLimit: 3 } }));
  const first = await cluster.until('pods', ({ status }) => status.phase === 'Running');
  await expect
    .poll(async () => (await send(cluster, { path: `${PODS}/${first.metadata.name}/log` })).body)
    .toBe('up\n');
  await cluster.trouble({ kind: 'lose-node', goneMs: 60 });
  const lost = cluster.get('pods', first.metadata.name);
  expect(lost?.status.phase).toBe('Running');
  expect(lost?.metadata.deletionTimestamp).toBeDefined();
  expect(summary(lost?.status ?? first.status)).toMatchObject({
    disruption: 'DeletionByTaintManager',
    ended: [undefined, undefined],
  });
  expect(cluster.get('nodes', 'a')?.status.conditions?.[0]).toMatchObject({ type: 'Ready', status: 'Unknown' });
  const log = await send(cluster, { path: `${PODS}/${first.metadata.name}/log` });
  expect([log.status, log.body.message]).toEqual([500, expect.stringContaining('connect: connection refused')]);
  expect(cluster.list('pods').length).toBe(1);
  const second = await cluster.until('pods', ({ spec }) => spec.nodeName === 'b');
  expect(second.metadata.uid).not.toBe(first.metadata.uid);
  expect(cluster.get('pods', first.metadata.name)).toBeUndefined();
  expect(cluster.get('nodes', 'a')).toBeUndefined();
});

test('a sandbox that is lost runs its init containers again from the first, where it is told to', async () => {
  const order: Order = {
    on: { container: 'stage', moment: { line: 'second' } },
    trouble: { kind: 'lose-sandbox', isRerun: true },
  };
  const cluster = await startRig({ orders: [order] });
  const volumeMounts = [{ name: 'work', mountPath: '/w' }];
  const spec = {
    restartPolicy: 'Never',
    volumes: [{ name: 'work', emptyDir: {} }],
    initContainers: [
      shell('fetch', 'echo fetch >> /w/steps', { volumeMounts }),
      shell('stage', 'echo stage >> /w/steps; [ $(wc -l < /w/steps) -gt 2 ] || { echo second; sleep 30; }', {
        volumeMounts,
      }),
    ],
    containers: [shell('push', 'cat /w/steps', { volumeMounts })],
  };
  cluster.create('pods', { metadata: { name: 'p' }, spec });
  const phases: string[] = [];
  const { status } = await cluster.until('pods', ({ status: { phase } }) => {
    phases.push(phase);
    return phase === 'Succeeded';
  });
  expect(phases).not.toContain('Failed');
  expect((await send(cluster, { path: `${PODS}/p/log?container=push` })).body).toBe('fetch\nstage\nfetch\nstage\n');
  expect(status.initContainerStatuses?.map(({ restartCount }) => restartCount)).toEqual([1, 1]);
});

test('a container is hit at the moment, the time and the container that are ordered, so often as that is', async () => {
  const orders: Order[] = [
    { on: { pod: 'j-', container: 'main', moment: 'start' }, nth: 2, times: 1, afterMs: 10, trouble: { kind: 'oom' } },
  ];
  const cluster = await startRig({ orders });
  await post(cluster, JOBS, job('j', 'sleep 0.1; exit 3', { spec: { backoffLimit: 2 } }));
  await cluster.until('jobs', isFinished);
  const ends = cluster.list('pods').map(({ status }) => status.containerStatuses?.[0]?.state.terminated?.reason);
  expect(ends.filter((reason) => reason === 'OOMKilled').length).toBe(1);
});

test('rotation hides what was printed before, and may end those who follow', async () => {
  const cluster = await startRig();
  runCommand(cluster, 'echo one; sleep 0.15; echo two; sleep 30');
  const path = `${PODS}/p/log`;
  await expect.poll(async () => (await send(cluster, { path })).body).toBe('one\n');
  const followed = await follow(cluster, `${path}?follow=true`);
  expect(await followed.next()).toBe('one');
  await cluster.trouble({ kind: 'rotate-log', endsFollowers: true }, { container: 'main' });
  expect(await followed.next()).toBeUndefined();
  await expect.poll(async () => (await send(cluster, { path })).body).toBe('two\n');
});

test('leaves a pod alone that has ended before its trouble', async () => {
  const cluster = await startRig({ orders: [{ on: { moment: 'end' }, trouble: { kind: 'preempt' } }] });
  runCommand(cluster, 'true');
  const { metadata } = await cluster.until('pods', ({ status }) => status.phase === 'Succeeded');
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect(cluster.get('pods', 'p')?.metadata.resourceVersion).toBe(metadata.resourceVersion);
});

test('refuses a trouble of a pod that is not there', async () => {
  const cluster = await startRig();
  await expect(cluster.trouble({ kind: 'oom' })).rejects.toThrow('0 pods are called anything');
});
