/** Listing, cancelling and collecting jobs beside those of others, and beside submissions that are under way. */
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { jobLines } from '../../../src/cli/jobs-text.ts';
import { createStyle } from '../../../src/cli/format.ts';
import { MlvError } from '../../../src/domain/errors.ts';
import { cancelJob } from '../../../src/execution/kubernetes/cancel-job.ts';
import { collectJobs } from '../../../src/execution/kubernetes/collect-jobs.ts';
import { projectLabel, projectOf } from '../../../src/execution/kubernetes/job-names.ts';
import { submissionOf } from '../../../src/execution/kubernetes/job.ts';
import { listJobs } from '../../../src/execution/kubernetes/list-jobs.ts';
import type { Workspace } from '../../../src/workspace/open.ts';
import { openWorkspace } from '../../../src/workspace/open.ts';
import { writeFiles } from '../../support/folders.ts';
import { makeRepository, makeTemporaryFolder } from '../../support/git.ts';
import type { Cluster } from '../../support/kubernetes/cluster.ts';
import { startRig } from '../../support/kubernetes/rig.ts';
import { digestOf } from '../../support/trees.ts';
import { requestOf } from './requests.ts';

const URL = 's3://data/team';
const SETTINGS = `remote: store
remotes:
  store:
    url: ${URL}
kubernetes:
  gpu:
    namespace: ml
  same:
    namespace: ml
`;
const PROJECT = projectOf(URL, '');
const RUNTIME = { 'app.kubernetes.io/managed-by': 'mlv' };
const TASK = { ...RUNTIME, 'mlv.dev/project': projectLabel(PROJECT) };
const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;

interface Rig {
  readonly cluster: Cluster;
  readonly workspace: Workspace;
  readonly asking: { profile: undefined; onWarning: () => void; cwd: string };
}

async function openRig(settings = SETTINGS): Promise<Rig> {
  const cluster = await startRig();
  const { root } = makeRepository(join(makeTemporaryFolder(), 'project'));
  writeFiles(root, { '.mlv/config.yaml': settings });
  const environment = { PATH: process.env['PATH'], HOME: root, KUBECONFIG: cluster.kubeconfigFile };
  const workspace = await openWorkspace({ cwd: root, environment });
  onTestFinished(() => workspace.close());
  return { cluster, workspace, asking: { profile: undefined, onWarning: () => undefined, cwd: root } };
}

/** A job that a queue holds back, sent by Ada for this project unless said otherwise. */
function send(
  cluster: Cluster,
  given: { readonly stage?: string; readonly fingerprint?: string; readonly project?: string; readonly user?: string },
): string {
  const { stage = 'train', fingerprint = 'fingerprint', project, user = 'Ada <ada@example.org>' } = given;
  const { job } = submissionOf(
    requestOf({
      name: stage,
      request: {
        fingerprint: digestOf(fingerprint),
        project: project === undefined ? PROJECT : digestOf(project),
        user,
      },
    }),
  );
  const { name, labels = {}, annotations = {} } = job.metadata;
  const spec = JSON.parse(JSON.stringify({ ...job.spec, suspend: true })) as object;
  cluster.create('jobs', { metadata: { name, labels, annotations }, spec });
  return name;
}

function end(cluster: Cluster, job: string, type: 'Complete' | 'Failed'): void {
  const now = new Date().toISOString().replace(/\.\d+/, '');
  cluster.change('jobs', job, ({ status }) => {
    status.conditions = [
      { type, status: 'True', reason: 'DeadlineExceeded', message: 'late', lastTransitionTime: now },
    ];
  });
}

function makeMap(
  cluster: Cluster,
  name: string,
  given: { readonly labels: Record<string, string>; readonly ageMs: number; readonly used?: string },
): void {
  const { labels, ageMs, used } = given;
  const annotations = used === undefined ? {} : { 'mlv.dev/used': used };
  cluster.create('configmaps', { metadata: { name, labels, annotations } });
  cluster.change('configmaps', name, ({ metadata }) => {
    metadata.creationTimestamp = new Date(Date.now() - ageMs).toISOString().replace(/\.\d+/, '');
  });
}

function names(cluster: Cluster, resource: 'jobs' | 'configmaps'): string[] {
  return cluster
    .list(resource)
    .map(({ metadata }) => metadata.name)
    .toSorted();
}

