/** Who leaves a stage on a cluster, who joins it, and who sends it anew. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { makeTemporaryFolder } from '../../support/git.ts';
import type { ClusterProject } from './stage-rig.ts';
import { makeClusterProject } from './stage-rig.ts';

const SLOW = (gate: string): string => `stages:
  train:
    cmd: GATE=${gate} sh train.sh
    deps: [train.sh]
    outs: [model]
    metrics:
      - metrics.json: {cache: false}
    image: busybox:1
    run_on: {kubernetes: gpu}
`;
const TRAIN = `echo begun
while ! test -e "$GATE"; do sleep 0.02; done
echo weights > model
echo '{"loss": 1}' > metrics.json
echo done
`;

async function slowProject(settings: Readonly<Record<string, unknown>> = {}) {
  const gate = join(makeTemporaryFolder(), 'open');
  const project = await makeClusterProject(SLOW(gate), { 'train.sh': TRAIN }, { settings });
  return { project, open: () => writeFileSync(gate, '') };
}

const running = ({ cluster }: ClusterProject) =>
  cluster.until(
    'pods',
    ({ status }) =>
      status.initContainerStatuses?.some(({ name, state }) => name === 'stage' && state.running !== undefined) === true,
    10_000,
  );
const complete = ({ cluster }: ClusterProject) =>
  cluster.until('jobs', ({ status }) => status.conditions?.some(({ type }) => type === 'Complete') === true, 10_000);
const jobNames = ({ cluster }: ClusterProject): string[] => cluster.list('jobs').map(({ metadata: { name } }) => name);
const lockOf = ({ root }: ClusterProject): string => readFileSync(join(root, 'mlv.lock'), 'utf8');

/** What is said of a job and of the outcome, without what differs each time. */
const told = (stderr: string): string[] =>
  stderr
    .replaceAll(/-[0-9a-f]{12}\b/g, '-HASH')
    .replaceAll(/in \d+\.\d s/g, 'in TIME')
    .split('\n')
    .filter((line) => /\| job|it was sent|⇢|^[✓⊘]|^error/.test(line));
const JOB = 'mlv-train-HASH';
const SENT = `train | job ${JOB} was sent to test, namespace ml`;
const GOES_ON = `train | job ${JOB} goes on: run the same command again to join it, or mlv jobs cancel ${JOB} to end it`;
const ADA = 'Ada <ada@example.com>';

test('left by Ctrl-C it goes on; the next run joins it, and the one after takes what it made', async () => {
  const { project, open } = await slowProject();
  const first = project.start('repro');
  await running(project);
  first.process.kill('SIGINT');
  const left = await first.result;
  expect([left.code, told(left.stderr)]).toEqual([
    75,
    [SENT, GOES_ON, `train ⇢ goes on as ${JOB}`, '⊘ 1 detached in TIME'],
  ]);
  const [name = ''] = jobNames(project);

  const second = project.start('--json', 'repro');
  // It has joined when it asks for the log.
  const asked = project.cluster.requests.length;
  const logs = () => project.cluster.requests.slice(asked).filter(({ subresource }) => subresource === 'log');
  await expect.poll(logs, { timeout: 20_000 }).not.toEqual([]);
  second.process.kill('SIGTERM');
  const again = await second.result;
  const rows = again.stdout
    .split('\n')
    .filter(Boolean)
    .map((line): unknown => JSON.parse(line));
  expect([again.code, again.stderr, rows]).toEqual([
    75,
    '',
    [
      { stage: 'train', type: 'detached', job: name },
      {
        result: {
          stages: 1,
          detached: 1,
          seconds: expect.any(Number),
          warnings: [expect.stringContaining('busybox:1')],
        },
      },
    ],
  ]);

  open();
  await complete(project);
  const third = await project.run('repro');
  expect([third.code, told(third.stderr)]).toEqual([
    0,
    [`train | job ${JOB} of ${ADA} has ended: it is taken`, '✓ 1 ran in TIME'],
  ]);
  expect(jobNames(project)).toEqual([name]);
  expect(readFileSync(join(project.root, 'metrics.json'), 'utf8')).toBe('{"loss": 1}\n');
  expect(await project.told('pull')).toContain('model');
});

