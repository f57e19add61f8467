import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { ContainerStatus, VolumeMount } from './objects.ts';
import { logOf, podEnd, PODS, runPod, send, shell, startRig } from './rig.ts';

const work: VolumeMount = { name: 'work', mountPath: '/mlv/work' };
const volumes = [{ name: 'work', emptyDir: {} }];

test('runs init containers one after the other, then the containers, on the same volumes', async () => {
  const cluster = await startRig();
  const step = (name: string, image = 'busybox:1') =>
    shell(name, `echo ${name} >> /mlv/work/steps`, { image, volumeMounts: [work] });
  const last = {
    name: 'push',
    image: 'node:20-slim',
    command: ['node', '-e'],
    args: ["console.log(require('fs').readFileSync('/mlv/work/steps', 'utf8'))"],
    volumeMounts: [work],
  };
  runPod(cluster, { volumes, initContainers: [step('fetch'), step('stage')], containers: [last] });
  const { status } = await podEnd(cluster);
  expect(status.phase).toBe('Succeeded');
  expect(await logOf(cluster, 'container=push')).toBe('fetch\nstage\n\n');
  expect(status.initContainerStatuses?.map(({ state }) => state.terminated?.reason)).toEqual([
    'Completed',
    'Completed',
  ]);
});

test('shows each step in the status on the way', async () => {
  const cluster = await startRig();
  const seen: string[] = [];
  const told = ({ name, state }: ContainerStatus): string =>
    `${name} ${state.waiting?.reason ?? state.terminated?.exitCode ?? 'running'}`;
  runPod(cluster, {
    initContainers: [shell('fetch', 'sleep 0.02')],
    containers: [shell('push', 'sleep 0.02; exit 3')],
  });
  await cluster.until('pods', ({ status }) => {
    const { initContainerStatuses = [], containerStatuses = [], phase } = status;
    seen.push([phase, ...[...initContainerStatuses, ...containerStatuses].map(told)].join(', '));
    return phase === 'Failed';
  });
  expect([...new Set(seen)]).toEqual([
    'Pending',
    'Pending, fetch PodInitializing, push PodInitializing',
    'Pending, fetch running, push PodInitializing',
    'Pending, fetch 0, push PodInitializing',
    'Running, fetch 0, push running',
    'Failed, fetch 0, push 3',
  ]);
});

test('stops at an init container that fails', async () => {
  const cluster = await startRig();
  runPod(cluster, {
    initContainers: [shell('fetch', 'exit 65'), shell('stage', 'true')],
    containers: [shell('push', 'true')],
  });
  const { status } = await podEnd(cluster);
  expect(status.phase).toBe('Failed');
  const states = [...(status.initContainerStatuses ?? []), ...(status.containerStatuses ?? [])].map(
    ({ state }) => state,
  );
  expect(states).toMatchObject([
    { terminated: { exitCode: 65, reason: 'Error' } },
    { waiting: { reason: 'PodInitializing' } },
    { waiting: { reason: 'PodInitializing' } },
  ]);
});

test('puts files of ConfigMaps and secrets, claims and their folders where containers look', async () => {
  const cluster = await startRig({ claims: ['cache'], secrets: { bucket: { ID: 'me', KEY: 's3cret' } } });
  const task = { metadata: { name: 'task' }, data: { 'task.json': '{"a":1}' } };
  cluster.create('configmaps', task);
  const container = shell(
    'main',
    'cat /mlv/task/task.json; readlink /mlv/task/task.json; echo "$ID $KEY $JOB $P_ID"; cat /keys/KEY; pwd; echo x > "$CACHE/made"',
    {
      workingDir: '/mlv/work/project/sub',
      volumeMounts: [
        work,
        { name: 'task', mountPath: '/mlv/task', readOnly: true },
        { name: 'keys', mountPath: '/keys' },
        { name: 'cache', mountPath: '/mlv/work/cache', subPath: 'of/job' },
      ],
      envFrom: [{ secretRef: { name: 'bucket' } }, { prefix: 'P_', secretRef: { name: 'bucket' } }],
      env: [
        { name: 'CACHE', value: '/mlv/work/cache' },
        { name: 'JOB', valueFrom: { fieldRef: { fieldPath: "metadata.labels['of']" } } },
      ],
    },
  );
  const all = [
    ...volumes,
    { name: 'task', configMap: { name: 'task' } },
    { name: 'keys', secret: { secretName: 'bucket' } },
    { name: 'cache', persistentVolumeClaim: { claimName: 'cache' } },
  ];
  runPod(cluster, { volumes: all, containers: [container] }, { labels: { of: 'it' } });
  const pod = await podEnd(cluster);
  const folder = join(cluster.folder, 'pods', pod.metadata.uid, 'volumes/work/project/sub');
  expect(await logOf(cluster)).toBe(`{"a":1}..data/task.json\nme s3cret it me\ns3cret${folder}\n`);
  expect(readFileSync(join(cluster.folder, 'claims/ml/cache/of/job/made'), 'utf8')).toBe('x\n');
});