async function failure(promise: Promise<unknown>): Promise<unknown> {
  return promise.catch((error: unknown) => {
    if (!(error instanceof MlvError)) throw error;
    const { code, message, items } = error;
    return { code, message, items };
  });
}

test('lists the jobs of the project, by whom they were sent and why they wait, each once', async () => {
  const { cluster, workspace, asking } = await openRig();
  const own = send(cluster, {});
  const bobs = send(cluster, { fingerprint: 'other', user: 'Bob <bob@example.org>' });
  send(cluster, { fingerprint: 'third', project: 'another project' });
  end(cluster, bobs, 'Failed');
  const { jobs, failures } = await listJobs(workspace, asking);
  expect(failures).toEqual([]);
  expect(jobs.toSorted((a, b) => (a.sentBy < b.sentBy ? -1 : 1))).toMatchObject([
    {
      job: own,
      stage: 'train',
      profile: 'gpu',
      sentBy: 'Ada <ada@example.org>',
      state: { type: 'waiting', wait: 'queued' },
    },
    { job: bobs, stage: 'train', sentBy: 'Bob <bob@example.org>', state: { type: 'failed', kind: 'timeout' } },
  ]);
  const now = Math.max(...jobs.map(({ created }) => Date.parse(created))) + 3 * 60 * MINUTE_MS;
  const lines = jobLines(jobs, createStyle(false), { hidden: 0, now, columns: 60 });
  expect(lines).toHaveLength(3);
  for (const line of lines) expect(line.length).toBeLessThanOrEqual(60);
  expect(lines[0]).toMatch(/^stage +job +state +sent by +age$/);
  expect(lines.slice(1).toSorted()).toEqual([
    expect.stringMatching(/^train +\S+ +failed: time.* +Bob .* +3 h$/),
    expect.stringMatching(/^train +\S+ +waits in the .* +Ada .* +3 h$/),
  ]);
});

test('asks the events why a job has no pod', async () => {
  const { cluster, workspace, asking } = await openRig();
  const job = send(cluster, {});
  cluster.change('jobs', job, ({ spec }) => {
    spec.template.spec.serviceAccountName = 'nobody';
    spec.suspend = false;
  });
  await cluster.until('events', (event) => JSON.stringify(event).includes('"FailedCreate"'));
  const { jobs } = await listJobs(workspace, asking);
  expect(jobs).toMatchObject([
    { job, state: { type: 'waiting', wait: 'no-pod', message: expect.stringContaining('"nobody" not found') } },
  ]);
});

test('a cluster that cannot be asked hides no other; alone it is an error', async () => {
  const { cluster, workspace, asking } = await openRig(`${SETTINGS}  away:\n    namespace: elsewhere\n`);
  const job = send(cluster, {});
  cluster.tokens.set('token', { user: 'ada', rules: [] });
  expect(await failure(listJobs(workspace, asking))).toMatchObject({ code: 'kubernetes-forbidden' });
  cluster.tokens.set('token', { user: 'ada', rules: [{ verbs: ['list'], resources: ['*'], namespaces: ['ml'] }] });
  const { jobs, failures } = await listJobs(workspace, asking);
  expect(jobs.map((each) => each.job)).toEqual([job]);
  expect(failures).toMatchObject([{ profile: 'away', error: { code: 'kubernetes-forbidden' } }]);
  expect(await failure(listJobs(workspace, { ...asking, profile: 'gpo' }))).toMatchObject({
    code: 'kubernetes-profile-unknown',
  });
});

test('cancels a job by its name or its stage, and nothing that is none of this project', async () => {
  const { cluster, workspace, asking } = await openRig();
  const cancel = (target: string) => cancelJob(workspace, { ...asking, target });
  const bobs = send(cluster, { user: 'Bob <bob@example.org>' });
  const other = send(cluster, { fingerprint: 'other' });
  const foreign = send(cluster, { fingerprint: 'third', project: 'another project' });
  expect(await failure(cancel('train'))).toMatchObject({
    code: 'job-ambiguous',
    message: 'stage train has 2 jobs under way',
  });
  expect(await cancel(other)).toMatchObject({ job: other });
  expect(await cancel('train')).toMatchObject({ job: bobs, sentBy: 'Bob <bob@example.org>' });
  expect(await failure(cancel(foreign))).toMatchObject({
    code: 'job-foreign',
    message: `job ${foreign} in namespace ml of test is none that mlv sent for this project`,
  });
  expect(await failure(cancel('a,b=c'))).toMatchObject({ code: 'job-unknown' });
  const ended = send(cluster, { stage: 'ended' });
  end(cluster, ended, 'Failed');
  expect(await failure(cancel('ended'))).toMatchObject({ code: 'job-ended' });
  expect(names(cluster, 'jobs')).toEqual([ended, foreign].toSorted());
});

