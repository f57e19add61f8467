import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { CONFIG_MAPS, job, JOBS, PODS, post, send, shell, startRig } from './rig.ts';

const REVIEWS = '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews';

test('knows who asks by the token, until it expires', async () => {
  const cluster = await startRig({ tokens: { token: { user: 'ann' }, old: { user: 'ann', expires: Date.now() - 1 } } });
  const unauthorized = { status: 'Failure', message: 'Unauthorized', reason: 'Unauthorized', code: 401 };
  expect((await send(cluster, { path: PODS })).status).toBe(200);
  for (const token of ['old', 'none']) {
    expect((await send(cluster, { path: PODS, token })).body).toMatchObject(unauthorized);
  }
  cluster.tokens.set('none', { user: 'bob' });
  expect((await send(cluster, { path: PODS, token: 'none' })).status).toBe(200);
  expect((await send(cluster, { path: PODS, token: '' })).body.message).toBe(
    'pods is forbidden: User "system:anonymous" cannot list resource "pods" in API group "" in the namespace "ml"',
  );
});

test('lets in what the rules allow, and names the rest', async () => {
  const rules = [
    { verbs: ['get', 'list'], resources: ['pods'], namespaces: ['ml'] },
    { verbs: ['create'], resources: ['jobs'] },
    { verbs: ['get'], resources: ['configmaps'], resourceNames: ['mine'] },
  ];
  const cluster = await startRig({ tokens: { token: { user: 'system:serviceaccount:ml:ci', rules } } });
  const message = async (path: string, method = 'GET', body?: unknown): Promise<string> =>
    (await send(cluster, { path, method, body })).body.message;
  const user = 'User "system:serviceaccount:ml:ci" cannot';
  const inside = 'in the namespace "ml"';
  expect((await send(cluster, { path: PODS })).status).toBe(200);
  expect((await post(cluster, JOBS, job('a', 'true'))).status).toBe(201);
  expect(await message(`${PODS}?watch=1`)).toBe(
    `pods is forbidden: ${user} watch resource "pods" in API group "" ${inside}`,
  );
  expect(await message(`${PODS}/a/log`)).toBe(
    `pods "a" is forbidden: ${user} get resource "pods/log" in API group "" ${inside}`,
  );
  expect(await message(`${JOBS}/a`, 'DELETE')).toBe(
    `jobs.batch "a" is forbidden: ${user} delete resource "jobs" in API group "batch" ${inside}`,
  );
  expect(await message('/api/v1/nodes')).toBe(
    `nodes is forbidden: ${user} list resource "nodes" in API group "" at the cluster scope`,
  );
  expect(await message('/api/v1/pods')).toContain('at the cluster scope');
  expect(await message(`${CONFIG_MAPS}/mine`)).toBe('configmaps "mine" not found');
  expect(await message(`${CONFIG_MAPS}/yours`)).toContain('is forbidden');
  const review = async (resourceAttributes: unknown): Promise<unknown> =>
    (await post(cluster, REVIEWS, { spec: { resourceAttributes } })).body.status;
  expect(await review({ namespace: 'ml', verb: 'list', resource: 'pods' })).toEqual({ allowed: true });
  expect(await review({ namespace: 'ml', verb: 'get', resource: 'pods', subresource: 'log' })).toEqual({
    allowed: false,
  });
});

test('keeps from an account what it is not to do', async () => {
  const except = [{ verbs: ['create'], resources: ['jobs'] }];
  const cluster = await startRig({ tokens: { token: { user: 'ann', except } } });
  expect((await post(cluster, JOBS, job('a', 'true'))).body.message).toBe(
    'jobs.batch is forbidden: User "ann" cannot create resource "jobs" in API group "batch" in the namespace "ml"',
  );
  expect((await send(cluster, { path: JOBS })).status).toBe(200);
});

test('tells of the standard for pods, and of the account that pods need', async () => {
  const labels = { 'pod-security.kubernetes.io/enforce': 'restricted' };
  const cluster = await startRig({ namespaces: [{ name: 'ml', labels }] });
  const pod = { kind: 'Pod', metadata: { name: 'p' }, spec: { containers: [shell('a', '')] } };
  expect((await post(cluster, PODS, pod)).body.message).toBe(
    'pods "p" is forbidden: violates PodSecurity "restricted:latest": allowPrivilegeEscalation != false (container "a" must set securityContext.allowPrivilegeEscalation=false), unrestricted capabilities (container "a" must set securityContext.capabilities.drop=["ALL"]), runAsNonRoot != true (pod or container "a" must set securityContext.runAsNonRoot=true), seccompProfile (pod or container "a" must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost")',
  );
  const securityContext = { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } };
  const good = {
    containers: [shell('a', '', { securityContext })],
    securityContext: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } },
  };
  expect((await post(cluster, PODS, { ...pod, spec: good })).status).toBe(201);
  const stranger = await post(cluster, PODS, { ...pod, spec: { ...good, serviceAccountName: 'none' } });
  expect([stranger.status, stranger.body.message]).toEqual([
    403,
    'pods "p" is forbidden: error looking up service account ml/none: serviceaccount "none" not found',
  ]);
  const warned = await post(cluster, JOBS, job('a', 'true'));
  expect(warned.status).toBe(201);
  expect(warned.headers['warning']).toContain('would violate PodSecurity \\"restricted:latest\\"');
});

