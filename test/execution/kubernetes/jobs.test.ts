/** Jobs on a cluster, as the commands that manage them tell of them, from several clones. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { Cluster } from '../../support/kubernetes/cluster.ts';
import type { ClusterProject } from './stage-rig.ts';
import { makeClusterProject, ONE_STAGE, TRAIN } from './stage-rig.ts';

interface Training {
  readonly project: ClusterProject;
  readonly cluster: Cluster;
  readonly job: string;
  /** Lets the command end. */
  goOn(): void;
  /** Leaves the job to itself. */
  detach(): Promise<void>;
  readonly repro: ReturnType<ClusterProject['start']>;
}

/** A project whose stage has begun, has printed `begun`, and waits for a word. */
async function training(): Promise<Training> {
  const project = await makeClusterProject(ONE_STAGE, { 'rows.txt': 'a\nb\nc\n' });
  const { cluster } = project;
  const gate = join(project.mlv.folder, 'gate');
  project.write({ 'train.sh': `echo begun\nwhile ! test -e '${gate}'; do sleep 0.02; done\n${TRAIN}` });
  project.git('add', '--all');
  project.git('commit', '--quiet', '-m', 'train');
  const repro = project.start('repro');
  await cluster.until(
    'pods',
    ({ status }) => status.initContainerStatuses?.some((each) => each.name === 'stage' && each.state?.running) === true,
  );
  return {
    project,
    cluster,
    job: cluster.list('jobs')[0]?.metadata.name ?? '',
    goOn: () => writeFileSync(gate, ''),
    async detach() {
      repro.process.kill('SIGTERM');
      expect((await repro.result).code).toBe(75);
    },
    repro,
  };
}

function mapNames(cluster: Cluster): string[] {
  return cluster
    .list('configmaps')
    .map(({ metadata }) => metadata.name)
    .toSorted();
}

test('a job that was left to itself is listed, followed and cleaned up from any clone, and taken by repro', async () => {
  const { project, cluster, job, goOn, detach } = await training();
  await detach();
  const clone = await project.clone('clone');
  const { stdout } = await clone.run('jobs');
  expect(stdout.replace(/\d+ (?:s|min)$/m, 'AGE')).toBe(
    `stage  job                     state  sent by                age\ntrain  ${job}  runs   Ada <ada@example.com>  AGE\n`,
  );
  // The log here ends where it was left.
  const now = await project.run('logs', 'train');
  expect(now.stdout).toMatch(/^laid out .*\nbegun\n$/);
  expect(now.stderr).toBe(`job ${job}, sent by Ada <ada@example.com>, in namespace ml of test\n`);

  const follower = clone.start('logs', '-f', 'train');
  await new Promise((resolve) => follower.process.stdout?.once('data', resolve));
  goOn();
  const followed = await follower.result;
  expect(followed.code).toBe(0);
  expect(followed.stdout).toMatch(/^laid out .*\nbegun\ntrained\ntook in .*\n$/);
  expect(followed.stderr).toContain('the job is complete: mlv repro takes its result\n');

  expect(await clone.told('jobs')).toBe(
    'No jobs are under way, and none failed\n1 job that ended well: mlv jobs --all lists them, too\n',
  );
  expect(await clone.told('jobs', 'gc')).toBe(
    'There is nothing to delete\n1 job kept, whose result is not here yet: mlv repro takes it\n',
  );
  expect((await project.run('repro')).stderr).toContain('1 ran');
  expect(await project.told('jobs', '--all')).toMatch(/^train .* complete /m);
  expect(await project.told('jobs', 'gc')).toBe(`deleted  job ${job}  train  complete\n`);
  expect(cluster.list('jobs')).toEqual([]);
  expect(mapNames(cluster)).toEqual([expect.stringMatching(/^mlv-runtime-/)]);
});

test('a job is cancelled from another clone while somebody follows it', async () => {
  const { project, cluster, job, repro } = await training();
  const clone = await project.clone('clone');
  const refused = await clone.run('jobs', 'cancel', 'tarin');
  expect([refused.code, refused.stderr]).toEqual([
    1,
    'error: this project has no job and no stage with a job that is called "tarin"\nhint: Did you mean train?\n',
  ]);
  expect(await clone.told('jobs', 'cancel', 'train')).toBe(
    `deleted job ${job}, sent by Ada <ada@example.com> for stage train, from namespace ml of test\n`,
  );
  const { code, stderr } = await repro.result;
  expect([code, stderr]).toEqual([
    1,
    expect.stringContaining(`stage train was ended: somebody deleted its job ${job}`),
  ]);
  expect(cluster.list('jobs')).toEqual([]);
});
