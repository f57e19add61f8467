import { appendFileSync, cpSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Files } from '../support/folders.ts';
import { emptyFolder, identities, link, readFolder, writeFiles } from '../support/folders.ts';
import type { TestRepository } from '../support/git.ts';
import type { MlvRig } from '../support/mlv.ts';
import { makeMlvRig } from '../support/mlv.ts';
import { shareProject } from '../support/shared-project.ts';
import { refusal, told } from '../support/told.ts';

let rig: MlvRig;
beforeAll(() => {
  rig = makeMlvRig();
});
afterAll(() => rig.dispose());

const FILES: Files = {
  'data/a': '1',
  'data/b': '2',
  'data/c/d': '3',
  'data/c/e': '4',
  'data/none': emptyFolder,
  'data/l': link('a'),
  model: 'm',
};

/** A project whose `data` and `model` are committed, their pointers with comments. */
async function project(name: string): Promise<TestRepository> {
  const repository = await rig.project(name);
  const { root, git } = repository;
  writeFiles(root, FILES);
  await told(rig, root, ['add', 'data', 'model', '--desc', 'mine']);
  for (const pointer of ['data.mlv', 'model.mlv']) appendFileSync(join(root, pointer), '# a comment\nowner: Ada\n');
  git('commit', '--quiet', '--all', '-m', '1');
  return repository;
}

function workTree({ root }: TestRepository): Record<string, string> {
  return readFolder(root, ['.git', '.mlv']) ?? {};
}

function commentsOf({ root }: TestRepository, pointer: string): string {
  return readFileSync(join(root, pointer), 'utf8').split('\n').slice(-4).join('\n');
}
const COMMENTS = 'desc: mine\n# a comment\nowner: Ada\n';

describe('commit', () => {
  test('records the edits of everything that is in the workspace, comments kept', async () => {
    const repository = await project('commit');
    const { root, git } = repository;
    expect(await told(rig, root, ['commit'])).toBe('No tracked data was edited\n');
    expect(git('status', '--porcelain')).toBe('');
    writeFiles(root, { 'data/a': '11', 'data/new': 'n', 'not-tracked': 'x' });
    rmSync(join(root, 'data/c'), { recursive: true });
    rmSync(join(root, 'model'));
    expect(await told(rig, root, ['commit'])).toBe(
      'updated  data  4 files, 5 B; 1 added, 1 changed, 2 removed\n\nStaged in Git: 1 file. Next: git commit\n',
    );
    expect(commentsOf(repository, 'data.mlv')).toBe(COMMENTS);
    expect(git('status', '--porcelain')).toBe('M  data.mlv\n?? not-tracked');
    expect(await told(rig, root, ['status'])).toContain('model  missing\n1 path unchanged (4 files, 5 B)\n');
  });

  test('records what is named: paths, paths inside, what was deleted there', async () => {
    const { root } = await project('commit-named');
    writeFiles(root, { 'data/a': '11', 'data/b': '22', model: 'mm' });
    rmSync(join(root, 'data/c'), { recursive: true });
    expect(await told(rig, root, ['commit', 'data/a', 'data/c/d'])).toContain(
      'updated  data  4 files, 5 B; 1 changed, 1 removed\n',
    );
    expect(await told(rig, root, ['status'])).toContain(
      'data   modified: 1 changed, 1 removed\n    changed  data/b\n    removed  data/c/e\nmodel  modified\n',
    );
    expect(await told(rig, join(root, 'data'), ['commit', '../model'])).toContain('updated  model  2 B\n');
    expect(await told(rig, root, ['commit', 'data'])).toContain('updated  data  3 files, 5 B; 1 changed, 1 removed\n');
    expect(await told(rig, root, ['status'])).toContain('2 paths unchanged');
  });

  test('refuses what is not tracked, not there, or cannot be recorded', async () => {
    const { root, git } = await project('commit-refused');
    expect(await refusal(rig, root, ['commit', 'nothing'])).toContain(
      'error: nothing tracked by mlv matches nothing\n',
    );
    expect(await refusal(rig, root, ['commit', 'data/nothing'])).toBe(
      'error: data holds no nothing\nhint: Check the spelling; nothing was changed.\n',
    );
    rmSync(join(root, 'model'));
    expect(await refusal(rig, root, ['commit', 'model'])).toBe(
      'error: model is not in the workspace, so there are no edits to record\n' +
        'hint: "mlv checkout model" brings it back; "mlv remove model" stops tracking it.\n',
    );
    expect(await refusal(rig, root, ['commit', '-m', 'message'], { code: 2 })).toMatch(
      /^error: .*\nhint: .*git commit/,
    );
    writeFiles(root, { 'data/out': link('/etc/passwd'), 'data/a': '11' });
    expect(await refusal(rig, root, ['commit'])).toContain(
      'error: a path in data cannot be added\n  out: it is a symlink',
    );
    expect(git('status', '--porcelain')).toBe('');
  });

  test('does not undo a newer version that was never checked out', async () => {
    const { root, git } = await project('commit-behind');
    writeFiles(root, { 'data/a': 'v2', model: 'v2' });
    await told(rig, root, ['commit']);
    git('commit', '--quiet', '-m', '2');
    git('checkout', '--quiet', 'HEAD~1');
    await told(rig, root, ['checkout']);
    git('checkout', '--quiet', 'main');
    // Nothing was edited, so there is nothing to record.
    expect(await told(rig, root, ['commit'])).toBe('No tracked data was edited\n');
    expect(await refusal(rig, root, ['commit', 'data'])).toBe(
      'error: the pointer of data names another version than the one the workspace was brought to\n' +
        'hint: Bring it up to date with "mlv checkout data" (your edits stay), or record the workspace as it is with "mlv add data --accept-deletions".\n',
    );
    writeFiles(root, { 'data/b': 'edit' });
    expect(await refusal(rig, root, ['commit'])).toContain('error: the pointer of data names another version');
    await told(rig, root, ['checkout']);
    expect(await told(rig, root, ['commit'])).toContain('updated  data  5 files, 9 B; 1 changed\n');
    expect(await told(rig, root, ['status'])).toContain('2 paths unchanged');
  });
});