test('replaces mount paths only where they are paths', async () => {
  const cluster = await startRig();
  runPod(cluster, {
    volumes,
    containers: [
      shell('main', 'echo "--dir=/mlv/work:/mlv/work/a /mlv/works /x/mlv/work /mlv/work-2"', { volumeMounts: [work] }),
    ],
  });
  const { metadata } = await podEnd(cluster);
  const folder = join(cluster.folder, 'pods', metadata.uid, 'volumes/work');
  expect(await logOf(cluster)).toBe(`--dir=${folder}:${folder}/a /mlv/works /x/mlv/work /mlv/work-2\n`);
});

test('expands references to variables in commands, and halves dollar signs, as Kubernetes does', async () => {
  const cluster = await startRig();
  const env = [
    { name: 'A', value: '1' },
    { name: 'B', value: '$(A)$(C)' },
    { name: 'C', value: '3' },
  ];
  runPod(cluster, { containers: [shell('main', "echo '$(B) $$(A) $(NONE) $$ $A'", { env })] });
  await podEnd(cluster);
  expect(await logOf(cluster)).toBe('1$(C) $(A) $(NONE) $ $A\n');
});

test('waits for what a container refers to, and starts it once that is there', async () => {
  const cluster = await startRig();
  cluster.create('configmaps', { metadata: { name: 'there' } });
  const env = [{ name: 'KEY', valueFrom: { secretKeyRef: { name: 'late', key: 'KEY' } } }];
  runPod(cluster, {
    containers: [shell('main', 'echo $KEY', { env })],
    volumes: ['there', 'task'].map((name) => ({ name, configMap: { name } })),
  });
  const events = (): string => JSON.stringify(cluster.list('events'));
  await expect
    .poll(events)
    .toContain('MountVolume.SetUp failed for volume \\"task\\" : configmap \\"task\\" not found');
  expect((await cluster.until('pods', () => true)).status.containerStatuses?.[0]?.state).toEqual({
    waiting: { reason: 'ContainerCreating' },
  });
  cluster.create('configmaps', { metadata: { name: 'task' } });
  const waiting = await cluster.until(
    'pods',
    ({ status }) => status.containerStatuses?.[0]?.state.waiting?.message !== undefined,
  );
  expect(waiting.status.containerStatuses?.[0]?.state.waiting).toEqual({
    reason: 'CreateContainerConfigError',
    message: 'secret "late" not found',
  });
  const secret = { metadata: { name: 'late' }, data: { KEY: Buffer.from('found').toString('base64') } };
  cluster.create('secrets', secret);
  await podEnd(cluster);
  expect(await logOf(cluster)).toBe('found\n');
});

