/** Outputs that `mlv.lock` has on record are tracked data, beside what pointers track. */
import { appendFileSync, existsSync, lutimesSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { digestOf } from '../support/trees.ts';
import { readFolder, writeFiles } from '../support/folders.ts';
import { runGit, writeScript } from '../support/hooks.ts';
import { BIN, makeMlvRig, type MlvRig } from '../support/mlv.ts';
import { recordOutputs } from '../support/outputs.ts';
import { shareProject, type SharedProject } from '../support/shared-project.ts';
import { data, refusal, told } from '../support/told.ts';

let rig: MlvRig;
beforeAll(() => {
  rig = makeMlvRig();
});
afterAll(() => rig.dispose());

const FIRST = {
  'data/a': '1',
  model: 'first model',
  'local.bin': 'stays here',
  'sub/pred/x': 'x1',
  'sub/pred/y': 'y1',
};
const TRAIN = { train: { model: {}, 'local.bin': { push: false } } };
const PREDICT = { predict: { 'sub/pred': {} } };

/** A project with the folder `data` by a pointer, and a file, a folder and what stays here by two locks. */
async function project(name: string): Promise<SharedProject & { record: (message?: string) => Promise<string> }> {
  const shared = await shareProject(rig, name, FIRST, 'data');
  const { git } = shared;
  async function record(message = 'run'): Promise<string> {
    await recordOutputs(rig, shared, TRAIN);
    await recordOutputs(rig, shared, PREDICT, 'sub/mlv.lock');
    git('add', '--all');
    git('commit', '--quiet', '-m', message);
    return git('rev-parse', 'HEAD');
  }
  await record();
  return { ...shared, record };
}

function visibleFiles(root: string): Record<string, string> {
  const files = readFolder(root, ['.git', '.mlv']) ?? {};
  return Object.fromEntries(Object.entries(files).filter(([path]) => !/\.(?:mlv|lock|gitignore)$/.test(path)));
}
const FIRST_READ = Object.fromEntries(Object.entries(FIRST).map(([path, text]) => [path, `file ${text}`]));
const { 'local.bin': _local, ...FIRST_PUSHED } = FIRST_READ;

describe('outputs', () => {
  test('are told, listed, read and measured beside what pointers track', async () => {
    const { root, git } = await project('told');
    expect(git('status', '--porcelain')).toBe('');
    expect(await told(rig, root, ['status'])).toMatch(/^4 paths unchanged \(5 files, \d+ B\)\n$/);
    const { items } = await data<{ items: { path: string; stage?: string }[] }>(rig, root, ['status']);
    expect(items.map(({ path, stage }) => [path, stage])).toEqual([
      ['data', undefined],
      ['local.bin', 'train'],
      ['model', 'train'],
      ['sub/pred', 'sub/mlv.yaml:predict'],
    ]);
    expect((await told(rig, root, ['ls', '-R'])).split('\n')).toEqual([
      'data/a',
      'local.bin',
      'model',
      'sub/pred/x',
      'sub/pred/y',
      '',
    ]);
    expect(await told(rig, root, ['ls', 'sub/pred', '--rev', 'HEAD'])).toBe('x\ny\n');
    expect(await told(rig, root, ['cat', 'sub/pred/y'])).toBe('y1');
    expect(await told(rig, root, ['cat', 'model', '--rev', 'HEAD'])).toBe('first model');
    await told(rig, root, ['get', 'sub/pred', '-o', join(rig.folder, 'got')]);
    expect(readFolder(join(rig.folder, 'got'))).toEqual({ x: 'file x1', y: 'file y1' });
    expect(await refusal(rig, root, ['get', 'model', '-o', 'sub/pred/y', '--force'])).toContain(
      `it is inside ${join(root, 'sub/pred')}, which is tracked`,
    );
    expect(await told(rig, root, ['du'])).toContain('sub/pred');
    expect(await told(rig, root, ['verify'])).toContain('sound');

    writeFiles(root, { model: 'by hand', 'data/a': '2' });
    expect(await told(rig, root, ['status'])).toBe(
      'data   modified: 1 changed\n    changed  data/a\nmodel  modified\n2 paths unchanged (3 files, 14 B)\n\n' +
        '  mlv commit  records what was modified\n  mlv repro   makes again what stages had made\n',
    );
    expect(await told(rig, root, ['commit'])).toContain('updated  data');
    expect(await told(rig, root, ['status', 'model'])).toContain('model  modified');
    expect(await told(rig, root, ['checkout', '--force', 'model'])).toContain('model');
    expect(readFileSync(join(root, 'model'), 'utf8')).toBe('first model');
    rmSync(join(root, 'sub/pred'), { recursive: true });
    await told(rig, join(root, 'sub'), ['checkout', 'pred']);
    expect(visibleFiles(root)).toEqual({ ...FIRST_READ, 'data/a': 'file 2' });
  });

  test('are pushed and pulled, but for those that stay where they were made, which nobody misses', async () => {
    const { root, clone } = await project('shared');
    expect(await told(rig, root, ['push'])).not.toContain('up to date');
    expect(await told(rig, root, ['status', '--remote'])).toContain('4 paths unchanged');
    const other = clone('shared-clone');
    expect(await told(rig, other.root, ['status'])).toContain('made elsewhere, and never pushed');
    await told(rig, other.root, ['pull']);
    expect(visibleFiles(other.root)).toEqual(FIRST_PUSHED);
    expect(await data(rig, other.root, ['status', '--remote'])).toMatchObject({ clean: true });
    await told(rig, other.root, ['verify', '--remote']);
    expect(await refusal(rig, other.root, ['cat', 'local.bin'])).toContain('local.bin');
    expect(await told(rig, other.root, ['checkout'])).toBe(await told(rig, other.root, ['checkout']));
  });

  test('that stay here now go where an earlier commit says that they belong', async () => {
    const shared = await project('local-now');
    const { root, git, clone } = shared;
    await recordOutputs(rig, shared, { train: { model: { push: false }, 'local.bin': { push: false } } });
    git('commit', '--quiet', '--all', '-m', 'stays here');
    await told(rig, root, ['push']);
    expect(await told(rig, clone('local-now-clone').root, ['cat', 'model', '--rev', 'HEAD~1'])).toBe('first model');
  });

  test('go to their own remote', async () => {
    const shared = await project('own-remote');
    const { root } = shared;
    await told(rig, root, ['remote', 'add', 'archive', join(rig.folder, 'archive')]);
    await recordOutputs(rig, shared, { train: { model: { remote: 'archive' }, 'local.bin': { push: false } } });
    shared.git('commit', '--quiet', '--all', '-m', 'archive');
    const pushed = await data<{ remotes: { name: string; blobs: number }[] }>(rig, root, ['push', 'model']);
    expect(pushed.remotes).toMatchObject([{ name: 'archive', blobs: 1 }]);
  });

  test('of earlier versions are fetched, listed, compared and told by the commits that changed them', async () => {
    const shared = await project('versions');
    const { root, git, clone } = shared;
    const first = git('rev-parse', 'HEAD');
    writeFiles(root, { model: 'second model' });
    const second = await shared.record('better model');
    writeFiles(root, { 'sub/pred/y': 'y2', 'sub/pred/z': 'z2' });
    const third = await shared.record('predictions');
    writeFileSync(join(root, 'code'), 'changed');
    git('add', '--all');
    git('commit', '--quiet', '-m', 'no data');
    await told(rig, root, ['push']);

    type Version = { commit: string; dataset: string; change: string };
    const lines = async (...args: string[]): Promise<string[][]> =>
      (await told(rig, root, ['--json', 'log', ...args]))
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as Partial<Version>)
        .flatMap(({ commit, dataset, change }) => (commit === undefined ? [] : [[commit, `${change} ${dataset}`]]));
    expect(await lines('model')).toEqual([
      [second, 'modified model'],
      [first, 'added model'],
    ]);
    expect(await lines('sub/pred/z')).toEqual([[third, 'modified sub/pred']]);
    expect(await lines('sub')).toEqual([
      [third, 'modified sub/pred'],
      [first, 'added sub/pred'],
    ]);
    expect((await lines()).map(([commit]) => commit)).toEqual([
      third,
      second,
      first,
      first,
      first,
      git('rev-parse', `${first}~1`),
    ]);
    expect(await refusal(rig, root, ['log', 'code'])).toContain('code is not tracked by mlv');

    expect(await told(rig, root, ['diff', first, 'HEAD'])).toMatch(/model[^]*sub\/pred/);
    expect(await told(rig, root, ['diff', second, third, '--', 'sub/pred/y'])).toMatch(/^M sub\/pred\/y/);
    expect(await told(rig, root, ['diff', second, third])).not.toContain('model');
    writeFiles(root, { 'sub/pred/x': 'by hand' });
    expect(await told(rig, root, ['diff'])).toMatch(/^M sub\/pred\/x/);
    expect(await refusal(rig, root, ['diff', '--', 'code'])).toContain('not tracked');

    const other = clone('versions-clone');
    expect(await told(rig, other.root, ['cat', 'model', '--rev', first])).toBe('first model');
    expect(await told(rig, other.root, ['ls', 'sub/pred', '--rev', second])).toBe('x\ny\n');
    const fetched = await data<{ remotes: { blobs: number }[] }>(rig, other.root, ['fetch', '--rev', second, 'model']);
    expect(fetched.remotes).toMatchObject([{ blobs: 1 }]);
    await told(rig, other.root, ['pull', '--all-commits']);
    git('checkout', '--quiet', '.');
    other.git('checkout', '--quiet', first);
    await told(rig, other.root, ['checkout']);
    expect(visibleFiles(other.root)).toEqual(FIRST_PUSHED);
  });

  test('are recorded by their stages alone', async () => {
    const { root, git } = await project('refused');
    const by = 'is an output of the stage train (mlv.lock)\nhint: ';
    expect(await refusal(rig, root, ['add', 'model'])).toBe(`error: model ${by}"mlv repro train" records it.\n`);
    expect(await refusal(rig, root, ['commit', 'model'])).toBe(`error: model ${by}"mlv repro train" records it.\n`);
    expect(await refusal(rig, root, ['remove', 'model'])).toBe(`error: model ${by}mlv stage remove train\n`);
    expect(await refusal(rig, root, ['remove', '.'])).toContain('mlv stage remove');
    expect(await refusal(rig, root, ['move', 'model', 'other'])).toContain(`error: model ${by}`);
    expect(await refusal(rig, root, ['move', 'data', 'sub/pred'])).toMatch(/sub\/pred/);
    expect(await refusal(rig, join(root, 'sub'), ['add', 'pred/x'])).toContain(
      'error: sub/pred is an output of the stage sub/mlv.yaml:predict (sub/mlv.lock)\n',
    );
    expect(await refusal(rig, root, ['add', 'sub'])).toContain('sub/pred is an output');
    expect(await refusal(rig, root, ['add', 'mlv.lock'])).toContain('error: mlv.lock is the record of a pipeline');
    writeFiles(root, { model: 'by hand' });
    expect(await told(rig, root, ['commit', '.'])).toBe('No tracked data was edited\n');
    expect(await told(rig, root, ['unprotect', 'model'])).toContain('Nothing to unprotect');
    expect(git('status', '--porcelain')).toBe('');
  });

  test('must not be tracked twice', async () => {
    const shared = await project('twice');
    const { root } = shared;
    rmSync(join(root, 'mlv.lock'));
    await told(rig, root, ['add', 'model']);
    shared.git('checkout', '--quiet', 'HEAD', '--', 'mlv.lock');
    expect(await refusal(rig, root, ['status'])).toContain(
      'error: model is tracked twice: by the stage train in mlv.lock and by model.mlv\n',
    );
    await told(rig, root, ['remove', 'model']);
    expect(await told(rig, root, ['status'])).toContain('4 paths unchanged');
    await recordOutputs(rig, shared, { inner: { 'sub/pred/x': {} } }, 'mlv.lock').catch(() => undefined);
    const lock = readFileSync(join(root, 'sub/mlv.lock'), 'utf8');
    shared.git('checkout', '--quiet', 'HEAD', '--', 'mlv.lock');
    writeFileSync(
      join(root, 'sub/mlv.lock'),
      lock.replace('pred:', '../data/a:').replace(/type: dir, |, files: \d+/g, ''),
    );
    expect(await refusal(rig, root, ['status'])).toContain(
      'error: data/a is tracked by the stage predict in sub/mlv.lock and lies inside data, which data.mlv tracks\n',
    );
  });

  test('of a lock with the marks of a merge are asked for, and the rest goes on', async () => {
    const { root } = await project('marks');
    const lock = join(root, 'mlv.lock');
    appendFileSync(lock, '<<<<<<< ours\n=======\n>>>>>>> theirs\n');
    expect(await told(rig, root, ['status'])).toMatch(
      /^mlv\.lock {2}holds the marks of a merge\n2 paths unchanged[^]*git checkout --ours -- mlv\.lock/,
    );
    expect(await refusal(rig, root, ['status', 'model'])).toContain('mlv.lock');
    expect(await data(rig, root, ['status', 'data'])).toMatchObject({ clean: true });
    expect(await refusal(rig, root, ['checkout'])).toContain('mlv.lock: a merge left a conflict in it');
    const { error } = JSON.parse((await rig.mlv(root, ['--json', 'push'])).stdout) as { error: { code: string } };
    expect(error.code).toBe('lock-conflict');
    expect((await rig.mlv(root, ['verify'])).stdout).toContain(`unreadable: lock ${lock}`);
  });
});

