/** What keeps a stage from running on a cluster: told before anything is sent where it can be known, as text and as --json. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { ClusterProject } from '../execution/kubernetes/stage-rig.ts';
import { makeClusterProject, PIPELINE, TRAIN } from '../execution/kubernetes/stage-rig.ts';

type Options = Parameters<typeof makeClusterProject>[2];

const IMAGE = '    image: busybox:1\n';
const WARNING =
  'what busybox:1 means may change, and mlv would not see it: write busybox@sha256:… to mean one image for good';

/** The sample with something else in place of the image of the stage that runs there. */
function project(options: Options = {}, image = IMAGE, profile = 'gpu'): Promise<ClusterProject> {
  const pipeline = PIPELINE.replace(IMAGE, image).replace('kubernetes: gpu', `kubernetes: ${profile}`);
  return makeClusterProject(pipeline, { 'in.txt': 'a\n', 'train.sh': TRAIN }, options);
}

interface Failure {
  readonly code: string;
  readonly message: string;
  readonly hint: string;
  readonly items?: readonly string[];
}

/** A command that tells a failure in both forms, and nothing besides: no stage has run, nothing was asked of cluster or bucket. */
async function refusesAtOnce(at: ClusterProject, { items = [], ...failure }: Failure, ...command: string[]) {
  const { message, hint } = failure;
  const lines = [`error: ${message}`, ...items.map((item) => `  ${item}`), `hint: ${hint}`, ''];
  expect(await at.run(...command)).toEqual({ code: 1, stdout: '', stderr: lines.join('\n') });
  const json = `${JSON.stringify({ error: { ...failure, items } })}\n`;
  expect(await at.run('--json', ...command)).toEqual({ code: 1, stdout: json, stderr: '' });
  expect(at.cluster.requests).toEqual([]);
}

/** A run that ends with this failure of the stage on the cluster, in both forms; nothing of it stays there. */
async function failsThere(at: ClusterProject, failure: Failure): Promise<{ readonly lines: readonly string[] }> {
  const { code, stdout, stderr } = await at.run('repro');
  const lines = plain(stderr).trimEnd().split('\n');
  const { message, hint } = failure;
  expect([code, stdout, lines.slice(-2)]).toEqual([1, '', [`error: ${message}`, `hint: ${hint}`]]);
  const others = lines.slice(0, -2).filter((line) => !line.startsWith('train    | '));
  expect(others.map((line) => line.replace(/in \d+\.\d s$/, 'in N s'))).toEqual([
    expect.stringMatching(/^warning: what \w+:1 means may change, and mlv would not see it: /),
    'prepare  ▸ runs: never ran',
    'prepare  ✓ done in N s',
    'train    ▸ runs: never ran',
    `train    ✗ ${message}`,
    'evaluate ⊘ not run: train failed',
    '✗ 1 failed, 1 ran, 1 blocked in N s',
  ]);
  const json = await at.run('--json', 'repro');
  expect([json.code, json.stderr]).toEqual([1, '']);
  expect(plain(json.stdout).trimEnd().split('\n')).toEqual(
    [
      { stage: 'prepare', type: 'up-to-date' },
      { stage: 'train', type: 'failed', error: failure },
      { stage: 'evaluate', type: 'blocked', by: 'train' },
      { error: { ...failure, items: [] } },
    ].map((row) => JSON.stringify(row)),
  );
  expect(at.cluster.list('jobs')).toEqual([]);
  return { lines };
}

