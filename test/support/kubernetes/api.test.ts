import { expect, test } from 'vitest';
import type { ConfigMap, Job } from './objects.ts';
import { type Answer, CONFIG_MAPS, configMap, job, JOBS, patch, PODS, post, send, shell, startRig } from './rig.ts';

function told({ status, body }: Answer): [number, string, string] {
  return [status, body.reason, body.message];
}

test('creates an object with a name, a uid and the next version, and gives it back', async () => {
  const cluster = await startRig();
  const first = await post(cluster, CONFIG_MAPS, configMap('one', { key: 'value' }));
  const second = await post(cluster, CONFIG_MAPS, {
    ...(configMap('', {}) as object),
    metadata: { generateName: 'two-', uid: 'mine', resourceVersion: '7' },
  });
  expect(first.status).toBe(201);
  expect(first.body).toMatchObject({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'one', namespace: 'ml' },
    data: { key: 'value' },
  });
  expect(first.body.metadata.uid).toMatch(/^[0-9a-f-]{36}$/);
  expect(first.body.metadata.creationTimestamp).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
  expect(second.body.metadata.name).toMatch(/^two-[a-z0-9]{5}$/);
  expect(second.body.metadata.uid).not.toBe('mine');
  expect(Number(second.body.metadata.resourceVersion)).toBe(Number(first.body.metadata.resourceVersion) + 1);
  expect((await send(cluster, { path: `${CONFIG_MAPS}/one` })).body).toEqual(first.body);
  const again = await post(cluster, CONFIG_MAPS, configMap('one', {}));
  expect(told(again)).toEqual([409, 'AlreadyExists', 'configmaps "one" already exists']);
});

test('keeps nothing of a dry run, and checks all the same', async () => {
  const cluster = await startRig();
  const dry = await post(cluster, `${JOBS}?dryRun=All`, job('a', 'true'));
  expect(dry.status).toBe(201);
  expect(dry.body.metadata).toMatchObject({ name: 'a' });
  expect(dry.body.metadata.resourceVersion).toBeUndefined();
  expect(cluster.list('jobs')).toEqual([]);
  expect((await post(cluster, `${JOBS}?dryRun=All`, job('A', 'true'))).status).toBe(422);
  expect((await post(cluster, `${JOBS}?dryRun=yes`, job('a', 'true'))).status).toBe(422);
});

test('refuses unknown fields where it is told to, and otherwise leaves them out with a warning', async () => {
  const cluster = await startRig();
  const wrong = job('a', 'true', {
    spec: { backofLimit: 3 } as object,
    container: { imagePullPolice: 'Always' } as object,
  });
  const strict = await post(cluster, `${JOBS}?fieldValidation=Strict`, wrong);
  expect(told(strict)).toEqual([
    400,
    'BadRequest',
    'Job in version "v1" cannot be handled as a Job: strict decoding error: unknown field "spec.backofLimit", unknown field "spec.template.spec.containers[0].imagePullPolice"',
  ]);
  const loose = await post(cluster, JOBS, wrong);
  expect(loose.status).toBe(201);
  expect(loose.headers['warning']).toBe(
    '299 - "unknown field \\"spec.backofLimit\\"", 299 - "unknown field \\"spec.template.spec.containers[0].imagePullPolice\\""',
  );
  expect(loose.body.spec).not.toHaveProperty('backofLimit');
});

test('refuses a wrong type, another kind and what is not JSON', async () => {
  const cluster = await startRig();
  const mistyped = await post(cluster, JOBS, job('a', 'true', { spec: { backoffLimit: '3' } as object }));
  expect(told(mistyped)).toEqual([
    400,
    'BadRequest',
    'Job in version "v1" cannot be handled as a Job: json: cannot unmarshal string into Go struct field JobSpec.spec.backoffLimit of type int32',
  ]);
  expect((await post(cluster, JOBS, configMap('a', {}))).status).toBe(400);
  expect((await post(cluster, JOBS, '{')).status).toBe(400);
  expect((await send(cluster, { method: 'POST', path: JOBS, body: job('a', 'true'), type: 'text/plain' })).status).toBe(
    415,
  );
  expect((await post(cluster, CONFIG_MAPS, configMap('a', { key: 'x'.repeat(3 << 20) }))).status).toBe(413);
});

