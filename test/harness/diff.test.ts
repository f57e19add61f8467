import { chmodSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { manyFiles } from '../support/folders.ts';
import type { MlvRig } from '../support/mlv.ts';
import { makeMlvRig } from '../support/mlv.ts';
import { shareProject } from '../support/shared-project.ts';
import { refusal, told } from '../support/told.ts';

let rig: MlvRig;
beforeAll(() => {
  rig = makeMlvRig();
});
afterAll(() => rig.dispose());

const TABLE = 'id,name\n1,a\n2,b\n3,c\n';

interface Line {
  readonly kind: string;
  readonly path: string;
  readonly change: string;
  readonly content?: { readonly state: string };
  readonly result?: object;
}

async function rows(cwd: string, ...args: string[]): Promise<Line[]> {
  const output = await told(rig, cwd, ['--json', 'diff', ...args]);
  return output
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Line);
}

describe('the workspace against the last commit', () => {
  test('files that came, changed, went and moved, with their rows, summed up', async () => {
    const { root } = await shareProject(
      rig,
      'workspace',
      {
        'data/t.csv': TABLE,
        'data/gone': 'gone',
        'data/old': 'moved',
        'data/f': 'f',
        'data/run': 'r',
        model: 'm',
        same: 's',
      },
      'data',
      'model',
      'same',
    );
    expect(await told(rig, root, ['diff'])).toBe('No differences\n');
    writeFileSync(join(root, 'data/t.csv'), 'id,name,extra\n1,a,x\n3,C,x\n2,b,x\n4,d,x\n');
    rmSync(join(root, 'data/gone'));
    renameSync(join(root, 'data/old'), join(root, 'data/new'));
    rmSync(join(root, 'data/f'));
    mkdirSync(join(root, 'data/f'));
    writeFileSync(join(root, 'data/f/inner'), 'inner');
    chmodSync(join(root, 'data/run'), 0o755);
    writeFileSync(join(root, 'model'), 'mmm');
    expect(await told(rig, root, ['diff'])).toBe(
      `D data/f  1 B  a folder took its place
A data/f/inner  5 B
D data/gone  4 B
R data/old → data/new
M data/run  now executable
M data/t.csv  +18 B  +1 ~1 rows  columns +extra
  data: 1 added, 2 modified, 2 deleted, 1 renamed, +18 B
M model  +2 B
2 tracked paths differ: 1 added, 3 modified, 2 deleted, 1 renamed, +20 B
`,
    );
    expect(await told(rig, root, ['diff', '--no-content', 'data/t.csv'])).toBe(
      'M data/t.csv  +18 B\n  data: 1 modified, +18 B\n',
    );
    const lines = await rows(root, 'model');
    expect(lines).toMatchObject([
      { kind: 'file', path: 'model', change: 'modified', before: { size: 1, kind: 'f' }, after: { size: 3 } },
      { kind: 'dataset', dataset: 'model', before: { type: 'file', files: 1 }, modified: 1 },
      { result: { before: 'HEAD', datasets: 1, modified: 1, bytes: 2, soughtRenames: true } },
    ]);
    expect((await rig.mlv(root, ['diff', '--exit-code'])).code).toBe(3);
    expect((await rig.mlv(root, ['diff', '--exit-code', 'same'])).code).toBe(0);
  });

  test('what is not checked out is not deleted, and its pages are fetched where they are needed', async () => {
    const shared = await shareProject(rig, 'partial', { ...manyFiles(3000, 'data/'), model: 'm' }, 'data', 'model');
    await told(rig, shared.root, ['push']);
    const { root } = shared.clone('partial-clone');
    expect(await told(rig, root, ['diff'])).toBe('No differences\n');
    const [first = ''] = Object.keys(manyFiles(3000, 'data/'));
    await told(rig, root, ['pull', first]);
    expect(await told(rig, root, ['diff'])).toBe('No differences\n');
    writeFileSync(join(root, first), 'another');
    expect((await rows(root)).slice(0, -2)).toMatchObject([{ path: first, change: 'modified' }]);
  });

  test('on a branch without commits everything is new', async () => {
    const { root, write } = await rig.project('unborn');
    write({ 'data/a': 'a', model: 'm' });
    await told(rig, root, ['add', 'data', 'model']);
    expect(await told(rig, root, ['diff'])).toBe(
      'A data/a  1 B\n  data: 1 added\nA model  1 B\n2 tracked paths differ: 2 added, +2 B\n',
    );
  });
});