/** Without what differs from run to run: the name of a pod, and whether an image is being pulled or waits to be pulled again. */
function plain(text: string): string {
  return text
    .replaceAll(/mlv-train-[a-z0-9-]+(?=\\?" is forbidden)/g, 'POD')
    .replaceAll(/Back-off pulling image \\?"nowhere:1\\?": ErrImagePull: /g, '');
}

/** What was uploaded. */
function sent(at: ClusterProject): number {
  return at.store.requests.filter(({ method }) => method === 'PUT' || method === 'POST').length;
}

test('no such context', async () => {
  const at = await project();
  await at.told('config', '--local', 'kubernetes.gpu.context', 'tset');
  const failure = {
    code: 'kubernetes-no-context',
    message: 'there is no Kubernetes context "tset"; did you mean "test"?',
    hint: 'Name one of these in the profile: mlv config kubernetes.NAME.context CONTEXT. Or choose one: kubectl config use-context CONTEXT',
    items: ['test'],
  };
  await refusesAtOnce(at, failure, 'repro');
  await refusesAtOnce(at, failure, 'plan');
  expect(sent(at)).toBe(0);
});

test('no such profile', async () => {
  const at = await project({}, IMAGE, 'gpus');
  const failure = {
    code: 'kubernetes-profile-unknown',
    message:
      'stage train is to run on Kubernetes by the profile "gpus", which the settings do not have (mlv.yaml, line 6)',
    hint: 'Did you mean gpu?',
  };
  await refusesAtOnce(at, failure, 'repro');
  await refusesAtOnce(at, failure, 'plan');
  // What only looks is not kept from it.
  expect((await at.run('status')).code).toBe(0);
});

test('a remote that pods cannot reach', async () => {
  const at = await project();
  await at.told('remote', 'add', '-d', 'disk', '../disk');
  const failure = {
    code: 'kubernetes-remote-folder',
    message: 'remote disk is a folder, which pods of a cluster cannot reach: ../disk',
    hint: 'Data goes to a cluster and comes back by a bucket: mlv remote add -d NAME s3://BUCKET/PREFIX',
  };
  await refusesAtOnce(at, failure, 'repro');
  await refusesAtOnce(at, failure, 'plan');
  expect(sent(at)).toBe(0);
});

test('no image, an unknown type of GPU, and a checkpoint without a claim', async () => {
  const at = await project({}, '');
  await at.told('config', 'kubernetes.gpu.gpuTypes.a100.nodeSelector', 'pool=gpu');
  await refusesAtOnce(
    at,
    {
      code: 'stage-image-missing',
      message: 'stage train is to run on Kubernetes, and names no image to run in',
      hint: 'Add "image" in mlv.yaml, line 6.',
    },
    'repro',
  );
  at.write({ 'mlv.yaml': PIPELINE.replace(IMAGE, `${IMAGE}    resources: {gpu_type: a10}\n`) });
  await refusesAtOnce(
    at,
    {
      code: 'gpu-type-unknown',
      message: 'stage train asks for GPUs of type a10, which profile gpu does not know',
      hint: 'Did you mean a100? It is in mlv.yaml, line 6.',
    },
    'repro',
  );
  at.write({ 'mlv.yaml': PIPELINE.replace(IMAGE, `${IMAGE}    checkpoint: half\n`) });
  await refusesAtOnce(
    at,
    {
      code: 'checkpoint-without-claim',
      message: 'stage train has a checkpoint, and profile gpu no volume claim to keep it on',
      hint: 'Name one: mlv config kubernetes.gpu.cacheClaim CLAIM. Or take "checkpoint" out in mlv.yaml, line 6.',
    },
    'repro',
  );
  expect(sent(at)).toBe(0);
});

test('a result that is known needs no cluster', async () => {
  const at = await project();
  expect((await at.run('repro')).code).toBe(0);
  await at.told('remote', 'add', '-d', 'disk', '../disk');
  rmSync(join(at.root, 'mlv.lock'));
  rmSync(join(at.root, 'model'), { recursive: true });
  const { code, stderr } = await at.run('repro');
  expect([code, stderr.split('\n').at(-2)]).toEqual([0, expect.stringMatching(/^✓ 3 restored in /)]);
});

test('the image without a digest is told of once a run', async () => {
  const two = PIPELINE.replace(
    '  evaluate:\n',
    '  again:\n    cmd: sort rows.txt > again.txt\n    deps: [rows.txt]\n    outs: [again.txt]\n    image: busybox:1\n    run_on: {kubernetes: gpu}\n  evaluate:\n',
  );
  const at = await makeClusterProject(two, { 'in.txt': 'a\n', 'train.sh': TRAIN });
  const { stdout } = await at.run('plan');
  expect(stdout.split('\n').filter((line) => line.includes('warning'))).toEqual([`warning: ${WARNING}`]);
  const planned = JSON.parse((await at.run('--json', 'plan')).stdout) as { stage: string; warning?: string }[];
  expect(planned.map(({ stage, warning }) => [stage, warning])).toEqual([
    ['prepare', undefined],
    ['train', WARNING],
    ['again', WARNING],
    ['evaluate', undefined],
  ]);
  const json = await at.run('--json', 'repro');
  expect(JSON.parse(json.stdout.trimEnd().split('\n').at(-1) ?? '')).toEqual({
    result: { stages: 4, ran: 4, seconds: expect.any(Number), warnings: [WARNING] },
  });
});

test('no permission: nothing is uploaded', async () => {
  const rules = [{ verbs: ['get', 'list', 'watch'], resources: ['*'] }];
  const at = await project({ tokens: { token: { user: 'ada', rules } } });
  await failsThere(at, {
    code: 'kubernetes-forbidden',
    message:
      'you may not create jobs.batch in namespace "ml" of context "test": jobs.batch is forbidden: User "ada" cannot create resource "jobs" in API group "batch" in the namespace "ml"',
    hint: 'Ask whoever runs the cluster for it: verb create, resource jobs, API group "batch". "kubectl auth can-i create jobs.batch -n ml" asks for it.',
  });
  expect(sent(at)).toBe(0);
});

test('larger than any node: nothing is uploaded', async () => {
  const nodes = [
    { name: 'small', memory: '16Gi' },
    { name: 'large' },
    { name: 'tainted', memory: '128Gi', taints: [{ key: 'team', value: 'x', effect: 'NoSchedule' as const }] },
  ];
  const at = await project({ nodes }, `${IMAGE}    resources: {memory: 64Gi}\n`);
  await failsThere(at, {
    code: 'kubernetes-too-large',
    message: 'stage train fits no node of context "test": large comes nearest, and has 32Gi of 64Gi memory',
    hint: 'Ask for no more in "resources" of mlv.yaml, line 6, than a node gives to pods: kubectl describe node large',
  });
  expect(sent(at)).toBe(0);
});

test('a cluster that does not keep a field: nothing is uploaded', async () => {
  const at = await project({ drops: ['jobs.spec.podReplacementPolicy'] });
  await failsThere(at, {
    code: 'kubernetes-field-dropped',
    message: 'the cluster of context test does not keep spec.podReplacementPolicy of a Job',
    hint: 'A run could end otherwise than mlv tells. Kubernetes 1.31 or newer keeps all of them, unless a feature gate or an admission hook takes them away.',
  });
  expect(sent(at)).toBe(0);
});

test('an image that is not there', async () => {
  const at = await project({}, '    image: nowhere:1\n');
  await at.told('config', 'kubernetes.gpu.imageGrace', '1s');
  await failsThere(at, {
    code: 'job-image',
    message:
      'stage train did not start on the cluster, and its job was deleted: stage: rpc error: code = NotFound desc = failed to pull and unpack image "docker.io/library/nowhere:1": failed to resolve reference "docker.io/library/nowhere:1": docker.io/library/nowhere:1: not found',
    hint: 'Is image of the stage in mlv.yaml, line 6 right, and may the cluster pull it? kubernetes.gpu.pullSecrets names secrets for that.',
  });
  expect(at.cluster.list('pods')).toEqual([]);
});

test('a quota that is used up: it waits, says why, and ends when it was told to', async () => {
  const at = await project(
    { quotas: { small: { 'requests.memory': '512Mi' } } },
    `${IMAGE}    resources: {memory: 64Mi}\n    pending_timeout: 5s\n`,
  );
  const why =
    'Error creating: pods "POD" is forbidden: exceeded quota: small, requested: requests.memory=1Gi, used: requests.memory=0, limited: requests.memory=512Mi';
  const { lines } = await failsThere(at, {
    code: 'job-no-pod',
    message: `stage train did not start on the cluster, and its job was deleted: ${why}`,
    hint: 'Correct kubernetes.gpu.serviceAccount, or ask for a larger quota.',
  });
  expect(lines.filter((line) => line.includes('| no pod could be made'))).toEqual([
    `train    | no pod could be made: ${why}`,
  ]);
});
