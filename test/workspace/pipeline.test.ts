import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import * as reader from '../../src/domain/pipeline-reader.ts';
import { MlvError } from '../../src/domain/errors.ts';
import type { Workspace } from '../../src/workspace/open.ts';
import { openWorkspace } from '../../src/workspace/open.ts';
import { readPipeline } from '../../src/workspace/pipeline.ts';
import { selectStages } from '../../src/workspace/select-stages.ts';
import { hermeticEnv, makeRepository, makeTemporaryFolder } from '../support/git.ts';

vi.mock(import('../../src/domain/pipeline-reader.ts'), async (original) => {
  const module = await original();
  return { ...module, readPipelineFile: vi.fn<typeof module.readPipelineFile>(module.readPipelineFile) };
});

const parsed = vi.mocked(reader.readPipelineFile);
let folder: string;

beforeAll(() => {
  folder = makeTemporaryFolder();
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

let made = 0;

async function project(files: Readonly<Record<string, string>>): Promise<Workspace> {
  const { root } = makeRepository(join(folder, `p${(made += 1)}`));
  write(root, { '.mlv/config.yaml': 'version: 1\n', ...files });
  return openWorkspace({ cwd: root, environment: hermeticEnv(folder) });
}

function write(root: string, files: Readonly<Record<string, string>>): void {
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
}

async function parses(workspace: Workspace): Promise<string[]> {
  parsed.mockClear();
  await readPipeline(workspace);
  return parsed.mock.calls.map(([, path]) => path);
}

const stages = (...names: string[]): string => `stages:\n${names.map((name) => `  ${name}: {cmd: echo}\n`).join('')}`;

test('a project without pipelines has no stages, and nothing is remembered', async () => {
  const workspace = await project({});
  expect((await readPipeline(workspace)).stages).toEqual([]);
});

test('all pipeline files make one, but for ignored ones and those in other projects', async () => {
  const workspace = await project({
    '.gitignore': 'out/\n',
    'mlv.yaml': `${stages('b', 'a')}metrics: [m.json]\n`,
    'sub/mlv.yaml': `${stages('c')}metrics: [../m.json, n.json]\nplots: [p]\nparams: [q.yaml]\n`,
    'out/mlv.yaml': stages('ignored'),
    'other/.mlv/config.yaml': 'version: 1\n',
    'other/mlv.yaml': stages('other'),
  });
  const pipeline = await readPipeline(workspace);
  expect(pipeline.stages.map(({ id }) => id)).toEqual(['b', 'a', 'sub/mlv.yaml:c']);
  expect(pipeline).toMatchObject({
    files: ['mlv.yaml', 'sub/mlv.yaml'],
    metrics: ['m.json', 'sub/n.json'],
    plots: ['sub/p'],
    params: ['sub/q.yaml'],
  });
});

describe('what was read is remembered', () => {
  const files = {
    'mlv.yaml': 'vars: [v.json]\nstages:\n  a: {cmd: "echo ${x} ${lr}", params: [lr]}\n',
    'v.json': '{"x": 1}',
    'params.yaml': 'lr: 1\n',
    'sub/mlv.yaml': stages('b'),
  };

  test('nothing is parsed that is the same, and it says the same', async () => {
    const workspace = await project(files);
    const first = await readPipeline(workspace);
    expect(await parses(workspace)).toEqual([]);
    const again = await readPipeline(workspace);
    expect(again.stages).toEqual(first.stages);
    expect(again.stages.map((stage) => [...again.paramsOf(stage)])).toEqual([
      [['params.yaml', new Map([['lr', 1]])]],
      [],
    ]);
  });

  test.each([
    [{ 'mlv.yaml': stages('other') }, ['mlv.yaml']],
    [{ 'sub/mlv.yaml': stages('other') }, ['sub/mlv.yaml']],
    [{ 'v.json': '{"x": 2}' }, ['mlv.yaml']],
    [{ 'params.yaml': 'lr: 2\n' }, ['mlv.yaml']],
    [{ 'sub/params.yaml': 'new: 1\n' }, ['sub/mlv.yaml']],
    [{ 'third/mlv.yaml': stages('c') }, ['third/mlv.yaml']],
    [{ 'v.json': '{"x": 1}', 'unrelated.yaml': 'x' }, []],
  ])('%j is noticed, the same size and second too', async (change, expected) => {
    const workspace = await project(files);
    await readPipeline(workspace);
    write(workspace.root, change);
    expect(await parses(workspace)).toEqual(expected);
    expect(await parses(workspace)).toEqual([]);
  });

  test('a memory that is damaged, or of another mlv, is passed over', async () => {
    const workspace = await project(files);
    const { stages: before } = await readPipeline(workspace);
    const state = join(workspace.ownFolder, 'state');
    const [name = ''] = readdirSync(state);
    const whole = readFileSync(join(state, name), 'utf8');
    for (const text of ['', 'x', whole.slice(0, -1), whole.replace('echo', 'rm -rf'), `${'0'.repeat(64)}\n{}`]) {
      writeFileSync(join(state, name), text);
      expect((await readPipeline(workspace)).stages).toEqual(before);
      expect(readFileSync(join(state, name), 'utf8')).toBe(whole);
    }
  });

  test('a thousand stages are read again soon', async () => {
    const lines = Array.from(
      { length: 1_000 },
      (_, n) => `  s${n}:\n    cmd: echo ${n}\n    deps: [d${n}]\n    outs: [o${n}]\n`,
    );
    const workspace = await project({ 'mlv.yaml': `stages:\n${lines.join('')}` });
    await readPipeline(workspace);
    const times: number[] = [];
    for (let n = 0; n < 5; n += 1) {
      const started = performance.now();
      await readPipeline(workspace);
      times.push(performance.now() - started);
    }
    expect(Math.min(...times)).toBeLessThan(60);
  });
});

test('parameters: what is not there, what is wrong, what a stage made since', async () => {
  const workspace = await project({
    'mlv.yaml': 'stages:\n  a: {cmd: echo, params: [lr, {p.json: [x, nope]}, {q.toml: }]}\n',
    'params.yaml': 'lr: 1\n',
    'p.json': '{"x": [1]}',
  });
  const pipeline = await readPipeline(workspace);
  const [stage] = pipeline.stages;
  if (stage === undefined) throw new Error('no stage');
  expect(() => pipeline.paramsOf(stage)).toThrow(
    expect.objectContaining({
      code: 'param-file-missing',
      message: 'q.toml is not there, where stage a has its parameters',
    }),
  );
  write(workspace.root, { 'q.toml': 'y = \n' });
  await pipeline.reloadParams();
  expect(() => pipeline.paramsOf(stage)).toThrow(expect.objectContaining({ code: 'param-file-invalid' }));
  write(workspace.root, { 'q.toml': 'y = 1\n' });
  await pipeline.reloadParams();
  expect(pipeline.paramsOf(stage)).toEqual(
    new Map<string, Map<string, unknown>>([
      ['p.json', new Map([['x', [1]]])],
      ['params.yaml', new Map([['lr', 1]])],
      ['q.toml', new Map([['', { y: 1 }]])],
    ]),
  );
});

test('what is wrong with a file is told each time', async () => {
  const workspace = await project({ 'mlv.yaml': 'stages: 1\n' });
  for (let n = 0; n < 2; n += 1) await expect(readPipeline(workspace)).rejects.toThrow(MlvError);
});

test('targets', async () => {
  const workspace = await project({
    'mlv.yaml': 'stages:\n  prepare: {cmd: x}\n  train: {foreach: [a, b], do: {cmd: x}}\n',
    'sub/mlv.yaml': stages('prepare', 'only'),
    'sub/deep/x': '',
  });
  const pipeline = await readPipeline(workspace);
  const select = (cwd: string, ...targets: string[]): string[] =>
    selectStages(pipeline, { root: workspace.root, cwd: join(workspace.root, cwd) }, targets);
  expect(select('')).toHaveLength(5);
  expect(select('', 'train')).toEqual(['train@a', 'train@b']);
  expect(select('', 'train@b', 'prepare')).toEqual(['prepare', 'train@b']);
  expect(select('sub/deep', 'prepare')).toEqual(['sub/mlv.yaml:prepare']);
  expect(select('', 'stage:sub/mlv.yaml:only')).toEqual(['sub/mlv.yaml:only']);
  expect(select('sub', '../mlv.yaml:prepare')).toEqual(['prepare']);
  expect(select('sub', 'mlv.yaml')).toEqual(['sub/mlv.yaml:prepare', 'sub/mlv.yaml:only']);
  for (const [target, hint] of [
    ['trian', 'Did you mean train?'],
    ['only', 'Did you mean sub/mlv.yaml:only?'],
    ['nowhere/mlv.yaml', 'Pipeline files are mlv.yaml, sub/mlv.yaml; "mlv stage list" lists all stages.'],
    ['__proto__', '"mlv stage list" lists all stages.'],
  ] as const)
    expect(() => select('', target)).toThrow(expect.objectContaining({ code: 'stage-unknown', hint }));
});
