import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, lstatSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Files } from '../support/folders.ts';
import { asRead, readFolder, writeFiles } from '../support/folders.ts';
import type { MlvRig } from '../support/mlv.ts';
import { makeMlvRig } from '../support/mlv.ts';
import type { SharedProject } from '../support/shared-project.ts';
import { shareProject } from '../support/shared-project.ts';
import { data, refusal, told } from '../support/told.ts';

/** Root may do everything, so the commands run as nobody; whoever is not root already is somebody who may not. */
const isRoot = process.getuid?.() === 0;
const NOBODY = 65_534;
const as = isRoot ? { uid: NOBODY } : {};

let rig: MlvRig;
beforeAll(() => {
  rig = makeMlvRig();
  chmodSync(rig.folder, 0o755);
});
afterAll(() => {
  execFileSync('chmod', ['-R', 'u+rwX', rig.folder]);
  rig.dispose();
});

const FILES: Files = { 'data/a': '1', 'data/b': '2', 'data/c/d': '3', 'data/c/e': '4', model: 'm' };

/** A pushed project that belongs to the one whom commands run as. */
async function ownProject(name: string): Promise<SharedProject> {
  const project = await shareProject(rig, name, FILES, 'data', 'model');
  await told(rig, project.root, ['push']);
  give(project.root, project.remote, join(rig.folder, 'home'));
  return project;
}

function give(...folders: string[]): void {
  if (isRoot) execFileSync('chown', ['-R', `${NOBODY}:${NOBODY}`, ...folders]);
}

/** What git says, to whom the folder need not belong. */
function gitStatus({ git }: SharedProject): string {
  return git('-c', 'safe.directory=*', 'status', '--porcelain', '--untracked-files=no');
}

test('a large file whose fetch was killed just before it got its name is gone on with', async () => {
  const project = await ownProject('killed');
  const { root } = project;
  writeFileSync(join(root, 'model'), Buffer.alloc(9 << 20, 'm'));
  await told(rig, root, ['commit'], as);
  await told(rig, root, ['push'], as);
  const [hash = ''] = /(?<=b3:)[0-9a-f]{64}/.exec(readFileSync(join(root, 'model.mlv'), 'utf8')) ?? [];
  const cache = join(root, '.git/mlv/cache');
  const loose = join(cache, 'b3', hash.slice(0, 2), hash.slice(2));
  renameSync(loose, join(cache, 'tmp', `partial-${hash}-0123456789abcdef.7.1-00`));
  execFileSync('touch', ['-d', '1 hour ago', join(cache, 'tmp', `partial-${hash}-0123456789abcdef.7.1-00`)]);
  await told(rig, root, ['verify', '--repair'], as);
  expect(readFileSync(loose).equals(Buffer.alloc(9 << 20, 'm'))).toBe(true);
});

describe('files and folders that may not be read', () => {
  test('are named by add and commit, and no pointer is changed', async () => {
    const project = await ownProject('unreadable');
    const { root } = project;
    writeFiles(root, { 'data/new': 'n' });
    chmodSync(join(root, 'data/b'), 0);
    chmodSync(join(root, 'data/c'), 0);
    utimesNow(join(root, 'data/b'));
    const expected =
      'error: 2 paths in data cannot be added\n' +
      '  c: the folder cannot be read\n' +
      '  b: it cannot be read (permission denied)\n' +
      'hint: Nothing was changed. Mend them, or exclude them with lines in .mlvignore, and run the command again.\n';
    expect(await refusal(rig, root, ['add', 'data', 'model'], as)).toBe(expected);
    expect(await refusal(rig, root, ['commit'], as)).toBe(expected);
    expect(await refusal(rig, root, ['add', 'data/c'], as)).toContain('  c: the folder cannot be read\n');
    expect(await refusal(rig, root, ['add', 'data/c/d'], as)).toMatch(
      /^error: .*data\/c\/d.*: permission denied\nhint: /,
    );
    expect(await refusal(rig, root, ['remove', '--data', 'data'], as)).toContain(
      'error: data has edits that were never recorded\n',
    );
    expect(gitStatus(project)).toBe('');
    // Of what cannot be read nobody knows whether it changed.
    expect(await told(rig, root, ['status'], as)).toBe(
      'data  modified: 1 added, 2 paths cannot be recorded\n' +
        '    refused  c: the folder cannot be read\n' +
        '    refused  b: it cannot be read (permission denied)\n' +
        '    added    data/new\n' +
        '1 path unchanged (1 file, 1 B)\n' +
        '\n' +
        '  mlv commit  records what was modified\n',
    );
    expect((await rig.mlv(root, ['status', '--exit-code'], as)).code).toBe(3);
  });

  test('may be excluded', async () => {
    const { root } = await ownProject('excluded');
    writeFiles(root, { 'data/locked/x': '1', '.mlvignore': '/data/locked/\n' });
    chmodSync(join(root, 'data/locked'), 0);
    expect(await told(rig, root, ['add', 'data'], as)).toBe('1 path unchanged\n');
  });
});

