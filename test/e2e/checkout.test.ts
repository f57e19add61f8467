import {
  chmodSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Files } from '../support/folders.ts';
import {
  asRead,
  emptyFolder,
  executable,
  identities,
  link,
  manyFiles,
  readFolder,
  writeFiles,
} from '../support/folders.ts';
import type { TestRepository } from '../support/git.ts';
import { repositoryAt } from '../support/git.ts';
import type { MlvRig } from '../support/mlv.ts';
import { makeMlvRig } from '../support/mlv.ts';
import { refusal, told } from '../support/told.ts';
import { makeTwoVersions, under } from '../support/two-versions.ts';

let rig: MlvRig;
beforeAll(() => {
  rig = makeMlvRig();
});
afterAll(() => rig.dispose());

const twoVersions = (name: string, v1: Files, v2: Files): Promise<TestRepository> => makeTwoVersions(rig, name, v1, v2);

describe('three-way', () => {
  const v1 = {
    same: 's',
    changed: 'c1',
    removed: 'r1',
    mode: 'm',
    kind: 'k1',
    'old/deep/file': 'o',
    'folder-to-file/a': '1',
    'file-to-folder': '1',
    edited: 'e',
    deleted: 'd',
    none: emptyFolder,
    ignored: 'i1',
    l: link('same'),
  };
  const v2 = {
    same: 's',
    changed: 'c2',
    mode: executable('m'),
    kind: link('same'),
    'new/deep/file': 'n',
    'folder-to-file': '2',
    'file-to-folder/a': '2',
    edited: 'e',
    deleted: 'd',
    'none/now': 'full',
    ignored: 'i1',
    l: link('changed'),
  };

  test('brings what changed, takes away what is gone, and leaves edits of all else', async () => {
    const { root, git } = await twoVersions('matrix', v1, v2);
    const folder = join(root, 'data');
    writeFiles(folder, { edited: 'mine', 'mine/new': 'n', 'old/deep/mine': 'm' });
    rmSync(join(folder, 'deleted'));
    const kept = identities(join(folder, 'mine'));
    git('checkout', '--quiet', 'v2');
    expect(await told(rig, root, ['checkout'])).toMatch(
      /^data {2}\d+ files written, \d+ B; \d+ files removed; \d edits kept\n$/,
    );
    const expected: Record<string, unknown> = {
      ...asRead(v2),
      edited: 'file mine',
      'mine/new': 'file n',
      'old/deep/mine': 'file m',
    };
    delete expected['deleted'];
    expect(readFolder(folder)).toEqual(expected);
    expect(identities(join(folder, 'mine'))).toEqual(kept);
    expect(await told(rig, root, ['status'])).toContain('data  modified: 2 added, 1 changed, 1 removed\n');
    // A second time there is nothing to do.
    expect(await told(rig, root, ['checkout'])).toContain('edits kept');
    expect(readFolder(folder)).toEqual(expected);
    // And back.
    git('checkout', '--quiet', 'v1');
    await told(rig, root, ['checkout']);
    const back: Record<string, unknown> = {
      ...asRead(v1),
      edited: 'file mine',
      'mine/new': 'file n',
      'old/deep/mine': 'file m',
    };
    delete back['deleted'];
    expect(readFolder(folder)).toEqual(back);
  });

  test('stops before anything is changed where both sides changed, naming each', async () => {
    const { root, git } = await twoVersions('conflicts', v1, v2);
    await told(rig, root, ['config', 'core.autostage', 'false']);
    writeFiles(root, { other: '1' });
    await told(rig, root, ['add', 'other']);
    rmSync(join(root, 'other'));
    const folder = join(root, 'data');
    writeFiles(folder, { changed: 'mine', removed: 'mine', 'new/deep/file': 'mine', edited: 'mine' });
    rmSync(join(folder, 'mode'));
    git('checkout', '--quiet', 'v2');
    const before = identities(folder);
    const conflicts =
      'error: 4 paths were changed both here and in the version to check out\n' +
      '  data/changed\n' +
      '  data/mode\n' +
      '  data/new/deep/file\n' +
      '  data/removed\n';
    expect(await refusal(rig, root, ['checkout'])).toBe(
      `${conflicts}hint: Nothing was changed. Copy your versions elsewhere, or overwrite them with "mlv checkout --force".\n`,
    );
    // Not even elsewhere.
    expect(identities(folder)).toEqual(before);
    expect(readdirSync(root)).not.toContain('other');

    expect(await told(rig, root, ['checkout', '--force'])).toContain(
      '4 edits overwritten\n    data/changed\n    data/edited\n    data/new/deep/file\n    data/removed\n',
    );
    expect(readFolder(folder)).toEqual(asRead(v2));
    expect(readFolder(root, ['.git', '.mlv', 'data'])).toMatchObject({ other: 'file 1' });
  });

  test('takes what is the same on both sides for done', async () => {
    const { root, git } = await twoVersions('agreed', v1, v2);
    const folder = join(root, 'data');
    writeFiles(folder, { changed: 'c2', 'new/deep/file': 'n' });
    rmSync(join(folder, 'removed'));
    git('checkout', '--quiet', 'v2');
    await told(rig, root, ['checkout']);
    expect(readFolder(folder)).toEqual(asRead(v2));
    expect(await told(rig, root, ['status'])).toContain('1 path unchanged');
  });

  test('single files deleted by hand stay away until they are named, a whole folder comes back', async () => {
    const { root } = await twoVersions('deleted', v1, v2);
    const folder = join(root, 'data');
    rmSync(join(folder, 'same'));
    rmSync(join(folder, 'old'), { recursive: true });
    expect(await told(rig, root, ['checkout'])).toBe('data  2 edits kept\n');
    expect(await told(rig, root, ['checkout', 'data/same'])).toContain('1 file written');
    expect(readFolder(folder)).not.toHaveProperty('old/deep/file');
    await told(rig, root, ['checkout', 'data']);
    expect(readFolder(folder)).toEqual(asRead(v1));
    rmSync(folder, { recursive: true });
    await told(rig, root, ['checkout']);
    expect(readFolder(folder)).toEqual(asRead(v1));
  });

  test('what .mlvignore excludes stays, also in folders that go', async () => {
    const { root, git } = await twoVersions('ignored', v1, v2);
    const folder = join(root, 'data');
    writeFiles(root, { '.mlvignore': '*.tmp\n' });
    writeFiles(folder, { 'old/deep/x.tmp': 'x', 'x.tmp': 'x' });
    git('checkout', '--quiet', 'v2');
    await told(rig, root, ['checkout']);
    expect(readFolder(folder)).toEqual({ ...asRead(v2), 'old/deep/x.tmp': 'file x', 'x.tmp': 'file x' });
    await told(rig, root, ['checkout', '--force']);
    expect(readFolder(folder)).toEqual({ ...asRead(v2), 'old/deep/x.tmp': 'file x', 'x.tmp': 'file x' });
  });

  test('a tracked path changes between file and directory, unless the other kind is nobody knows whose', async () => {
    const { root, git } = await typeRepository();
    git('checkout', '--quiet', 'v2');
    await told(rig, root, ['checkout']);
    expect(readFolder(join(root, 'data'))).toEqual({ a: 'file 1', 'b/c': 'file 2' });
    git('checkout', '--quiet', 'v1');
    await told(rig, root, ['checkout']);
    expect(readFolder(root, ['.git', '.mlv'])).toMatchObject({ data: 'file a file' });

    git('checkout', '--quiet', 'v2');
    writeFiles(root, { data: 'edited' });
    expect(await refusal(rig, root, ['checkout'])).toContain(
      'error: 1 path was changed both here and in the version to check out\n  data\n',
    );
    rmSync(join(root, 'data'));
    await told(rig, root, ['checkout']);
    rmSync(join(root, 'data'), { recursive: true });
    writeFiles(root, { data: 'mine' });
    expect(await refusal(rig, root, ['checkout', '--force'])).toBe(
      'error: data is a file here and a folder in the version to check out\n' +
        '  data\n' +
        'hint: Nothing was changed. Move yours away, then run "mlv checkout" again.\n',
    );
    expect(readFileSync(join(root, 'data'), 'utf8')).toBe('mine');
  });

  async function typeRepository(): Promise<TestRepository> {
    const repository = await rig.project('type-change');
    const { root, git } = repository;
    writeFiles(root, { data: 'a file' });
    await told(rig, root, ['add', 'data']);
    git('commit', '--quiet', '-m', 'v1');
    git('tag', 'v1');
    rmSync(join(root, 'data'));
    writeFiles(root, { 'data/a': '1', 'data/b/c': '2' });
    await told(rig, root, ['add', 'data']);
    git('commit', '--quiet', '-m', 'v2');
    git('tag', 'v2');
    git('checkout', '--quiet', 'v1');
    await told(rig, root, ['checkout']);
    return repository;
  }
});