describe('hooks', () => {
  function installHooks(root: string): void {
    const program = `'${process.execPath}' '${BIN}' --no-progress`;
    for (const hook of ['pre-push', 'post-checkout', 'pre-commit'])
      writeScript(join(root, '.git/hooks', hook), `#!/bin/sh\nexec ${program} hooks run ${hook} -- "$@"\n`);
  }

  async function withHooks(name: string) {
    const shared = await project(name);
    const bare = join(rig.folder, `${name}.git`);
    shared.git('init', '--quiet', '--bare', bare);
    shared.git('remote', 'add', 'origin', bare);
    installHooks(shared.root);
    return shared;
  }

  test('no commit is pushed whose outputs are not on the remote', async () => {
    const { root } = await withHooks('pre-push');
    await told(rig, root, ['push', 'data']);
    const refused = runGit(rig, root, ['push', 'origin', 'main']);
    expect(refused.code).not.toBe(0);
    expect(refused.output).toMatch(
      /sub\/pred {2}in \w+ {2}not on store: 2 files\n {2}model {5}in \w+ {2}not on store: 1 file\n/,
    );
    expect(refused.output).not.toContain('local.bin');
    await told(rig, root, ['push']);
    expect(runGit(rig, root, ['push', 'origin', 'main'])).toMatchObject({ code: 0 });
  });

  test('a checkout brings the outputs of its version, and leaves edits', async () => {
    const shared = await withHooks('post-checkout');
    const { root } = shared;
    writeFiles(root, { model: 'second model', 'sub/pred/y': 'y2' });
    await shared.record();
    expect(runGit(rig, root, ['checkout', '--quiet', 'HEAD~1'])).toMatchObject({ code: 0 });
    expect(visibleFiles(root)).toEqual(FIRST_READ);
    writeFiles(root, { 'sub/pred/x': 'by hand' });
    runGit(rig, root, ['checkout', '--quiet', 'main']);
    expect(visibleFiles(root)).toEqual({
      ...FIRST_READ,
      model: 'file second model',
      'sub/pred/x': 'file by hand',
      'sub/pred/y': 'file y2',
    });
    writeFiles(root, { code: '' });
    shared.git('add', 'code');
    expect(runGit(rig, root, ['commit', '-m', 'code']).output).toMatch(/sub\/pred\n {2}mlv repro makes again/);
  });

  test('a checkout brings no outputs that were not wanted here before', async () => {
    const shared = await withHooks('unwanted');
    writeFiles(shared.root, { model: 'second model' });
    await shared.record();
    await told(rig, shared.root, ['push']);
    const { root } = shared.clone('unwanted-clone');
    await told(rig, root, ['fetch', '--all-commits']);
    installHooks(root);
    expect(runGit(rig, root, ['checkout', '--quiet', 'HEAD~1'])).toEqual({ code: 0, output: '' });
    expect(visibleFiles(root)).toEqual({});
    await told(rig, root, ['checkout', 'model']);
    expect(runGit(rig, root, ['checkout', '--quiet', 'main']).output).toContain('mlv: model  1 file written');
    expect(visibleFiles(root)).toEqual({ model: 'file second model' });
  });
});

