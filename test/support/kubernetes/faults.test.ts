import { expect, test } from 'vitest';
import { CONFIG_MAPS, configMap, follow, post, send, startRig, takeEvents } from './rig.ts';

test('answers with the error that is ordered, as often as that is', async () => {
  const cluster = await startRig();
  const fault = cluster.faults.add({
    on: { verb: 'list', resource: 'configmaps' },
    nth: 2,
    times: 2,
    action: { kind: 'status', code: 429, retryAfter: 3 },
  });
  const answers = [];
  for (let call = 0; call < 4; call++) answers.push(await send(cluster, { path: CONFIG_MAPS }));
  expect(answers.map(({ status }) => status)).toEqual([200, 429, 429, 200]);
  expect(fault.hits).toBe(2);
  expect(answers[1]?.headers['retry-after']).toBe('3');
  expect(answers[1]?.body).toMatchObject({ reason: 'TooManyRequests', details: { retryAfterSeconds: 3 } });
});

test('picks requests by the name of what they make and by who asks', async () => {
  const cluster = await startRig({ tokens: { token: { user: 'ann' }, bob: { user: 'bob' } } });
  cluster.faults.add({ on: { verb: 'create', name: 'bad' }, times: -1, action: { kind: 'status', code: 500 } });
  cluster.faults.add({
    on: { user: 'bob' },
    times: -1,
    action: { kind: 'raw', status: 502, body: '<html>', type: 'text/html' },
  });
  expect((await post(cluster, CONFIG_MAPS, configMap('good', {}))).status).toBe(201);
  expect((await post(cluster, CONFIG_MAPS, configMap('a-bad-one', {}))).status).toBe(500);
  const proxied = await send(cluster, { path: CONFIG_MAPS, token: 'bob' });
  expect([proxied.status, proxied.headers['content-type'], proxied.body]).toEqual([502, 'text/html', '<html>']);
  cluster.faults.clear();
  expect((await send(cluster, { path: CONFIG_MAPS, token: 'bob' })).status).toBe(200);
});

test('breaks connections before the work, after it, and within the answer', async () => {
  const cluster = await startRig();
  const on = { verb: 'create' } as const;
  cluster.faults.add({ on, action: { kind: 'reset' } });
  await expect(post(cluster, CONFIG_MAPS, configMap('a', {}))).rejects.toThrow(/hang up|ECONNRESET/);
  expect(cluster.get('configmaps', 'a')).toBeUndefined();
  cluster.faults.add({ on, action: { kind: 'lose-answer' } });
  await expect(post(cluster, CONFIG_MAPS, configMap('a', {}))).rejects.toThrow(/hang up|ECONNRESET/);
  expect(cluster.get('configmaps', 'a')).toBeDefined();
  cluster.faults.add({ action: { kind: 'truncate', bytes: 20 } });
  await expect(send(cluster, { path: CONFIG_MAPS })).rejects.toThrow('aborted');
});

test('waits, hangs and warns', async () => {
  const cluster = await startRig();
  cluster.faults.add({ action: { kind: 'delay', ms: 60 } });
  const start = Date.now();
  await send(cluster, { path: CONFIG_MAPS });
  expect(Date.now() - start).toBeGreaterThanOrEqual(59);
  cluster.faults.add({ action: { kind: 'warning', text: 'batch/v0 is old' } });
  expect((await send(cluster, { path: CONFIG_MAPS })).headers['warning']).toBe('299 - "batch/v0 is old"');
  cluster.faults.add({ action: { kind: 'hang' } });
  const hung = send(cluster, { path: CONFIG_MAPS });
  hung.catch(() => undefined);
  expect(await Promise.race([hung, new Promise((resolve) => setTimeout(resolve, 50, 'nothing'))])).toBe('nothing');
});

test('cuts a watch after so many events', async () => {
  const cluster = await startRig();
  for (const name of ['a', 'b', 'c']) await post(cluster, CONFIG_MAPS, configMap(name, {}));
  cluster.faults.add({ on: { verb: 'watch' }, action: { kind: 'cut', after: 2, how: 'end' } });
  expect(await takeEvents(await follow(cluster, `${CONFIG_MAPS}?watch=1`), 5)).toEqual(['ADDED a', 'ADDED b', 'END']);
  cluster.faults.add({ on: { verb: 'watch' }, action: { kind: 'status', code: 410 } });
  await expect(follow(cluster, `${CONFIG_MAPS}?watch=1`)).rejects.toThrow('410');
});

test('notes every request and how it was answered', async () => {
  const cluster = await startRig();
  await post(cluster, CONFIG_MAPS, configMap('a', {}));
  await send(cluster, { path: `${CONFIG_MAPS}?limit=1` });
  const noted = cluster.requests.map(({ verb, resource, name, status, user, query }) => ({
    verb,
    resource,
    name,
    status,
    user,
    query,
  }));
  expect(noted).toEqual([
    { verb: 'create', resource: 'configmaps', name: 'a', status: 201, user: 'admin', query: {} },
    { verb: 'list', resource: 'configmaps', name: '', status: 200, user: 'admin', query: { limit: '1' } },
  ]);
});
