import { chmodSync, mkdirSync, renameSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { emptyFolder, identities, link, manyFiles, writeFiles } from '../support/folders.ts';
import type { TestRepository } from '../support/git.ts';
import { repositoryAt } from '../support/git.ts';
import type { MlvRig } from '../support/mlv.ts';
import { makeMlvRig } from '../support/mlv.ts';
import { data, refusal, told } from '../support/told.ts';

let rig: MlvRig;
beforeAll(() => {
  rig = makeMlvRig();
});
afterAll(() => rig.dispose());

const FILES = {
  'data/a': '1',
  'data/b': '2',
  'data/c/d': '3',
  'data/none': emptyFolder,
  'data/l': link('a'),
  model: 'weights',
};

/** A project whose `data` and `model` are added and committed. */
async function project(name: string, files: Parameters<typeof writeFiles>[1] = FILES): Promise<TestRepository> {
  const repository = await rig.project(name);
  writeFiles(repository.root, files);
  await told(rig, repository.root, ['add', ...new Set(Object.keys(files).map((path) => path.split('/')[0] ?? ''))]);
  repository.git('commit', '--quiet', '-m', '1');
  return repository;
}

/** The same with a remote that has everything, and a clone of it. */
async function clonedProject(
  name: string,
  files?: Parameters<typeof writeFiles>[1],
): Promise<{ origin: TestRepository; clone: TestRepository }> {
  const origin = await project(name, files);
  await told(rig, origin.root, ['remote', 'add', '-d', 'store', join(rig.folder, `${name}-remote`)]);
  origin.git('commit', '--quiet', '--all', '-m', 'remote');
  await told(rig, origin.root, ['push']);
  return { origin, clone: cloneOf(origin, `${name}-clone`) };
}

function cloneOf(origin: TestRepository, name: string): TestRepository {
  origin.git('clone', '--quiet', origin.root, join(rig.folder, name));
  return repositoryAt(join(rig.folder, name));
}

test('tells that there is nothing yet', async () => {
  const { root } = await rig.project('empty');
  expect(await told(rig, root, ['status'])).toBe('Nothing is tracked yet\n  mlv add PATH  tracks files and folders\n');
});

describe('in a project with data', () => {
  let root: string;
  beforeAll(async () => {
    ({ root } = await project('states'));
  });

  test('tells that nothing changed, and then exits with 0', async () => {
    expect(await told(rig, root, ['status'])).toBe('2 paths unchanged (5 files, 11 B)\n');
    expect(await told(rig, root, ['status', '--exit-code'])).toContain('2 paths unchanged');
    expect(await told(rig, root, ['-q', 'status', '--exit-code'])).toBe('');
  });

  test('counts and names what was added, changed and removed; asked twice, it says the same', async () => {
    writeFiles(root, { 'data/a': '11', 'data/new': 'n', 'data/c/e/f': 'f', model: 'heavier' });
    rmSync(join(root, 'data/b'));
    rmSync(join(root, 'data/none'), { recursive: true });
    chmodSync(join(root, 'data/c/d'), 0o755);
    const expected =
      'data   modified: 2 added, 2 changed, 2 removed\n' +
      '    changed  data/a\n' +
      '    removed  data/b\n' +
      '    changed  data/c/d\n' +
      '    added    data/c/e/f\n' +
      '    … and 2 more\n' +
      'model  modified\n' +
      '\n' +
      '  mlv commit  records what was modified\n';
    expect(await told(rig, root, ['status'])).toBe(expected);
    // By then, times are old enough for files not to be read again.
    await new Promise((resolve) => setTimeout(resolve, 150));
    expect(await told(rig, root, ['status'])).toBe(expected);
    expect(await told(rig, root, ['status'])).toBe(expected);
    expect(await told(rig, root, ['-v', 'status'])).toContain('    added    data/new\n    removed  data/none\n');
    const { code } = await rig.mlv(root, ['status', '--exit-code']);
    expect(code).toBe(3);
  });

  test('tells of targets alone: tracked paths, paths inside, pointers, folders above, patterns', async () => {
    expect(await told(rig, root, ['status', 'model'])).toBe(
      'model  modified\n\n  mlv commit  records what was modified\n',
    );
    expect(await told(rig, root, ['status', 'data/new', 'data/c'])).toContain(
      'data  modified: 2 added, 1 changed\n    changed  data/c/d\n    added    data/c/e/f\n    added    data/new\n\n',
    );
    expect(await told(rig, root, ['status', 'data/l'])).toBe('1 path unchanged (4 files, 4 B)\n');
    expect(await told(rig, root, ['status', 'model.mlv'])).toContain('model  modified\n');
    expect(await told(rig, join(root, 'data'), ['status', '..'])).toContain('model  modified\n');
    expect(await told(rig, root, ['status', 'm*'])).toContain('model  modified\n');
    expect(await refusal(rig, root, ['status', 'nothing', 'data', 'x/y'])).toBe(
      'error: nothing tracked by mlv matches nothing, x/y\nhint: "mlv status" lists what is tracked; "mlv add PATH" tracks more.\n',
    );
  });

  test('gives programs the same facts', async () => {
    const { items, clean } = await data<{ items: Record<string, unknown>[]; clean: boolean }>(rig, root, [
      'status',
      'data',
    ]);
    expect(clean).toBe(false);
    expect(items).toEqual([
      {
        path: 'data',
        type: 'dir',
        state: 'modified',
        added: 2,
        changed: 2,
        removed: 2,
        changes: [
          { path: 'data/a', kind: 'changed' },
          { path: 'data/b', kind: 'removed' },
          { path: 'data/c/d', kind: 'changed' },
          { path: 'data/c/e/f', kind: 'added' },
          { path: 'data/new', kind: 'added' },
          { path: 'data/none', kind: 'removed' },
        ],
        files: 4,
        size: 4,
        notCheckedOut: 0,
        notInCache: false,
        outOfDate: false,
        unfinishedCheckout: false,
        problems: [],
      },
    ]);
  });
});

test('tells what is missing', async () => {
  const { root } = await project('missing');
  rmSync(join(root, 'data'), { recursive: true });
  rmSync(join(root, 'model'));
  expect(await told(rig, root, ['status'])).toBe(
    'data   missing\nmodel  missing\n\n  mlv checkout  brings the data to what the pointers say\n',
  );
});

test('tells of a file that became a folder, and the other way round', async () => {
  const { root } = await project('types');
  rmSync(join(root, 'data'), { recursive: true });
  renameSync(join(root, 'model'), join(root, 'data'));
  writeFiles(root, { 'model/a': '1', 'model/b': '2' });
  expect(await told(rig, root, ['status'])).toBe(
    'data   modified: 1 changed\n    changed  data\nmodel  modified\n\n  mlv commit  records what was modified\n',
  );
});

test('tells of what was removed at the end of a large directory', async () => {
  // More than one block of the stat cache; what stays of them is as it was.
  const { root } = await project('tail', manyFiles(2_500, 'data/'));
  await told(rig, root, ['status']);
  const names = Object.keys(manyFiles(2_500, 'data/')).sort();
  for (const name of names.slice(1_024)) rmSync(join(root, name));
  for (const folder of new Set(names.slice(1_100).map(dirname))) rmdirSync(join(root, folder));
  const { items } = await data<{ items: { added: number; changed: number; removed: number }[] }>(rig, root, ['status']);
  expect(items[0]).toMatchObject({ added: 0, changed: 0, removed: 1_476 });
  expect(await told(rig, root, ['add', 'data'])).toContain('updated  data  1,024 files');
  expect(await told(rig, root, ['status'])).toContain('1 path unchanged (1,024 files');
});

test('tells what cannot be versioned, and does not fail over it', async () => {
  const { root } = await project('problems');
  mkdirSync(join(root, 'data/x'));
  writeFileSync(Buffer.concat([Buffer.from(join(root, 'data/x/')), Buffer.from([0xff])]), '');
  writeFiles(root, { 'data/.git/HEAD': 'ref', 'data/b:c': '', 'data/out': link('/etc/passwd') });
  expect(await told(rig, root, ['status', 'data'])).toBe(
    'data  modified, 4 paths cannot be recorded\n' +
      '    refused  .git: its name cannot be versioned: ".git" could be taken for a folder of Git or mlv\n' +
      '    refused  b:c: its name cannot be versioned: "b:c" starts like a drive\n' +
      '    refused  x/\\xff: its name is not UTF-8\n' +
      '    refused  out: it is a symlink to "/etc/passwd", which is not "../" and then plain names: it is absolute\n' +
      '\n' +
      '  mlv commit  records what was modified\n',
  );
});

test('reads no file that did not change, and writes nothing', async () => {
  const { root } = await project('no-reads', manyFiles(1_500, 'data/'));
  await new Promise((resolve) => setTimeout(resolve, 150));
  await told(rig, root, ['status']);
  const before = identities(join(root, 'data'));
  expect(await told(rig, root, ['status'])).toContain('1 path unchanged');
  expect(identities(join(root, 'data'))).toEqual(before);
});

describe('in a clone', () => {
  test('tells what was not checked out, wholly or partly, and what is not in the cache', async () => {
    const { clone } = await clonedProject('clone');
    const { root } = clone;
    expect(await told(rig, root, ['status'])).toBe(
      'data   not checked out: 4 files, not in cache\nmodel  not checked out, not in cache\n\n  mlv pull  gets what is not here\n',
    );
    // A file of one's own where nothing was checked out changes nothing about that.
    writeFiles(root, { 'data/mine': 'm' });
    expect(await told(rig, root, ['status', 'data'])).toContain('data  not checked out: 4 files, not in cache\n');
    await told(rig, root, ['pull', 'data/c', 'data/b']);
    expect(await told(rig, root, ['status'])).toBe(
      'data   modified: 1 added, 2 of 4 files not checked out\n' +
        '    added  data/mine\n' +
        'model  not checked out, not in cache\n' +
        '\n' +
        '  mlv commit     records what was modified\n' +
        '  mlv pull       gets what is not here\n' +
        '  mlv pull PATH  brings the rest of what is partly checked out\n',
    );
    rmSync(join(root, 'data/mine'));
    rmSync(join(root, 'data/b'));
    expect(await told(rig, root, ['status', 'data'])).toContain(
      'data  modified: 1 removed, 2 of 4 files not checked out\n    removed  data/b\n',
    );
  });

  test('tells what is there when the cache was lost', async () => {
    const { clone } = await clonedProject('lost');
    const { root } = clone;
    await told(rig, root, ['pull']);
    rmSync(join(root, '.git/mlv/cache'), { recursive: true });
    expect(await told(rig, root, ['status'])).toBe(
      'data   not in cache\nmodel  not in cache\n\n  mlv pull  gets what is not here\n',
    );
    writeFiles(root, { 'data/a': 'edited' });
    expect(await told(rig, root, ['status', 'data'])).toContain('data  modified, not in cache\n');
    await told(rig, root, ['fetch']);
    expect(await told(rig, root, ['status'])).toBe(
      'data  modified: 1 changed\n    changed  data/a\n1 path unchanged (1 file, 7 B)\n\n  mlv commit  records what was modified\n',
    );
  });

  test('tells that the pointer names another version than was checked out', async () => {
    const { origin, clone } = await clonedProject('behind');
    await told(rig, clone.root, ['pull']);
    writeFiles(origin.root, { 'data/a': 'v2' });
    await told(rig, origin.root, ['commit']);
    origin.git('commit', '--quiet', '--all', '-m', '2');
    await told(rig, origin.root, ['push']);
    clone.git('pull', '--quiet');
    expect(await told(rig, clone.root, ['status'])).toBe(
      'data  pointer names another version, not in cache\n1 path unchanged (1 file, 7 B)\n\n  mlv pull  gets what is not here\n',
    );
    expect((await rig.mlv(clone.root, ['status', '--exit-code'])).code).toBe(3);
    await told(rig, clone.root, ['fetch']);
    expect(await told(rig, clone.root, ['status', 'data'])).toBe(
      'data  pointer names another version\n\n  mlv checkout  brings the data to what the pointers say\n',
    );
  });

  test('tells what is not pushed, on the default remote or another one', async () => {
    const { origin } = await clonedProject('pushed');
    const { root } = origin;
    expect(await told(rig, root, ['status', '--remote'])).toBe('2 paths unchanged (5 files, 11 B)\n');
    writeFiles(root, { model: 'better' });
    await told(rig, root, ['commit']);
    expect(await told(rig, root, ['status', '--remote'])).toBe(
      'model  not on store\n1 path unchanged (4 files, 4 B)\n\n  mlv push  sends what the remote does not have\n',
    );
    expect((await rig.mlv(root, ['status', '--exit-code'])).code).toBe(0);
    expect((await rig.mlv(root, ['status', '--remote', '--exit-code'])).code).toBe(3);
    await told(rig, root, ['remote', 'add', 'other', join(rig.folder, 'pushed-other')]);
    expect(await told(rig, root, ['status', '-r', 'other'])).toContain('data   not on other\nmodel  not on other\n');
    await told(rig, root, ['push']);
    expect(await told(rig, root, ['status', '--remote'])).toBe('2 paths unchanged (5 files, 10 B)\n');
    expect(await refusal(rig, root, ['status', '-r', 'nowhere'])).toContain('error: there is no remote "nowhere"\n');
  });
});