describe('gc', () => {
  const DAY_MS = 24 * 60 * 60 * 1000;

  /** Makes all that the cache has look as if nobody had used it for long. */
  function age(root: string): void {
    const then = new Date(Date.now() - 20 * DAY_MS);
    const folder = join(root, '.git/mlv/cache');
    for (const name of readdirSync(folder, { recursive: true })) lutimesSync(join(folder, String(name)), then, then);
  }

  function held(root: string, contents: readonly string[]): string[] {
    return contents.filter((content) => {
      const digest = digestOf(content);
      return existsSync(join(root, '.git/mlv/cache/b3', digest.slice(0, 2), digest.slice(2)));
    });
  }

  test('keeps what any lock names that counts', async () => {
    const shared = await shareProject(rig, 'gc');
    const { root, git } = shared;
    async function make(content: string): Promise<void> {
      writeFiles(root, { model: content });
      await recordOutputs(rig, shared, { train: { model: {} } });
    }
    async function version(content: string): Promise<void> {
      await make(content);
      git('add', '--all');
      git('commit', '--quiet', '-m', content);
    }
    await version('history');
    await version('tagged');
    git('tag', 'v1');
    await version('reserved');
    git('update-ref', 'refs/mlv/kept', 'HEAD');
    git('checkout', '--quiet', '-b', 'side');
    await version('branch');
    git('checkout', '--quiet', '--detach');
    await version('linked');
    git('worktree', 'add', '--quiet', '--detach', join(rig.folder, 'gc-linked'), 'HEAD');
    git('checkout', '--quiet', 'main');
    await version('head');
    git('reflog', 'expire', '--expire=now', '--all');
    rmSync(join(root, '.git/ORIG_HEAD'), { force: true });
    await version('reflog');
    git('reset', '--quiet', '--hard', 'HEAD~1');
    rmSync(join(root, '.git/ORIG_HEAD'), { force: true });
    await make('stashed');
    git('stash', '--quiet');
    await make('index');
    git('add', 'mlv.lock');
    await make('ours');
    const ours = readFileSync(join(root, 'mlv.lock'), 'utf8');
    await make('theirs');
    const theirs = readFileSync(join(root, 'mlv.lock'), 'utf8');
    await make('work tree');
    // Neither in the index, nor known as checked out.
    writeFiles(root, { 'new/model': 'untracked' });
    await recordOutputs(rig, shared, { train: { 'new/model': {} } }, 'new/mlv.lock');
    rmSync(join(root, '.git/mlv/checkout'), { recursive: true });
    const all = [
      'history',
      'tagged',
      'reserved',
      'branch',
      'linked',
      'head',
      'reflog',
      'stashed',
      'index',
      'ours',
      'theirs',
      'untracked',
    ];
    const always = ['tagged', 'reserved', 'linked', 'head', 'reflog', 'stashed', 'index', 'untracked', 'work tree'];

    age(root);
    expect(held(root, [...all, 'work tree'])).toEqual([...all, 'work tree']);
    writeFileSync(join(root, 'mlv.lock'), `<<<<<<< ours\n${ours}=======\n${theirs}>>>>>>> theirs\n`);
    await told(rig, root, ['gc', '--yes', '--unpushed', '--all-commits']);
    expect(held(root, all)).toEqual(all);
    await told(rig, root, ['gc', '--yes', '--unpushed', '--all-branches']);
    expect(held(root, all)).toEqual(all.filter((content) => content !== 'history'));
    await make('work tree');
    age(root);
    await told(rig, root, ['gc', '--yes', '--unpushed']);
    expect(held(root, [...all, 'work tree'])).toEqual(always);
  });

  test('on a remote keeps outputs that a published commit names', async () => {
    const shared = await project('gc-remote');
    const { root } = shared;
    const bare = join(rig.folder, 'gc-remote.git');
    shared.git('init', '--quiet', '--bare', bare);
    shared.git('remote', 'add', 'origin', bare);
    shared.git('push', '--quiet', 'origin', 'main');
    await told(rig, root, ['push']);
    await told(rig, root, ['gc', '--remote', 'store', '--yes']);
    const other = shared.clone('gc-remote-clone');
    await told(rig, other.root, ['pull']);
    expect(visibleFiles(other.root)).toEqual(FIRST_PUSHED);
  });
});

describe('purge', () => {
  test('takes content out of outputs too; their records stay', async () => {
    const { root } = await project('purge');
    await told(rig, root, ['push']);
    const lock = readFileSync(join(root, 'mlv.lock'), 'utf8');
    await told(rig, root, ['purge', 'model', 'sub/pred/x', '--yes']);
    const { model: _model, 'sub/pred/x': _x, ...left } = FIRST_READ;
    expect(visibleFiles(root)).toEqual(left);
    expect(readFileSync(join(root, 'mlv.lock'), 'utf8')).toBe(lock);
    expect(await told(rig, root, ['status', 'model'])).toContain('purged');
  });
});