test('names every cause of an invalid Job', async () => {
  const cluster = await startRig();
  const wrong = job('a', 'true', {
    spec: {
      backoffLimit: -1,
      podFailurePolicy: {
        rules: [{ action: 'FailJob', onExitCodes: { containerName: 'none', operator: 'In', values: [3, 2] } }],
      },
    },
    pod: { restartPolicy: 'OnFailure', volumes: [{ name: 'work', emptyDir: {} }] },
    container: {
      resources: { requests: { cpu: '2', 'nvidia.com/gpu': '1' }, limits: { cpu: '1' } },
      volumeMounts: [{ name: 'wrok', mountPath: '/mlv/work' }],
    },
  });
  const { status, body } = await post(cluster, JOBS, wrong);
  expect(status).toBe(422);
  const causes = (body.details['causes'] as { field: string; message: string }[]).map(
    ({ field, message }) => `${field}: ${message}`,
  );
  expect(causes).toEqual([
    'spec.backoffLimit: Invalid value: -1: must be greater than or equal to 0',
    'spec.template.spec.containers[0].volumeMounts[0].name: Not found: "wrok"',
    'spec.template.spec.containers[0].resources.requests: Invalid value: "2": must be less than or equal to cpu limit of 1',
    'spec.template.spec.containers[0].resources.limits: Required value: Limit must be set for non overcommitable resources',
    'spec.template.spec.restartPolicy: Invalid value: "OnFailure": only "Never" is supported when podFailurePolicy is specified',
    'spec.podFailurePolicy.rules[0].onExitCodes.values: Invalid value: [3,2]: must be ordered',
    'spec.podFailurePolicy.rules[0].onExitCodes.containerName: Invalid value: "none": must be one of the container or initContainer names in the pod template',
  ]);
  expect(body.message).toBe(`Job.batch "a" is invalid: [${causes.join(', ')}]`);
});

test.each([
  ['Upper', 'metadata.name'],
  ['under_score', 'metadata.name'],
  ['-dash', 'metadata.name'],
  // Longer than the label that pods get of it can be.
  ['a'.repeat(64), 'spec.template.labels'],
])('refuses a Job called %s', async (name, field) => {
  const cluster = await startRig();
  const { status, body } = await post(cluster, JOBS, job(name, 'true'));
  expect(status).toBe(422);
  expect((body.details['causes'] as { field: string }[])[0]?.field).toBe(field);
});

test('holds ConfigMaps to a mebibyte, to their keys, and to being immutable', async () => {
  const cluster = await startRig();
  const exact = { key: 'x'.repeat(1 << 20) };
  expect((await post(cluster, CONFIG_MAPS, configMap('full', exact))).status).toBe(201);
  const over = await post(cluster, CONFIG_MAPS, configMap('over', { ...exact, more: 'x' }));
  expect(told(over)).toEqual([
    422,
    'Invalid',
    'ConfigMap "over" is invalid: []: Too long: may not be more than 1048576 bytes',
  ]);
  expect((await post(cluster, CONFIG_MAPS, configMap('keys', { 'a/b': '' }))).status).toBe(422);
  await post(cluster, CONFIG_MAPS, configMap('fixed', { key: '1' }, { immutable: true }));
  const changed = await patch(cluster, `${CONFIG_MAPS}/fixed`, { data: { key: '2' } });
  expect(told(changed)).toEqual([
    422,
    'Invalid',
    'ConfigMap "fixed" is invalid: data: Forbidden: field is immutable when `immutable` is set',
  ]);
  const owner = {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    name: 'full',
    uid: cluster.get('configmaps', 'full')?.metadata.uid ?? '',
  };
  const owned = await patch(cluster, `${CONFIG_MAPS}/fixed`, { metadata: { ownerReferences: [owner] } });
  expect(owned.status).toBe(200);
  expect((owned.body as unknown as ConfigMap).metadata.ownerReferences).toEqual([owner]);
});

