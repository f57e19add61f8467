import { expect, test } from 'vitest';
import { follow, logOf, podEnd, PODS, runPod, send, shell, startRig } from './rig.ts';

test('keeps what containers say at their end: the message, or the end of the log', async () => {
  const cluster = await startRig();
  runPod(cluster, {
    containers: [
      shell('said', 'echo \'{"code":"x"}\' > "$AT"; exit 1', { env: [{ name: 'AT', value: '/dev/termination-log' }] }),
      shell('log', 'echo one; echo two >&2; exit 1', { terminationMessagePolicy: 'FallbackToLogsOnError' }),
      shell('none', 'echo one; exit 1'),
    ],
  });
  const { status } = await podEnd(cluster);
  expect(status.containerStatuses?.map(({ state }) => state.terminated?.message)).toEqual([
    '{"code":"x"}\n',
    expect.stringMatching(/^(one\ntwo\n|two\none\n)$/),
    undefined,
  ]);
});

test('gives logs from a time on, with times, by their end, and while they grow', async () => {
  const cluster = await startRig();
  runPod(cluster, { containers: [shell('main', 'echo one; echo two; sleep 0.1; echo three; printf end')] });
  await cluster.until('pods', ({ status }) => status.phase === 'Running');
  const followed = await follow(cluster, `${PODS}/p/log?follow=true&timestamps=true`);
  const lines: string[] = [];
  for (let line = await followed.next(); line !== undefined; line = await followed.next()) lines.push(line);
  expect(lines.map((line) => line.slice(31))).toEqual(['one', 'two', 'three', 'end']);
  const times = lines.map((line) => line.slice(0, 30));
  for (const time of times) expect(time).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z$/);
  expect(new Set(times).size).toBe(4);
  expect(await logOf(cluster, `sinceTime=${times[1]}`)).toBe('two\nthree\nend');
  expect(await logOf(cluster, 'tailLines=2')).toBe('three\nend');
  expect((await send(cluster, { path: `${PODS}/p/log?container=none` })).body.message).toBe(
    'container none is not valid for pod p',
  );
  expect((await send(cluster, { path: `${PODS}/p/log?previous=true` })).status).toBe(400);
  expect((await send(cluster, { path: `${PODS}/p/log?sinceTime=yesterday` })).status).toBe(400);
});

test('asks which container is meant, and has nothing of those that have not started', async () => {
  const cluster = await startRig({ nodes: [] });
  runPod(cluster, { initContainers: [shell('fetch', 'true')], containers: [shell('push', 'true')] });
  expect((await send(cluster, { path: `${PODS}/p/log` })).body.message).toBe(
    'a container name must be specified for pod p, choose one of: [push] or one of the init containers: [fetch]',
  );
  expect((await send(cluster, { path: `${PODS}/p/log?container=push` })).status).toBe(204);
});

test('keeps the lines of the two streams apart', async () => {
  const cluster = await startRig();
  const script = 'printf a; sleep 0.03; echo x >&2; sleep 0.03; echo b';
  runPod(cluster, { containers: [shell('main', script)] });
  await podEnd(cluster);
  expect(await logOf(cluster)).toBe('x\nab\n');
});
