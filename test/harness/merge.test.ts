/** What Git merges by mlv: real merges, rebases, picks and stashes, and how their conflicts are resolved. */
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Files } from '../support/folders.ts';
import { asRead, readFolder, writeFiles } from '../support/folders.ts';
import type { MergeProject } from '../support/merge-rig.ts';
import { makeMergeProject } from '../support/merge-rig.ts';
import type { MlvRig } from '../support/mlv.ts';
import { makeMlvRig } from '../support/mlv.ts';
import { data, refusal, told } from '../support/told.ts';

let rig: MlvRig;
beforeAll(() => {
  rig = makeMlvRig();
});
afterAll(() => rig.dispose());

const BASE: Files = { a: 'a1', b: 'b1', 'sub/c': 'c1', 'sub/d': 'd1' };
const OURS: Files = { a: 'a2', b: 'b1', 'sub/c': 'c1', 'sub/d': 'd1', here: 'h' };
const THEIRS: Files = { a: 'a1', 'sub/c': 'c3', 'sub/d': 'd1', there: 't' };
const BOTH: Files = { a: 'a2', 'sub/c': 'c3', 'sub/d': 'd1', here: 'h', there: 't' };

/** `data` in three versions: where both branches come from, on `main`, and on `topic`; `main` is checked out. */
async function branches(
  name: string,
  { base, ours, theirs }: { readonly base?: Files; readonly ours: Files; readonly theirs: Files },
): Promise<MergeProject> {
  const project = await makeMergeProject(rig, name);
  if (base !== undefined) await project.record('data', base, 'base');
  project.git('switch', '--quiet', '-c', 'topic');
  await project.record('data', theirs, 'theirs');
  project.git('switch', '--quiet', 'main');
  await project.record('data', ours, 'ours');
  return project;
}

/** What is in the workspace once its data is brought to what the pointers say. */
async function broughtData({ root }: MergeProject): Promise<unknown> {
  await told(rig, root, ['checkout']);
  return readFolder(join(root, 'data'));
}

/** What mlv says is left of a merge: a line for each. */
async function left({ root }: MergeProject): Promise<string[]> {
  const { merges } = await data<{ merges: { conflicts: { path: string; reason: string }[] }[] }>(rig, root, ['status']);
  return merges.flatMap(({ conflicts }) => conflicts.map(({ path, reason }) => `${path}: ${reason}`));
}