test('holds to quotas, and tells what is used of them', async () => {
  const cluster = await startRig({
    nodes: [],
    quotas: { team: { 'count/jobs.batch': '1', 'requests.nvidia.com/gpu': '2', 'requests.cpu': '4' } },
  });
  const wants = (gpus: string) => ({
    kind: 'Pod',
    metadata: { name: `wants-${gpus}` },
    spec: { containers: [shell('a', '', { resources: { limits: { 'nvidia.com/gpu': gpus, cpu: '1500m' } } })] },
  });
  expect((await post(cluster, PODS, wants('2'))).status).toBe(201);
  const refused = await post(cluster, PODS, wants('1'));
  expect([refused.status, refused.body.message]).toEqual([
    403,
    'pods "wants-1" is forbidden: exceeded quota: team, requested: requests.nvidia.com/gpu=1, used: requests.nvidia.com/gpu=2, limited: requests.nvidia.com/gpu=2',
  ]);
  expect(
    (await post(cluster, PODS, { kind: 'Pod', metadata: { name: 'p' }, spec: { containers: [shell('a', '')] } })).body
      .message,
  ).toBe('pods "p" is forbidden: failed quota: team: must specify requests.cpu for: a');
  await post(cluster, JOBS, job('a', 'true', { spec: { suspend: true } }));
  expect((await post(cluster, JOBS, job('b', 'true'))).body.message).toBe(
    'jobs.batch "b" is forbidden: exceeded quota: team, requested: count/jobs.batch=1, used: count/jobs.batch=1, limited: count/jobs.batch=1',
  );
  const used = { 'count/jobs.batch': '1', 'requests.nvidia.com/gpu': '2', 'requests.cpu': '1500m' };
  await cluster.until('resourcequotas', ({ status }) => status.used?.['count/jobs.batch'] === '1');
  expect(cluster.get('resourcequotas', 'team')?.status.used).toEqual(used);
});

test('counts pods towards a quota until they have ended', async () => {
  const cluster = await startRig({ quotas: { team: { pods: '1' } } });
  const pod = (name: string) => ({
    kind: 'Pod',
    metadata: { name },
    spec: { restartPolicy: 'Never', containers: [shell('a', 'sleep 30')] },
  });
  expect((await post(cluster, PODS, pod('one'))).status).toBe(201);
  expect((await post(cluster, PODS, pod('two'))).body.message).toContain(
    'exceeded quota: team, requested: pods=1, used: pods=1, limited: pods=1',
  );
  await cluster.until('pods', ({ status }) => status.phase === 'Running');
  await cluster.trouble({ kind: 'kill' });
  await cluster.until('pods', ({ status }) => status.phase === 'Failed');
  expect((await post(cluster, PODS, pod('two'))).status).toBe(201);
});

test('speaks TLS, and knows users by their certificates', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'kubernetes-tls-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const make = (name: string): { key: string; cert: string } => {
    const [key, cert] = [join(folder, `${name}.key`), join(folder, `${name}.crt`)];
    const subject = ['-subj', `/CN=${name}`, '-addext', 'subjectAltName=IP:127.0.0.1'];
    const options = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'];
    execFileSync('openssl', [...options, '-keyout', key, '-out', cert, ...subject], { stdio: 'ignore' });
    return { key: readFileSync(key, 'utf8'), cert: readFileSync(cert, 'utf8') };
  };
  const [server, ann] = [make('server'), make('ann')];
  const cluster = await startRig({ tls: { ...server, clientCa: ann.cert }, users: { ann: { user: 'ann' } } });
  expect(cluster.url).toBe(`https://127.0.0.1:${cluster.port}`);
  const status = (options: object): Promise<number | undefined> =>
    new Promise((resolve, reject) => {
      const sent = request(
        `${cluster.url}${CONFIG_MAPS}`,
        { ca: server.cert, agent: false, ...options },
        (response) => {
          response.resume();
          resolve(response.statusCode);
        },
      );
      sent.on('error', reject);
      sent.end();
    });
  expect(await status(ann)).toBe(200);
  expect(await status({})).toBe(403);
  expect(await status({ headers: { authorization: 'Bearer token' } })).toBe(200);
});
