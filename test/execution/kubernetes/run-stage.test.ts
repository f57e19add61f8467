/** Stages that run on the cluster double: its kubelets really fetch, compute and push. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { makeClusterProject, PIPELINE, TRAIN } from './stage-rig.ts';

const INPUT = 'c\na\nb\n';

test('a stage runs there between two that run here, and its metrics come back', async () => {
  const project = await makeClusterProject(PIPELINE, { 'in.txt': INPUT, 'train.sh': TRAIN });
  const { code, stdout, stderr } = await project.run('repro');
  expect([code, stdout + stderr]).toEqual([0, expect.stringContaining('3 ran')]);
  expect(readFileSync(join(project.root, 'report.txt'), 'utf8')).toBe('w a\nw b\nw c\n');
  expect(JSON.parse(readFileSync(join(project.root, 'metrics.json'), 'utf8'))).toEqual({ lines: 3 });
  expect(readFileSync(join(project.root, 'mlv.lock'), 'utf8')).toContain('model: {type: dir');
  expect((await project.run('repro')).stderr).toContain('3 up to date');
  expect(project.cluster.list('jobs')).toHaveLength(1);
});
