import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { emptyFolder, executable, link, readFolder } from '../support/folders.ts';
import type { MlvRig } from '../support/mlv.ts';
import { makeMlvRig } from '../support/mlv.ts';
import type { SharedProject } from '../support/shared-project.ts';
import { shareProject } from '../support/shared-project.ts';
import { data, refusal, told } from '../support/told.ts';

let rig: MlvRig;
let project: SharedProject;
/** The clone's cache is empty at first. */
let root: string;
let count = 0;
beforeAll(async () => {
  rig = makeMlvRig();
  project = await shareProject(
    rig,
    'project',
    {
      'data/a.txt': 'first\n',
      'data/run': executable('#!\n'),
      'data/sub/b.txt': 'b\n',
      'data/sub/deep/c.txt': 'c\n',
      'data/sub/nothing': emptyFolder,
      'data/sub/to-b': link('b.txt'),
      'data/out/up': link('../a.txt'),
      'file.bin': 'file\n',
    },
    'data',
    'file.bin',
  );
  project.git('tag', 'v1');
  await project.version({ 'data/a.txt': 'second\n' }, 'data');
  await told(rig, project.root, ['push']);
});
afterAll(() => rig.dispose());
beforeEach(() => {
  root = project.clone(`clone-${++count}`).root;
});

const get = (...args: string[]): Promise<string> => told(rig, root, ['get', ...args]);
const SUB = {
  'b.txt': 'file b\n',
  'deep/c.txt': 'file c\n',
  nothing: 'empty',
  'to-b': 'link b.txt',
};

test('writes a file, a part of a folder, or all of it', async () => {
  expect(await get('data/a.txt', '--rev', 'v1', '-o', 'out/old.txt')).toBe('wrote data/a.txt to out/old.txt  6 B\n');
  expect(readFileSync(join(root, 'out/old.txt'), 'utf8')).toBe('first\n');
  expect(await get('data/sub', '-o', 'out/')).toBe('wrote data/sub to out/sub  3 files, 9 B\n');
  expect(readFolder(join(root, 'out/sub'))).toEqual(SUB);
  await get('data', '-o', 'out/all');
  expect(readFolder(join(root, 'out/all'))).toEqual(readFolder(join(project.root, 'data')));
  expect(await data(rig, root, ['get', 'data/run', '-o', 'out'])).toMatchObject({
    path: 'data/run',
    type: 'file',
    out: join(root, 'out/run'),
    files: 1,
    bytes: 3,
  });
  expect(statSync(join(root, 'out/run')).mode & 0o111).toBe(0o111);
  // Of a symlink, what it leads to.
  await get('data/sub/to-b');
  expect(readFileSync(join(root, 'to-b'), 'utf8')).toBe('b\n');
  expect(readdirSync(join(root, 'out')).sort()).toEqual(['all', 'old.txt', 'run', 'sub']);
});

test('what is there stays, unless told to replace it', async () => {
  mkdirSync(join(root, 'sub/own'), { recursive: true });
  writeFileSync(join(root, 'a.txt'), 'mine');
  symlinkSync('a.txt', join(root, 'link.txt'));
  expect(await refusal(rig, root, ['get', 'data/a.txt'])).toContain('--force replaces it');
  expect(await refusal(rig, root, ['get', 'data/a.txt', '-o', 'link.txt'])).toContain('link.txt exists');
  expect(await refusal(rig, root, ['get', 'data/sub'])).toContain('sub exists');
  expect(readFileSync(join(root, 'a.txt'), 'utf8')).toBe('mine');
  await get('data/a.txt', '--force', '-o', 'link.txt');
  expect(readFileSync(join(root, 'a.txt'), 'utf8')).toBe('mine');
  await get('data/a.txt', '--force');
  expect(readFileSync(join(root, 'a.txt'), 'utf8')).toBe('second\n');
  await get('data/sub', '--force');
  expect(readFolder(join(root, 'sub'))).toEqual(SUB);
});

test('refuses places that are not for it', async () => {
  expect(await refusal(rig, root, ['get', 'data/a.txt', '-o', '.git/hooks/pre-commit'])).toContain(
    'belongs to Git and mlv',
  );
  expect(await refusal(rig, root, ['get', 'data/a.txt', '-o', '.MLV/config.yaml', '--force'])).toContain('belongs to');
  symlinkSync('.git', join(root, 'innocent'));
  expect(await refusal(rig, root, ['get', 'data/a.txt', '-o', 'innocent/x'])).toContain('belongs to Git and mlv');
  expect(await refusal(rig, root, ['get', 'data'])).toContain('"mlv checkout" writes what is tracked');
  expect(await refusal(rig, root, ['get', 'file.bin', '-o', 'data/new'])).toContain('is inside');
  expect(await refusal(rig, root, ['get', 'file.bin', '-o', root, '--force'])).toContain('file.bin: it is tracked');
  mkdirSync(join(root, 'mine/data'), { recursive: true });
  mkdirSync(join(root, 'mine/data/.git'));
  expect(await refusal(rig, root, ['get', 'data', '-o', 'mine', '--force'])).toContain('it is a repository');
  expect(existsSync(join(root, 'mine/data/.git'))).toBe(true);
  expect(await refusal(rig, root, ['get', '.', '-o', 'all'])).toContain('is not tracked itself');
  expect(await refusal(rig, root, ['get', 'data/none', '-o', 'all'])).toContain('data holds no none');
});

test('is all there or nothing', async () => {
  expect(await refusal(rig, root, ['get', 'data/out', '-o', 'part'])).toContain('which leads out of the dataset');
  expect(existsSync(join(root, 'part'))).toBe(false);
  expect(readdirSync(root).filter((name) => name.startsWith('.mlv-tmp'))).toEqual([]);
});

test('a second run does what an interrupted one began', async () => {
  const { process, result } = rig.start(root, ['get', 'data', '-o', 'whole']);
  setTimeout(() => process.kill('SIGKILL'), 150);
  await result;
  await get('data', '-o', 'whole', '--force');
  expect(readFolder(join(root, 'whole'))).toEqual(readFolder(join(project.root, 'data')));
});

test('leaves out what was purged, and says so', async () => {
  const purging = await shareProject(rig, 'purging', { 'data/secret': 'secret\n', 'data/other': 'other\n' }, 'data');
  purging.git('tag', 'v1');
  await told(rig, purging.root, ['push']);
  await told(rig, purging.root, ['purge', 'data/secret', '--yes']);
  expect(await told(rig, purging.root, ['get', 'data', '--rev', 'v1', '-o', 'old'])).toMatch(
    /^wrote data to old {2}1 file, 6 B\nleft out:\n {2}data\/secret was purged on [\d-]+: \.mlv\/purged\n$/,
  );
  expect(readFolder(join(purging.root, 'old'))).toEqual({ other: 'file other\n' });
});
