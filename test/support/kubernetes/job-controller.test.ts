import { setTimeout } from 'node:timers/promises';
import { expect, test } from 'vitest';
import type { Cluster } from './cluster.ts';
import { isFinished } from './job-state.ts';
import type { FailureRule, Job, Pod } from './objects.ts';
import { job, JOBS, patch, PODS, post, send, shell, startRig } from './rig.ts';

/** How a Job ended: its conditions and counts. */
async function endOf(cluster: Cluster, name = 'a'): Promise<unknown> {
  const { status } = await cluster.until('jobs', (each) => each.metadata.name === name && isFinished(each));
  const conditions = status.conditions?.map(({ type, reason, message }) => [type, reason, message].join(': '));
  return { conditions, succeeded: status.succeeded, failed: status.failed };
}

function eventsOf(cluster: Cluster, kind: string): string[] {
  return (
    cluster.list('events') as unknown as {
      involvedObject: { kind: string };
      reason: string;
      message: string;
      metadata: { resourceVersion: string };
    }[]
  )
    .filter(({ involvedObject }) => involvedObject.kind === kind)
    .sort((a, b) => Number(a.metadata.resourceVersion) - Number(b.metadata.resourceVersion))
    .map(({ reason, message }) => `${reason}: ${message.replaceAll(/a-[a-z0-9]{5}\b/g, 'POD')}`);
}

test('runs a Job to its end, and says how in two steps', async () => {
  const cluster = await startRig();
  const seen: string[] = [];
  await post(cluster, JOBS, job('a', 'true'));
  const watched = cluster.until('jobs', ({ status }) => {
    seen.push((status.conditions ?? []).map(({ type }) => type).join(' '));
    return isFinished({ status } as Job);
  });
  await watched;
  const why = 'CompletionsReached: Reached expected number of succeeded pods';
  expect(await endOf(cluster)).toEqual({
    conditions: [`SuccessCriteriaMet: ${why}`, `Complete: ${why}`],
    succeeded: 1,
    failed: undefined,
  });
  expect([...new Set(seen)]).toEqual(['', 'SuccessCriteriaMet', 'SuccessCriteriaMet Complete']);
  expect(eventsOf(cluster, 'Job')).toEqual(['SuccessfulCreate: Created pod: POD', 'Completed: Job completed']);
  const { uid } = cluster.get('jobs', 'a')?.metadata ?? {};
  const [pod] = cluster.list('pods');
  expect(pod?.metadata.labels).toEqual({
    'batch.kubernetes.io/controller-uid': uid,
    'batch.kubernetes.io/job-name': 'a',
    'controller-uid': uid,
    'job-name': 'a',
  });
  expect(pod?.metadata.finalizers).toBeUndefined();
});

test('tries again until the limit, longer and longer apart', async () => {
  const cluster = await startRig({ backoffMs: 40 });
  const start = Date.now();
  await post(cluster, JOBS, job('a', 'exit 3', { spec: { backoffLimit: 2 } }));
  const why = 'BackoffLimitExceeded: Job has reached the specified backoff limit';
  expect(await endOf(cluster)).toEqual({
    conditions: [`FailureTarget: ${why}`, `Failed: ${why}`],
    succeeded: undefined,
    failed: 3,
  });
  expect(Date.now() - start).toBeGreaterThanOrEqual(40 + 80);
  expect(cluster.list('pods').map(({ status }) => status.phase)).toEqual(['Failed', 'Failed', 'Failed']);
});

const policy = (rules: FailureRule[], backoffLimit = 0) => ({ spec: { backoffLimit, podFailurePolicy: { rules } } });

test('fails at once for an exit code that its policy names, of the container that it names', async () => {
  const cluster = await startRig();
  const onExitCodes = { containerName: 'main', operator: 'In', values: [3, 42] } as const;
  await post(
    cluster,
    JOBS,
    job('a', 'exit 42', policy([{ action: 'FailJob', onExitCodes: { ...onExitCodes, values: [3, 42] } }], 5)),
  );
  const end = JSON.stringify(await endOf(cluster)).replaceAll(/a-[a-z0-9]{5}/g, 'POD');
  const why =
    'PodFailurePolicy: Container main for pod ml/POD failed with exit code 42 matching FailJob rule at index 0';
  expect(JSON.parse(end)).toEqual({ conditions: [`FailureTarget: ${why}`, `Failed: ${why}`], failed: 1 });
});

