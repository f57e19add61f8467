import { afterAll, beforeAll, expect, test } from 'vitest';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { makeMlvRig, type MlvRig } from '../support/mlv.ts';

let rig: MlvRig;

beforeAll(() => {
  rig = makeMlvRig();
});
afterAll(() => rig.dispose());

const words = (text: string): string[] => text.split(' ');
const HEAD = '# yaml-language-server: $schema=.mlv/mlv.schema.json\n';

test('stages are added, listed, frozen and removed, comments and order kept, all of it staged', async () => {
  const { root, git } = await rig.project('stages');
  const file = join(root, 'mlv.yaml');
  const text = (): string => readFileSync(file, 'utf8');
  const run = async (...args: string[]): Promise<string> => {
    const { code, stdout, stderr } = await rig.mlv(root, args);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    return stdout;
  };
  writeFileSync(join(root, 'params.yaml'), 'lr: 0.1\n');

  expect(await run('stage', 'list')).toBe('No stages. Next: mlv stage add NAME -d INPUT -o OUTPUT -- COMMAND\n');
  expect(await run('stage', 'add', 'prepare', '-d', 'raw.csv', '-o', 'data', '--', 'cut -f1 raw.csv > data')).toBe(
    'added  prepare\n       .mlv/mlv.schema.json  staged in Git\n       mlv.yaml              staged in Git\n',
  );
  const commented = text()
    .replace('  prepare:', '  # What comes first.\n  prepare:')
    .replace('> data', '> data # a pipe');
  writeFileSync(file, commented);
  await run(
    ...words('stage add train -d train.py -d data -p lr,m.a -p c.json:x -p all.toml: -o model -O kept -m m.json'),
    ...words('-M metrics.json --plots p.csv -w sub --always-changed --desc'),
    'Trains it',
    ...words('-- python train.py --lr ${lr}'),
    'a b',
  );
  const prepare = `  # What comes first.
  prepare:
    cmd: cut -f1 raw.csv > data # a pipe
    deps:
      - raw.csv
    outs:
      - data
`;
  const train = `  train:
    cmd: python train.py --lr '\${lr}' 'a b'
    wdir: sub
    desc: Trains it
    deps:
      - train.py
      - data
    params:
      - lr
      - m.a
      - c.json:
          - x
      - all.toml: null
    outs:
      - model
      - kept:
          cache: false
    metrics:
      - m.json
      - metrics.json:
          cache: false
    plots:
      - p.csv
    always_changed: true
`;
  expect(text()).toBe(`${HEAD}stages:\n${prepare}${train}`);
  expect(await run('stage', 'list')).toBe('prepare  makes data\ntrain    Trains it\n');
  expect(JSON.parse(await run('--json', 'stage', 'list', 'train'))).toMatchObject([
    { id: 'train', commands: ["python train.py --lr '0.1' 'a b'"], deps: ['sub/data', 'sub/train.py'] },
  ]);

  expect(await run('freeze', 'train')).toBe('frozen  train\n        mlv.yaml  staged in Git\n');
  expect(text()).toBe(`${HEAD}stages:\n${prepare}${train}    frozen: true\n`);
  expect(await run('stage', 'list', 'train')).toBe('train  Trains it (frozen)\n');
  expect(await run('freeze', 'train')).toBe('All of them are frozen already.\n');
  await run('unfreeze', 'train');
  expect(text()).toBe(`${HEAD}stages:\n${prepare}${train}`);

  await run('stage', 'add', 'train', '--force', '--', 'true');
  expect(text()).toBe(`${HEAD}stages:\n${prepare}  train:\n    cmd: "true"\n`);
  await run('stage', 'remove', 'train');
  expect(text()).toBe(`${HEAD}stages:\n${prepare}`);
  expect(git('status', '--short')).toBe('A  .mlv/config.yaml\nA  .mlv/mlv.schema.json\nA  mlv.yaml\n?? params.yaml');
});

test('what would not be valid is not written', async () => {
  const { root } = await rig.project('invalid');
  const add = async (...args: string[]): Promise<unknown> => {
    const { stdout } = await rig.mlv(root, ['--json', 'stage', 'add', ...args]);
    return (JSON.parse(stdout) as { error?: { code: string } }).error?.code;
  };
  expect(await add('a', '-o', '../x', '--', 'true')).toBe('pipeline-path');
  expect(await add('a', '--', 'echo ${nope}')).toBe('template-unknown');
  expect(await add('a/b', '--', 'true')).toBe('pipeline-invalid');
  expect(await add('a')).toBe('usage');
  expect(existsSync(join(root, 'mlv.yaml'))).toBe(false);
  expect(existsSync(join(root, '.mlv/mlv.schema.json'))).toBe(false);
  expect(await add('a', '--', 'true')).toBe(undefined);
  expect(await add('a', '--', 'false')).toBe('stage-exists');
});

test('a stage of foreach is frozen and removed as a whole; its records go too', async () => {
  const { root } = await rig.project('foreach');
  const file = join(root, 'mlv.yaml');
  const lock = (...names: string[]): string =>
    `# What each stage last used and made. Written by mlv; belongs into Git.\nversion: 0\nstages:\n${names.map((name) => `  ${name}:\n    cmd: x\n`).join('')}`;
  writeFileSync(file, 'stages:\n  each:\n    foreach: [a, b]\n    do:\n      cmd: echo ${item}\n  other: {cmd: x}\n');
  writeFileSync(join(root, 'mlv.lock'), lock('"each@a"', '"each@b"', 'other'));
  const one = await rig.mlv(root, ['freeze', 'each@a']);
  expect(one.stderr).toBe(
    'error: each@a is one of the stages that "foreach" or "matrix" make of each in mlv.yaml\nhint: Name all of them, each, or edit the list in mlv.yaml.\n',
  );
  await rig.mlv(root, ['freeze', 'each']);
  expect(readFileSync(file, 'utf8')).toContain('    do:\n      cmd: echo ${item}\n      frozen: true\n');
  const { stdout } = await rig.mlv(root, ['stage', 'remove', 'each']);
  expect(stdout).toContain('removed  each@a\nremoved  each@b\n');
  expect(readFileSync(file, 'utf8')).toBe('stages:\n  other: {cmd: x}\n');
  expect(readFileSync(join(root, 'mlv.lock'), 'utf8')).toBe(lock('other'));
});

test('in a folder below, a stage goes to the nearest pipeline file and runs where it was added', async () => {
  const { root } = await rig.project('below');
  await rig.mlv(root, ['stage', 'add', 'top', '--', 'true']);
  const sub = join(root, 'sub/deep');
  mkdirSync(sub, { recursive: true });
  await rig.mlv(sub, ['stage', 'add', 'here', '-o', 'x', '--', 'touch x']);
  const { stdout } = await rig.mlv(sub, ['--json', 'stage', 'list', 'here']);
  expect(JSON.parse(stdout)).toMatchObject([{ id: 'here', wdir: 'sub/deep', outs: [{ path: 'sub/deep/x' }] }]);
});