describe('what a cache lacks', () => {
  test('the rest is restored, what lacks is named, and a fetch lets it be finished', async () => {
    const { root, git } = await rig.project('partial');
    const files = {
      ...under('data', manyFiles(30)),
      'big/one': 'x'.repeat(1_500_000),
      'big/two': 'y'.repeat(1_500_000),
      single: 's',
    };
    writeFiles(root, files);
    await told(rig, root, ['add', 'data', 'big', 'single']);
    await told(rig, root, ['remote', 'add', '-d', 'store', join(rig.folder, 'partial-remote')]);
    git('commit', '--quiet', '--all', '-m', '1');
    await told(rig, root, ['push']);
    const clone = join(rig.folder, 'partial-clone');
    git('clone', '--quiet', root, clone);
    await told(rig, clone, ['pull']);
    // The large file is a loose one.
    const loose = readdirSync(join(clone, '.git/mlv/cache/b3'), { recursive: true, withFileTypes: true }).filter(
      (entry) => entry.isFile(),
    );
    const lost = loose
      .map((entry) => join(entry.parentPath, entry.name))
      .find((path) => readFileSync(path, 'utf8').startsWith('y'));
    rmSync(lost ?? '');
    for (const path of ['data', 'big', 'single']) rmSync(join(clone, path), { recursive: true });
    expect(await refusal(rig, clone, ['checkout'])).toBe(
      'error: 1 path could not be checked out; everything else was\n' +
        '  big/two: its bytes are not in the cache\n' +
        'hint: For what is not in the cache, run "mlv pull"; mend the rest, then run "mlv checkout" again to finish.\n',
    );
    const restored = { ...asRead(files) };
    delete restored['big/two'];
    expect(readFolder(clone, ['.git', '.mlv'])).toMatchObject(restored);
    expect(await told(rig, clone, ['status'])).toContain('checkout is unfinished');
    // What is missing is not a deletion.
    expect(await refusal(rig, clone, ['add', 'big'])).toContain(
      'error: the last checkout of big was not finished, so what is missing there may not be deleted\n',
    );
    expect(await refusal(rig, clone, ['commit', 'big'])).toContain('"mlv checkout big"');
    await told(rig, clone, ['fetch']);
    expect(await told(rig, clone, ['checkout'])).toBe('big  1 file written, 1.5 MB\n');
    expect(readFolder(clone, ['.git', '.mlv'])).toMatchObject(asRead(files));
    expect(await told(rig, clone, ['status'])).toContain('3 paths unchanged');
  });

  test('a path whose list of files is missing does not keep others from being restored', async () => {
    const { root, git } = await rig.project('no-list');
    writeFiles(root, { 'data/a': '1', single: 's' });
    await told(rig, root, ['add', 'single']);
    git('commit', '--quiet', '-m', '1');
    const clone = join(rig.folder, 'no-list-clone');
    git('clone', '--quiet', root, clone);
    await told(rig, clone, ['config', '--local', 'cache.dir', join(root, '.git/mlv/cache')]);
    await told(rig, root, ['add', 'data']);
    repositoryAt(clone).write({
      'data.mlv': readFileSync(join(root, 'data.mlv'), 'utf8').replace(/b3:..../, 'b3:0000'),
    });
    expect(await refusal(rig, clone, ['checkout'])).toBe(
      'error: 1 path could not be checked out; everything else was\n' +
        '  data: its list of files is not, or not whole, in the cache\n' +
        'hint: For what is not in the cache, run "mlv pull"; mend the rest, then run "mlv checkout" again to finish.\n',
    );
    expect(readFolder(clone, ['.git', '.mlv'])).toMatchObject({ single: 'file s' });
  });

  test('what is nowhere else is stored before it is overwritten', async () => {
    const { root, git } = await twoVersions('unsaved', { a: 'a1', b: 'b1' }, { a: 'a2' });
    git('checkout', '--quiet', 'v2');
    const cache = join(root, '.git/mlv/cache');
    for (const entry of readdirSync(join(cache, 'b3'), { recursive: true, withFileTypes: true })) {
      const path = join(entry.parentPath, entry.name);
      if (entry.isFile() && /^[ab]1$/.test(readFileSync(path, 'utf8'))) rmSync(path);
    }
    rmSync(join(cache, 'generation'));
    await told(rig, root, ['checkout']);
    git('checkout', '--quiet', 'v1');
    await told(rig, root, ['checkout']);
    expect(readFolder(join(root, 'data'))).toEqual({ a: 'file a1', b: 'file b1' });
  });
});