test('does not fail for the exit code of another container than its policy names', async () => {
  const cluster = await startRig();
  const rule: FailureRule = { action: 'FailJob', onExitCodes: { containerName: 'main', operator: 'In', values: [42] } };
  const pod = { initContainers: [shell('fetch', 'exit 42')] };
  await post(cluster, JOBS, job('a', 'true', { ...policy([rule], 1), pod }));
  expect(await endOf(cluster)).toMatchObject({
    failed: 2,
    conditions: [expect.stringContaining('BackoffLimitExceeded'), expect.anything()],
  });
});

test('does not count what its policy ignores, and counts the rest', async () => {
  const cluster = await startRig({ claims: ['state'] });
  // Fails with 9, again with 9, then with 1: only the last counts.
  const command = 'echo x >> /state/tries; [ $(wc -l < /state/tries) -le 2 ] && exit 9; exit 1';
  const volumes = [{ name: 'state', persistentVolumeClaim: { claimName: 'state' } }];
  const container = { volumeMounts: [{ name: 'state', mountPath: '/state' }] };
  const rule: FailureRule = { action: 'Ignore', onExitCodes: { operator: 'In', values: [9] } };
  await post(cluster, JOBS, job('a', command, { ...policy([rule]), pod: { volumes }, container }));
  expect(await endOf(cluster)).toMatchObject({ failed: 1 });
  expect(cluster.list('pods').length).toBe(3);
});

test('ignores disruptions where its policy does', async () => {
  const cluster = await startRig({ orders: [{ on: { container: 'main' }, trouble: { kind: 'preempt' } }] });
  const rule: FailureRule = { action: 'Ignore', onPodConditions: [{ type: 'DisruptionTarget' }] };
  await post(cluster, JOBS, job('a', 'sleep 0.2', policy([rule])));
  expect(await endOf(cluster)).toMatchObject({ succeeded: 1, failed: undefined });
});

test('replaces a pod that is being deleted only once it has ended, or at once, as it is told', async () => {
  const cluster = await startRig({ secondMs: 100 });
  const both = async (podReplacementPolicy: 'Failed' | 'TerminatingOrFailed'): Promise<[number, number]> => {
    const name = podReplacementPolicy === 'Failed' ? 'late' : 'soon';
    const stubborn = 'trap "" TERM; echo up; while true; do sleep 0.05; done';
    await post(
      cluster,
      JOBS,
      job(name, stubborn, { spec: { podReplacementPolicy }, pod: { terminationGracePeriodSeconds: 3 } }),
    );
    const ofJob = ({ metadata }: Pod): boolean => metadata.labels?.['job-name'] === name;
    const first = await cluster.until('pods', (pod) => ofJob(pod) && pod.status.phase === 'Running');
    cluster.delete('pods', first.metadata.name);
    const second = await cluster.until('pods', (pod) => ofJob(pod) && pod.metadata.uid !== first.metadata.uid);
    const isFirstThere = cluster.get('pods', first.metadata.name) !== undefined;
    cluster.delete('jobs', name);
    return [Number(isFirstThere), Number(second.metadata.uid !== first.metadata.uid)];
  };
  expect(await both('TerminatingOrFailed')).toEqual([1, 1]);
  expect(await both('Failed')).toEqual([0, 1]);
});

test.each([
  ['Failed', 'Complete'],
  ['TerminatingOrFailed', 'Failed'],
] as const)(
  'a pod that is deleted and ends well is what a Job with replacement %s makes of it',
  async (podReplacementPolicy, end) => {
    const cluster = await startRig({ secondMs: 100 });
    const kind = 'trap "sleep 0.1; exit 0" TERM; echo up; while true; do sleep 0.02; done';
    await post(cluster, JOBS, job('a', kind, { spec: { podReplacementPolicy, backoffLimit: 0 } }));
    const { metadata } = await cluster.until('pods', ({ status }) => status.phase === 'Running');
    await expect.poll(async () => (await send(cluster, { path: `${PODS}/${metadata.name}/log` })).body).toBe('up\n');
    cluster.delete('pods', metadata.name);
    const { status } = await cluster.until('jobs', isFinished);
    expect(status.conditions?.at(-1)?.type).toBe(end);
  },
);

