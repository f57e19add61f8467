import { execFileSync, spawnSync } from 'node:child_process';
import {
  copyFileSync,
  constants,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Files } from '../support/folders.ts';
import { asRead, executable, link, readFolder, writeFiles } from '../support/folders.ts';
import type { TestRepository } from '../support/git.ts';
import { makeRepository } from '../support/git.ts';
import type { MlvRig } from '../support/mlv.ts';
import { makeMlvRig } from '../support/mlv.ts';
import { shareProject } from '../support/shared-project.ts';
import { data, refusal, told } from '../support/told.ts';

let rig: MlvRig;
beforeAll(() => {
  rig = makeMlvRig();
});
afterAll(() => rig.dispose());

const FILES: Files = {
  'data/a': '1',
  'data/b': '2',
  'data/c/d': '3',
  'data/run': executable('4'),
  'data/l': link('a'),
  model: 'm',
};

/** A clone in which files are to be links into its cache. */
async function linked(name: string): Promise<TestRepository> {
  const origin = await shareProject(rig, name, FILES, 'data', 'model');
  await told(rig, origin.root, ['push']);
  const clone = origin.clone(`${name}-clone`);
  await told(rig, clone.root, ['config', '--local', 'cache.links', 'symlink']);
  await told(rig, clone.root, ['config', '--local', 'cache.packBelow', '0']);
  await told(rig, clone.root, ['pull']);
  return clone;
}

/** What among the files links into the cache. */
function managed({ root }: TestRepository): string[] {
  const cache = join(root, '.git/mlv/cache/');
  return Object.keys(FILES).filter((path) => {
    const stats = lstatSync(join(root, path), { throwIfNoEntry: false });
    return stats?.isSymbolicLink() === true && readlinkSync(join(root, path)).startsWith(cache);
  });
}

describe('links into the cache', () => {
  test('stand for the files, are read-only, and nothing counts as changed', async () => {
    const clone = await linked('stand-for');
    const { root } = clone;
    expect(managed(clone)).toEqual(['data/a', 'data/b', 'data/c/d', 'model']);
    expect(lstatSync(readlinkSync(join(root, 'data/a'))).mode & 0o777).toBe(0o444);
    expect(await told(rig, root, ['status'])).toBe('2 paths unchanged (6 files, 6 B)\n');
    expect(await told(rig, root, ['add', 'data', 'model'])).toBe('2 paths unchanged\n');
    // One replaced by a file is an edit like any other.
    rmSync(join(root, 'data/a'));
    writeFileSync(join(root, 'data/a'), 'edited');
    expect(await told(rig, root, ['status'])).toContain('changed  data/a\n');
    await told(rig, root, ['commit']);
    expect(await told(rig, root, ['status'])).toContain('2 paths unchanged');
  });

  test('are replaced by copies where asked, and only there', async () => {
    const clone = await linked('freed');
    const { root } = clone;
    expect(await told(rig, root, ['unprotect', 'data/c', 'data/b'])).toBe('2 files can be edited\n');
    expect(managed(clone)).toEqual(['data/a', 'model']);
    expect(lstatSync(join(root, 'data/b')).mode & 0o777).toBe(0o666 & ~process.umask());
    writeFileSync(join(root, 'data/c/d'), 'edited');
    expect(await told(rig, root, ['status'])).toContain('data  modified: 1 changed\n    changed  data/c/d\n');
    await told(rig, root, ['checkout', '--force', 'data/c/d']);
    expect(await told(rig, root, ['unprotect', '.'])).toBe('3 files can be edited\n');
    expect(managed(clone)).toEqual([]);
    expect(await told(rig, root, ['status'])).toBe('2 paths unchanged (6 files, 6 B)\n');
    expect(await told(rig, root, ['unprotect', 'model'])).toBe('Nothing to unprotect\n');
    expect(readFolder(root, ['.git', '.mlv'])).toMatchObject(asRead(FILES));
    expect(await refusal(rig, root, ['unprotect', 'nothing'])).toContain(
      'error: nothing tracked by mlv matches nothing\n',
    );
    expect(await refusal(rig, root, ['unprotect'], { code: 2 })).toContain('error: mlv unprotect needs a TARGET\n');
  });

  test('follow from version to version, and go with remove --data, the cache untouched', async () => {
    const clone = await linked('versions');
    const { root, git } = clone;
    await told(rig, root, ['unprotect', 'data/a']);
    writeFileSync(join(root, 'data/a'), 'v2');
    await told(rig, root, ['commit']);
    git('commit', '--quiet', '-m', '2');
    git('checkout', '--quiet', 'HEAD~1');
    await told(rig, root, ['checkout']);
    expect(managed(clone)).toEqual(['data/a', 'data/b', 'data/c/d', 'model']);
    git('checkout', '--quiet', 'main');
    await told(rig, root, ['checkout']);
    const cached = readdirSync(join(root, '.git/mlv/cache/b3'), { recursive: true }).length;
    await told(rig, root, ['remove', '--data', 'data/c', 'model']);
    await told(rig, root, ['remove', '--data', 'data']);
    expect(Object.keys(readFolder(root, ['.git', '.mlv']) ?? {})).toEqual([]);
    // The lists of files without data/c were written meanwhile.
    expect(readdirSync(join(root, '.git/mlv/cache/b3'), { recursive: true }).length).toBeGreaterThanOrEqual(cached);
  });

  test('to a blob that is gone are told, and come back', async () => {
    const clone = await linked('dangling');
    const { root } = clone;
    rmSync(readlinkSync(join(root, 'data/b')));
    expect(await told(rig, root, ['status'])).toContain(
      '    refused  b: it links to a file that is no longer in the cache\n',
    );
    expect(await refusal(rig, root, ['add', 'data'])).toContain(
      '  b: it links to a file that is no longer in the cache\n',
    );
    expect(await refusal(rig, root, ['unprotect', 'data'])).toBe(
      'error: data/b links to a file that is no longer in the cache\nhint: Run "mlv fetch" to get it from a remote.\n',
    );
    await told(rig, root, ['fetch']);
    expect(await told(rig, root, ['status'])).toBe('2 paths unchanged (6 files, 6 B)\n');
  });

  test('in another checkout of the same cache stay what they are', async () => {
    const clone = await linked('shared-cache');
    const other = join(rig.folder, 'shared-cache-linked');
    clone.git('worktree', 'add', '--quiet', '--detach', other);
    await told(rig, other, ['checkout']);
    expect(readlinkSync(join(other, 'data/a'))).toBe(readlinkSync(join(clone.root, 'data/a')));
    await told(rig, other, ['unprotect', 'data']);
    writeFileSync(join(other, 'data/a'), 'other');
    expect(await told(rig, clone.root, ['status'])).toBe('2 paths unchanged (6 files, 6 B)\n');
  });
});