test('ends a deleted pod kindly, then not, and says how it ended before it is gone', async () => {
  const cluster = await startRig({ secondMs: 100 });
  const told = new Set<string>();
  const last = cluster.until('pods', ({ metadata, status }) => {
    const code = status.containerStatuses?.[0]?.state.terminated?.exitCode;
    if (code !== undefined) told.add(`${metadata.name} ${status.phase} ${code}`);
    return metadata.name === 'after';
  });
  runPod(
    cluster,
    { containers: [shell('main', 'trap "exit 7" TERM; echo up; while true; do sleep 0.02; done')] },
    { name: 'kind' },
  );
  runPod(
    cluster,
    {
      containers: [shell('main', 'trap "" TERM; echo up; while true; do sleep 0.02; done')],
      terminationGracePeriodSeconds: 2,
    },
    { name: 'deaf' },
  );
  for (const name of ['kind', 'deaf']) {
    await expect.poll(async () => (await send(cluster, { path: `${PODS}/${name}/log` })).body).toBe('up\n');
    await send(cluster, { method: 'DELETE', path: `${PODS}/${name}` });
    await expect.poll(() => cluster.get('pods', name)).toBeUndefined();
  }
  runPod(cluster, { containers: [shell('main', 'true')] }, { name: 'after' });
  await last;
  expect([...told]).toEqual(['kind Running 7', 'kind Failed 7', 'deaf Running 137', 'deaf Failed 137']);
});

test('ends a pod that is active for too long', async () => {
  const cluster = await startRig();
  runPod(cluster, {
    activeDeadlineSeconds: 3,
    terminationGracePeriodSeconds: 0,
    containers: [shell('main', 'sleep 30')],
  });
  expect((await podEnd(cluster)).status).toMatchObject({
    phase: 'Failed',
    reason: 'DeadlineExceeded',
    message: 'Pod was active on the node longer than the specified deadline',
  });
});

test('spares a first process that handles no SIGTERM until its grace is over, as the kernel does', async () => {
  const cluster = await startRig({ secondMs: 100 });
  runPod(cluster, { containers: [shell('main', 'echo up; sleep 30')], terminationGracePeriodSeconds: 2 });
  await expect.poll(() => logOf(cluster)).toBe('up\n');
  const start = Date.now();
  const last = cluster.until('pods', ({ status }) => status.phase === 'Failed');
  await send(cluster, { method: 'DELETE', path: `${PODS}/p` });
  expect((await last).status.containerStatuses?.[0]?.state.terminated).toMatchObject({
    exitCode: 137,
    reason: 'Error',
  });
  expect(Date.now() - start).toBeGreaterThanOrEqual(190);
});

test('takes a shorter grace, but no longer one, from a second deletion', async () => {
  const cluster = await startRig({ secondMs: 100 });
  runPod(cluster, { containers: [shell('main', 'echo up; sleep 30')], terminationGracePeriodSeconds: 100 });
  await expect.poll(() => logOf(cluster)).toBe('up\n');
  const remove = async (grace: string): Promise<number | undefined> => {
    await send(cluster, { method: 'DELETE', path: `${PODS}/p${grace}` });
    return cluster.get('pods', 'p')?.metadata.deletionGracePeriodSeconds;
  };
  expect([await remove(''), await remove('?gracePeriodSeconds=200')]).toEqual([100, 100]);
  await remove('?gracePeriodSeconds=1');
  await expect.poll(() => cluster.get('pods', 'p')).toBeUndefined();
});

test('leaves no process behind', async () => {
  const cluster = await startRig();
  runPod(cluster, { containers: [shell('main', 'sleep 77 & echo $! $$$$; wait')] });
  await expect.poll(async () => (await send(cluster, { path: `${PODS}/p/log` })).body).toMatch(/^\d+ \d+\n$/);
  runPod(cluster, { containers: [shell('main', 'sleep 77 & echo $!')] }, { name: 'short' });
  const { metadata } = await podEnd(cluster);
  const orphan = Number((await send(cluster, { path: `${PODS}/${metadata.name}/log` })).body);
  const pids = (await logOf(cluster)).trim().split(' ').map(Number);
  // What nobody has buried yet has ended, too.
  const state = (pid: number): string =>
    spawnSync('ps', ['-o', 'stat=', '-p', String(pid)])
      .stdout.toString()
      .slice(0, 1);
  await expect.poll(() => state(orphan)).toMatch(/^Z?$/);
  await cluster.close();
  for (const pid of pids) await expect.poll(() => state(pid)).toMatch(/^Z?$/);
});
