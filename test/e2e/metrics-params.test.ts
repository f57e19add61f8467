import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { TestRepository } from '../support/git.ts';
import { writeFiles } from '../support/folders.ts';
import type { MlvRig } from '../support/mlv.ts';
import { makeMlvRig } from '../support/mlv.ts';
import { data, refusal, told } from '../support/told.ts';

const PIPELINE = `stages:
  train:
    cmd: train
    params: [lr, layers, model, config.toml: [run.seed]]
    metrics:
      - metrics.json: {cache: false}
  evaluate:
    cmd: evaluate
    metrics: [eval.yaml]
metrics: [extra.toml]
`;

let rig: MlvRig;
let project: TestRepository;
beforeAll(async () => {
  rig = makeMlvRig();
  project = await rig.project('project');
  const { root } = project;
  writeFiles(root, {
    'mlv.yaml': PIPELINE,
    'params.yaml': 'lr: 0.1\nlayers: [64, 32]\nmodel: {name: small, depth: 2}\nunused: 1\n',
    'config.toml': '[run]\nseed = 1\nname = "a"\n',
    'metrics.json': '{"acc": 0.912345678, "loss": {"train": 1.5, "test": 2}}',
    'extra.toml': 'seconds = 12\n',
    // A project inside has pipelines of its own.
    'inner/.mlv/config.yaml': '',
    'inner/mlv.yaml': 'metrics: [inner.json]\n',
    'eval.yaml': 'f1: 0.5\n',
  });
  await lock(root, 'f1: 0.5\n');
  project.git('add', '-f', '.', ':!eval.yaml');
  project.git('commit', '-qm', 'first');
  project.git('tag', 'v1');
  writeFiles(root, {
    'params.yaml': 'lr: 0.2\nlayers: [64]\nmodel: {name: large, depth: 2}\nunused: 2\n',
    'metrics.json': '{"acc": 0.95, "loss": {"train": 1.25}, "note": "ok"}',
    'extra.toml': 'seconds = 12\n',
    'eval.yaml': 'f1: 0.625\n',
  });
});
afterAll(() => rig.dispose());

/** Puts what is in `eval.yaml` into the cache, by way of a pointer that then goes, and has the lock tell of it. */
async function lock(root: string, text: string): Promise<void> {
  await told(rig, root, ['add', 'eval.yaml']);
  const pointer = join(root, 'eval.yaml.mlv');
  const [hash] = /b3:[0-9a-f]{64}/.exec(readFileSync(pointer, 'utf8')) ?? [];
  rmSync(pointer);
  writeFiles(root, {
    'mlv.lock': `# What each stage last used and made. Written by mlv; belongs into Git.
version: 0
stages:
  evaluate:
    cmd: evaluate
    outs:
      eval.yaml: {hash: ${hash}, size: ${text.length}}
`,
  });
}

test('shows the metrics of stages and of the top of mlv.yaml, nested ones under dotted keys', async () => {
  expect(await told(rig, project.root, ['metrics', 'show'])).toBe(
    [
      'File          Metric      Value',
      'eval.yaml     f1          0.625',
      'extra.toml    seconds        12',
      'metrics.json  acc          0.95',
      'metrics.json  loss.train   1.25',
      'metrics.json  note           ok',
      '',
    ].join('\n'),
  );
  expect(await data(rig, project.root, ['metrics', 'show', 'metrics.json'])).toEqual({
    files: [{ path: 'metrics.json', state: 'read', values: { acc: 0.95, 'loss.train': 1.25, note: 'ok' } }],
  });
});

test('shows them as of a revision, those that Git does not keep from the cache', async () => {
  expect(await told(rig, project.root, ['metrics', 'show', '--rev', 'v1', '--precision', '3'])).toBe(
    [
      'File          Metric      Value',
      'eval.yaml     f1            0.5',
      'extra.toml    seconds        12',
      'metrics.json  acc         0.912',
      'metrics.json  loss.test       2',
      'metrics.json  loss.train    1.5',
      '',
    ].join('\n'),
  );
});

test('compares metrics of the last commit and the workspace', async () => {
  expect(await told(rig, project.root, ['metrics', 'diff'])).toBe(
    [
      'File          Metric         HEAD  workspace     Change',
      'eval.yaml     f1              0.5      0.625     +0.125',
      'metrics.json  acc         0.91235       0.95  +0.037654',
      'metrics.json  loss.test         2          -',
      'metrics.json  loss.train      1.5       1.25      -0.25',
      'metrics.json  note              -         ok',
      '',
    ].join('\n'),
  );
  expect(await told(rig, project.root, ['metrics', 'diff', 'v1', '--markdown', '--', 'eval.yaml'])).toBe(
    [
      '| File      | Metric |  v1 | workspace | Change |',
      '| --------- | ------ | --: | --------: | -----: |',
      '| eval.yaml | f1     | 0.5 |     0.625 | +0.125 |',
      '',
    ].join('\n'),
  );
});