describe('reflinks', () => {
  let disk: string | undefined;
  let why = '';
  beforeAll(() => {
    const folder = join(rig.folder, 'disk');
    mkdirSync(folder);
    const image = join(rig.folder, 'disk.img');
    if (process.getuid?.() !== 0) why = 'only root can mount a disk with reflinks';
    else if (spawnSync('truncate', ['-s', '320M', image]).status !== 0) why = 'no room for a disk with reflinks';
    else {
      const made = [
        ['mkfs.xfs', '-q', '-m', 'reflink=1', image],
        ['mkfs.btrfs', '-q', image],
      ].some(([program = '', ...args]) => spawnSync(program, args).status === 0);
      if (!made) why = 'there is neither mkfs.xfs nor mkfs.btrfs here';
      else if (spawnSync('mount', ['-o', 'loop', image, folder]).status !== 0) why = 'disks cannot be mounted here';
      else disk = folder;
    }
  });
  afterAll(() => {
    if (disk !== undefined) execFileSync('umount', [disk]);
  });

  test('are made where the disk has them: both ways, and edits stay one’s own', async ({ skip }) => {
    if (disk === undefined) {
      skip(why);
      return;
    }
    const repository = makeRepository(join(disk, 'project'));
    const { root, git } = repository;
    await told(rig, root, ['init']);
    const content = Buffer.alloc(40_000_000, 'reflink ');
    writeFiles(root, { 'data/large': content, 'data/run': executable('x') });
    copyFileSync(join(root, 'data/large'), join(root, 'probe'), constants.COPYFILE_FICLONE_FORCE);
    await told(rig, root, ['add', 'data']);
    git('commit', '--quiet', '-m', '1');
    rmSync(join(root, 'data'), { recursive: true });
    const free = freeBytes();
    await told(rig, root, ['checkout']);
    expect(free - freeBytes()).toBeLessThan(20_000_000);
    expect(lstatSync(join(root, 'data/large')).isFile()).toBe(true);
    writeFileSync(join(root, 'data/large'), 'mine', { flag: 'r+' });
    expect(await told(rig, root, ['status'])).toContain('changed  data/large\n');
    await told(rig, root, ['checkout', '--force']);
    expect((await data<{ clean: boolean }>(rig, root, ['status'])).clean).toBe(true);
    expect(existsSync(join(root, '.git/mlv/cache/b3'))).toBe(true);
  });

  function freeBytes(): number {
    execFileSync('sync', ['-f', disk ?? '']);
    return (
      1024 *
      Number(
        execFileSync('df', ['--output=avail', disk ?? ''])
          .toString()
          .split('\n')[1],
      )
    );
  }
});