describe('remove', () => {
  test('stops tracking and keeps the data', async () => {
    const repository = await project('remove');
    const { root, git } = repository;
    const before = identities(join(root, 'data'));
    expect(await told(rig, root, ['remove', 'data', 'model.mlv'])).toBe(
      'removed  data   its data stays in the workspace\nremoved  model  its data stays in the workspace\n',
    );
    expect(identities(join(root, 'data'))).toEqual(before);
    expect(Object.keys(workTree(repository))).not.toContain('.gitignore');
    expect(git('status', '--porcelain').split('\n')).toEqual([
      'D  .gitignore',
      'D  data.mlv',
      'D  model.mlv',
      '?? data/',
      '?? model',
    ]);
    expect(await told(rig, root, ['status'])).toContain('Nothing is tracked yet\n');
    expect(await refusal(rig, root, ['remove', 'data'])).toContain('error: nothing tracked by mlv matches data\n');
    expect(await refusal(rig, root, ['remove'], { code: 2 })).toContain('error: mlv remove needs a TARGET\n');
    // Added again, it is as if nothing had been.
    await told(rig, root, ['add', 'data', 'model']);
    expect(await told(rig, root, ['status'])).toBe('2 paths unchanged (6 files, 6 B)\n');
  });

  test('--data deletes what is recorded, and nothing that is not', async () => {
    const repository = await project('remove-data');
    const { root, git } = repository;
    writeFiles(root, { '.mlvignore': '*.tmp\n', 'data/c/x.tmp': 'mine', 'data/a': 'edited' });
    expect(await refusal(rig, root, ['remove', '--data', 'data'])).toBe(
      'error: data has edits that were never recorded\n' +
        'hint: Record them with "mlv commit data", or stop tracking without --data. Nothing was changed.\n',
    );
    expect(readFileSync(join(root, 'data/a'), 'utf8')).toBe('edited');
    await told(rig, root, ['commit', 'data']);
    git('commit', '--quiet', '-m', '2');
    expect(await told(rig, root, ['remove', '--data', 'data', 'model'])).toBe(
      'removed  data   its data stays in the workspace\nremoved  model  with its data\n',
    );
    expect(workTree(repository)).toEqual({ '.mlvignore': 'file *.tmp\n', 'data/c/x.tmp': 'file mine' });
    git('checkout', '--quiet', '--force', 'HEAD');
    await told(rig, root, ['checkout']);
    expect(readFolder(join(root, 'data'))).toMatchObject({
      a: 'file edited',
      b: 'file 2',
      none: 'empty',
      l: 'link a',
      'c/x.tmp': 'file mine',
    });
  });

  test('--data goes on with what an interrupted run has left', async () => {
    const { root } = await project('remove-data-again');
    rmSync(join(root, 'data/a'));
    rmSync(join(root, 'data/c'), { recursive: true });
    mkdirSync(join(root, 'data/c'));
    renameSync(join(root, 'data/b'), join(root, 'data/.mlv-tmp-1-b'));
    await told(rig, root, ['remove', '--data', 'data']);
    expect(readFolder(join(root, 'data'))).toEqual({ c: 'empty' });
    expect(existsSync(join(root, 'data.mlv'))).toBe(false);
  });

  test('takes paths out of a directory; comments kept', async () => {
    const repository = await project('remove-inner');
    const { root } = repository;
    expect(await told(rig, root, ['remove', 'data/c', 'data/a', 'data/l'])).toBe(
      'removed  data/a  its data stays in the workspace\nremoved  data/c  its data stays in the workspace\nremoved  data/l  its data stays in the workspace\n',
    );
    expect(commentsOf(repository, 'data.mlv')).toBe(COMMENTS);
    expect(readFileSync(join(root, 'data.mlv'), 'utf8')).toContain('\nsize: 1\nfiles: 1\n');
    expect(await told(rig, root, ['status', 'data'])).toContain('data  modified: 4 added\n');
    await told(rig, root, ['add', 'data']);
    writeFiles(root, { 'data/c/d': 'edited' });
    expect(await told(rig, root, ['remove', '--data', 'data/c', 'data/b', 'data/none'])).toBe(
      'removed  data/b     with its data\nremoved  data/c     its data stays in the workspace\nremoved  data/none  with its data\n',
    );
    expect(readFolder(join(root, 'data'))).toEqual({ a: 'file 1', 'c/d': 'file edited', l: 'link a' });
    expect(await refusal(rig, root, ['remove', 'data/a', 'data/nothing'])).toBe(
      'error: data holds no nothing\nhint: Check the spelling; nothing was changed.\n',
    );
    expect(await told(rig, root, ['status', 'data'])).toContain('data  modified: 1 added\n    added  data/c/d\n');
    expect(await refusal(rig, root, ['remove', 'model/inner'])).toContain(
      'error: model is tracked as a file, so nothing can be in it: inner\n',
    );
  });

  test('takes away data that was never checked out', async () => {
    const origin = await shareProject(rig, 'remove-shared', FILES, 'data', 'model');
    await told(rig, origin.root, ['push']);
    const clone = origin.clone('remove-clone');
    expect(await told(rig, clone.root, ['remove', '--data', 'model'])).toBe(
      'removed  model  none of its data was here\n',
    );
    expect(await told(rig, clone.root, ['remove', 'data/c/d'])).toBe('removed  data/c/d  none of its data was here\n');
    expect(await told(rig, clone.root, ['status'])).toContain('data  not checked out: 4 files\n');
    await told(rig, clone.root, ['pull']);
    expect(readFolder(join(clone.root, 'data'))).toEqual({
      a: 'file 1',
      b: 'file 2',
      'c/e': 'file 4',
      l: 'link a',
      none: 'empty',
    });
  });
});

