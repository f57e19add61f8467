/** Whole commands in repositories of every kind that Git makes. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readFolder, writeFiles } from '../support/folders.ts';
import { repositoryAt, type TestRepository } from '../support/git.ts';
import type { MlvOptions, MlvRig } from '../support/mlv.ts';
import { makeMlvRig } from '../support/mlv.ts';
import { shareProject, type SharedProject } from '../support/shared-project.ts';
import { data, refusal, told } from '../support/told.ts';

let rig: MlvRig;
/** Without a git program in PATH. */
let nodeOnly: MlvOptions;
let project: SharedProject;
let first: string;

/** A project with two versions of a file and a folder, both pushed. */
beforeAll(async () => {
  rig = makeMlvRig();
  const onlyNode = join(rig.folder, 'only-node');
  mkdirSync(onlyNode);
  symlinkSync(process.execPath, join(onlyNode, 'node'));
  nodeOnly = { env: { PATH: onlyNode } };
  project = await shareProject(rig, 'project', { model: 'model 1', 'data/a': 'a 1', 'data/b': 'b' }, 'model', 'data');
  first = project.git('rev-parse', 'HEAD');
  await project.version({ model: 'model 2', 'data/a': 'a 2' }, 'model', 'data');
  await told(rig, project.root, ['push']);
}, 60_000);
afterAll(() => rig.dispose());

const FIRST = { model: 'model 1', data: { a: 'file a 1', b: 'file b' } };
const SECOND = { model: 'model 2', data: { a: 'file a 2', b: 'file b' } };

/** The data in a work tree. */
function inTree(root: string): unknown {
  const model = join(root, 'model');
  return { model: existsSync(model) ? readFileSync(model, 'utf8') : undefined, data: readFolder(join(root, 'data')) };
}

function clone(name: string, ...options: string[]): TestRepository {
  const folder = join(rig.folder, name);
  const from = `file://${project.root}`;
  execFileSync('git', ['clone', '--quiet', ...options, from, folder], { env: rig.env, stdio: 'pipe' });
  return repositoryAt(folder);
}

const unchanged = /^2 paths unchanged/;
const engines = (): [string, MlvOptions][] => [
  ['git', {}],
  ['Node alone', nodeOnly],
];

describe('revisions', () => {
  test('of every form are taken by --rev', async () => {
    const { root, git } = clone('revisions');
    git('tag', '-a', '-m', 'one', 'v1.0', 'HEAD~1');
    git('tag', '-a', '-m', 'two', 'nested', 'v1.0');
    git('branch', 'side', 'HEAD~1');
    const forms = ['HEAD~1', 'nested', first.slice(0, 8), 'origin/main~1'];
    for (const [name, options] of engines()) {
      for (const rev of forms) {
        const { versions } = await data<{ versions: number }>(rig, root, ['verify', '--quick', '--rev', rev], options);
        expect([name, rev, versions]).toEqual([name, rev, 2]);
      }
    }
    git('checkout', '--quiet', 'side');
    for (const rev of ['@{-1}', '@{yesterday}', ':/version', 'main@{u}'])
      await told(rig, root, ['fetch', '--rev', rev]);
    const message = await refusal(rig, root, ['fetch', '--rev', '@{-1}'], nodeOnly);
    expect(message).toContain("'@{-1}' cannot be resolved without the git program");
    for (const rev of ['HEAD^{tree}', 'HEAD:model.mlv', 'nothing', 'main..side'])
      expect(await refusal(rig, root, ['fetch', '--rev', rev])).toContain(`has no commit called '${rev}'`);
  });
});