test('with `interrupt: delete` it is ended, with all that was made for it', async () => {
  const { project } = await slowProject({ interrupt: 'delete' });
  const first = project.start('repro');
  await running(project);
  first.process.kill('SIGINT');
  const { code, stderr } = await first.result;
  expect([code, told(stderr)]).toEqual([130, [SENT, '⊘ 1 cancelled in TIME', 'error: interrupted']]);
  await expect.poll(() => [...jobNames(project), ...project.cluster.list('pods')]).toEqual([]);
  await expect.poll(() => project.cluster.list('configmaps')).toHaveLength(1);
});

test('two clones that send at once make one job; a third takes its result, or forces another', async () => {
  const { project, open } = await slowProject();
  const other = await project.clone('other');
  const both = [project.start('repro'), other.start('repro')];
  await running(project);
  open();
  const ended = (await Promise.all(both.map(({ result }) => result))).map(({ stderr }) => told(stderr));
  expect(ended.toSorted((a, b) => (a.includes(SENT) ? 1 : b.includes(SENT) ? -1 : 0))).toEqual([
    [expect.stringMatching(`^train . job ${JOB} of ${ADA} (is under way|has ended): it is taken$`), '✓ 1 ran in TIME'],
    [SENT, '✓ 1 ran in TIME'],
  ]);
  const [name = ''] = jobNames(project);
  expect(jobNames(project)).toEqual([name]);
  expect(lockOf(other)).toBe(lockOf(project));

  const third = await project.clone('third');
  third.write({ 'note.txt': 'other code' });
  expect(told((await third.run('repro')).stderr)).toEqual([
    `train | job ${JOB} of ${ADA} has ended: it is taken`,
    'train | it was sent with other code around the stage than is here',
    '✓ 1 ran in TIME',
  ]);
  expect(lockOf(third)).toBe(lockOf(project));
  expect((await third.run('repro', '--force')).code).toBe(0);
  expect(jobNames(project)).toEqual([name, `${name}-r1`]);
});

test('an ended job without a record of its result is sent anew', async () => {
  const { project, open } = await slowProject();
  open();
  await project.run('repro');
  const [name = ''] = jobNames(project);
  const other = await project.clone('other');
  const records = [...project.store.bucket().objects().keys()].filter((key) => key.startsWith('team/jobs/'));
  expect(records).toHaveLength(1);
  for (const key of records) await project.store.bucket().delete(key);
  expect(told((await other.run('repro')).stderr)).toEqual([
    `train | job ${JOB} of ${ADA} has ended: it is taken`,
    `train | job ${JOB} left no result on remote store: it is sent anew`,
    `train | job ${JOB}-r1 was sent to test, namespace ml`,
    '✓ 1 ran in TIME',
  ]);
  expect(jobNames(project)).toEqual([name, `${name}-r1`]);
});

test('goes on through a server that forgets, cuts streams, is away and wants another token, and prints each line once', async () => {
  const { project, open } = await slowProject();
  const { cluster } = project;
  const run = project.start('repro');
  await running(project);
  await expect
    .poll(() => cluster.requests.filter(({ subresource }) => subresource === 'log').length, { timeout: 20_000 })
    .toBeGreaterThan(1);
  cluster.compact();
  cluster.cutStreams('gone');
  cluster.cutStreams('reset');
  cluster.faults.add({ times: 6, action: { kind: 'status', code: 503, message: 'away' } });
  cluster.faults.add({ on: { verb: 'watch' }, times: 1, action: { kind: 'status', code: 401 } });
  cluster.faults.add({ on: { verb: 'list' }, times: 2, action: { kind: 'reset' } });
  await new Promise((resolve) => setTimeout(resolve, 1000));
  open();
  const { code, stderr } = await run.result;
  expect([code, told(stderr)]).toEqual([0, [SENT, '✓ 1 ran in TIME']]);
  const printed = stderr.split('\n').filter((line) => /^train \| (begun|done|laid|took)/.test(line));
  expect(printed.map((line) => line.split(' ')[2])).toEqual(['laid', 'begun', 'done', 'took']);
});
