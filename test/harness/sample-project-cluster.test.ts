/** The sample project of fixtures/penguins with its models trained on a cluster: by a profile, an image and `run_on`, and nothing else. */
import { cpSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';
import type { ClusterProject } from '../execution/kubernetes/stage-rig.ts';
import { makeClusterProject } from '../execution/kubernetes/stage-rig.ts';
import { readFolder } from '../support/folders.ts';
import { makeMlvRig } from '../support/mlv.ts';
import { told } from '../support/told.ts';

const SAMPLE = fileURLToPath(new URL('../../fixtures/penguins', import.meta.url));
const PENGUINS = fileURLToPath(new URL('../../node_modules/vega-datasets/data/penguins.json', import.meta.url));
const MODELS = ['models/nearest.json', 'models/softmax.json'];
/** What is more in `mlv.yaml`, for `train@nearest` and `train@softmax`. */
const ON_CLUSTER = `      image: node:20-slim
      run_on: {kubernetes: gpu}
`;

test('models trained on a cluster are those trained here, and stay there until they are needed', async () => {
  const here = await sampleHere();
  const project = await sampleOnCluster();
  const { root, cluster } = project;

  expect(await repro(project, 'train')).toEqual({
    prepare: 'ran',
    features: 'ran',
    'train@nearest': 'ran',
    'train@softmax': 'ran',
  });
  expect(cluster.list('jobs').map(({ metadata }) => metadata.annotations?.['mlv.dev/stage'])).toEqual(
    expect.arrayContaining(['train@nearest', 'train@softmax']),
  );
  expect(filesIn(root)).toEqual(['models/.gitignore']);
  expect(await inCache(project)).toEqual([false, false]);

  // On the cluster nothing more is to be done; evaluating takes the models, and they come.
  expect(await repro(project)).toEqual({ evaluate: 'ran' });
  expect(await inCache(project)).toEqual([true, true]);
  expect(filesIn(root)).toEqual(['models/.gitignore', ...MODELS]);
  expect(cluster.list('jobs')).toHaveLength(2);
  expect(recordIn(root)).toEqual(recordIn(here));
  expect(recordIn(root)).toContainEqual(expect.stringContaining('models/nearest.json: {hash: b3:'));
  for (const path of ['metrics.json', 'confusion.csv', ...MODELS])
    expect(readFileSync(join(root, path), 'utf8')).toBe(readFileSync(join(here, path), 'utf8'));
  expect(JSON.parse(readFileSync(join(root, 'metrics.json'), 'utf8'))).toEqual({
    nearest: { accuracy: expect.any(Number), mistakes: expect.any(Number) },
    softmax: { accuracy: expect.any(Number), mistakes: expect.any(Number) },
  });
});

test('a second clone runs nothing, and sends no job', async () => {
  const project = await sampleOnCluster();
  await repro(project);
  await project.told('push', '--run-cache');
  project.git('add', '--all');
  project.git('commit', '--quiet', '-m', 'the first models');

  const clone = await project.clone('clone');
  await clone.told('pull', '--run-cache');
  expect(await repro(clone)).toEqual({});
  expect(clone.git('status', '--porcelain')).toBe('');
  // Nor where nothing is on record but results: without the lock, all of them are restored.
  rmSync(join(clone.root, 'mlv.lock'));
  expect(new Set(Object.values(await repro(clone)))).toEqual(new Set(['restored']));
  expect(clone.git('status', '--porcelain')).toBe('');
  expect(project.cluster.list('jobs')).toHaveLength(2);
});

/** Made without any cluster. */
async function sampleHere(): Promise<string> {
  const rig = makeMlvRig();
  onTestFinished(() => rig.dispose());
  const { root } = await rig.project('here');
  cpSync(SAMPLE, root, { recursive: true });
  cpSync(PENGUINS, join(root, 'data/penguins.json'));
  await told(rig, root, ['add', 'data/penguins.json']);
  await rig.mlv(root, ['repro']);
  return root;
}

/** Committed, with nothing made yet. */
async function sampleOnCluster(): Promise<ClusterProject> {
  const pipeline = readFileSync(join(SAMPLE, 'mlv.yaml'), 'utf8').replace(/(?<=\n    do:\n)/, ON_CLUSTER);
  const project = await makeClusterProject(pipeline, {});
  const { root, git } = project;
  cpSync(SAMPLE, root, { recursive: true, filter: (path) => !path.endsWith('/mlv.yaml') });
  cpSync(PENGUINS, join(root, 'data/penguins.json'));
  await project.told('add', 'data/penguins.json');
  git('add', '--all');
  git('commit', '--quiet', '-m', 'the sample, on a cluster');
  return project;
}

/** What became of each stage that was not up to date. */
async function repro(project: ClusterProject, ...targets: string[]): Promise<Record<string, string>> {
  const { code, stdout, stderr } = await project.run('--json', 'repro', '-j', '2', ...targets);
  if (code !== 0) throw new Error(`exit code ${code}\n${stdout}${stderr}`);
  const rows = stdout
    .trim()
    .split('\n')
    .slice(0, -1)
    .map((row) => JSON.parse(row) as { readonly stage: string; readonly type: string });
  return Object.fromEntries(rows.filter(({ type }) => type !== 'up-to-date').map(({ stage, type }) => [stage, type]));
}

/** Of the folder of models. */
function filesIn(root: string): string[] {
  return Object.keys(readFolder(join(root, 'models')) ?? {}).map((name) => `models/${name}`);
}

/** Whether each model is in the cache: asked without the keys of the bucket. */
async function inCache({ mlv, root }: ClusterProject): Promise<boolean[]> {
  return Promise.all(MODELS.map(async (path) => (await mlv.mlv(root, ['cat', path])).code === 0));
}

/** What stages used and made: paths and hashes on record. */
function recordIn(root: string): string[] {
  return readFileSync(join(root, 'mlv.lock'), 'utf8').match(/^ {6}\S+: \{.*\bhash: .*$/gm) ?? [];
}
