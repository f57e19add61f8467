/** Every way in which a stage on a cluster fails, or nearly does: what is told of it, and what is done. */
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { makeTemporaryFolder } from '../../support/git.ts';
import { makeClusterProject } from './stage-rig.ts';

interface Ended {
  readonly type: string;
  readonly error?: { readonly code: string; readonly message: string; readonly hint: string };
}

function stage(name: string, fields: Readonly<Record<string, unknown>>): [string, unknown] {
  const run_on = { kubernetes: 'gpu' };
  return [name, { outs: [`${name}.txt`], image: 'busybox:1', run_on, ...fields }];
}

/** Without what differs each time. */
const plain = (text: string): string =>
  text
    .replaceAll(/-[0-9a-f]{12}\b/g, '-HASH')
    .replaceAll(/-HASH-[a-z0-9]{5}\b/g, '-HASH-POD')
    .replaceAll(/0\/\d nodes are available.*/g, 'THE WORDS OF THE SCHEDULER')
    .replaceAll(/Back-off pulling image "[^"]*": ErrImagePull: /g, '');

const TOLD = [
  `account: job-no-pod: stage account did not start on the cluster, and its job was deleted: Error creating: pods "mlv-account-HASH-POD" is forbidden: error looking up service account ml/nobody: serviceaccount "nobody" not found
  Correct kubernetes.nobody.serviceAccount, or ask for a larger quota.`,
  'again ran',
  `deadline: job-timeout: stage deadline failed on the cluster: Pod was active on the node longer than the specified deadline
  Raise timeout of the stage in mlv.yaml, line 1. mlv logs deadline shows all that it printed.`,
  `deleted: job-deleted: stage deleted was ended: somebody deleted its job mlv-deleted-HASH
  Run the same command again to send it anew.`,
  `disk: job-out-of-disk: stage disk failed on the cluster: Usage of EmptyDir volume "work" exceeds the limit "1Gi".
  Raise resources.disk of the stage in mlv.yaml, line 1.`,
  `exits: stage-failed: stage exits failed on the cluster: its command ended with code 3
  mlv logs exits shows all that it printed.`,
  `final: stage-failed: stage final failed on the cluster: its command ended with code 4
  mlv logs final shows all that it printed.`,
  `image: job-image: stage image did not start on the cluster, and its job was deleted: stage: rpc error: code = NotFound desc = failed to pull and unpack image "nowhere.test/none:1": failed to resolve reference "nowhere.test/none:1": nowhere.test/none:1: not found
  Is image of the stage in mlv.yaml, line 1 right, and may the cluster pull it? kubernetes.gpu.pullSecrets names secrets for that.`,
  `large: job-pending: stage large did not start on the cluster, and its job was deleted: THE WORDS OF THE SCHEDULER
  Ask for less in resources of the stage in mlv.yaml, line 1, or raise pending_timeout to wait longer.`,
  'node ran',
  `nothing: job-output: stage nothing failed on the cluster: the stage did not make nothing.txt
  Its command succeeded all the same: let it write there, or correct "outs" of the stage in mlv.yaml, line 1.`,
  `oom: job-out-of-memory: stage oom failed on the cluster: stage was killed for its memory
  Raise resources.memory of the stage in mlv.yaml, line 1.`,
  'preempted ran',
  `quiet: job-out-of-disk: stage quiet failed on the cluster: Usage of EmptyDir volume "work" exceeds the limit "1Gi".
  Raise resources.disk of the stage in mlv.yaml, line 1.`,
  `refused: job-credentials: stage refused failed on the cluster: http://127.0.0.1:PORT does not accept the credentials for s3://data/team: InvalidAccessKeyId (403): The AWS Access Key Id you provided does not exist in our records.
  The pod may not use the remote: name a secret with its credentials, mlv config kubernetes.denied.credentials SECRET, or a service account that may.`,
  'sandbox ran',
  `secret: job-config: stage secret did not start on the cluster, and its job was deleted: stage: secret "none" not found
  Correct what the stage in mlv.yaml, line 1 names: secrets, claims and images have to be there.`,
];
const LEFT = [
  'again',
  'deadline',
  'disk',
  'exits',
  'final',
  'node',
  'nothing',
  'oom',
  'preempted',
  'quiet',
  'refused',
  'sandbox',
];

const pipelineOf = (...stages: [string, unknown][]) => JSON.stringify({ stages: Object.fromEntries(stages) });

function endedOf(stdout: string): Record<string, Ended> {
  const ended: Record<string, Ended> = {};
  for (const line of stdout.split('\n').filter(Boolean)) {
    const { stage: name, ...rest } = JSON.parse(line) as Ended & { stage?: string };
    if (name !== undefined) ended[name] = rest;
  }
  return ended;
}