describe('what each side changed is merged by itself', () => {
  test('git merge', async () => {
    const project = await branches('merge', { base: BASE, ours: OURS, theirs: THEIRS });
    const { isDone, output } = project.tryGit('merge', '--no-edit', 'topic');
    expect([isDone, output]).toEqual([true, expect.stringContaining('Auto-merging data.mlv\n')]);
    expect(output).not.toContain('error');
    expect(await broughtData(project)).toEqual(asRead(BOTH));
    expect(await told(rig, project.root, ['status'])).toContain('1 path unchanged (5 files');
    // The tree is the one that adding the same files gives.
    expect(await told(rig, project.root, ['add', 'data'])).not.toContain('new');
    expect(project.git('status', '--porcelain')).toBe('');
  });

  test('git rebase, git cherry-pick', async () => {
    const project = await branches('rebase', { base: BASE, ours: OURS, theirs: THEIRS });
    project.git('switch', '--quiet', '-c', 'picked');
    project.git('cherry-pick', 'topic');
    expect(await broughtData(project)).toEqual(asRead(BOTH));
    project.git('switch', '--quiet', 'topic');
    project.git('rebase', '--quiet', 'main');
    expect(project.git('diff', '--stat', 'topic', 'picked')).toBe('');
  });

  test('git stash pop', async () => {
    const project = await makeMergeProject(rig, 'stash');
    await project.record('data', BASE);
    writeFiles(project.root, { 'data/a': 'a2' });
    await told(rig, project.root, ['add', 'data']);
    project.git('stash', '--quiet');
    await project.record('data', { ...BASE, b: 'b2' });
    const { isDone } = project.tryGit('stash', 'pop');
    expect(isDone).toBe(true);
    expect(await broughtData(project)).toEqual(asRead({ ...BASE, a: 'a2', b: 'b2' }));
  });

  test('without a common ancestor, what only one side has', async () => {
    const project = await branches('both-added', { ours: { a: '1', same: 's' }, theirs: { b: '2', same: 's' } });
    expect(project.tryGit('merge', '--no-edit', 'topic').isDone).toBe(true);
    expect(await broughtData(project)).toEqual(asRead({ a: '1', b: '2', same: 's' }));
  });

  test('two datasets added to one .gitignore', async () => {
    const project = await makeMergeProject(rig, 'two-added');
    project.git('switch', '--quiet', '-c', 'topic');
    await project.record('two', { x: '2' });
    project.git('switch', '--quiet', 'main');
    await project.record('one', { x: '1' });
    expect(project.tryGit('merge', '--no-edit', 'topic').isDone).toBe(true);
    expect(readFolder(project.root, ['.git', '.mlv'])).toMatchObject({ '.gitignore': 'file /one\n/two\n' });
  });

  test('three branches at once, where each changed another dataset', async () => {
    const project = await makeMergeProject(rig, 'octopus');
    const { root, git, record, tryGit } = project;
    for (const name of ['one', 'two']) await record(name, { a: '1', b: '1' });
    for (const name of ['one', 'two']) {
      git('switch', '--quiet', '-c', `changed-${name}`, 'main');
      await record(name, { a: '2', b: '1' });
    }
    git('switch', '--quiet', 'main');
    git('commit', '--quiet', '--allow-empty', '-m', 'main');
    expect(tryGit('merge', '--no-edit', 'changed-one', 'changed-two').isDone).toBe(true);
    await told(rig, root, ['checkout']);
    expect(readFolder(root, ['.git', '.mlv'])).toMatchObject({ 'one/a': 'file 2', 'two/a': 'file 2' });
    // Git's octopus knows no merge drivers: where all changed one dataset it gives up, and one merge after the other is the way.
    await record('one', { a: '2', b: '2' });
    expect(tryGit('merge', '--no-edit', 'changed-one', 'changed-two').isDone).toBe(true);
    git('switch', '--quiet', '-c', 'third', 'main~1');
    await record('one', { a: '3', b: '1' });
    git('switch', '--quiet', '-c', 'fourth', 'main~1');
    await record('one', { a: '2', b: '1', c: '1' });
    git('switch', '--quiet', 'main');
    expect(tryGit('merge', '--no-edit', 'third', 'fourth').isDone).toBe(false);
    git('reset', '--quiet', '--merge');
    for (const name of ['third', 'fourth']) expect(tryGit('merge', '--no-edit', name).isDone).toBe(true);
    await told(rig, root, ['checkout']);
    expect(readFolder(join(root, 'one'))).toEqual(asRead({ a: '3', b: '2', c: '1' }));
  });

  test('a dataset that was moved in one branch and changed in the other', async () => {
    const project = await branches('moved', { base: BASE, ours: OURS, theirs: BASE });
    project.git('switch', '--quiet', 'topic');
    await told(rig, project.root, ['checkout', '--force']);
    await told(rig, project.root, ['move', 'data', 'moved']);
    project.git('commit', '--quiet', '-m', 'moved');
    await told(rig, project.root, ['status']);
    const { isDone, output } = project.tryGit('merge', '--no-edit', 'main');
    expect([isDone, output]).toEqual([true, expect.any(String)]);
    await told(rig, project.root, ['checkout']);
    expect(readFolder(join(project.root, 'moved'))).toEqual(asRead(OURS));
  });

  test('branches that merged each other before', async () => {
    const project = await branches('criss-cross', {
      base: { a: '1', b: '1', x: '1' },
      ours: { a: '2', b: '1', x: '2' },
      theirs: { a: '1', b: '2', x: '3' },
    });
    const { git, tryGit, root } = project;
    git('branch', 'main-before');
    // Both merge the other, and choose differently for x; y comes after.
    expect(tryGit('merge', 'topic').isDone).toBe(false);
    await told(rig, root, ['checkout', '--ours', 'data/x']);
    git('commit', '--quiet', '-m', 'merged');
    await project.record('data', { a: '3', b: '2', x: '2' });
    git('switch', '--quiet', 'topic');
    await told(rig, root, ['checkout', '--force']);
    expect(tryGit('merge', 'main-before').isDone).toBe(false);
    await told(rig, root, ['checkout', '--ours', 'data/x']);
    git('commit', '--quiet', '-m', 'merged');
    await project.record('data', { a: '2', b: '3', x: '3' });
    git('switch', '--quiet', 'main');
    await told(rig, root, ['checkout', '--force']);
    expect(tryGit('merge', 'topic').isDone).toBe(false);
    // Of a and b the merged ancestors tell which side changed them since.
    expect(await left(project)).toEqual(['data/x: both changed it']);
    await told(rig, root, ['checkout', '--theirs', 'data']);
    expect(readFolder(join(root, 'data'))).toEqual(asRead({ a: '3', b: '3', x: '3' }));
  });

  test('what the pointer says beside: keys and comments', async () => {
    const project = await branches('keys', { base: BASE, ours: OURS, theirs: THEIRS });
    const { root, git } = project;
    const pointer = join(root, 'data.mlv');
    const edit = (add: string): void => {
      const { 'data.mlv': text = '' } = readFolder(root, ['.git', '.mlv', 'data']) ?? {};
      writeFileSync(pointer, `${text.replace(/^file /, '')}${add}`);
      git('commit', '--quiet', '-am', 'annotated');
    };
    edit('desc: ours # why\n');
    git('switch', '--quiet', 'topic');
    edit('labels: [big]\nteam: vision\n');
    git('switch', '--quiet', 'main');
    expect(project.tryGit('merge', '--no-edit', 'topic').isDone).toBe(true);
    expect(git('show', 'HEAD:data.mlv').split('\n').slice(3)).toEqual([
      'size: 8',
      'files: 5',
      'labels: [big]',
      'team: vision',
      'desc: ours # why',
    ]);
    git('switch', '--quiet', 'topic');
    edit('desc: theirs\n');
    git('switch', '--quiet', 'main');
    expect(project.tryGit('merge', '--no-edit', 'topic').output).toContain(
      '  data.mlv: both changed "desc" of the pointer\n',
    );
    await told(rig, root, ['checkout', '--theirs', 'data']);
    expect(git('show', ':data.mlv').split('\n').slice(5)).toEqual(['labels: [big]', 'team: vision', 'desc: theirs']);
  });
});

