/** Disks without executable bits, and disks on which `A` and `a` are one file: exFAT, NTFS, shares, Windows folders. */
import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Files } from '../support/folders.ts';
import { asRead, executable, readFolder, writeFiles } from '../support/folders.ts';
import type { MlvRig } from '../support/mlv.ts';
import { makeMlvRig } from '../support/mlv.ts';
import { shareProject } from '../support/shared-project.ts';
import { refusal, told } from '../support/told.ts';

let rig: MlvRig;
beforeAll(() => {
  rig = makeMlvRig();
});
afterAll(() => rig.dispose());

const FILES: Files = { 'data/a': '1', 'data/run': executable('2'), 'data/x/b': '3', tool: executable('4') };

describe('where Git found that the disk keeps no executable bits', () => {
  test('files are executable as they were, whatever the disk says', async () => {
    const origin = await shareProject(rig, 'modes', FILES, 'data', 'tool');
    await told(rig, origin.root, ['push']);
    const { root, git } = origin.clone('modes-clone');
    git('config', 'core.fileMode', 'false');
    await told(rig, root, ['pull']);
    for (const path of ['data/a', 'data/x/b', 'data/run', 'tool']) chmodSync(join(root, path), 0o777);
    expect(await told(rig, root, ['status'])).toBe('2 paths unchanged (4 files, 4 B)\n');
    for (const path of ['data/run', 'tool']) chmodSync(join(root, path), 0o644);
    expect(await told(rig, root, ['status'])).toBe('2 paths unchanged (4 files, 4 B)\n');

    writeFiles(root, { 'data/run': executable('22'), 'data/new': executable('5'), tool: '44' });
    await told(rig, root, ['add', 'data', 'tool']);
    git('commit', '--quiet', '-m', '2');
    await told(rig, root, ['push']);
    origin.git('pull', '--quiet', root);
    await told(rig, origin.root, ['pull']);
    expect(readFolder(join(origin.root, 'data'))).toEqual(
      asRead({
        a: '1',
        new: '5',
        run: executable('22'),
        'x/b': '3',
      }),
    );
    expect(readFolder(origin.root)).toMatchObject({ tool: 'exec 44' });
  });

  test('in a part of a dataset as well', async () => {
    const origin = await shareProject(rig, 'modes-part', FILES, 'data');
    await told(rig, origin.root, ['push']);
    const { root, git } = origin.clone('modes-part-clone');
    git('config', 'core.fileMode', 'false');
    await told(rig, root, ['pull', 'data/run']);
    chmodSync(join(root, 'data/run'), 0o644);
    expect(await told(rig, root, ['status'])).toContain('2 of 3 files not checked out');
    expect(await told(rig, root, ['status'])).not.toContain('changed');
    writeFileSync(join(root, 'data/run'), '22');
    await told(rig, root, ['add', 'data/run']);
    git('commit', '--quiet', '-m', '2');
    await told(rig, root, ['push']);
    origin.git('pull', '--quiet', root);
    await told(rig, origin.root, ['pull']);
    expect(readFolder(join(origin.root, 'data'))).toEqual(asRead({ a: '1', run: executable('22'), 'x/b': '3' }));
  });
});

describe('on exFAT', () => {
  let folder = '';
  let device: string | undefined;
  let why = '';
  beforeAll(() => {
    folder = join(rig.folder, 'exfat');
    mkdirSync(folder);
    const image = join(rig.folder, 'exfat.img');
    const run = (program: string, ...args: string[]) => spawnSync(program, args, { encoding: 'utf8' });
    if (process.getuid?.() !== 0) why = 'only root can mount a disk';
    else if (run('truncate', '-s', '64M', image).status !== 0) why = 'there is no room for a disk';
    else if (run('mkfs.exfat', image).status !== 0) why = 'mkfs.exfat is not here';
    else {
      const loop = run('losetup', '--find', '--show', image);
      device = loop.status === 0 ? loop.stdout.trim() : undefined;
      const mounted = device !== undefined && run('mount.exfat-fuse', device, folder).status === 0;
      if (!mounted) why = 'exFAT cannot be mounted here';
    }
  });
  afterAll(() => {
    if (why === '') execFileSync('umount', [folder]);
    if (device !== undefined) execFileSync('losetup', ['--detach', device]);
  });

  test('the whole trip: nothing counts as changed, edits do', async ({ skip }) => {
    if (why !== '') skip(why);
    const origin = await shareProject(rig, 'trip', FILES, 'data', 'tool');
    await told(rig, origin.root, ['push']);
    const { root, git } = origin.clone('exfat/trip');
    await told(rig, root, ['pull']);
    expect(await told(rig, root, ['status'])).toBe('2 paths unchanged (4 files, 4 B)\n');
    // Within the two seconds that the disk's clock has for a step, and of the same size.
    writeFileSync(join(root, 'data/a'), '9');
    expect(await told(rig, root, ['status'])).toContain('    changed  data/a\n');
    await told(rig, root, ['add', 'data']);
    git('commit', '--quiet', '-m', '2');
    await told(rig, root, ['push']);
    origin.git('pull', '--quiet', root);
    await told(rig, origin.root, ['pull']);
    expect(readFolder(join(origin.root, 'data'))).toEqual(asRead({ a: '9', run: executable('2'), 'x/b': '3' }));
  });

  test('names that differ in case only are refused, and nothing is written; a part can be had', async ({ skip }) => {
    if (why !== '') skip(why);
    const origin = await shareProject(rig, 'names', { 'data/a': '1', 'data/A': '2', 'data/x/b': '3' }, 'data');
    await told(rig, origin.root, ['push']);
    const { root } = origin.clone('exfat/names');
    await told(rig, root, ['fetch']);
    expect(await refusal(rig, root, ['checkout'])).toBe(
      'error: data holds names that are one and the same on this disk\n' +
        '  data/A = data/a\n' +
        'hint: Nothing was changed. Rename them where case matters, or check out a part: "mlv checkout PATH/INSIDE".\n',
    );
    expect(readFolder(join(root, 'data'))).toBeUndefined();
    await told(rig, root, ['checkout', 'data/x', 'data/A']);
    expect(readFolder(join(root, 'data'))).toMatchObject({ A: 'exec 2' });
    expect(await told(rig, root, ['status'])).toContain('1 of 3 files not checked out');
  });
});