test('a collection takes what ended and is of no use, and nothing of others', async () => {
  const { cluster, workspace, asking } = await openRig();
  const [running, failed, complete] = ['one', 'two', 'three'].map((fingerprint) => send(cluster, { fingerprint }));
  const foreign = send(cluster, { project: 'another project' });
  end(cluster, failed ?? '', 'Failed');
  end(cluster, complete ?? '', 'Complete');
  end(cluster, foreign, 'Failed');
  makeMap(cluster, 'nightly', { labels: {}, ageMs: 9 * DAY_MS });
  makeMap(cluster, 'mlv-other', { labels: { ...TASK, 'mlv.dev/project': 'ffffffffffff' }, ageMs: 9 * DAY_MS });
  const before = names(cluster, 'configmaps');
  const dry = await collectJobs(workspace, { ...asking, isDry: true });
  expect(names(cluster, 'jobs')).toHaveLength(4);
  const collected = await collectJobs(workspace, { ...asking, isDry: false });
  expect(collected).toEqual(dry);
  expect(collected.jobs.map(({ job }) => job)).toEqual([failed]);
  // Its result may be hours of work that nobody has taken yet.
  expect(collected.kept.map(({ job }) => job)).toEqual([complete]);
  expect(names(cluster, 'jobs')).toEqual([running ?? '', complete ?? '', foreign].toSorted());
  expect(names(cluster, 'configmaps')).toEqual(before);
});

test('a collection leaves what a submission may be about to use', async () => {
  const { cluster, workspace, asking } = await openRig();
  const used = submissionOf(requestOf({ request: { project: PROJECT } }));
  send(cluster, {});
  makeMap(cluster, used.task.metadata.name, { labels: TASK, ageMs: 9 * DAY_MS });
  makeMap(cluster, 'mlv-train-young', { labels: TASK, ageMs: 50 * MINUTE_MS });
  makeMap(cluster, 'mlv-train-left', { labels: TASK, ageMs: 70 * MINUTE_MS });
  const runtime = (last: number): string => `mlv-runtime-00000000000${last}`;
  makeMap(cluster, requestOf().runtime, { labels: RUNTIME, ageMs: 9 * DAY_MS });
  makeMap(cluster, runtime(1), { labels: RUNTIME, ageMs: 23 * 60 * MINUTE_MS });
  makeMap(cluster, runtime(2), { labels: RUNTIME, ageMs: 25 * 60 * MINUTE_MS });
  makeMap(cluster, runtime(3), { labels: RUNTIME, ageMs: 9 * DAY_MS, used: new Date().toISOString() });
  makeMap(cluster, runtime(4), { labels: RUNTIME, ageMs: 9 * DAY_MS });
  makeMap(cluster, 'mlv-runtime-settings', { labels: RUNTIME, ageMs: 9 * DAY_MS });
  const before = names(cluster, 'configmaps');
  const { configMaps: would } = await collectJobs(workspace, { ...asking, isDry: true });
  expect(would.map(({ name, kind }) => [name, kind])).toEqual([
    ['mlv-train-left', 'task'],
    [runtime(2), 'runtime'],
    [runtime(4), 'runtime'],
  ]);
  expect(names(cluster, 'configmaps')).toEqual(before);

  // A submission notes that it uses the last one just as that is about to go.
  const deleting = cluster.faults.add({
    on: { verb: 'delete', name: runtime(4) },
    action: { kind: 'delay', ms: 200 },
  });
  const collecting = collectJobs(workspace, { ...asking, isDry: false });
  while (deleting.hits === 0) await new Promise((resolve) => setTimeout(resolve, 2));
  cluster.change('configmaps', runtime(4), ({ metadata }) => {
    metadata.annotations = { 'mlv.dev/used': new Date().toISOString() };
  });
  expect((await collecting).configMaps.map(({ name }) => name)).toEqual(['mlv-train-left', runtime(2)]);
  expect(names(cluster, 'configmaps')).toEqual(before.filter((name) => !['mlv-train-left', runtime(2)].includes(name)));
});