describe('linked work trees', () => {
  test('have each their own version, by status, checkout and commit, and what they need stays', async () => {
    const main = clone('trees');
    await told(rig, main.root, ['pull']);
    const at = join(rig.folder, 'trees-linked');
    main.git('worktree', 'add', '--quiet', at, '-b', 'linked', first);
    const linked = repositoryAt(at);
    for (const [, options] of engines()) {
      await told(rig, at, ['pull'], options);
      expect([inTree(main.root), inTree(at)]).toEqual([SECOND, FIRST]);
      expect(await told(rig, main.root, ['status'], options)).toMatch(unchanged);
      expect(await told(rig, at, ['status'], options)).toMatch(unchanged);
    }
    writeFileSync(join(at, 'model'), 'of the linked one');
    expect(await told(rig, main.root, ['status'])).toMatch(unchanged);
    await told(rig, at, ['commit']);
    linked.git('commit', '--quiet', '-m', 'linked');
    // Moved, it is the same one.
    const moved = `${at}-moved`;
    main.git('worktree', 'move', at, moved);
    expect(await told(rig, moved, ['status'])).toMatch(unchanged);
    renameSync(moved, at);
    main.git('worktree', 'repair', at);
    expect(await told(rig, at, ['status'])).toMatch(unchanged);
    await told(rig, main.root, ['gc', '--yes']);
    // One that is on a disk that is not there is not forgotten.
    main.git('worktree', 'lock', at);
    renameSync(at, moved);
    main.git('worktree', 'prune');
    expect(await refusal(rig, main.root, ['gc', '--yes'])).toContain(`${at} cannot be reached`);
    expect(await told(rig, main.root, ['status'])).toMatch(unchanged);
    renameSync(moved, at);
    main.git('worktree', 'unlock', at);
    await told(rig, main.root, ['gc', '--yes']);
    main.git('worktree', 'remove', '--force', at);
    await told(rig, main.root, ['gc', '--yes']);
    // What was recorded in it is in the cache still.
    main.git('checkout', '--quiet', 'linked');
    await told(rig, main.root, ['checkout']);
    expect(readFileSync(join(main.root, 'model'), 'utf8')).toBe('of the linked one');
  });

  test('in the middle of a merge and of a rebase', async () => {
    const main = clone('middle');
    await told(rig, main.root, ['pull']);
    const at = join(rig.folder, 'middle-linked');
    main.git('worktree', 'add', '--quiet', at, '-b', 'linked', first);
    const linked = repositoryAt(at);
    await told(rig, at, ['pull']);
    writeFileSync(join(at, 'model'), 'theirs');
    await told(rig, at, ['commit']);
    linked.git('commit', '--quiet', '-m', 'theirs');
    for (const [start, end] of [
      [
        ['merge', 'main'],
        ['merge', '--continue'],
      ],
      [
        ['rebase', 'main'],
        ['rebase', '--continue'],
      ],
    ] as const) {
      linked.gitFailing(...start);
      const { code, stderr } = await rig.mlv(at, ['checkout']);
      expect([code, stderr]).toEqual([1, expect.stringContaining('model: a merge left a conflict in it')]);
      expect(await told(rig, main.root, ['status'])).toMatch(unchanged);
      await told(rig, main.root, ['gc', '--yes']);
      linked.git('checkout', '--theirs', '--', 'model.mlv');
      await told(rig, at, ['checkout']);
      linked.git('add', 'model.mlv');
      linked.git('-c', 'core.editor=true', ...end);
      expect(await told(rig, at, ['status'])).toMatch(unchanged);
      linked.git('reset', '--quiet', '--hard', 'linked@{1}');
      await told(rig, at, ['checkout']);
      expect(readFileSync(join(at, 'model'), 'utf8')).toBe('theirs');
    }
  });
});

