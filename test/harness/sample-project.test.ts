/** The sample project of fixtures/penguins: what runs again for each kind of change, by real processes on real data. */
import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { repositoryAt } from '../support/git.ts';
import type { MlvRig } from '../support/mlv.ts';
import { makeMlvRig } from '../support/mlv.ts';
import { told } from '../support/told.ts';

const SAMPLE = fileURLToPath(new URL('../../fixtures/penguins', import.meta.url));
const PENGUINS = fileURLToPath(new URL('../../node_modules/vega-datasets/data/penguins.json', import.meta.url));
const STAGES = ['prepare', 'features', 'train@nearest', 'train@softmax', 'evaluate'];

let rig: MlvRig;
/** Everything up to date and committed; tests work in copies. */
let original: string;
let firstRun: readonly string[];
let copies = 0;

beforeAll(async () => {
  rig = makeMlvRig();
  const { root, git } = await rig.project('original');
  original = root;
  cpSync(SAMPLE, root, { recursive: true });
  cpSync(PENGUINS, join(root, 'data/penguins.json'));
  await told(rig, root, ['add', 'data/penguins.json']);
  firstRun = await repro(root);
  git('add', '--all');
  git('commit', '--quiet', '--message', 'the first models');
});
afterAll(() => rig.dispose());

/** What `mlv repro` did with each stage, in order; those that were up to date or frozen are left out. */
async function repro(root: string, ...args: string[]): Promise<string[]> {
  const { code, stdout, stderr } = await rig.mlv(root, ['--json', 'repro', ...args]);
  if (code !== 0 || stderr !== '') return [`exit code ${code}`, stdout, stderr];
  const rows = stdout.trim().split('\n').slice(0, -1);
  return rows
    .map((row) => JSON.parse(row) as { readonly stage: string; readonly type: string })
    .filter(({ type }) => type !== 'up-to-date' && type !== 'frozen')
    .map(({ stage, type }) => `${stage} ${type}`);
}

function copy(): string {
  const root = join(rig.folder, `copy-${(copies += 1)}`);
  cpSync(original, root, { recursive: true, preserveTimestamps: true });
  return root;
}

function edit(root: string, path: string, from: string, to: string): void {
  const before = readFileSync(join(root, path), 'utf8');
  const after = before.replace(from, to);
  if (after === before) throw new Error(`${path} has no ${JSON.stringify(from)}`);
  writeFileSync(join(root, path), after);
}

const append = (path: string, text: string) => (root: string) =>
  writeFileSync(join(root, path), readFileSync(join(root, path), 'utf8') + text);
const replace = (path: string, from: string, to: string) => (root: string) => edit(root, path, from, to);
const remove = (path: string) => (root: string) => rmSync(join(root, path), { recursive: true });

const [PREPARE, FEATURES, NEAREST, SOFTMAX, EVALUATE] = STAGES.map((stage) => `${stage} ran`);
const ALL = [PREPARE, FEATURES, NEAREST, SOFTMAX, EVALUATE];

const CHANGES: Readonly<
  Record<string, readonly [change: (root: string) => void, ran: readonly (string | undefined)[]]>