describe('two revisions', () => {
  test('in every way to write them, a moved dataset in one line', async () => {
    const { root, version, git } = await shareProject(
      rig,
      'revisions',
      { 'data/t.csv': TABLE, model: 'm' },
      'data',
      'model',
    );
    git('checkout', '--quiet', '-b', 'topic');
    await version({ 'data/t.csv': `${TABLE}4,d\n` }, 'data');
    git('checkout', '--quiet', 'main');
    await told(rig, root, ['checkout']);
    await version({ model: 'mm' }, 'model');
    const topic = 'M data/t.csv  +4 B  +1 row\n  data: 1 modified, +4 B\n';
    expect(await told(rig, root, ['diff', 'main...topic'])).toBe(topic);
    expect(await told(rig, root, ['diff', 'main~1', 'topic'])).toBe(topic);
    expect(await told(rig, root, ['diff', 'main~1..topic', 'data'])).toBe(topic);
    expect(await told(rig, root, ['diff', 'topic..', '--', 'model'])).toBe('M model  +1 B\n');
    expect(await told(rig, root, ['diff', '@~1', '@'])).toBe('M model  +1 B\n');
    expect(await told(rig, root, ['diff', 'main'])).toBe('No differences\n');
    await told(rig, root, ['move', 'data', 'moved']);
    expect(await told(rig, root, ['diff'])).toBe('R data → moved  1 file, 20 B\n');
  });

  test('a folder in place of a file, and tables that are none', async () => {
    const { root, version } = await shareProject(
      rig,
      'types',
      { x: 'x', 'd/bad.csv': 'a,b\n1,2\n', 'd/o.jsonl': '1\n2\n' },
      'x',
      'd',
    );
    await told(rig, root, ['remove', '--data', 'x']);
    await version({ 'x/in': 'in', 'd/bad.csv': 'a,b\n"1,2\n', 'd/o.jsonl': '2\n1\n' }, 'x', 'd');
    expect(await told(rig, root, ['diff', 'HEAD~1', 'HEAD'])).toBe(
      `M d/bad.csv  +1 B  rows not compared: a quote is never closed
M d/o.jsonl  same rows in another order
  d: 2 modified, +1 B
T x  file → folder  1 file, 2 B
2 tracked paths differ: 2 modified, +2 B
`,
    );
  });

  test('content that is nowhere here is fetched; where it cannot be, the rest is told', async () => {
    const shared = await shareProject(rig, 'remote', { 'data/t.csv': TABLE }, 'data');
    await shared.version({ 'data/t.csv': `${TABLE}4,d\n` }, 'data');
    await told(rig, shared.root, ['push']);
    const near = shared.clone('remote-near');
    expect(await told(rig, near.root, ['diff', 'HEAD~1', 'HEAD'])).toContain('+1 row\n');
    const far = shared.clone('remote-far');
    expect((await rows(far.root, 'HEAD~1', 'HEAD', '--no-content')).at(-1)).toMatchObject({ result: { modified: 1 } });
    renameSync(shared.remote, `${shared.remote}-away`);
    expect(await told(rig, far.root, ['diff', 'HEAD~1', 'HEAD'])).toContain('content not here: mlv fetch\n');
    const none = shared.clone('remote-none');
    expect(await told(rig, none.root, ['diff', 'HEAD~1', 'HEAD'])).toMatch(
      /^M data {2}1 file, 24 B {2}which files is not known here: /,
    );
  });
});

test('what cannot be answered is refused, with the place and a way out', async () => {
  const { root, git } = await shareProject(rig, 'refusals', { data: 'd', other: 'o' }, 'data', 'other');
  git('branch', 'data');
  expect(await refusal(rig, root, ['diff', 'data'], { code: 2 })).toBe(
    `error: 'data' is both a revision and a path
hint: "mlv diff data --" for the revision, "mlv diff -- data" for the path
`,
  );
  expect(await told(rig, root, ['diff', 'data', '--'])).toBe('No differences\n');
  expect(await refusal(rig, root, ['diff', 'nowhere'])).toContain("'nowhere' is neither a revision nor a path");
  expect(await refusal(rig, root, ['diff', 'HEAD', 'nowhere', '--'])).toContain("'nowhere' is neither a revision");
  expect(await refusal(rig, root, ['diff', '--', 'nowhere'])).toContain('nowhere is not tracked by mlv at HEAD');
  expect(await refusal(rig, root, ['diff', 'HEAD', '@', 'main'], { code: 2 })).toContain('two revisions at most');
  expect(await refusal(rig, root, ['diff', '--stat'], { code: 2 })).toContain('each file in one line');
  git('checkout', '--quiet', '--orphan', 'apart');
  git('commit', '--quiet', '-m', 'apart');
  expect(await refusal(rig, root, ['diff', 'main...apart'])).toContain('no commit in common');
  const bare = join(rig.folder, 'no-git');
  mkdirSync(bare);
  await told(rig, bare, ['init', '--no-git']);
  expect(await refusal(rig, bare, ['diff'])).toContain('no Git repository');
});