describe('submodules', () => {
  test('are projects of their own, which the one around them does not enter', async () => {
    const outer = await shareProject(rig, 'outer', { own: 'own' }, 'own');
    outer.git('submodule', '--quiet', 'add', project.root, 'inner');
    // An old one, with its Git folder in it.
    execFileSync('git', ['clone', '--quiet', project.root, join(outer.root, 'old')], { env: rig.env, stdio: 'pipe' });
    outer.git('submodule', '--quiet', 'add', project.root, 'old');
    outer.git('commit', '--quiet', '-m', 'submodules');
    const check = async (inner: string): Promise<void> => {
      const root = join(outer.root, inner);
      for (const [, options] of engines()) {
        expect(await told(rig, outer.root, ['status'], options)).toMatch(/^1 path unchanged/);
        await told(rig, root, ['pull', 'model'], options);
        expect(await told(rig, root, ['status', 'model'], options)).toMatch(/^1 path unchanged/);
      }
      for (const command of ['add', 'checkout', 'remove', 'fetch'])
        expect(await refusal(rig, outer.root, [command, `${inner}/model`])).toContain(
          `error: ${inner}/model belongs to another Git repository, ${inner}\n`,
        );
      expect(outer.git('status', '--porcelain')).toBe('');
    };
    expect(existsSync(join(outer.root, 'old/.git/objects'))).toBe(true);
    await check('inner');
    await check('old');
    outer.git('submodule', '--quiet', 'absorbgitdirs');
    expect(existsSync(join(outer.root, '.git/modules/old/objects'))).toBe(true);
    await check('old');
    await told(rig, outer.root, ['push']);
    const ask = ['verify', '--quick', '--all-commits'];
    const { versions } = await data<{ versions: number }>(rig, outer.root, ask);
    expect(versions).toBe(1);
  });
});

describe('clones that have not all', () => {
  test.each([
    ['shallow', ['--depth=1']],
    ['partial', ['--filter=blob:none']],
    ['treeless', ['--filter=tree:0']],
  ] as const)('a %s one pulls, fetches, verifies, collects and pushes', async (kind, options) => {
    const { root, git } = clone(kind, ...options);
    await told(rig, root, ['pull']);
    expect(inTree(root)).toEqual(SECOND);
    expect(await told(rig, root, ['status'])).toMatch(unchanged);
    await told(rig, root, ['verify']);
    const { versions } = await data<{ versions: number }>(rig, root, ['verify', '--quick', '--all-commits']);
    expect(versions).toBe(kind === 'shallow' ? 2 : 4);
    await told(rig, root, ['fetch', '--all-commits']);
    await told(rig, root, ['gc', '--yes', '--all-commits']);
    writeFileSync(join(root, 'model'), `model of ${kind}`);
    await told(rig, root, ['commit']);
    git('commit', '--quiet', '-m', kind);
    expect(await told(rig, root, ['push'])).toContain('sent 1 blob');
    expect(await told(rig, root, ['push'])).toContain('up to date');
  });

  test('a shallow one that gets its history later has not pushed that', async () => {
    const { root, git } = clone('deepened', '--depth=1');
    await told(rig, root, ['pull']);
    await told(rig, root, ['remote', 'add', '--local', 'second', join(rig.folder, 'second-store')]);
    await told(rig, root, ['push', '-r', 'second']);
    git('fetch', '--quiet', '--unshallow');
    await told(rig, root, ['fetch', '--all-commits', '-r', 'store']);
    await told(rig, root, ['push', '-r', 'second']);
    const whole = await told(rig, root, ['verify', '--quick', '-r', 'second', '--all-commits']);
    expect(whole).toContain(' complete: ');
  });

  test('a sparse checkout has no pointers of the rest, and adds what is in it', async () => {
    const wide = await shareProject(rig, 'wide', { 'in/a': 'a', 'out/b': 'b' }, 'in/a', 'out/b');
    await told(rig, wide.root, ['push']);
    const narrow = wide.clone('narrow');
    narrow.git('sparse-checkout', 'set', '--cone', '--sparse-index', 'in');
    // Its settings are not there: no reason to make new ones.
    expect(await refusal(rig, narrow.root, ['pull'])).toContain('hint: This checkout is sparse.');
    expect(await refusal(rig, narrow.root, ['init'])).toContain('git sparse-checkout add .mlv');
    narrow.git('sparse-checkout', 'add', '.mlv');
    expect(await refusal(rig, narrow.root, ['commit'], nodeOnly)).toContain("needs the extension 'sdir'");
    expect(await told(rig, narrow.root, ['pull'])).toContain('in/a  1 file written');
    expect(existsSync(join(narrow.root, 'out'))).toBe(false);
    writeFileSync(join(narrow.root, 'in/a'), 'edited');
    await told(rig, narrow.root, ['commit']);
    expect(narrow.git('status', '--porcelain')).toBe('M  in/a.mlv');
    // Named by HEAD, so it is needed.
    const { versions } = await data<{ versions: number }>(rig, narrow.root, ['verify', '--quick', '--rev', 'HEAD']);
    expect(versions).toBe(2);
    await told(rig, narrow.root, ['fetch', '--rev', 'HEAD']);
    narrow.git('commit', '--quiet', '-m', 'narrow');
    narrow.git('sparse-checkout', 'disable');
    await told(rig, narrow.root, ['checkout']);
    expect(readFileSync(join(narrow.root, 'out/b'), 'utf8')).toBe('b');
  });
});