> = {
  nothing: [() => {}, []],
  'the time of a file': [(root) => cpSync(PENGUINS, join(root, 'data/penguins.json')), []],

  data: [replace('data/penguins.json', '39.1', '41.1'), ALL],
  'data that the first stage leaves out': [replace('data/penguins.json', '"Torgersen"', '"Dream"'), [PREPARE]],

  'code of prepare, to no effect': [append('src/prepare.mjs', '// a comment\n'), [PREPARE]],
  'code of prepare': [replace('src/prepare.mjs', '!== null));', '!== null)).slice(0, 300);'), ALL],
  'code of features, to no effect': [append('src/features.mjs', '// a comment\n'), [FEATURES]],
  'code of features': [replace('src/features.mjs', '1_664_525', '22_695_477'), ALL.slice(1)],
  'code of all models, to no effect': [append('src/train.mjs', '// a comment\n'), [NEAREST, SOFTMAX]],
  'code of all models': [
    replace('src/train.mjs', 'train(rows, options)', '{ ...train(rows, options), by: name }'),
    ALL.slice(2),
  ],
  'code of one model, which is evaluated by it, too': [
    append('src/models/softmax.mjs', '// a comment\n'),
    [SOFTMAX, EVALUATE],
  ],
  'a new file in a folder that is read': [(root) => writeFileSync(join(root, 'src/models/README'), ''), [EVALUATE]],
  'code of evaluate': [append('src/evaluate.mjs', '// a comment\n'), [EVALUATE]],

  'features.scale': [replace('params.yaml', 'scale: true', 'scale: false'), ALL.slice(1)],
  'features.seed': [replace('params.yaml', 'seed: 7', 'seed: 8'), ALL.slice(1)],
  'features.test_share': [replace('params.yaml', '0.25', '0.5'), ALL.slice(1)],
  'train.nearest.neighbours': [replace('params.yaml', 'neighbours: 5', 'neighbours: 7'), [NEAREST, EVALUATE]],
  'train.softmax.rate': [replace('params.yaml', 'rate: 0.1', 'rate: 0.2'), [SOFTMAX, EVALUATE]],
  'train.softmax.steps': [replace('params.yaml', 'steps: 40', 'steps: 50'), [SOFTMAX, EVALUATE]],
  'a parameter that is written otherwise': [replace('params.yaml', '0.25', '0.250'), []],
  'a parameter that no stage reads': [append('params.yaml', 'other: 1\n'), []],
  'a comment in params.yaml': [append('params.yaml', '# a comment\n'), []],
  'a model more': [
    (root) => {
      append('params.yaml', '  nearest1:\n    neighbours: 1\n')(root);
      cpSync(join(root, 'src/models/nearest.mjs'), join(root, 'src/models/nearest1.mjs'));
    },
    ['train@nearest1 ran', EVALUATE],
  ],

  'the text of a command': [replace('mlv.yaml', 'node src/prepare.mjs', 'node  src/prepare.mjs'), [PREPARE]],
  'a dependency more': [replace('mlv.yaml', '- src/prepare.mjs', '- src/prepare.mjs\n      - params.yaml'), [PREPARE]],
  'a dependency less': [replace('mlv.yaml', '      - src/evaluate.mjs\n', ''), [EVALUATE]],
  'a parameter no longer declared': [replace('mlv.yaml', '    params:\n      - features\n', ''), [FEATURES]],
  'metrics that are a plain output': [replace('mlv.yaml', '    metrics:\n', '    outs:\n'), []],
  'metrics that mlv keeps': [
    (root) => {
      repositoryAt(root).git('rm', '--quiet', '--cached', 'metrics.json');
      replace('mlv.yaml', '- metrics.json:\n          cache: false', '- metrics.json')(root);
    },
    [EVALUATE],
  ],
  'an output no longer declared': [
    replace(
      'mlv.yaml',
      '    plots:\n      - confusion.csv:\n          x: predicted\n          y: actual\n          title: Which species are mistaken for which\n',
      '',
    ),
    [EVALUATE],
  ],
  'how a plot is drawn': [replace('mlv.yaml', 'title: Which', 'title: What'), []],
  'a comment in mlv.yaml': [append('mlv.yaml', '# a comment\n'), []],
  'a description': [replace('mlv.yaml', 'desc: Keeps', 'desc: Takes'), []],
  'what a stage may use of the machine': [
    replace('mlv.yaml', '    desc: Keeps', '    resources: {cpu: 1}\n    timeout: 1h\n    desc: Keeps'),
    [],
  ],
  'a stage that is frozen': [
    (root) => {
      replace('mlv.yaml', '    desc: Keeps', '    frozen: true\n    desc: Keeps')(root);
      replace('data/penguins.json', '39.1', '41.1')(root);
    },
    [],
  ],

  'an output deleted': [remove('models/nearest.json'), ['train@nearest restored']],
  'a folder of outputs deleted': [remove('features'), ['features restored']],
  'metrics, which Git keeps, deleted': [remove('metrics.json'), ['evaluate restored']],
  'an output edited': [replace('models/nearest.json', 'Adelie', 'Emperor'), ['train@nearest restored']],
  'a file in a folder of outputs edited': [append('features/test.json', '\n'), ['features restored']],
  'metrics edited': [append('metrics.json', '\n'), ['evaluate restored']],
  'the lock file deleted': [remove('mlv.lock'), STAGES.map((stage) => `${stage} restored`)],
};