describe('link types', () => {
  test('relink makes copies of links and links of copies', async () => {
    const v1 = { ...manyFiles(20), run: executable('x'), large: 'l'.repeat(100_000), l: link('run') };
    const { root } = await twoVersions('relink', v1, { a: '1' });
    const folder = join(root, 'data');
    const linked = (): string[] => Object.keys(v1).filter((path) => lstatSync(join(folder, path)).isSymbolicLink());
    expect(linked()).toEqual(['l']);
    await told(rig, root, ['config', '--local', 'cache.packBelow', '0']);
    await told(rig, root, ['config', '--local', 'cache.links', 'symlink']);
    rmSync(join(root, '.git/mlv/cache'), { recursive: true });
    await told(rig, root, ['add', 'data']);
    await told(rig, root, ['checkout', '--relink']);
    expect(linked().sort()).toEqual(
      Object.keys(v1)
        .filter((path) => path !== 'run')
        .sort(),
    );
    expect(readlinkSync(join(folder, 'large'))).toContain(join(root, '.git/mlv/cache/b3/'));
    expect(await told(rig, root, ['status'])).toContain('1 path unchanged');
    await told(rig, root, ['config', '--local', 'cache.links', 'copy']);
    await told(rig, root, ['checkout', '--relink']);
    expect(readFolder(folder)).toEqual(asRead(v1));
    expect(lstatSync(join(folder, 'large')).mode & 0o777).toBe(0o666 & ~process.umask());
    expect(await told(rig, root, ['status'])).toContain('1 path unchanged');
  });
});

