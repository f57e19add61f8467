import { spawnSync } from 'node:child_process';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { executable, link, manyFiles, readFolder } from '../support/folders.ts';
import type { MlvRig } from '../support/mlv.ts';
import { BIN, makeMlvRig } from '../support/mlv.ts';
import type { SharedProject } from '../support/shared-project.ts';
import { shareProject } from '../support/shared-project.ts';
import { refusal, told } from '../support/told.ts';

let rig: MlvRig;
let project: SharedProject;
beforeAll(async () => {
  rig = makeMlvRig();
  project = await shareProject(
    rig,
    'project',
    {
      'data/a.txt': 'a',
      'data/b': executable('bb'),
      'data/sub/c.txt': 'ccc',
      'data/sub/deep/d.txt': 'dddd',
      'data/sub.txt': 'x',
      'data/to-a': link('a.txt'),
      'models/net.bin': 'n'.repeat(2000),
      'models/old/net.bin': 'o',
    },
    'data',
    'models/net.bin',
    'models/old',
  );
  project.git('tag', 'v1');
  await project.version({ 'data/new.txt': 'new' }, 'data');
  await told(rig, project.root, ['push']);
});
afterAll(() => rig.dispose());

const ls = (...args: string[]): Promise<string> => told(rig, project.root, ['ls', ...args]);

interface Row {
  readonly path: string;
  readonly [key: string]: unknown;
}

async function rows(cwd: string, ...args: string[]): Promise<Row[]> {
  const lines = (await told(rig, cwd, ['--json', 'ls', ...args])).trimEnd().split('\n');
  return lines.map((line) => JSON.parse(line) as Row);
}

test('lists tracked paths and the folders that lead to them', async () => {
  expect(await ls()).toBe('data/\nmodels/\n');
  expect(await ls('models')).toBe('net.bin\nold/\n');
  expect(await told(rig, join(project.root, 'models'), ['ls'])).toBe('net.bin\nold/\n');
  expect(await ls('models/net.bin')).toBe('net.bin\n');
  expect(await ls('data.mlv')).toBe(await ls('data'));
});

test('lists one level of a tracked folder, or everything below', async () => {
  expect(await ls('data')).toBe('a.txt\nb\nnew.txt\nsub.txt\nsub/\nto-a\n');
  expect(await ls('data/')).toBe(await ls('data'));
  expect(await ls('data/sub')).toBe('c.txt\ndeep/\n');
  expect(await ls('data/sub/c.txt')).toBe('c.txt\n');
  expect(await ls('-R', 'data/sub')).toBe('c.txt\ndeep/d.txt\n');
  expect(await ls('-R')).toBe(
    'data/a.txt\ndata/b\ndata/new.txt\ndata/sub.txt\ndata/sub/c.txt\ndata/sub/deep/d.txt\ndata/to-a\nmodels/net.bin\nmodels/old/net.bin\n',
  );
});

test('tells sizes and kinds, of folders all below them', async () => {
  expect(await ls('--size', 'data')).toBe(
    '   1 B  f  a.txt\n   2 B  x  b\n   3 B  f  new.txt\n   1 B  f  sub.txt\n   7 B  d  sub/\n   5 B  l  to-a\n',
  );
  expect(await ls('--size')).toBe('  19 B  d  data/\n2.0 kB  d  models/\n');
});

test('tells programs the same, a line each, and the sum last', async () => {
  const hash = expect.stringMatching(/^b3:[0-9a-f]{64}$/);
  expect(await rows(project.root, 'data', '--rev', 'v1')).toEqual([
    { path: 'data/a.txt', type: 'file', size: 1, hash },
    { path: 'data/b', type: 'file', size: 2, hash, executable: true },
    { path: 'data/sub.txt', type: 'file', size: 1, hash },
    { path: 'data/sub', type: 'folder', size: 7, files: 2 },
    { path: 'data/to-a', type: 'symlink', size: 5, hash },
    { result: { path: 'data', commit: project.git('rev-parse', 'v1'), entries: 5, files: 6, bytes: 16 } },
  ]);
  expect(await rows(project.root)).toEqual([
    { path: 'data', type: 'folder', size: 19, files: 7, hash, tracked: true },
    { path: 'models', type: 'folder', size: 2001, files: 2 },
    { result: { path: '', entries: 2, files: 9, bytes: 2020 } },
  ]);
});