test('runs everything the first time', () => {
  expect(firstRun).toEqual(ALL);
});

test('reruns exactly what it should for each kind of change', { timeout: 300_000 }, async () => {
  const found: Record<string, readonly string[]> = {};
  const again: Record<string, readonly string[]> = {};
  const pending = Object.entries(CHANGES);
  const worker = async (): Promise<void> => {
    for (let next = pending.shift(); next !== undefined; next = pending.shift()) {
      const [name, [change]] = next;
      const root = copy();
      change(root);
      found[name] = await repro(root);
      again[name] = await repro(root);
      rmSync(root, { recursive: true });
    }
  };
  await Promise.all([worker(), worker()]);
  expect(found).toEqual(Object.fromEntries(Object.entries(CHANGES).map(([name, [, ran]]) => [name, ran])));
  expect(again).toEqual(Object.fromEntries(Object.keys(CHANGES).map((name) => [name, []])));
});

test('a branch switch and back restores', { timeout: 120_000 }, async () => {
  const root = copy();
  const { git } = repositoryAt(root);
  git('switch', '--quiet', '--create', 'more-neighbours');
  edit(root, 'params.yaml', 'neighbours: 5', 'neighbours: 15');
  expect(await repro(root)).toEqual([NEAREST, EVALUATE]);
  git('commit', '--quiet', '--all', '--message', 'more neighbours');
  const there = readFileSync(join(root, 'metrics.json'), 'utf8');

  git('switch', '--quiet', 'main');
  expect(await repro(root)).toEqual(['train@nearest restored', 'evaluate restored']);
  git('switch', '--quiet', 'more-neighbours');
  expect(await repro(root)).toEqual(['train@nearest restored', 'evaluate restored']);
  expect(git('status', '--porcelain')).toBe('');
  // Without a switch: what Git keeps comes from the run cache, too.
  edit(root, 'params.yaml', 'neighbours: 15', 'neighbours: 5');
  expect(await repro(root)).toEqual(['train@nearest restored', 'evaluate restored']);
  edit(root, 'params.yaml', 'neighbours: 5', 'neighbours: 15');
  expect(await repro(root)).toEqual(['train@nearest restored', 'evaluate restored']);
  expect(readFileSync(join(root, 'metrics.json'), 'utf8')).toBe(there);
  expect(git('status', '--porcelain')).toBe('');
});

test('a second clone runs nothing', { timeout: 120_000 }, async () => {
  const root = copy();
  const { git } = repositoryAt(root);
  await told(rig, root, ['remote', 'add', '-d', 'store', '../store']);
  git('commit', '--quiet', '--all', '--message', 'a remote');
  await told(rig, root, ['push', '--run-cache']);
  // Results that no lock file tells of: they travel with the others.
  edit(root, 'params.yaml', 'neighbours: 5', 'neighbours: 15');
  expect(await repro(root)).toEqual([NEAREST, EVALUATE]);
  git('commit', '--quiet', '--all', '--message', 'more neighbours');
  await told(rig, root, ['push', '--run-cache']);

  const clone = join(rig.folder, 'clone');
  git('clone', '--quiet', root, clone);
  expect(await repro(clone)).toEqual([]);
  await told(rig, clone, ['pull', '--run-cache']);
  expect(await repro(clone)).toEqual([]);
  edit(clone, 'params.yaml', 'neighbours: 15', 'neighbours: 5');
  expect(await repro(clone, '--pull')).toEqual(['train@nearest restored', 'evaluate restored']);

  const other = join(rig.folder, 'other');
  git('clone', '--quiet', root, other);
  rmSync(join(other, 'mlv.lock'));
  expect(await repro(other, '--pull')).toEqual(STAGES.map((stage) => `${stage} restored`));
  expect(repositoryAt(other).git('status', '--porcelain')).toBe('');
  for (const path of ['models/nearest.json', 'features/test.json', 'confusion.csv'])
    expect(readFileSync(join(other, path), 'utf8')).toBe(readFileSync(join(root, path), 'utf8'));
});