describe('what stands in the way', () => {
  test('a symlink that Git checked out on the way is never written through', async () => {
    const { root, git } = await rig.project('through');
    writeFiles(root, { 'sub/data/a': '1' });
    await told(rig, root, ['add', 'sub/data']);
    const pointer = readFileSync(join(root, 'sub/data.mlv'));
    rmSync(join(root, 'sub'), { recursive: true });
    const outside = join(rig.folder, 'outside');
    mkdirSync(outside);
    writeFileSync(join(outside, 'data.mlv'), pointer);
    git('rm', '--quiet', '-r', '--cached', 'sub');
    symlinkSync(outside, join(root, 'sub'));
    const told1 = await rig.mlv(root, ['checkout']);
    const told2 = await refusal(rig, root, ['checkout', 'sub/data']);
    expect([told1.code, told2]).toEqual([
      0,
      expect.stringContaining('sub/data lies behind a symlink that leads out of the project'),
    ]);
    expect(readdirSync(outside)).toEqual(['data.mlv']);
  });

  test('a symlink in place of a tracked folder, or of one inside, is left alone', async () => {
    const { root, git } = await twoVersions('in-place', { 'a/b/c': '1', d: '1' }, { 'a/b/c': '2', d: '2' });
    const outside = join(rig.folder, 'in-place-outside');
    mkdirSync(outside);
    rmSync(join(root, 'data/a'), { recursive: true });
    symlinkSync(outside, join(root, 'data/a'));
    git('checkout', '--quiet', 'v2');
    expect(await refusal(rig, root, ['checkout'])).toContain('  data/a');
    await rig.mlv(root, ['checkout', '--force']);
    rmSync(join(root, 'data'), { recursive: true });
    symlinkSync(outside, join(root, 'data'));
    expect((await rig.mlv(root, ['checkout'])).code).toBe(1);
    expect((await rig.mlv(root, ['checkout', '--force'])).code).toBe(1);
    expect(readdirSync(outside)).toEqual([]);
  });
});

test('Git habits are told what they mean here', async () => {
  const { root } = await twoVersions('habits', { a: '1' }, { a: '2' });
  expect(await refusal(rig, root, ['checkout', 'v2'], { code: 2 })).toBe(
    'error: v2 is a revision, and mlv checkout takes paths\nhint: git checkout v2, then mlv checkout\n',
  );
  expect(await refusal(rig, root, ['checkout', 'nothing'])).toContain(
    'error: nothing tracked by mlv matches nothing\n',
  );
  chmodSync(join(root, 'data/a'), 0o444);
  renameSync(join(root, 'data'), join(root, 'moved'));
  expect(await told(rig, root, ['checkout'])).toBe('data  1 file written, 1 B\n');
});