describe('move', () => {
  test('takes data, pointer and line in .gitignore along, copying nothing', async () => {
    const repository = await project('move');
    const { root, git } = repository;
    const before = identities(join(root, 'data'));
    expect(await told(rig, root, ['move', 'data', 'sets/raw/images'])).toBe('moved  data to sets/raw/images\n');
    const after = identities(join(root, 'sets/raw/images'));
    delete before['.'];
    delete after['.'];
    expect(after).toEqual(before);
    expect(workTree(repository)).toMatchObject({
      '.gitignore': 'file /model\n',
      'sets/raw/.gitignore': 'file /images\n',
    });
    expect(commentsOf(repository, 'sets/raw/images.mlv')).toBe(COMMENTS);
    expect(git('status', '--porcelain').split('\n')).toEqual([
      'M  .gitignore',
      'A  sets/raw/.gitignore',
      'R  data.mlv -> sets/raw/images.mlv',
    ]);
    expect(await told(rig, root, ['status'])).toBe('2 paths unchanged (6 files, 6 B)\n');
    // And back; the folder made on the way keeps no trace.
    expect(await told(rig, join(root, 'sets'), ['move', 'raw/images.mlv', '../data'])).toBe(
      'moved  sets/raw/images to data\n',
    );
    expect(existsSync(join(root, 'sets/raw/.gitignore'))).toBe(false);
    expect(git('status', '--porcelain')).toBe('M  .gitignore');
    expect(await told(rig, root, ['status'])).toBe('2 paths unchanged (6 files, 6 B)\n');
  });

  test('moves into a folder that is there, and edits and what is not checked out along', async () => {
    const { root } = await project('move-into');
    mkdirSync(join(root, 'models'));
    writeFiles(root, { model: 'edited' });
    expect(await told(rig, root, ['move', 'model', 'models'])).toBe('moved  model to models/model\n');
    rmSync(join(root, 'data'), { recursive: true });
    expect(await told(rig, root, ['move', 'data', 'models/data'])).toBe('moved  data to models/data\n');
    expect(await told(rig, root, ['status'])).toContain('models/data   missing\nmodels/model  modified\n');
    await told(rig, root, ['checkout']);
    expect(readFolder(join(root, 'models'))).toMatchObject({
      'data/a': 'file 1',
      model: 'file edited',
      '.gitignore': 'file /model\n/data\n',
    });
  });

  test('goes on where an interrupted run has left off', async () => {
    const repository = await project('move-again');
    const { root, git } = repository;
    writeFiles(root, { 'data/a': 'edited' });
    const records = join(root, '.git/mlv/checkout');
    cpSync(records, join(rig.folder, 'records'), { recursive: true });
    await told(rig, root, ['move', 'data', 'new/data']);
    const moved = workTree(repository);
    for (const isPointerThere of [true, false]) {
      git('checkout', '--quiet', 'HEAD', 'data.mlv', '.gitignore');
      if (!isPointerThere) rmSync(join(root, 'new/data.mlv'));
      cpSync(join(rig.folder, 'records'), records, { recursive: true });
      expect(await told(rig, root, ['move', 'data', 'new/data'])).toBe('moved  data to new/data\n');
      expect(workTree(repository)).toEqual(moved);
    }
    // A folder that was there before is one to move into, whatever became of the data.
    mkdirSync(join(root, 'place'));
    rmSync(join(root, 'new/data'), { recursive: true });
    expect(await told(rig, root, ['move', 'new/data', 'place'])).toBe('moved  new/data to place/data\n');
  });

  test('refuses what is taken, tracked, outside or unknown', async () => {
    const { root, git } = await project('move-refused');
    writeFiles(root, { 'taken/x': '1', 'file-in-the-way': '1', 'taken/model': '1' });
    expect(await refusal(rig, root, ['move', 'data', 'file-in-the-way'])).toBe(
      'error: file-in-the-way is there already\nhint: Choose another name for data. Nothing was changed.\n',
    );
    expect(await refusal(rig, root, ['move', 'model', 'taken'])).toContain('error: taken/model is there already\n');
    expect(await refusal(rig, root, ['move', 'model', 'data'])).toContain(
      'error: data/model lies inside data, which is tracked\n',
    );
    expect(await refusal(rig, root, ['move', 'data', 'data/inner'])).toContain(
      'error: data/inner lies inside data, which is tracked\n',
    );
    expect(await refusal(rig, root, ['move', 'data/a', 'a'])).toContain('error: data/a is not tracked by mlv\n');
    expect(await refusal(rig, root, ['move', 'nothing', 'a'])).toContain('error: nothing is not tracked by mlv\n');
    expect(await refusal(rig, root, ['move', 'model', '../a'])).toContain('error: ../a is outside the project');
    expect(await refusal(rig, root, ['move', 'model', '.git/a'])).toContain(
      'could be taken for a folder of Git or mlv',
    );
    expect(await refusal(rig, root, ['move', 'model', 'file-in-the-way/a'])).toMatch(
      /^error: model cannot be moved to file-in-the-way\/a\nhint: Nothing was changed/,
    );
    expect(await refusal(rig, root, ['move', 'model'], { code: 2 })).toContain('error: ');
    expect(git('status', '--porcelain', '--untracked-files=no')).toBe('');
    expect(await told(rig, root, ['status'])).toBe('2 paths unchanged (6 files, 6 B)\n');
  });
});