test('changes of a Job what may be changed, and nothing of its pods', async () => {
  const cluster = await startRig({ nodes: [] });
  const { body } = await post(cluster, JOBS, job('a', 'true'));
  const path = `${JOBS}/a`;
  const changed = (await patch(cluster, path, { spec: { backoffLimit: 1 }, metadata: { labels: { x: 'y' } } }))
    .body as unknown as Job;
  expect(changed.spec.backoffLimit).toBe(1);
  expect(changed.metadata).toMatchObject({ generation: 2, labels: { x: 'y' } });
  const template = await patch(cluster, path, { spec: { template: { spec: { terminationGracePeriodSeconds: 1 } } } });
  expect(template.status).toBe(422);
  expect(template.body.message).toMatch(
    /^Job\.batch "a" is invalid: spec\.template: Invalid value: .*: field is immutable$/,
  );
  const stale = { ...body, metadata: { ...body.metadata, labels: { z: 'z' } } };
  expect((await send(cluster, { method: 'PUT', path, body: stale })).body.message).toMatch(
    /^Operation cannot be fulfilled on jobs\.batch "a": the object has been modified; please apply/,
  );
  const status = await patch(cluster, path, { status: { succeeded: 5 } });
  expect((status.body as unknown as Job).status.succeeded).toBeUndefined();
  expect(
    (await send(cluster, { method: 'PATCH', path, body: {}, type: 'application/strategic-merge-patch+json' })).status,
  ).toBe(415);
});

test('moves a suspended Job that has never run to other nodes', async () => {
  const cluster = await startRig();
  await post(cluster, JOBS, job('a', 'true', { spec: { suspend: true } }));
  await cluster.until('jobs', ({ status }) => status.conditions?.[0]?.type === 'Suspended');
  const moved = await patch(cluster, `${JOBS}/a`, { spec: { template: { spec: { nodeSelector: { zone: 'a' } } } } });
  expect(moved.status).toBe(200);
});

test('lists by labels and fields, in pages that show one moment', async () => {
  const cluster = await startRig();
  for (const [name, app] of [
    ['a', 'x'],
    ['b', 'y'],
    ['c', 'x'],
    ['d', 'x'],
  ] as const) {
    await post(cluster, CONFIG_MAPS, { ...(configMap(name, {}) as object), metadata: { name, labels: { app } } });
  }
  const names = async (query: string): Promise<unknown> => {
    const { status, body } = await send(cluster, { path: `${CONFIG_MAPS}?${query}` });
    return status === 200 ? body.items.map(({ metadata }) => metadata.name).join('') : status;
  };
  expect(await names('labelSelector=app%3Dx')).toBe('acd');
  expect(await names('labelSelector=app!%3Dx')).toBe('b');
  expect(await names('labelSelector=app+in+(x,y),!gone')).toBe('abcd');
  expect(await names('labelSelector=app+notin+(x)')).toBe('b');
  expect(await names('labelSelector=gone')).toBe('');
  expect(await names('labelSelector=a==b==c')).toBe(400);
  expect(await names('fieldSelector=metadata.name%3Db')).toBe('b');
  expect(await names('fieldSelector=data.key%3Db')).toBe(400);
  const first = await send(cluster, { path: `${CONFIG_MAPS}?limit=3` });
  await post(cluster, CONFIG_MAPS, configMap('e', {}));
  cluster.delete('configmaps', 'd');
  const rest = await send(cluster, { path: `${CONFIG_MAPS}?limit=3&continue=${first.body.metadata.continue}` });
  expect(first.body.metadata.remainingItemCount).toBe(1);
  expect(rest.body.items.map(({ metadata }) => metadata.name)).toEqual(['d']);
  expect(rest.body.metadata.resourceVersion).toBe(first.body.metadata.resourceVersion);
  expect(rest.body.items[0]).not.toHaveProperty('kind');
  cluster.compact();
  const late = await send(cluster, { path: `${CONFIG_MAPS}?continue=${first.body.metadata.continue}` });
  expect([late.status, late.body.reason]).toEqual([410, 'Expired']);
});

test('deletes only what the precondition names', async () => {
  const cluster = await startRig();
  const { body } = await post(cluster, CONFIG_MAPS, configMap('a', {}));
  const remove = (uid: string): Promise<Answer> =>
    send(cluster, { method: 'DELETE', path: `${CONFIG_MAPS}/a`, body: { preconditions: { uid } } });
  const { uid } = body.metadata;
  const refused = await remove('other');
  expect(told(refused)).toEqual([
    409,
    'Conflict',
    `Operation cannot be fulfilled on configmaps "a": Precondition failed: UID in precondition: other, UID in object meta: ${uid}`,
  ]);
  expect((await remove(uid)).body).toMatchObject({ kind: 'Status', status: 'Success', details: { name: 'a', uid } });
  expect(told(await remove(uid))).toEqual([404, 'NotFound', 'configmaps "a" not found']);
});

