/** Hooks as real git runs them: what is pushed, what a switch, merge or rebase brings. */
import { appendFileSync, cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { asRead, readFolder, writeFiles } from '../support/folders.ts';
import type { GitOptions, GitRun } from '../support/hooks.ts';
import { makePath, runGit, writeScript } from '../support/hooks.ts';
import type { TestRepository } from '../support/git.ts';
import { repositoryAt } from '../support/git.ts';
import type { MlvRig } from '../support/mlv.ts';
import { makeMlvRig } from '../support/mlv.ts';
import { told } from '../support/told.ts';

let rig: MlvRig;
let path: string;
beforeAll(async () => {
  rig = makeMlvRig();
  path = makePath(rig, 'bin', { withMlv: true });
  await makeTemplate();
});
afterAll(() => rig.dispose());

const git = (cwd: string, args: readonly string[], options: GitOptions = {}): GitRun =>
  runGit(rig, cwd, args, { path, ...options });

/** What git prints where its hook has nothing to say. */
function quietly(cwd: string, args: readonly string[], options: GitOptions = {}): void {
  const { code, output } = git(cwd, args, options);
  expect({ code, hooks: output.split('\n').filter((line) => /^(mlv:|error:|hint:)/.test(line)) }).toEqual({
    code: 0,
    hooks: [],
  });
}

interface Project extends TestRepository {
  /** The Git remote, bare. */
  readonly origin: string;
  /** Commits what is staged; returns the commit. */
  save(): string;
  /** Records `data` and commits. */
  record(files: Readonly<Record<string, string>>): Promise<string>;
}

/** Made once, then copied: `repo`, `origin.git` beside it, and a folder `store` for data that is not there yet. */
async function makeTemplate(): Promise<void> {
  const repository = await rig.project('template/repo');
  runGit(rig, join(rig.folder, 'template'), ['init', '--quiet', '--bare', 'origin.git']);
  repository.git('remote', 'add', 'origin', '../origin.git');
  await told(rig, repository.root, ['remote', 'add', '-d', 'store', '../store']);
  writeFiles(join(repository.root, 'data'), { a: '1', b: '1' });
  writeFiles(repository.root, { other: 'o' });
  await told(rig, repository.root, ['add', 'data', 'other']);
  repository.git('commit', '--quiet', '-m', 'v1');
  await told(rig, repository.root, ['hooks', 'install']);
}

/** A project with hooks, a folder as remote for data, and one version of `data` and `other`, which neither remote has. */
async function project(name: string): Promise<Project> {
  cpSync(join(rig.folder, 'template'), join(rig.folder, name), { recursive: true });
  const repository = repositoryAt(join(rig.folder, name, 'repo'));
  const save = (): string => {
    repository.git('commit', '--quiet', '--allow-empty', '-m', 'saved');
    return repository.git('rev-parse', 'HEAD');
  };
  const record = async (files: Readonly<Record<string, string>>): Promise<string> => {
    writeFiles(join(repository.root, 'data'), files);
    await told(rig, repository.root, ['add', 'data']);
    return save();
  };
  return { ...repository, origin: join(rig.folder, name, 'origin.git'), save, record };
}

const dataOf = ({ root }: TestRepository): Record<string, string> => readFolder(join(root, 'data')) ?? {};

describe('git push', () => {
  test('is refused until the data of its commits is on the remote', async () => {
    const repository = await project('refused');
    const { root, record } = repository;
    const v1 = repository.git('rev-parse', 'HEAD').slice(0, 10);
    const v2 = await record({ a: '2', c: '3' });
    const { code, output } = git(root, ['push', 'origin', 'main']);
    expect(code).toBe(1);
    expect(output).toBe(
      'error: these commits name data that is not on the remote, so they are not pushed\n' +
        `  data   in ${v2.slice(0, 10)}  not on store: 2 files\n` +
        `  data   in ${v1}  not on store: 1 file\n` +
        `  other  in ${v1}  not on store: 1 file\n` +
        'hint: mlv push, then push again; git push --no-verify pushes without the data\n' +
        "error: failed to push some refs to '../origin.git'\n",
    );
    expect(git(root, ['ls-remote', 'origin']).output).toBe('');
    await told(rig, root, ['push']);
    quietly(root, ['push', 'origin', 'main']);
    expect(git(root, ['ls-remote', 'origin', 'main']).output).toContain(v2);
  });

  test('is refused for a version that only an earlier commit has', async () => {
    const repository = await project('earlier');
    const { root, record } = repository;
    await told(rig, root, ['push']);
    quietly(root, ['push', 'origin', 'main']);
    const middle = await record({ a: 'middle' });
    await record({ a: '1' });
    expect(git(root, ['push', 'origin', 'main']).output).toContain(
      `data  in ${middle.slice(0, 10)}  not on store: 1 file\n`,
    );
    quietly(root, ['push', '--no-verify', 'origin', 'main']);
  });

  test('names what cures it: another branch, a tag, or everything', async () => {
    const repository = await project('cures');
    const { root, record } = repository;
    await told(rig, root, ['push']);
    quietly(root, ['push', 'origin', 'main']);
    quietly(root, ['switch', '-c', 'topic']);
    await record({ a: 'topic' });
    repository.git('tag', '-a', 'v1', '-m', 'v1');
    git(root, ['switch', 'main']);
    expect(git(root, ['push', 'origin', 'topic']).output).toContain('hint: mlv push --rev topic, then');
    expect(git(root, ['push', 'origin', 'v1']).output).toContain('hint: mlv push --rev v1, then');
    git(root, ['switch', 'topic']);
    await record({ a: 'more' });
    git(root, ['switch', 'main']);
    expect(git(root, ['push', 'origin', 'topic']).output).toContain('hint: mlv push --all-commits, then');
    await told(rig, root, ['push', '--all-commits']);
    quietly(root, ['push', 'origin', 'topic', 'v1']);
    quietly(root, ['push', 'origin', ':topic', ':v1']);
  });

  test('asks no remote where no pointer changes, whatever has become of it', async () => {
    const repository = await project('no-pointer');
    const { root } = repository;
    await told(rig, root, ['push']);
    quietly(root, ['push', 'origin', 'main']);
    rmSync(join(root, '../store'), { recursive: true });
    repository.write({ code: 'x' });
    repository.git('add', 'code');
    repository.save();
    quietly(root, ['push', 'origin', 'main']);
    repository.git('tag', 'blob', repository.git('rev-parse', 'HEAD:code'));
    quietly(root, ['push', 'origin', 'blob']);
    quietly(root, ['push', 'origin', 'main']);
    expect(git(root, ['ls-remote', 'origin', 'blob']).output).toContain('refs/tags/blob');
  });

  test('does not look up again what mlv push has just sent', async () => {
    const { root, record } = await project('just-sent');
    await told(rig, root, ['push']);
    // Whoever looked would find nothing.
    rmSync(join(root, '../store/index'), { recursive: true });
    quietly(root, ['push', 'origin', 'main']);
    await record({ a: '2' });
    expect(git(root, ['push', 'origin', 'main']).code).toBe(1);
  });

  test('is refused where nobody can tell: no remote, or one that is not to be reached', async () => {
    const repository = await project('unreachable');
    const { root } = repository;
    writeFiles(join(root, '../store'), { 'mlv.json': 'not a remote' });
    const { code, output } = git(root, ['push', 'origin', 'main']);
    expect(code).toBe(1);
    expect(output).toMatch(/^error: nobody can tell whether the data of these commits is on the remote: /);
    expect(output).toMatch(/^hint: .*To push without this check: git push --no-verify$/m);
    await told(rig, root, ['remote', 'remove', 'store']);
    expect(git(root, ['push', 'origin', 'main']).output).toMatch(
      /^error: nobody can tell .*: there is no remote yet\nhint: .*mlv remote add.*git push --no-verify$/m,
    );
  });

  test('to a remote without a name, of a commit without a branch', async () => {
    const repository = await project('unnamed');
    const { root, origin } = repository;
    git(root, ['switch', '--detach']);
    expect(git(root, ['push', origin, 'HEAD:refs/heads/x']).code).toBe(1);
    await told(rig, root, ['push']);
    quietly(root, ['push', origin, 'HEAD:refs/heads/x']);
  });

  test('with --auto-push sends the data, and is refused for what is nowhere', async () => {
    const repository = await project('auto');
    const { root, record } = repository;
    await told(rig, root, ['hooks', 'install', '--auto-push']);
    await record({ a: '2' });
    expect(git(root, ['push', 'origin', 'main'])).toMatchObject({
      code: 0,
      output: expect.stringMatching(/^mlv: sent \d blobs?, \d+ B to store$/m),
    });
    expect(JSON.parse(await told(rig, root, ['status', '--remote', '--json']))).toMatchObject({ clean: true });
    await record({ a: 'lost' });
    rmSync(join(root, '.git/mlv/cache'), { recursive: true });
    const { code, output } = git(root, ['push', 'origin', 'main']);
    expect(code).toBe(1);
    expect(output).toContain('Not sent:\n    data');
    // Without the option it is off again.
    await told(rig, root, ['hooks', 'install']);
    expect(git(root, ['push', 'origin', 'main']).output).not.toContain('Not sent');
  });

  test('from a branch without the project is refused where pushed commits have one', async () => {
    const repository = await project('elsewhere');
    const { root } = repository;
    repository.git('switch', '--quiet', '--orphan', 'pages');
    repository.save();
    quietly(root, ['push', 'origin', 'pages']);
    expect(git(root, ['push', 'origin', 'main']).output).toContain('this work tree has no mlv project');
  });
});

describe('the data follows', () => {
  test('git switch, git checkout and git merge, from any folder', async () => {
    const repository = await project('follows');
    const { root, record } = repository;
    git(root, ['switch', '-c', 'topic']);
    await record({ a: '2', c: '2' });
    expect(git(root, ['switch', 'main']).output).toContain('mlv: data  1 file written, 1 B; 1 file removed\n');
    expect(dataOf(repository)).toEqual(asRead({ a: '1', b: '1' }));
    mkdirSync(join(root, 'sub'));
    git(join(root, 'sub'), ['checkout', 'topic']);
    expect(dataOf(repository)).toEqual(asRead({ a: '2', b: '1', c: '2' }));
    git(rig.folder, ['-C', root, 'switch', 'main']);
    git(join(root, '..'), ['--git-dir=repo/.git', '--work-tree=repo', 'merge', 'topic']);
    expect(dataOf(repository)).toEqual(asRead({ a: '2', b: '1', c: '2' }));
    // Nothing to do, nothing said.
    quietly(root, ['switch', 'topic']);
    quietly(root, ['checkout', '--', 'data.mlv']);
    quietly(root, ['merge', 'main']);
    quietly(root, ['commit', '--allow-empty', '-m', 'empty']);
    quietly(root, ['commit', '--amend', '--allow-empty', '-m', 'amended']);
    git(root, ['switch', 'main']);
    quietly(root, ['merge', '--no-ff', '-m', 'merge', 'topic']);
  });

  test('git rebase: once, at its end; and one that only moves forward', async () => {
    const repository = await project('rebase');
    const { root, record } = repository;
    git(root, ['switch', '-c', 'topic']);
    writeFiles(root, { more: '1' });
    await told(rig, root, ['add', 'more']);
    repository.save();
    git(root, ['branch', 'behind', 'main']);
    git(root, ['switch', 'main']);
    await record({ a: '2' });
    git(root, ['switch', 'topic']);
    expect(dataOf(repository)).toEqual(asRead({ a: '1', b: '1' }));
    const { output } = git(root, ['rebase', '--exec', 'cat data/a', 'main']);
    expect(output.match(/mlv: data/g)).toHaveLength(1);
    expect(dataOf(repository)).toEqual(asRead({ a: '2', b: '1' }));
    expect(readFileSync(join(root, 'more'), 'utf8')).toBe('1');
    git(root, ['switch', 'behind']);
    expect(dataOf(repository)).toEqual(asRead({ a: '1', b: '1' }));
    git(root, ['rebase', 'main']);
    expect(dataOf(repository)).toEqual(asRead({ a: '2', b: '1' }));
  });

  test('a rebase that stops leaves data alone, and giving it up leaves it right', async () => {
    const repository = await project('rebase-stops');
    const { root, git: run, record, write, save } = repository;
    const change = (code: string): string => {
      write({ code });
      run('add', 'code');
      return save();
    };
    run('branch', 'topic');
    await record({ a: '2' });
    change('main');
    git(root, ['switch', 'topic']);
    change('topic');
    expect(git(root, ['rebase', 'main']).code).toBe(1);
    expect(dataOf(repository)).toEqual(asRead({ a: '1', b: '1' }));
    quietly(root, ['rebase', '--abort']);
    expect(JSON.parse(await told(rig, root, ['status', '--json']))).toMatchObject({ clean: true });
    git(root, ['rebase', 'main']);
    write({ code: 'both' });
    run('add', 'code');
    git(root, ['rebase', '--continue'], { env: { GIT_EDITOR: ':' } });
    expect(dataOf(repository)).toEqual(asRead({ a: '2', b: '1' }));
  });

  test('git pull, with and without --rebase', async () => {
    const repository = await project('pull');
    const { root, record, origin } = repository;
    await told(rig, root, ['push']);
    quietly(root, ['push', '-u', 'origin', 'main']);
    git(rig.folder, ['clone', '--quiet', '--branch', 'main', origin, 'pull/clone']);
    const clone = join(rig.folder, 'pull/clone');
    await told(rig, clone, ['config', '--local', 'cache.dir', join(root, '.git/mlv/cache')]);
    await told(rig, clone, ['hooks', 'install']);
    await told(rig, clone, ['pull']);
    for (const [content, args] of [
      ['2', ['pull', '--ff-only']],
      ['3', ['pull', '--rebase']],
    ] as const) {
      await record({ a: content });
      await told(rig, root, ['push']);
      quietly(root, ['push']);
      if (content === '3') git(clone, ['commit', '--allow-empty', '-m', 'own']);
      git(clone, args);
      expect(readFileSync(join(clone, 'data/a'), 'utf8')).toBe(content);
    }
  });

  test('git worktree add, and what is done there', async () => {
    const repository = await project('trees');
    const { root, record } = repository;
    await record({ a: '2' });
    git(root, ['worktree', 'add', '../linked', '-b', 'linked', 'HEAD~1']);
    const linked = join(root, '../linked');
    expect(readFolder(join(linked, 'data'))).toEqual(asRead({ a: '1', b: '1' }));
    git(linked, ['merge', 'main']);
    expect(readFolder(join(linked, 'data'))).toEqual(asRead({ a: '2', b: '1' }));
    expect(git(linked, ['push', 'origin', 'linked']).output).toContain('hint: mlv push, then');
    writeFileSync(join(linked, 'data/a'), 'mine');
    appendFileSync(join(linked, 'code'), 'x');
    git(linked, ['add', 'code']);
    expect(git(linked, ['commit', '-o', 'code', '-m', 'code']).output).toContain('not recorded');
    expect(dataOf(repository)).toEqual(asRead({ a: '2', b: '1' }));
  });

  test('edits stay, and where both sides changed that dataset stays while others come', async () => {
    const repository = await project('edits');
    const { root, record } = repository;
    git(root, ['switch', '-c', 'topic']);
    rmSync(join(root, 'other'));
    writeFiles(root, { other: '2' });
    await told(rig, root, ['add', 'other']);
    await record({ a: '2' });
    git(root, ['switch', 'main']);
    writeFiles(join(root, 'data'), { b: 'mine', new: 'mine' });
    git(root, ['switch', 'topic']);
    expect(dataOf(repository)).toEqual(asRead({ a: '2', b: 'mine', new: 'mine' }));
    git(root, ['switch', 'main']);
    writeFiles(join(root, 'data'), { a: 'mine' });
    expect(git(root, ['switch', 'topic'])).toEqual({
      code: 0,
      output:
        "Switched to branch 'topic'\n" +
        'mlv: other  1 file written, 1 B\n' +
        'mlv: 1 path was changed both here and in the version to check out; this data is left as it was\n' +
        '    data/a\n' +
        '  Copy yours elsewhere, or overwrite them: mlv checkout --force\n',
    });
    expect(dataOf(repository)).toEqual(asRead({ a: 'mine', b: 'mine', new: 'mine' }));
    expect(readFileSync(join(root, 'other'), 'utf8')).toBe('2');
  });

  test('git stash runs no hook: data follows with the next command, and edits that were not recorded stay', async () => {
    const repository = await project('stash');
    const { root } = repository;
    writeFiles(join(root, 'data'), { a: 'mine' });
    quietly(root, ['stash']);
    quietly(root, ['switch', '-c', 'topic']);
    expect(dataOf(repository)).toEqual(asRead({ a: 'mine', b: '1' }));
    await told(rig, root, ['add', 'data']);
    quietly(root, ['stash']);
    expect(git(root, ['switch', 'main']).output).toContain('mlv: data  1 file written, 1 B\n');
    quietly(root, ['stash', 'pop']);
    await told(rig, root, ['checkout']);
    expect(dataOf(repository)).toEqual(asRead({ a: 'mine', b: '1' }));
  });

  test('what the cache lacks is told with "mlv pull", without a network; what is not wanted here is passed over', async () => {
    const repository = await project('absent');
    const { root, origin, record } = repository;
    git(root, ['switch', '-c', 'topic']);
    await record({ a: '2' });
    await told(rig, root, ['push']);
    quietly(root, ['push', 'origin', 'main', 'topic']);
    git(rig.folder, ['clone', '--quiet', '--branch', 'main', origin, 'absent/clone']);
    const clone = join(rig.folder, 'absent/clone');
    await told(rig, clone, ['hooks', 'install']);
    quietly(clone, ['switch', 'topic']);
    quietly(clone, ['switch', 'main']);
    await told(rig, clone, ['pull', 'data']);
    rmSync(join(root, '../store'), { recursive: true });
    expect(git(clone, ['switch', 'topic'])).toMatchObject({
      code: 0,
      output: expect.stringContaining(
        'mlv: 1 path could not be checked out\n' +
          '    data: its list of files is not, or not whole, in the cache\n' +
          '  mlv pull gets what is not in the cache\n',
      ),
    });
    expect(readFolder(join(clone, 'data'))).toEqual(asRead({ a: '1', b: '1' }));
  });

  test('what was deleted here stays away, and a pointer that is none is told', async () => {
    const repository = await project('deleted');
    const { root } = repository;
    rmSync(join(root, 'data'), { recursive: true });
    quietly(root, ['switch', '-c', 'topic']);
    expect(readFolder(join(root, 'data'))).toBeUndefined();
    repository.write({ 'bad.mlv': '<<<<<<< ours\n' });
    repository.git('add', 'bad.mlv');
    repository.save();
    quietly(root, ['switch', 'main']);
    expect(git(root, ['switch', 'topic'])).toMatchObject({ code: 0, output: expect.stringMatching(/^mlv: bad\.mlv/m) });
  });
});

describe('git commit', () => {
  test('tells what was not recorded, and is never stopped', async () => {
    const repository = await project('commit');
    const { root } = repository;
    quietly(root, ['commit', '--allow-empty', '-m', 'nothing']);
    writeFiles(join(root, 'data'), { a: 'edited' });
    const said =
      'mlv: 1 path of data modified and not recorded; this commit names the version before\n' +
      '    data\n' +
      '  mlv commit records it\n';
    for (const args of [
      ['commit', '--allow-empty', '-m', 'x'],
      ['commit', '-a', '--allow-empty', '-m', 'x'],
    ])
      expect(git(root, args)).toMatchObject({ code: 0, output: expect.stringContaining(said) });
    await told(rig, root, ['commit']);
    quietly(root, ['commit', '-m', 'recorded']);
    writeFileSync(join(root, '.mlv/config.yaml'), 'remote: [\n');
    expect(git(root, ['commit', '-a', '-m', 'broken settings']).code).toBe(0);
  });
});

test('projects in folders of a repository, each by itself', async () => {
  const repository = rig.repository('several');
  const { root } = repository;
  runGit(rig, rig.folder, ['init', '--quiet', '--bare', join(rig.folder, 'several.git')]);
  repository.git('remote', 'add', 'origin', '../several.git');
  for (const name of ['one', 'two']) {
    mkdirSync(join(root, name));
    await told(rig, join(root, name), ['init', '--subdir']);
    await told(rig, join(root, name), ['remote', 'add', '-d', name, `../../several-${name}`]);
    writeFiles(join(root, name), { 'data/a': name });
    await told(rig, join(root, name), ['add', 'data']);
  }
  await told(rig, join(root, 'two'), ['hooks', 'install']);
  repository.git('commit', '--quiet', '-m', 'first');
  const first = repository.git('rev-parse', 'HEAD');
  const { code, output } = git(root, ['push', 'origin', 'main']);
  expect(code).toBe(1);
  expect(output).toContain(`one/data  in ${first.slice(0, 10)}  not on one: 1 file`);
  expect(output).toContain('hint: mlv -C two push, then');
  await told(rig, join(root, 'one'), ['push']);
  await told(rig, join(root, 'two'), ['push']);
  quietly(join(root, 'one'), ['push', 'origin', 'main']);
  git(join(root, 'one'), ['switch', '-c', 'topic']);
  writeFiles(join(root, 'two'), { 'data/a': 'changed' });
  expect(git(root, ['commit', '--allow-empty', '-m', 'x']).output).toContain('    two/data\n');
  await told(rig, join(root, 'two'), ['commit']);
  repository.git('commit', '--quiet', '-m', 'second');
  git(join(root, 'one'), ['switch', 'main']);
  expect(readFileSync(join(root, 'two/data/a'), 'utf8')).toBe('two');
});

describe('without mlv on PATH', () => {
  test('the one that installed them is taken', async () => {
    const repository = await project('remembered');
    const without = makePath(rig, 'remembered-bin', { withMlv: false });
    expect(git(repository.root, ['push', 'origin', 'main'], { path: without }).output).toContain(
      'hint: mlv push, then',
    );
  });

  test('and none at all, all hooks warn, and only pre-push stops', async () => {
    const repository = await rig.project('gui');
    const { root } = repository;
    const without = makePath(rig, 'gui-bin', { withMlv: false });
    repository.git('config', 'core.hooksPath', '.githooks');
    await told(rig, root, ['hooks', 'install']);
    runGit(rig, rig.folder, ['init', '--quiet', '--bare', join(rig.folder, 'gui.git')]);
    repository.git('remote', 'add', 'origin', '../gui.git');
    const run = (...args: string[]): GitRun => git(root, args, { path: without });
    const warning = 'mlv: not found on PATH, so ';
    expect(run('commit', '-m', 'x')).toMatchObject({ code: 0, output: expect.stringContaining(warning) });
    expect(run('switch', '-c', 'topic')).toMatchObject({ code: 0, output: expect.stringContaining(warning) });
    expect(run('checkout', '--', '.')).toMatchObject({ code: 0, output: expect.not.stringContaining(warning) });
    const refused = run('push', 'origin', 'topic');
    expect(refused.code).toBe(1);
    expect(refused.output).toMatch(/^mlv: not found on PATH, .* git push --no-verify$/m);
    expect(run('push', '--no-verify', 'origin', 'topic').code).toBe(0);
  });

  test('and one that fails, only pre-push stops', async () => {
    const repository = await project('failing');
    const broken = makePath(rig, 'failing-bin', { withMlv: false });
    writeScript(join(broken, 'mlv'), '#!/bin/sh\nexit 42\n');
    expect(git(repository.root, ['switch', '-c', 'topic'], { path: broken }).code).toBe(0);
    expect(git(repository.root, ['commit', '--allow-empty', '-m', 'x'], { path: broken }).code).toBe(0);
    expect(git(repository.root, ['push', 'origin', 'topic'], { path: broken }).code).toBe(1);
  });
});