describe('folders that may not be written to', () => {
  test('checkout does all else, names what it could not do, and finishes later', async () => {
    const { root, git } = await ownProject('read-only');
    const run = (...args: string[]): string => git('-c', 'safe.directory=*', ...args);
    writeFiles(root, { 'data/a': '11', 'data/c/d': '33' });
    rmSync(join(root, 'data/c/e'));
    await told(rig, root, ['commit'], as);
    run('commit', '--quiet', '-m', '2');
    run('checkout', '--quiet', 'HEAD~1');
    give(root);
    chmodSync(join(root, 'data/c'), 0o555);
    expect(await refusal(rig, root, ['checkout'], as)).toBe(
      'error: 2 paths could not be checked out; everything else was\n' +
        '  data/c/d: the folder cannot be written to\n' +
        '  data/c/e: the folder cannot be written to\n' +
        'hint: For what is not in the cache, run "mlv pull"; mend the rest, then run "mlv checkout" again to finish.\n',
    );
    expect(readFolder(join(root, 'data'))).toEqual(asRead({ a: '1', b: '2', 'c/d': '33' }));
    expect(await told(rig, root, ['status'], as)).toContain('checkout is unfinished');
    chmodSync(join(root, 'data/c'), 0o755);
    await told(rig, root, ['checkout'], as);
    expect(readFolder(join(root, 'data'))).toEqual(asRead({ a: '1', b: '2', 'c/d': '3', 'c/e': '4' }));
    expect((await data<{ clean: boolean }>(rig, root, ['status'], as)).clean).toBe(true);
  });

  test('where Git’s folder is read-only, reading commands work, and the others say why not', async () => {
    const { root } = await ownProject('git-read-only');
    execFileSync('chmod', ['-R', 'a-w', root]);
    expect(await told(rig, root, ['status'], as)).toBe('2 paths unchanged (5 files, 5 B)\n');
    expect(await told(rig, root, ['checkout'], as)).toBe('Nothing to check out\n');
    expect(await told(rig, root, ['root'], as)).toBe(`${root}\n`);
    expect(await told(rig, root, ['doctor'], as)).toContain(
      'disk              cannot be written to: reading commands work\n',
    );
    expect(await told(rig, root, ['status', '--remote'], as)).toBe('2 paths unchanged (5 files, 5 B)\n');
    execFileSync('chmod', ['u+w', root, join(root, 'model'), join(root, 'data'), join(root, 'data/a')]);
    writeFileSync(join(root, 'data/a'), 'edited');
    expect(await told(rig, root, ['status'], as)).toContain('changed  data/a\n');
    expect(await refusal(rig, root, ['add', 'data'], as)).toMatch(/^error: .*permission/);
    expect(await refusal(rig, root, ['config', 'core.autostage', 'false'], as)).toMatch(/^error: .*permission/);
    expect(await refusal(rig, root, ['remove', 'model'], as)).toMatch(/^error: .*permission/);
    expect(await refusal(rig, root, ['move', 'model', 'elsewhere'], as)).toMatch(/^error: .*\n/);
    expect(lstatSync(join(root, 'model')).isFile()).toBe(true);
    expect(existsSync(join(root, 'elsewhere'))).toBe(false);
  });
});

describe('remotes', () => {
  test('one that may only be read is pulled from; a push says that it may not', async () => {
    const project = await ownProject('remote');
    const { root, remote } = project;
    execFileSync('chmod', ['-R', 'a-w', remote]);
    rmSync(join(root, '.git/mlv/cache'), { recursive: true });
    rmSync(join(root, 'data'), { recursive: true });
    await told(rig, root, ['pull'], as);
    expect(readFolder(join(root, 'data'))).toEqual(asRead({ a: '1', b: '2', 'c/d': '3', 'c/e': '4' }));
    expect(await told(rig, root, ['push'], as)).toContain('up to date\n');
    writeFiles(root, { model: 'better' });
    give(root);
    await told(rig, root, ['commit'], as);
    expect(await refusal(rig, root, ['push'], as)).toMatch(new RegExp(`^error: .*${remote}.*\nhint: `));
    expect(await told(rig, root, ['status', '--remote'], as)).toContain('model  not on store\n');
    chmodSync(remote, 0);
    for (const command of ['push', 'pull', 'fetch', 'status --remote']) {
      expect(await refusal(rig, root, command.split(' '), as)).toContain(remote);
    }
  });
});