test.each([
  ['Background', '', false, false],
  ['Foreground', '', false, false],
  ['Orphan', '', true, true],
  // What batch/v1 does where it is not told.
  [undefined, '299 - "child pods are preserved by default when jobs are deleted', true, true],
])('deletes a Job with propagation policy %s', async (propagationPolicy, warning, keepsPod, keepsConfigMap) => {
  const cluster = await startRig({ nodes: [] });
  const { body } = await post(cluster, JOBS, job('a', 'true'));
  const owner = { apiVersion: 'batch/v1', kind: 'Job', name: 'a', uid: body.metadata.uid };
  cluster.create('configmaps', { metadata: { name: 'task', ownerReferences: [owner] } });
  await cluster.until('pods', () => true);
  const answer = await send(cluster, { method: 'DELETE', path: `${JOBS}/a`, body: { propagationPolicy } });
  expect(answer.status).toBe(200);
  expect(answer.headers['warning'] ?? '').toContain(warning);
  await expect.poll(() => cluster.get('jobs', 'a')).toBeUndefined();
  await expect.poll(() => cluster.list('pods').length).toBe(keepsPod ? 1 : 0);
  await expect.poll(() => cluster.get('configmaps', 'task') !== undefined).toBe(keepsConfigMap);
  expect(cluster.list('pods').flatMap(({ metadata }) => metadata.ownerReferences ?? [])).toEqual([]);
});

test('does not create anew what is still being deleted', async () => {
  const cluster = await startRig({ nodes: [] });
  await post(cluster, JOBS, { ...(job('a', 'true') as object), metadata: { name: 'a', finalizers: ['test/hold'] } });
  const removed = await send(cluster, { method: 'DELETE', path: `${JOBS}/a?propagationPolicy=Background` });
  expect(removed.body).toMatchObject({ kind: 'Job', metadata: { name: 'a', finalizers: ['test/hold'] } });
  const refused = 'object is being deleted: jobs.batch "a" already exists';
  expect(told(await post(cluster, JOBS, job('a', 'true')))).toEqual([409, 'AlreadyExists', refused]);
  await patch(cluster, `${JOBS}/a`, { metadata: { finalizers: null } });
  expect((await post(cluster, JOBS, job('a', 'true'))).status).toBe(201);
});

test('collects what names an owner that is not there', async () => {
  const cluster = await startRig();
  const owner = { apiVersion: 'batch/v1', kind: 'Job', name: 'a', uid: 'never-was' };
  cluster.create('configmaps', { metadata: { name: 'lost', ownerReferences: [owner] } });
  await expect.poll(() => cluster.get('configmaps', 'lost')).toBeUndefined();
});

test('tells what it is, and what it does not have', async () => {
  const cluster = await startRig({ drops: ['jobs.spec.podReplacementPolicy'] });
  expect((await send(cluster, { path: '/version' })).body['gitVersion']).toBe('v1.34.1');
  expect((await send(cluster, { path: '/apis/kueue.x-k8s.io/v1beta1/workloads' })).status).toBe(404);
  expect(told(await send(cluster, { path: '/api/v1/namespaces/none' }))).toEqual([
    404,
    'NotFound',
    'namespaces "none" not found',
  ]);
  const elsewhere = await post(cluster, '/api/v1/namespaces/none/configmaps', configMap('a', {}));
  expect(told(elsewhere)).toEqual([404, 'NotFound', 'namespaces "none" not found']);
  expect((await send(cluster, { method: 'POST', path: '/api/v1/pods', body: {} })).status).toBe(405);
  const dropped = await post(cluster, JOBS, job('a', 'true', { spec: { podReplacementPolicy: 'Failed' } }));
  expect((dropped.body as unknown as Job).spec.podReplacementPolicy).toBeUndefined();
  expect(
    (
      await post(cluster, PODS, {
        kind: 'Pod',
        metadata: { name: 'p' },
        spec: { containers: [shell('a', ''), shell('a', '')] },
      })
    ).body.message,
  ).toBe('Pod "p" is invalid: spec.containers[1].name: Duplicate value: "a"');
});