test('reads every form of revision, and the pointers in the workspace without one', async () => {
  const { root, git } = project;
  expect(await ls('data', '--rev', 'HEAD~1')).not.toContain('new.txt');
  expect(await ls('data', '--rev', 'main@{0}')).toContain('new.txt');
  git('worktree', 'add', '--quiet', '--detach', join(rig.folder, 'linked'), 'v1');
  expect(await told(rig, join(rig.folder, 'linked'), ['ls', 'data'])).not.toContain('new.txt');
  expect(await told(rig, join(rig.folder, 'linked'), ['ls', 'data', '--rev', 'main'])).toContain('new.txt');
  // The data on the disk is not looked at.
  rmSync(join(root, 'data'), { recursive: true });
  expect(await ls('data')).toContain('new.txt');
  await told(rig, root, ['checkout']);
});

test('fetches the list of what a folder holds, and nothing else', async () => {
  const { root } = project.clone('clone');
  expect(await told(rig, root, ['ls', 'data'])).toBe(await ls('data'));
  expect(await told(rig, root, ['ls', '-R', '--rev', 'HEAD~1'])).toBe(await ls('-R', '--rev', 'v1'));
  const { items } = JSON.parse(await told(rig, root, ['--json', 'du'])) as { items: { here?: number }[] };
  expect(items.map(({ here }) => here)).toEqual([0, 0, 0]);
});

test('writes nothing where all is in the cache, and needs no remote', async () => {
  const { root } = project.clone('offline');
  await told(rig, root, ['ls', '-R']);
  await told(rig, root, ['remote', 'modify', 'store', 'url', '/nowhere']);
  const before = readFolder(join(root, '.git/mlv'));
  expect(await told(rig, root, ['ls', 'data'])).toBe(await ls('data'));
  expect(readFolder(join(root, '.git/mlv'))).toEqual(before);
});

test('says what is not there, where, and what to do', async () => {
  const { root } = project;
  expect(await refusal(rig, root, ['ls', 'nothing'])).toContain('nothing is not tracked');
  expect(await refusal(rig, root, ['ls', 'data/nothing'])).toBe(
    'error: data holds no nothing\nhint: "mlv ls data" lists what it holds.\n',
  );
  expect(await refusal(rig, root, ['ls', 'data/new.txt', '--rev', 'v1'])).toMatch(
    /^error: data holds no new\.txt as of [0-9a-f]{10}\nhint: "mlv ls data --rev v1" lists what it holds\.\n$/,
  );
  expect(await refusal(rig, root, ['ls', 'models/net.bin/x'])).toContain('models/net.bin holds no x');
  expect(await refusal(rig, root, ['ls', '--rev', 'nowhere'])).toContain("has no commit called 'nowhere'");
  expect(await refusal(rig, root, ['ls', 'other', '--rev', 'v1'])).toContain('other is not tracked by mlv at v1');
  expect(await refusal(rig, root, ['ls', 'v1'], { code: 2 })).toContain('hint: mlv ls --rev v1');
  const clone = project.clone('lost');
  rmSync(project.remote, { recursive: true });
  mkdirSync(project.remote);
  expect(await refusal(rig, clone.root, ['ls', 'data'])).toContain(
    'the list of what data holds is neither in the cache nor',
  );
});

test('in a repository without commits there are no revisions, and nothing is tracked', async () => {
  const { root } = await rig.project('unborn');
  expect(await told(rig, root, ['ls'])).toBe('Nothing is tracked here\n');
  expect(await refusal(rig, root, ['ls', '--rev', 'HEAD'])).toContain("has no commit called 'HEAD'");
});

test('in a bare repository, it says how to read from it', async () => {
  project.git('clone', '--quiet', '--bare', '.', join(rig.folder, 'bare.git'));
  expect(await refusal(rig, join(rig.folder, 'bare.git'), ['ls'])).toContain('mlv ls --repo');
});

test('a reader that has seen enough ends it without a word; a full disk does not', async () => {
  const { root } = await shareProject(rig, 'many', manyFiles(2000, 'data/'), 'data');
  expect((await told(rig, root, ['ls', '-R'])).trimEnd().split('\n')).toHaveLength(2000);
  const piped = inShell(root, '"$0" "$1" ls -R | head -1; echo "${PIPESTATUS[0]}"');
  expect(piped.stderr).toBe('');
  expect(piped.stdout).toBe('data/000/00000.txt\n0\n');
  const full = inShell(root, '"$0" "$1" ls -R > /dev/full');
  expect(full.status).toBe(1);
  expect(full.stderr).toMatch(/^error: what mlv prints could not be written: .*ENOSPC/);
});

function inShell(cwd: string, line: string) {
  return spawnSync('bash', ['-c', line, process.execPath, BIN], { cwd, env: rig.env, encoding: 'utf8' });
}
