/** `mlv doctor --kubernetes` on the cluster double, as text and as --json. */
import { writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import type { ClusterProject } from '../execution/kubernetes/stage-rig.ts';
import { makeClusterProject, PIPELINE, TRAIN } from '../execution/kubernetes/stage-rig.ts';

const FILES = { 'in.txt': 'a\n', 'train.sh': TRAIN };

interface Told {
  readonly code: number | undefined;
  readonly lines: readonly string[];
}

/** As text, of which the data has to say the same. */
async function doctor(project: ClusterProject, ...args: string[]): Promise<Told> {
  const text = await project.run('doctor', '--kubernetes', ...args);
  const json = await project.run('--json', 'doctor', '--kubernetes', ...args);
  expect([json.code, json.stderr, text.stderr]).toEqual([text.code, '', '']);
  const { kubernetes } = JSON.parse(json.stdout) as {
    kubernetes: { profile: string; checks: { what: string; result: string; message: string; hint?: string }[] }[];
  };
  const lines = text.stdout.trimEnd().split('\n');
  const said = kubernetes.flatMap(({ profile, checks }) => [
    `profile ${profile}`,
    ...checks.flatMap(({ what, result, message, hint }) => [
      `${what} ${result} ${message}`,
      ...(hint === undefined ? [] : [`hint: ${hint}`]),
    ]),
  ]);
  expect(lines.map((line) => line.trim().replaceAll(/ {2,}/g, ' '))).toEqual(said);
  return { code: text.code, lines };
}

async function ready(options: Parameters<typeof makeClusterProject>[2] = {}, pipeline = PIPELINE) {
  const project = await makeClusterProject(pipeline, FILES, options);
  await project.told('remote', 'modify', 'store', 'endpoint', 'https://store.example.org');
  return project;
}

test('tells, step by step, that a stage would run, and makes nothing', async () => {
  const namespace = { name: 'ml', labels: { 'pod-security.kubernetes.io/enforce': 'restricted' } };
  const gpu = { name: 'gpu-1', gpus: { 'nvidia.com/gpu': 2 }, labels: { pool: 'gpu' } };
  const project = await ready(
    {
      namespaces: [namespace],
      nodes: [{ name: 'node-1' }, gpu],
      quotas: { large: { 'requests.memory': '64Gi', pods: '10' } },
      serviceAccounts: ['trainer'],
      claims: ['cache'],
    },
    PIPELINE.replace('    image: busybox:1\n', '    image: busybox:1\n    resources: {memory: 1Gi}\n'),
  );
  await project.told('config', 'kubernetes.gpu.gpuTypes.a100.nodeSelector', 'pool=gpu');
  await project.told('config', 'kubernetes.gpu.serviceAccount', 'trainer');
  await project.told('config', 'kubernetes.gpu.cacheClaim', 'cache');
  expect(await doctor(project)).toEqual({
    code: 0,
    lines: [
      'profile gpu',
      '  context          ok  test, namespace ml',
      '  server           ok  Kubernetes v1.34.1',
      '  permissions      ok  all 15 that mlv uses in namespace ml',
      '  pod security     ok  the standard "restricted" is enforced; pods of mlv keep to "restricted"',
      '  quota            ok  large: enough for each stage',
      '  nodes            ok  2 nodes, large enough for each stage',
      '  gpu a100         ok  2 of nvidia.com/gpu on gpu-1',
      '  service account  ok  trainer',
      '  secret           ok  bucket',
      '  claim            ok  cache',
      '  remote           ok  store, s3://data/team at store.example.org',
      '  job              ok  the cluster would take one, and keep all that it says',
    ],
  });
  expect([project.cluster.list('jobs'), project.cluster.list('configmaps')]).toEqual([[], []]);
});

test('what one may not do, and what one may not see', async () => {
  const rules = [{ verbs: ['get', 'list', 'watch'], resources: ['jobs', 'pods', 'pods/log', 'configmaps'] }];
  const project = await ready({ tokens: { token: { user: 'ada', rules } } });
  const place = 'in namespace "ml" of context "test"';
  expect(await doctor(project, 'gpu')).toEqual({
    code: 1,
    lines: [
      'profile gpu',
      '  context       ok         test, namespace ml',
      '  server        ok         Kubernetes v1.34.1',
      `  permissions   failed     you may not create, delete jobs.batch ${place}`,
      '    hint: Ask whoever runs the cluster for it. "kubectl auth can-i create jobs.batch -n ml" asks for the first.',
      `  permissions   failed     you may not create, patch, delete configmaps ${place}`,
      '    hint: Ask whoever runs the cluster for it. "kubectl auth can-i create configmaps -n ml" asks for the first.',
      `  permissions   warning    you may not list events ${place}`,
      '    hint: Ask whoever runs the cluster for it. "kubectl auth can-i list events -n ml" asks for it.',
      '  pod security  not known  you may not get namespaces "ml" in context "test"',
      `  quota         not known  you may not list resourcequotas ${place}`,
      '  nodes         not known  you may not list nodes: whether they have what is asked for shows when a stage runs',
      `  secret        not known  you may not get secrets "bucket" ${place}`,
      '  remote        ok         store, s3://data/team at store.example.org',
      `  job           failed     you may not create jobs.batch ${place}: jobs.batch is forbidden: User "ada" cannot create resource "jobs" in API group "batch" in the namespace "ml"`,
      '    hint: Ask whoever runs the cluster for it: verb create, resource jobs, API group "batch". "kubectl auth can-i create jobs.batch -n ml" asks for it.',
    ],
  });
});

test('what the cluster has not, and what it would not keep', async () => {
  const taints = [{ key: 'team', value: 'nlp', effect: 'NoSchedule' as const }];
  const gpu = { name: 'gpu-1', gpus: { 'nvidia.com/gpu': 2 }, labels: { pool: 'gpu' }, taints };
  const image = '    image: busybox:1\n';
  const project = await ready(
    {
      quotas: { small: { 'requests.memory': '512Mi', 'limits.cpu': '4' } },
      drops: ['jobs.spec.podReplacementPolicy'],
      nodes: [{ name: 'node-1' }, gpu],
    },
    PIPELINE.replace(image, `${image}    resources: {memory: 64Gi}\n    secrets: [wandb]\n`),
  );
  await project.told('config', 'kubernetes.gpu.gpuTypes.a100.nodeSelector', 'pool=gpu');
  await project.told('remote', 'modify', 'store', 'endpoint', 'http://127.0.0.1:9000');
  expect(await doctor(project)).toEqual({
    code: 1,
    lines: [
      'profile gpu',
      '  context       ok       test, namespace ml',
      '  server        ok       Kubernetes v1.34.1',
      '  permissions   ok       all 15 that mlv uses in namespace ml',
      '  pod security  ok       no standard is enforced; pods of mlv keep to "restricted"',
      '  quota         failed   quota small never grants stage train requests.memory 64Gi: it has 512Mi',
      '    hint: Ask for less in "resources" of mlv.yaml, line 6, or for a larger quota.',
      '  quota         warning  quota small counts limits.cpu, of which fetch, stage, push of stage train say nothing',
      '    hint: Unless a LimitRange of the namespace fills it in, its pods are refused: say cpu in "resources" of mlv.yaml, line 6, or patch limits in "pod".',
      '  nodes         failed   stage train fits no node of context "test": node-1 comes nearest, and has 32Gi of 64Gi memory',
      '    hint: Ask for no more in "resources" of mlv.yaml, line 6, than a node gives to pods: kubectl describe node node-1',
      '  gpu a100      failed   no node has it: gpu-1 comes nearest, and has a taint team=nlp:NoSchedule that is not tolerated',
      '    hint: Correct kubernetes.gpu.gpuTypes.a100, unless nodes of it come when they are asked for: kubectl get nodes --show-labels',
      '  secret        ok       bucket',
      '  secret        failed   there is no secret "wandb" in namespace "ml", which stage train names',
      '    hint: Pods wait for it without end: make it, or name another.',
      '  remote        failed   remote store is at 127.0.0.1, which for a pod is the pod itself',
      '    hint: Give it an address that the cluster knows: mlv remote modify store endpoint URL',
      '  job           failed   the cluster of context test does not keep spec.podReplacementPolicy of a Job',
      '    hint: A run could end otherwise than mlv tells. Kubernetes 1.31 or newer keeps all of them, unless a feature gate or an admission hook takes them away.',
    ],
  });
});

test('profiles that are not as they are to be', async () => {
  const project = await ready({}, PIPELINE.replace('kubernetes: gpu', 'kubernetes: gpus'));
  await project.told('config', '--local', 'kubernetes.gpu.context', 'tset');
  expect(await doctor(project)).toEqual({
    code: 1,
    lines: [
      'profile gpu',
      '  context  failed  there is no Kubernetes context "tset"; did you mean "test"?; test',
      '    hint: Name one of these in the profile: mlv config kubernetes.NAME.context CONTEXT. Or choose one: kubectl config use-context CONTEXT',
      '  remote   ok      store, s3://data/team at store.example.org',
      'profile gpus',
      '  profile  failed  the settings have no profile "gpus", which stage train names',
      '    hint: Did you mean gpu?',
    ],
  });
  expect(await project.run('doctor', '--kubernetes', 'gp')).toEqual({
    code: 1,
    stdout: '',
    stderr: 'error: the settings have no profile "gp", and no stage names it\nhint: Did you mean gpu?\n',
  });
  const { code, stderr } = await project.run('doctor', 'gpu');
  expect([code, stderr.split('\n')[0]]).toEqual([
    2,
    'error: a profile is examined with --kubernetes: mlv doctor --kubernetes gpu',
  ]);
});

test('a server that does not answer, of a profile that no stage names', async () => {
  const project = await ready({}, PIPELINE.replace('    run_on: {kubernetes: gpu}\n', ''));
  expect((await doctor(project)).lines.at(-1)).toBe(
    '  job           ok  the cluster would take one, and keep all that it says',
  );
  const { kubeconfig, kubeconfigFile, port } = project.cluster;
  // Nobody listens on port 1.
  writeFileSync(kubeconfigFile, kubeconfig.replace(`:${port}"`, ':1"'));
  const { code, stdout } = await project.run('doctor', '--kubernetes');
  const [profile, context, server, ...rest] = stdout.trimEnd().split('\n');
  expect([code, profile, context, rest.at(-1)]).toEqual([
    1,
    'profile gpu',
    '  context  ok      test, namespace ml',
    '  remote   ok      store, s3://data/team at store.example.org',
  ]);
  expect(server).toMatch(/^ {2}server {3}failed {2}cannot get version in context "test": /);
});
