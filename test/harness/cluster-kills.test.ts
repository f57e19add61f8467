/**
 * `mlv repro` killed by SIGKILL at any moment of a stage on a cluster, from before anything is sent until after its record, and run again: one
 * Job does the work, its result is not lost, and is recorded once.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { ClusterProject } from '../execution/kubernetes/stage-rig.ts';
import { makeClusterProject, ONE_STAGE } from '../execution/kubernetes/stage-rig.ts';
import { openHistogram } from './kill/histogram.ts';
import { seededRandom } from './random.ts';

/** Rounds of one to three kills; `npm run test:cluster` makes more. A seed in the environment repeats a run. */
const KILLS = Number(process.env['MLV_CLUSTER_KILLS'] ?? 2);
const SEED = Number(process.env['MLV_CLUSTER_KILL_SEED'] ?? Date.now() % 1_000_000);
/** A run may be killed again and again before it is left to end. */
const MOST_KILLS = 3;

const TRAIN = `mkdir model
sed 's/^/w /' rows.txt > model/weights
sleep 0.1
echo '{"lines": 3}' > metrics.json
`;
const METRICS = '{"lines": 3}\n';

const makeProject = (): Promise<ClusterProject> =>
  makeClusterProject(ONE_STAGE, { 'rows.txt': 'a\nb\nc\n', 'train.sh': TRAIN });
const read = ({ root }: ClusterProject, name: string): string => readFileSync(join(root, name), 'utf8');

/** Records of runs that the project has. */
function runsOf({ root }: ClusterProject): string[] {
  const folder = join(root, '.git/mlv');
  return readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((path) =>
    /(^|\/)runs\/..\/[0-9a-f]{64}\/[0-9a-f]{64}$/.test(path),
  );
}

/** How far the cluster has come. */
function progressOf({ cluster, store }: ClusterProject): string {
  const [job] = cluster.list('jobs');
  if (job === undefined)
    return cluster.list('configmaps').length > 0
      ? 'job being sent'
      : store.bucket().objects().size > 1
        ? 'data being sent'
        : 'nothing sent';
  return job.status.conditions?.some(({ type }) => type === 'Complete') === true ? 'job complete' : 'job under way';
}

test('killed at any moment, and run again', { timeout: 60_000 + KILLS * 30_000 }, async () => {
  console.log(`MLV_CLUSTER_KILL_SEED=${SEED}`);
  const moments = openHistogram('moment', 'kills', 'by what the cluster had');
  const whole = await makeProject();
  const began = performance.now();
  expect((await whole.run('repro')).code).toBe(0);
  const wholeMs = performance.now() - began;
  const lock = read(whole, 'mlv.lock');
  const runs = runsOf(whole).length;
  expect(runs).toBe(1);

  for (let round = 0; round < KILLS; round++) {
    const random = seededRandom(SEED * 1000 + round);
    const project = await makeProject();
    const told: string[] = [];
    try {
      const kills = 1 + random.next(MOST_KILLS);
      for (let kill = 0; kill < kills; kill++) {
        const running = project.start('repro');
        const ms = random.next(Math.ceil(wholeMs * 1.1));
        await Promise.race([running.result, new Promise((resolve) => setTimeout(resolve, ms))]);
        running.process.kill('SIGKILL');
        const { code, stderr } = await running.result;
        const moment = code === undefined ? progressOf(project) : 'it had ended';
        moments.add('killed', moment);
        told.push(`killed after ${ms} ms, ${moment}, code ${code}:\n${stderr}`);
        // What was sent goes on meanwhile, or does not get far.
        if (random.next(2) === 0) await new Promise((resolve) => setTimeout(resolve, random.next(1500)));
      }
      const last = await project.run('repro');
      told.push(`at last, code ${last.code}:\n${last.stderr}`);
      expect(last.code).toBe(0);
      expect(read(project, 'mlv.lock')).toBe(lock);
      expect(read(project, 'metrics.json')).toBe(METRICS);
      const jobs = project.cluster.list('jobs');
      expect(jobs.map(({ status }) => status.succeeded)).toEqual([1]);
      expect(project.cluster.list('pods')).toHaveLength(1);
      expect([...project.store.bucket().objects().keys()].filter((key) => key.includes('/jobs/'))).toHaveLength(1);
      expect(runsOf(project)).toHaveLength(runs);
      expect((await project.run('repro')).stderr).toContain('1 up to date');
      expect((await project.run('pull')).code).toBe(0);
      expect(read(project, 'model/weights')).toBe('w a\nw b\nw c\n');
      expect((await project.run('status')).stdout).not.toMatch(/modified|missing/);
    } catch (error) {
      throw new Error(`round ${round} of MLV_CLUSTER_KILL_SEED=${SEED}: ${String(error)}\n${told.join('\n')}`, {
        cause: error,
      });
    }
  }
  console.log(String(moments));
});
