import { expect, test } from 'vitest';
import { logOf, podEnd, PODS, runPod, send, shell, startRig } from './rig.ts';

test('says why an image cannot be had, and has it once it can', async () => {
  const cluster = await startRig({
    images: { 'registry.test/late:1': { error: 'denied', failures: 2 }, 'busybox:1': {} },
  });
  const seen: string[] = [];
  runPod(cluster, { containers: [shell('main', 'true', { image: 'registry.test/late:1' })] });
  await cluster.until('pods', ({ status }) => {
    const { waiting } = status.containerStatuses?.[0]?.state ?? {};
    if (waiting?.message !== undefined) seen.push(`${waiting.reason}: ${waiting.message}`);
    return status.phase === 'Succeeded';
  });
  const why =
    'rpc error: code = Unknown desc = failed to pull and unpack image "registry.test/late:1": failed to resolve reference "registry.test/late:1": pull access denied, repository does not exist or may require authorization: server message: insufficient_scope: authorization failed';
  const pair = [
    `ErrImagePull: ${why}`,
    `ImagePullBackOff: Back-off pulling image "registry.test/late:1": ErrImagePull: ${why}`,
  ];
  expect(seen).toEqual([...pair, ...pair]);
  runPod(cluster, { containers: [shell('main', 'true', { image: 'none' })] }, { name: 'q' });
  const pod = await cluster.until(
    'pods',
    ({ status }) => status.containerStatuses?.[0]?.state.waiting?.reason === 'ImagePullBackOff',
  );
  expect(pod.status.containerStatuses?.[0]?.state.waiting?.message).toContain(
    'rpc error: code = NotFound desc = failed to pull and unpack image "docker.io/library/none:latest"',
  );
  await expect
    .poll(async () => (await send(cluster, { path: `${PODS}/q/log` })).body.message)
    .toBe('container "main" in pod "q" is waiting to start: trying and failing to pull image');
});

test('tells of a program that the image does not have', async () => {
  const cluster = await startRig();
  runPod(cluster, { containers: [{ name: 'main', image: 'busybox:1', command: ['no-such-program'] }] });
  expect((await podEnd(cluster)).status.containerStatuses?.[0]?.state.terminated).toMatchObject({
    exitCode: 128,
    reason: 'StartError',
    message: expect.stringContaining('exec: "no-such-program": executable file not found in $PATH'),
  });
});

test('gives containers nothing of this process, and what every container is told of its cluster', async () => {
  const cluster = await startRig();
  runPod(cluster, { containers: [{ name: 'main', image: 'busybox:1', command: ['env'] }] });
  await podEnd(cluster);
  const lines = (await logOf(cluster))
    .trim()
    .split('\n')
    .filter((line) => !line.startsWith('PATH='));
  expect(lines.sort((a, b) => (a < b ? -1 : 1))).toEqual([
    'HOSTNAME=p',
    'KUBERNETES_SERVICE_HOST=127.0.0.1',
    `KUBERNETES_SERVICE_PORT=${cluster.port}`,
  ]);
});