test('counts the deadline anew from a resumption', async () => {
  const cluster = await startRig();
  const pod = { terminationGracePeriodSeconds: 0 };
  await post(cluster, JOBS, job('a', 'sleep 30', { spec: { activeDeadlineSeconds: 30 }, pod }));
  await cluster.until('pods', ({ status }) => status.phase === 'Running');
  await setTimeout(150);
  await patch(cluster, `${JOBS}/a`, { spec: { suspend: true } });
  await expect.poll(() => cluster.list('pods')).toEqual([]);
  const resumed = Date.now();
  await patch(cluster, `${JOBS}/a`, { spec: { suspend: false } });
  await cluster.until('jobs', isFinished);
  expect(Date.now() - resumed).toBeGreaterThanOrEqual(590);
});

test('ends a Job that runs past its deadline', async () => {
  const cluster = await startRig();
  await post(
    cluster,
    JOBS,
    job('a', 'sleep 30', { spec: { activeDeadlineSeconds: 5 }, pod: { terminationGracePeriodSeconds: 1 } }),
  );
  const why = 'DeadlineExceeded: Job was active longer than specified deadline';
  expect(await endOf(cluster)).toEqual({
    conditions: [`FailureTarget: ${why}`, `Failed: ${why}`],
    succeeded: undefined,
    failed: 1,
  });
});

test('waits while it is suspended, and begins when it is resumed', async () => {
  const cluster = await startRig();
  await post(cluster, JOBS, job('a', 'true', { spec: { suspend: true, activeDeadlineSeconds: 100 } }));
  const suspended = await cluster.until('jobs', ({ status }) => status.conditions?.[0]?.status === 'True');
  expect(suspended.status.conditions?.[0]).toMatchObject({
    type: 'Suspended',
    reason: 'JobSuspended',
    message: 'Job suspended',
  });
  expect(suspended.status.startTime).toBeUndefined();
  expect(cluster.list('pods')).toEqual([]);
  await patch(cluster, `${JOBS}/a`, { spec: { suspend: false } });
  expect(await endOf(cluster)).toMatchObject({ succeeded: 1 });
  expect(eventsOf(cluster, 'Job')).toEqual([
    'Suspended: Job suspended',
    'SuccessfulCreate: Created pod: POD',
    'Resumed: Job resumed',
    'Completed: Job completed',
  ]);
});

test('takes the pods of a Job that is suspended away, and does not count them', async () => {
  const cluster = await startRig();
  await post(
    cluster,
    JOBS,
    job('a', 'sleep 30', { spec: { backoffLimit: 0 }, pod: { terminationGracePeriodSeconds: 0 } }),
  );
  await cluster.until('pods', ({ status }) => status.phase === 'Running');
  await patch(cluster, `${JOBS}/a`, { spec: { suspend: true } });
  await expect.poll(() => cluster.list('pods')).toEqual([]);
  expect(cluster.get('jobs', 'a')?.status.failed).toBeUndefined();
});

test('removes a finished Job after its time to live, with its pods', async () => {
  const cluster = await startRig();
  await post(cluster, JOBS, job('a', 'true', { spec: { ttlSecondsAfterFinished: 4 } }));
  await endOf(cluster);
  const finished = Date.now();
  await expect.poll(() => cluster.get('jobs', 'a'), { interval: 5 }).toBeUndefined();
  expect(Date.now() - finished).toBeGreaterThan(60);
  expect(cluster.list('pods')).toEqual([]);
});

test('tells of pods that it may not create, and creates them once it may', async () => {
  const cluster = await startRig();
  await post(cluster, JOBS, job('a', 'true', { pod: { serviceAccountName: 'trainer' } }));
  await expect.poll(() => eventsOf(cluster, 'Job')).not.toEqual([]);
  const why = 'error looking up service account ml/trainer: serviceaccount "trainer" not found';
  await expect
    .poll(() =>
      eventsOf(cluster, 'Job')
        .join('\n')
        .replaceAll(/"a-[^"]*"/g, '"POD"'),
    )
    .toContain(`FailedCreate: Error creating: pods "POD" is forbidden: ${why}`);
  expect(cluster.list('pods')).toEqual([]);
  expect((await send(cluster, { path: `${JOBS}/a` })).body.status).not.toHaveProperty('active');
  cluster.create('serviceaccounts', { metadata: { name: 'trainer' } });
  expect(await endOf(cluster)).toMatchObject({ succeeded: 1 });
});