describe('line endings', () => {
  test.each([
    ['core.autocrlf', 'autocrlf'],
    ['.gitattributes', 'attributes'],
  ])('pointers that %s gives CRLF are read, written and staged', async (_, how) => {
    const source = project.clone(`${how}-source`);
    if (how === 'attributes') source.commit({ '.gitattributes': '* text eol=crlf\n' });
    const root = join(rig.folder, how);
    const setting = how === 'attributes' ? [] : ['-c', 'core.autocrlf=true'];
    execFileSync('git', ['clone', '--quiet', ...setting, source.root, root], { env: rig.env, stdio: 'pipe' });
    const { git } = repositoryAt(root);
    const endings = (): string[] =>
      git('ls-files', '--eol', '*.mlv', '.gitignore', '.mlv/config.yaml')
        .split('\n')
        .map((line) => line.slice(0, 14).trim());
    expect(new Set(endings())).toEqual(new Set(['i/lf    w/crlf']));
    for (const [, options] of engines()) {
      await told(rig, root, ['pull'], options);
      expect(await told(rig, root, ['status'], options)).toMatch(unchanged);
      await told(rig, root, ['verify', '--quick', '--rev', 'HEAD'], options);
    }
    writeFiles(root, { model: 'other', extra: 'extra' });
    await told(rig, root, ['commit']);
    await told(rig, root, ['add', 'extra']);
    await told(rig, root, ['move', 'data', 'renamed']);
    expect(git('status', '--porcelain').split('\n')).toEqual([
      'M  .gitignore',
      'A  extra.mlv',
      'M  model.mlv',
      'R  data.mlv -> renamed.mlv',
    ]);
    expect(endings().every((each) => each.startsWith('i/lf'))).toBe(true);
    expect(git('diff', '--cached', '--numstat', 'model.mlv')).toBe('2\t2\tmodel.mlv');
    git('commit', '--quiet', '-m', 'here');
    expect(git('status', '--porcelain')).toBe('');
    expect(git('check-ignore', 'model', 'extra', 'renamed')).toBe('model\nextra\nrenamed');
  });
});