test('compares the parameters that stages declare, by file and key, and no others', async () => {
  expect(await told(rig, project.root, ['params', 'diff'])).toBe(
    [
      'File         Param          HEAD  workspace  Change',
      'params.yaml  layers      [64,32]       [64]',
      'params.yaml  lr              0.1        0.2    +0.1',
      'params.yaml  model.name    small      large',
      '',
    ].join('\n'),
  );
  const all = await data<{ files: { path: string; changes: { key: string }[] }[]; differing: number }>(
    rig,
    project.root,
    ['params', 'diff', '--all'],
  );
  expect(all.files.map(({ path, changes }) => [path, changes.map(({ key }) => key)])).toEqual([
    ['config.toml', ['run.seed']],
    ['params.yaml', ['layers', 'lr', 'model.depth', 'model.name']],
  ]);
  expect(all.differing).toBe(3);
});

test('says for programs what differs, and with --exit-code by its exit code', async () => {
  const options = ['--json', 'metrics', 'diff', '--exit-code', '--', 'eval.yaml'];
  const { code, stdout } = await rig.mlv(project.root, options);
  expect({ code, result: JSON.parse(stdout) as unknown }).toEqual({
    code: 3,
    result: {
      before: 'HEAD',
      after: 'workspace',
      declared: 1,
      files: [{ path: 'eval.yaml', changes: [{ key: 'f1', old: 0.5, new: 0.625, change: 0.125 }] }],
      unreadable: [],
      differing: 1,
    },
  });
  expect(await told(rig, project.root, ['-q', 'params', 'diff', 'v1', 'HEAD', '--exit-code'])).toBe('');
  expect(await told(rig, project.root, ['params', 'diff', 'v1..HEAD'])).toBe('No params differ between v1 and HEAD\n');
});

test('compares the rest where a file cannot be read on one side, and fails', async () => {
  const { root } = await copy('broken');
  writeFiles(root, { 'metrics.json': '{"acc": ' });
  rmSync(join(root, 'extra.toml'));
  const { code, stdout, stderr } = await rig.mlv(root, ['metrics', 'diff']);
  expect({ code, stderr }).toEqual({ code: 1, stderr: '' });
  expect(stdout.replace(/(metrics\.json:).*/, '$1').split('\n')).toEqual([
    'File        Metric   HEAD  workspace',
    'extra.toml  seconds    12          -',
    'unreadable: workspace: metrics.json:',
    '',
  ]);
});

test('says how to declare metrics where there are none, and refuses what nobody declares', async () => {
  const { root } = await rig.project('empty');
  expect(await told(rig, root, ['metrics'])).toBe(
    [
      'No metrics are declared',
      '  metrics: [metrics.json]  of a stage in mlv.yaml',
      '  metrics: [metrics.json]  or at its top, for files that no stage has to do with',
      '',
    ].join('\n'),
  );
  expect(await refusal(rig, project.root, ['metrics', 'show', 'params.yaml'])).toContain(
    'error: no stage declares metrics in params.yaml\n',
  );
  expect(await refusal(rig, project.root, ['params', 'diff', 'v9'])).toContain('"mlv params diff -- v9"');
});

test('tells of which revision a pipeline is wrong', async () => {
  const { root, git } = await copy('wrong');
  writeFiles(root, { 'mlv.yaml': 'stages: 3\n' });
  git('commit', '-qam', 'wrong');
  writeFiles(root, { 'mlv.yaml': PIPELINE });
  expect(await refusal(rig, root, ['metrics', 'diff'])).toMatch(/^error: as of HEAD: mlv\.yaml/);
});

/** Another clone as of `v1`, whose cache has the data. */
async function copy(name: string): Promise<TestRepository> {
  const other = await rig.project(name);
  project.git('push', '-q', other.root, 'v1:refs/heads/copied');
  other.git('reset', '-q', '--hard', 'copied');
  writeFiles(other.root, { 'eval.yaml': 'f1: 0.5\n' });
  rmSync(join(other.root, 'mlv.lock'));
  await lock(other.root, 'f1: 0.5\n');
  return other;
}
