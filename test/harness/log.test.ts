import { join } from 'node:path';
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { MlvRig } from '../support/mlv.ts';
import { makeMlvRig } from '../support/mlv.ts';
import { shareProject } from '../support/shared-project.ts';
import { refusal, told } from '../support/told.ts';

let rig: MlvRig;
beforeAll(() => {
  rig = makeMlvRig();
});
afterAll(() => rig.dispose());

/** What it says, commits as they are called here and content hashes cut off. */
async function logged(root: string, names: Readonly<Record<string, string>>, ...args: string[]): Promise<string> {
  let text = await told(rig, root, ['log', ...args]);
  for (const [name, commit] of Object.entries(names)) text = text.replaceAll(commit.slice(0, 10), name);
  return text.replaceAll(/ {2}b3:[0-9a-f]{10}$/gm, '');
}

async function history(name: string) {
  const shared = await shareProject(rig, name, { 'data/a': 'a', 'data/in/b': 'b', model: 'm' }, 'data', 'model');
  const { root, git, version } = shared;
  const one = git('rev-parse', 'HEAD');
  const two = await version({ 'data/a': 'aa', 'data/c': 'c' }, 'data');
  git('commit', '--quiet', '--allow-empty', '-m', 'nothing');
  const three = await version({ model: 'mm', 'data/in/b': 'bb' }, 'data', 'model');
  await told(rig, root, ['remove', '--data', 'model']);
  const four = await version({});
  return { ...shared, names: { one, two, three, four } };
}

test('the versions of everything, of a dataset, of a path inside it, and the newest', async () => {
  const { root, names } = await history('versions');
  const head = (name: string): string => `${name}  2024-01-01  Ada  version\n`;
  const data = {
    one: '    data  2 files, 2 B  new\n',
    two: '    data  3 files, 4 B  1 added, 1 modified\n',
    three: '    data  3 files, 5 B  1 modified\n',
  };
  expect(await logged(root, names)).toBe(
    `${head('four')}    model  deleted
${head('three')}${data.three}    model  2 B
${head('two')}${data.two}${head('one')}${data.one}    model  1 B  new
`,
  );
  const whole = head('three') + data.three + head('two') + data.two + head('one') + data.one;
  expect(await logged(root, names, 'data')).toBe(whole);
  expect(await logged(join(root, 'data'), names, '../data.mlv')).toBe(whole);
  expect(await logged(root, names, 'data/in')).toBe(head('three') + data.three + head('one') + data.one);
  expect(await logged(root, names, 'data/c')).toBe(`${head('two')}    data  3 files, 4 B  1 added\n`);
  expect(await logged(root, names, '-n', '1', 'data')).toBe(head('three') + data.three);
  expect(await logged(root, names, '--rev', names.two, 'model')).toBe(`${head('one')}    model  1 B  new\n`);
  const lines = (await told(rig, root, ['--json', 'log', 'model'])).trimEnd().split('\n');
  expect(lines.map((line) => JSON.parse(line) as unknown)).toMatchObject([
    { commit: names.four, dataset: 'model', change: 'deleted', size: 2, changes: { deleted: 1 } },
    { commit: names.three, change: 'modified', type: 'file', changes: { added: 0, modified: 1, deleted: 0 } },
    {
      commit: names.one,
      author: { name: 'Ada', email: 'ada@example.com' },
      date: '2024-01-01T00:00:00+00:00',
      subject: 'version',
      change: 'added',
    },
    { result: { commits: 3, versions: 3, unknown: 0 } },
  ]);
});

test('of trees that are not here it says so, and asks no remote', async () => {
  const { root, clone, names } = await history('elsewhere');
  await told(rig, root, ['push']);
  const cloned = clone('elsewhere-clone');
  const text = await logged(cloned.root, names, 'data');
  expect(text).toContain('    data  3 files, 4 B  changes not known here\n');
  expect(text).toContain('2 versions: not known here what changed. mlv fetch --all-commits gets these versions\n');
  await told(rig, cloned.root, ['fetch', '--all-commits']);
  expect(await logged(cloned.root, names, 'data')).toContain('    data  3 files, 4 B  1 added, 1 modified\n');
});

test('what was compared once is not read again, and notes that are damaged are passed over', async () => {
  const { root, names } = await history('noted');
  const whole = await logged(root, names);
  const notes = join(root, '.git/mlv/state/log-notes');
  // What the cache no longer has cannot be compared.
  renameSync(join(root, '.git/mlv/cache'), join(root, '.git/mlv/elsewhere'));
  expect(await logged(root, names)).toBe(whole);
  expect(await logged(root, names, 'data/c')).toContain('not known here');
  for (const text of [
    'mlv-log-notes 1\n- x file y',
    '\0'.repeat(99),
    readFileSync(notes, 'utf8').replaceAll(' dir ', ' '),
  ]) {
    writeFileSync(notes, text);
    expect(await logged(root, names)).toContain('not known here');
  }
  renameSync(join(root, '.git/mlv/elsewhere'), join(root, '.git/mlv/cache'));
  expect(await logged(root, names)).toBe(whole);
});

test('without the git program, the same', async () => {
  const { root, names } = await history('in-process');
  const expected = await told(rig, root, ['log']);
  const empty = join(rig.folder, 'no-programs');
  mkdirSync(empty);
  const env = { PATH: empty };
  expect(await told(rig, root, ['log'], { env })).toBe(expected);
  const range = ['diff', names.one, names.three];
  expect(await told(rig, root, range, { env })).toBe(await told(rig, root, range));
});

test('what cannot be answered is refused, and nothing to tell is told', async () => {
  const { root, write } = await rig.project('refusals');
  expect(await told(rig, root, ['log'])).toBe('No versions are committed yet\n');
  write({ data: 'd' });
  await told(rig, root, ['add', 'data']);
  expect(await told(rig, root, ['log', 'data'])).toBe('No versions are committed yet\n');
  expect(await refusal(rig, root, ['log', 'other'])).toContain('other is not tracked by mlv at HEAD');
  expect(await refusal(rig, root, ['log', '--rev', 'v9'])).toContain("has no commit called 'v9'");
  expect(await refusal(rig, root, ['log', '--oneline'], { code: 2 })).toContain('mlv log shows versions in one way');
  expect(await refusal(rig, root, ['log', 'a', 'b'], { code: 2 })).toContain('does not take "b"');
});