describe('the state of a repository', () => {
  test('a stash takes pointers away and brings them back, data with them', async () => {
    const { root, git } = clone('stash');
    await told(rig, root, ['pull']);
    writeFileSync(join(root, 'model'), 'stashed');
    await told(rig, root, ['commit']);
    git('stash', '--quiet');
    await told(rig, root, ['checkout']);
    expect(inTree(root)).toEqual(SECOND);
    await told(rig, root, ['gc', '--yes']);
    git('stash', 'pop', '--quiet', '--index');
    await told(rig, root, ['checkout']);
    expect(inTree(root)).toEqual({ ...SECOND, model: 'stashed' });
  });

  test('a branch without commits, a detached HEAD, a branch that is renamed', async () => {
    const { root, git } = clone('heads');
    git('checkout', '--quiet', '--orphan', 'fresh');
    for (const [, options] of engines()) {
      await told(rig, root, ['pull'], options);
      expect(await told(rig, root, ['push'], options)).toContain('up to date');
      expect(await refusal(rig, root, ['fetch', '--rev', 'HEAD'], options)).toContain("no commit called 'HEAD'");
    }
    git('commit', '--quiet', '-m', 'fresh');
    git('checkout', '--quiet', '--detach', 'main');
    git('branch', '--move', 'main', 'trunk');
    for (const [, options] of engines()) {
      expect(await told(rig, root, ['push'], options)).toContain('up to date');
      await told(rig, root, ['verify', '--quick', '--rev', 'trunk'], options);
      expect(await told(rig, root, ['status'], options)).toMatch(unchanged);
    }
  });

  test('a bare repository, and the inside of .git, have no data', async () => {
    execFileSync('git', ['clone', '--quiet', '--bare', project.root, join(rig.folder, 'bare.git')], {
      env: rig.env,
      stdio: 'pipe',
    });
    for (const [, options] of engines()) {
      for (const folder of [join(rig.folder, 'bare.git'), join(project.root, '.git')])
        expect(await refusal(rig, folder, ['status'], options)).toContain('is a Git folder without a work tree');
    }
  });

  test('git clean takes no data that is recorded out of the cache', async () => {
    const { root, git } = clone('clean');
    await told(rig, root, ['pull']);
    writeFileSync(join(root, 'model'), 'never pushed');
    await told(rig, root, ['commit']);
    git('commit', '--quiet', '-m', 'here');
    git('clean', '-ffdxq');
    expect(existsSync(join(root, 'model'))).toBe(false);
    await told(rig, root, ['checkout', '--force']);
    expect(inTree(root)).toEqual({ ...SECOND, model: 'never pushed' });
  });

  test('GIT_DIR and GIT_WORK_TREE, as hooks and aliases have them', async () => {
    const { root, git } = clone('environment');
    await told(rig, root, ['pull']);
    writeFileSync(join(root, 'model'), 'by a hook');
    const away = join(rig.folder, 'away.git');
    renameSync(join(root, '.git'), away);
    const env = { GIT_DIR: away, GIT_WORK_TREE: root };
    for (const options of [{ env }, { env: { ...env, ...nodeOnly.env } }])
      expect(await told(rig, join(root, 'data'), ['status'], options)).toContain('model  modified');
    await told(rig, root, ['commit'], { env: { ...env, GIT_INDEX_FILE: join(away, 'index') } });
    renameSync(away, join(root, '.git'));
    expect(git('diff', '--cached', '--name-only')).toBe('model.mlv');
  });

  test('a repository of somebody else is not trusted, with what to do', async () => {
    const { root } = clone('foreign');
    const foreign = { env: { GIT_TEST_ASSUME_DIFFERENT_OWNER: '1' } };
    const message = await refusal(rig, root, ['verify', '--quick', '--rev', 'HEAD'], foreign);
    expect(message).toContain(`hint: If you trust it: git config --global --add safe.directory ${root}`);
  });

  test('odd names, quoted or not by Git', async () => {
    const names = [
      'ein Name',
      'Wörter',
      '"quoted"',
      "it's",
      'tab\there',
      'new\nline',
      '日本',
      '[x]',
      ':(top)',
      '#x',
      '!x',
    ];
    const odd = await shareProject(
      rig,
      'odd',
      Object.fromEntries(names.map((name) => [name, name])),
      ...names.map((name) => `./${name}`),
    );
    await told(rig, odd.root, ['push']);
    for (const quote of ['true', 'false']) {
      const copy = odd.clone(`odd-${quote}`);
      copy.git('config', 'core.quotePath', quote);
      for (const [, options] of engines()) {
        const { versions } = await data<{ versions: number }>(
          rig,
          copy.root,
          ['verify', '--quick', '--rev', 'HEAD'],
          options,
        );
        expect(versions).toBe(names.length);
        await told(rig, copy.root, ['pull'], options);
      }
      for (const name of names) expect(readFileSync(join(copy.root, name), 'utf8')).toBe(name);
      writeFileSync(join(copy.root, 'Wörter'), 'mehr');
      await told(rig, copy.root, ['commit']);
      expect(copy.git('-c', 'core.quotePath=false', 'status', '--porcelain')).toBe('M  Wörter.mlv');
    }
  });
});