/** Disks do not tell how much room they have. */
const SILENT = {
  env: { NODE_OPTIONS: `--require=${fileURLToPath(new URL('../support/silent-statfs.cjs', import.meta.url))}` },
};

describe('a disk without room', () => {
  let disk: string | undefined;
  beforeAll(() => {
    const folder = join(rig.folder, 'small-disk');
    mkdirSync(folder);
    if (!isRoot) return;
    try {
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=6m', 'none', folder], { stdio: 'ignore' });
      disk = folder;
    } catch {
      // told by the tests
    }
  });
  afterAll(() => {
    if (disk !== undefined) execFileSync('umount', [disk]);
  });

  test('an add says so, beforehand where that can be known, and changes no pointer; with room it can be repeated', async ({
    skip,
  }) => {
    if (disk === undefined) {
      skip('no small disk can be mounted here');
      return;
    }
    const root = join(disk, 'project');
    mkdirSync(root);
    await told(rig, root, ['init', '--no-git']);
    writeFiles(root, { 'data/a': 'small' });
    await told(rig, root, ['add', 'data']);
    const pointer = readFileSync(join(root, 'data.mlv'), 'utf8');
    writeFiles(root, { 'data/large': noise(3_500_000) });
    expect(await refusal(rig, root, ['add', 'data'])).toMatch(
      /^error: 3\.5 MB are to be copied into the cache, and the disk of \/.* has [\d.]+ MB left\nhint: Nothing was changed\. Make room there, or move the cache with .*\n$/,
    );
    const full =
      /^error: no room on the disk of the cache \/.* while storing .*\nhint: Free some space, or move the cache with .* Nothing was changed; run the command again\.\n$/;
    expect(await refusal(rig, root, ['add', 'data'], SILENT)).toMatch(full);
    for (let index = 0; index < 400; index++) writeFiles(root, { [`data/s/${index}`]: noise(4_000) });
    expect(await refusal(rig, root, ['add', 'data/s'])).toMatch(full);
    expect(readFileSync(join(root, 'data.mlv'), 'utf8')).toBe(pointer);
    expect(await told(rig, root, ['status'])).toContain('data  modified: 401 added\n');
    rmSync(join(root, 'data/large'));
    rmSync(join(root, '.mlv/local/cache/tmp'), { recursive: true });
    for (let index = 200; index < 400; index++) rmSync(join(root, `data/s/${index}`));
    await told(rig, root, ['add', 'data']);
    expect((await data<{ clean: boolean }>(rig, root, ['status'])).clean).toBe(true);
  });

  test('a checkout that does not fit is not begun; where that cannot be known, it brings what fits and is finished later', async ({
    skip,
  }) => {
    if (disk === undefined) {
      skip('no small disk can be mounted here');
      return;
    }
    rmSync(join(disk, 'project'), { recursive: true, force: true });
    const origin = await shareProject(
      rig,
      'large',
      { 'data/1': noise(4_000_000), 'data/2': noise(4_000_000), 'data/3': 'small' },
      'data',
    );
    const root = join(disk, 'clone');
    origin.git('clone', '--quiet', origin.root, root);
    await told(rig, root, ['config', '--local', 'cache.dir', join(origin.root, '.git/mlv/cache')]);
    expect(await refusal(rig, root, ['checkout'])).toMatch(
      /^error: 8\.1 MB are to be checked out, and the disk of \/.* has [\d.]+ MB left\nhint: Nothing was changed\./,
    );
    expect(readFolder(join(root, 'data'))).toBeUndefined();
    const error = await refusal(rig, root, ['checkout'], SILENT);
    expect(error).toMatch(
      /^error: 1 path could not be checked out; everything else was\n {2}data\/[12]: no room on the disk\nhint: /,
    );
    expect(readFolder(join(root, 'data'))).toMatchObject({ 3: 'file small' });
    expect(Object.keys(readFolder(join(root, 'data')) ?? {}).length).toBe(2);
    expect(await told(rig, root, ['status'])).toContain('checkout is unfinished');
    execFileSync('mount', ['-o', 'remount,size=12m', disk]);
    await told(rig, root, ['checkout']);
    expect((await data<{ clean: boolean }>(rig, root, ['status'])).clean).toBe(true);
  });

  function noise(bytes: number): Buffer {
    return Buffer.from(Array.from({ length: bytes }, () => 32 + Math.floor(Math.random() * 90)));
  }
});

function utimesNow(path: string): void {
  execFileSync('touch', [path]);
}