describe('what both sides changed is a conflict, by file', () => {
  const base = { changed: '1', deleted: '1', removed: '1', moved: 'content', node: '1', untouched: '1' };
  const ours = { changed: '2', removed: '2', node: '2', untouched: '1', added: '2', mine: 'm', elsewhere: 'content' };
  const theirs = { changed: '3', deleted: '3', moved: 'more', 'node/x': '3', untouched: '3', added: '3', yours: 'y' };
  const all = [
    'data/added: both added it, not alike',
    'data/changed: both changed it',
    'data/deleted: changed in theirs, deleted in ours',
    'data/moved: changed in theirs, deleted in ours, which has it as elsewhere',
    'data/node: a file in ours, a folder in theirs',
    'data/removed: changed in ours, deleted in theirs',
  ];

  test('told by Git and by status, and resolved one after the other', async () => {
    const project = await branches('conflicts', { base, ours, theirs });
    const { root, git } = project;
    const { isDone, output } = project.tryGit('merge', 'topic');
    expect(isDone).toBe(false);
    expect(output.split('\n').filter((line) => !/^(?:Auto-merging|CONFLICT|Automatic)/.test(line))).toEqual([
      'error: data.mlv: merge conflict in 6 places',
      ...all.map((line) => `  ${line}`),
      'hint: Choose a side, for all or file by file: "mlv checkout --ours PATH" or "mlv checkout --theirs PATH". "mlv status" lists what is left.',
      '',
    ]);
    expect(await left(project)).toEqual(all);
    expect(await told(rig, root, ['status'])).toMatch(
      /^data {2}merge conflict in 6 places\n {4}data\/added +both added it, not alike\n[\s\S]*\n {2}mlv checkout --ours PATH +keeps/,
    );
    // Git's pointer holds both, between marks; the data is as it was.
    expect(git('status', '--porcelain')).toBe('UU data.mlv');
    expect(readFolder(join(root, 'data'))).toEqual(asRead(ours));

    expect(await told(rig, root, ['checkout', '--theirs', 'data/changed', 'data/node'])).toBe(
      `data  merge conflict in 4 places left\n${['added', 'deleted', 'moved', 'removed']
        .map((name) => all.find((line) => line.startsWith(`data/${name}:`)) ?? '')
        .map((line) => `    ${line.replace(/: .*/, '').padEnd(14)}${line.replace(/.*?: /, '')}\n`)
        .join('')}`,
    );
    // Another choice for what was chosen before; each work tree, each conflict has its own.
    await told(rig, root, ['checkout', '--ours', 'data/changed']);
    await told(rig, root, ['checkout', '--theirs', 'data/deleted', 'data/removed']);
    expect(await left(project)).toEqual([all[0], all[3]]);
    await told(rig, join(root, 'data'), ['checkout', '--theirs', 'moved']);
    expect(await told(rig, root, ['checkout', '--ours', 'data'])).toMatch(
      /^data {2}resolved, staged in Git\. Next: git commit\ndata {2}5 files written, .*; 2 files removed\n$/,
    );
    const merged = {
      added: '2',
      changed: '2',
      deleted: '3',
      elsewhere: 'content',
      mine: 'm',
      moved: 'more',
      'node/x': '3',
      untouched: '3',
      yours: 'y',
    };
    expect(readFolder(join(root, 'data'))).toEqual(asRead(merged));
    expect(git('status', '--porcelain')).toBe('M  data.mlv');
    git('commit', '--quiet', '-m', 'merged');
    expect(await told(rig, root, ['status'])).toBe('1 path unchanged (9 files, 18 B)\n');

    // The same conflict, once more: what was chosen is forgotten.
    git('reset', '--quiet', '--hard', 'HEAD~1');
    project.tryGit('merge', 'topic');
    expect(await left(project)).toEqual(all);
  });

  test('and all of it at once', async () => {
    const project = await branches('at-once', { base, ours, theirs });
    for (const [side, version] of [
      ['--ours', { ...ours, untouched: '3', yours: 'y' }],
      ['--theirs', { ...theirs, mine: 'm', elsewhere: 'content' }],
    ] as const) {
      expect(project.tryGit('merge', 'topic').isDone).toBe(false);
      await told(rig, project.root, ['checkout', side, '.']);
      expect(readFolder(join(project.root, 'data'))).toEqual(asRead(version));
      project.git('merge', '--abort');
      expect(await broughtData(project)).toEqual(asRead(ours));
    }
  });

  test('in a rebase, a pick and a stash', async () => {
    const conflict = { base: { a: '1' }, ours: { a: '2' }, theirs: { a: '3' } };
    const project = await branches('in-a-rebase', conflict);
    const { root, git, tryGit } = project;
    expect(tryGit('cherry-pick', 'topic').isDone).toBe(false);
    await told(rig, root, ['checkout', '--theirs', 'data/a']);
    git('-c', 'core.editor=true', 'cherry-pick', '--continue');
    expect(readFolder(join(root, 'data'))).toEqual(asRead({ a: '3' }));
    git('reset', '--quiet', '--hard', 'HEAD~1');
    // What is rebased is theirs.
    git('switch', '--quiet', 'topic');
    await told(rig, root, ['checkout', '--force']);
    expect(tryGit('rebase', 'main').isDone).toBe(false);
    await told(rig, root, ['checkout', '--theirs', 'data']);
    git('-c', 'core.editor=true', 'rebase', '--continue');
    expect(await broughtData(project)).toEqual(asRead({ a: '3' }));
    // A stash leaves none of the traces that merges leave.
    writeFiles(root, { 'data/a': '4' });
    await told(rig, root, ['add', 'data']);
    git('stash', '--quiet');
    await project.record('data', { a: '5' });
    expect(tryGit('stash', 'pop').isDone).toBe(false);
    expect(await left(project)).toEqual(['data/a: both changed it']);
    await told(rig, root, ['checkout', '--theirs', 'data/a']);
    expect(readFolder(join(root, 'data'))).toEqual(asRead({ a: '4' }));
    expect(git('status', '--porcelain')).toBe('M  data.mlv');
  });

  test('of tracked files, whose content cannot be merged', async () => {
    const project = await makeMergeProject(rig, 'files');
    const { root, git, tryGit } = project;
    const record = async (files: Files): Promise<void> => {
      await told(rig, root, ['checkout', '--force']);
      for (const path of Object.keys(files)) rmSync(join(root, path), { recursive: true, force: true });
      writeFiles(root, files);
      await told(rig, root, ['add', ...Object.keys(files).map((path) => path.replace(/\/.*/, ''))]);
      git('commit', '--quiet', '-m', 'files');
    };
    await record({ one: '1', two: '1', kind: '1' });
    git('switch', '--quiet', '-c', 'topic');
    await record({ one: '3' });
    await told(rig, root, ['remove', 'kind']);
    rmSync(join(root, 'kind'));
    await record({ 'kind/x': '3' });
    git('switch', '--quiet', 'main');
    rmSync(join(root, 'kind'), { recursive: true });
    await record({ one: '2', two: '2', kind: '2' });
    expect(tryGit('merge', 'topic').isDone).toBe(false);
    expect(await left(project)).toEqual(['kind: a file in ours, a folder in theirs', 'one: both changed it']);
    await told(rig, root, ['checkout', '--ours', 'one']);
    await told(rig, root, ['checkout', '--theirs', 'kind']);
    expect(readFolder(root, ['.git', '.mlv'])).toMatchObject({ one: 'file 2', two: 'file 2', 'kind/x': 'file 3' });
    git('commit', '--quiet', '-m', 'merged');
    expect(await told(rig, root, ['status'])).toBe('3 paths unchanged (3 files, 3 B)\n');
  });

  test('of a dataset that one side tracks no more', async () => {
    const project = await branches('deleted', { base: BASE, ours: OURS, theirs: THEIRS });
    const { root, git, tryGit } = project;
    git('switch', '--quiet', '-c', 'gone', 'main~1');
    await told(rig, root, ['checkout', '--force']);
    await told(rig, root, ['remove', 'data']);
    git('commit', '--quiet', '-m', 'gone');
    expect(tryGit('merge', 'main').isDone).toBe(false);
    expect(await left(project)).toEqual(['data: deleted in ours, changed in theirs']);
    await told(rig, root, ['checkout', '--ours', 'data']);
    expect(git('status', '--porcelain', '--untracked-files=no')).toBe('');
    expect(await told(rig, root, ['status'])).toContain('Nothing is tracked yet\n');
    git('merge', '--abort');
    rmSync(join(root, 'data'), { recursive: true });
    git('switch', '--quiet', 'main');
    expect(tryGit('merge', 'gone').isDone).toBe(false);
    await told(rig, root, ['checkout', '--ours', 'data']);
    expect(readFolder(join(root, 'data'))).toEqual(asRead(OURS));
    expect(git('check-ignore', 'data')).toBe('data');
  });

  test('of one dataset, while work on others goes on', async () => {
    const project = await branches('others', { base: { a: '1' }, ours: { a: '2' }, theirs: { a: '3' } });
    const { root, tryGit } = project;
    await project.record('other', { x: '1' });
    tryGit('merge', 'topic');
    rmSync(join(root, 'other'), { recursive: true });
    // Everything else is done before it is told.
    expect(await refusal(rig, root, ['checkout'])).toBe(
      'error: 1 path could not be checked out; everything else was\n  data: a merge left a conflict in it; "mlv checkout --ours data" or "--theirs", or file by file, resolves it\nhint: For what is not in the cache, run "mlv pull"; mend the rest, then run "mlv checkout" again to finish.\n',
    );
    expect(readFolder(join(root, 'other'))).toEqual(asRead({ x: '1' }));
    writeFiles(root, { 'other/x': '2' });
    expect(await told(rig, root, ['add', 'other'])).toContain('1 changed');
    expect(await told(rig, root, ['status', 'other'])).toContain('1 path unchanged');
    for (const command of [['add', 'data'], ['commit'], ['push'], ['checkout', 'data'], ['fetch']]) {
      const error = await refusal(rig, root, command);
      expect(error).toBe(
        'error: data.mlv: holds conflict markers of a merge\nhint: "mlv status" lists what is in conflict, "mlv checkout --ours PATH" or "--theirs" chooses a side, for all or file by file.\n',
      );
    }
    expect((await rig.mlv(root, ['verify'])).stdout).toContain('"mlv checkout --ours PATH" or "--theirs"');
  });

  test('nothing is chosen where there is none, or twice', async () => {
    const project = await branches('none', {
      base: { a: '1', b: '1' },
      ours: { a: '2', b: '1' },
      theirs: { a: '3', b: '1' },
    });
    const { root, git, tryGit } = project;
    const none = (path: string): string =>
      `error: ${path} is in no conflict of a merge that is under way\nhint: "mlv status" lists what is. Where it was staged already, "git checkout --merge -- FILE.mlv" brings the conflict back.\n`;
    expect(await refusal(rig, root, ['checkout', '--ours', 'data'])).toBe(none('data'));
    tryGit('merge', 'topic');
    expect(await refusal(rig, root, ['checkout', '--ours', 'data/b'])).toBe(none('data/b'));
    expect(await refusal(rig, root, ['checkout', '--ours', '--theirs', 'data'], { code: 2 })).toContain('one side');
    expect(await refusal(rig, root, ['checkout', '--ours'], { code: 2 })).toContain('one side');
    // By hand, as Git has it.
    git('checkout', '--quiet', '--theirs', 'data.mlv');
    git('add', 'data.mlv');
    expect(await broughtData(project)).toEqual(asRead({ a: '3', b: '1' }));
    git('checkout', '--quiet', '--merge', '--', 'data.mlv');
    expect(await left(project)).toEqual(['data/a: both changed it']);
    // Staged as it is, marks and all.
    git('add', 'data.mlv');
    expect(await told(rig, root, ['status'])).toBe(
      'data  pointer holds the marks of a merge\n\n  git checkout --merge -- PATH.mlv  brings back a conflict that was staged as it was\n',
    );
  });
});