test('each failure has its name, its words and its advice', async () => {
  const flag = join(makeTemporaryFolder(), 'tried');
  const slow = 'sleep 20';
  const spare = { spec: { nodeSelector: { spare: 'true' } } };
  const project = await makeClusterProject(
    pipelineOf(
      stage('exits', { cmd: ['echo one', 'echo two; exit 3', 'echo never'] }),
      stage('final', { cmd: 'exit 4', retries: 5, no_retry_exit_codes: [4] }),
      stage('again', { cmd: `if mkdir ${flag}; then echo first; exit 1; fi; echo second | tee again.txt`, retries: 2 }),
      stage('oom', { cmd: slow }),
      stage('disk', { cmd: slow }),
      stage('quiet', { cmd: 'echo x > quiet.txt' }),
      stage('preempted', { cmd: 'echo going; sleep 0.3; echo x > preempted.txt' }),
      stage('node', { cmd: 'sleep 0.5; echo x > node.txt', pod: spare }),
      stage('image', { cmd: slow, image: 'nowhere.test/none:1' }),
      stage('secret', { cmd: slow, secrets: ['none'] }),
      stage('account', { cmd: slow, run_on: { kubernetes: 'nobody' } }),
      stage('large', { cmd: slow, resources: { cpu: 500 }, pending_timeout: 4 }),
      stage('deadline', { cmd: slow, timeout: 20 }),
      stage('nothing', { cmd: 'true' }),
      stage('refused', { cmd: 'true', run_on: { kubernetes: 'denied' } }),
      stage('deleted', { cmd: slow }),
      stage('sandbox', { cmd: 'echo made; echo x > sandbox.txt' }),
    ),
    {},
    {
      profiles: { nobody: { serviceAccount: 'nobody' }, denied: { credentials: 'denied' } },
      settings: { imageGrace: '3s' },
      secrets: { denied: { AWS_ACCESS_KEY_ID: 'nobody', AWS_SECRET_ACCESS_KEY: 'nothing' } },
      nodes: [
        // Of a pool, which may get larger nodes: so the stage is sent, and waits.
        { name: 'node-1', cpu: '100', labels: { 'cloud.google.com/gke-nodepool': 'small' } },
        ...['2', '3'].map((n) => ({ name: `node-${n}`, labels: { spare: 'true' }, taints: [] })),
      ],
      orders: [
        { on: { pod: 'oom', container: 'stage' }, trouble: { kind: 'oom' } },
        { on: { pod: 'disk', container: 'stage' }, trouble: { kind: 'exceed-disk', exitCode: 0, phase: 'Failed' } },
        { on: { pod: 'quiet', container: 'push' }, trouble: { kind: 'exceed-disk', exitCode: 0 } },
        { on: { pod: 'preempted', container: 'stage', moment: { line: 'going' } }, trouble: { kind: 'preempt' } },
        { on: { pod: 'node', container: 'stage' }, trouble: { kind: 'lose-node', goneMs: 100 } },
        { on: { pod: 'sandbox', container: 'push' }, trouble: { kind: 'lose-sandbox', isRerun: true } },
      ],
    },
  );
  const running = project.start('--json', 'repro', '-k');
  const { metadata } = await project.cluster.until(
    'pods',
    ({ metadata: { name }, status }) =>
      name.startsWith('mlv-deleted') && status.initContainerStatuses?.[1]?.state.running !== undefined,
    60_000,
  );
  project.cluster.delete('jobs', metadata.name.replace(/-[^-]+$/, ''));
  const { code, stdout, stderr } = await running.result;
  expect([code, stderr]).toEqual([1, '']);
  const { port } = project.store;
  const told = Object.entries(endedOf(stdout))
    .map(([name, { type, error }]) =>
      error === undefined ? `${name} ${type}` : `${name}: ${error.code}: ${error.message}\n  ${error.hint}`,
    )
    .map((text) => plain(text).replaceAll(String(port), 'PORT'));
  expect(told.toSorted()).toEqual(TOLD);
  const logOf = async (name: string): Promise<string> => plain((await project.run('logs', name)).stdout);
  expect(await logOf('again')).toMatch(/^first$[^]*^second$/m);
  expect(await logOf('again')).toMatch(/^# mlv: a try failed: its command ended with code 1$/m);
  expect(await logOf('preempted')).toMatch(
    /^# mlv: a try failed: default-scheduler: preempting to accommodate a higher priority pod$/m,
  );
  expect(await logOf('node')).toMatch(/^# mlv: a try failed: (PodGC: node no longer exists|Taint manager: .*)$/m);
  expect((await logOf('sandbox')).split('\n').filter((line) => line === 'made')).toHaveLength(1);
  // Pulled, and waited for, again and again.
  const waits = (await logOf('image')).split('\n').filter((line) => line.includes('waits for an image'));
  expect(waits).toHaveLength(2);
  // What was given up is deleted, and what somebody deleted stays away.
  const left = project.cluster
    .list('jobs')
    .map(({ metadata: { name } }) => plain(name).slice('mlv-'.length, -'-HASH'.length));
  expect(left.toSorted()).toEqual(LEFT);
  const preempted = project.cluster.list('jobs').find(({ metadata: { name } }) => name.startsWith('mlv-preempted'));
  // It was not counted as a failure.
  expect(preempted?.status.failed).toBeUndefined();
});
