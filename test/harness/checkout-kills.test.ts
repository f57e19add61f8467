/** Checkouts that are killed: the next one finishes them, and no edit is lost. */
import { spawnSync } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Files } from '../support/folders.ts';
import { asRead, link, manyFiles, pathsNamed, readFolder, writeFiles } from '../support/folders.ts';
import type { MlvRig } from '../support/mlv.ts';
import { BIN, makeMlvRig } from '../support/mlv.ts';
import { data, told } from '../support/told.ts';
import { makeTwoVersions } from '../support/two-versions.ts';

let rig: MlvRig;
beforeAll(() => {
  rig = makeMlvRig();
});
afterAll(() => rig.dispose());

const withoutStrace = spawnSync('strace', ['-V']).status === 0 ? undefined : 'there is no strace here';

describe('killed just before any change in the workspace, it can be finished', () => {
  const v1: Files = {
    changed: 'c1',
    'deep/gone': 'g',
    l: link('changed'),
    same: 's',
    away: 'a',
  };
  const v2: Files = { changed: 'c2', l: link('same'), 'new/one': 'n', same: 's', away: 'a' };

  test.for([
    { name: 'an ordinary checkout', args: [] },
    { name: 'a forced one', args: ['--force'] },
    { name: 'one that makes all anew', args: ['--relink'] },
  ])('$name', async ({ name, args }, { skip }) => {
    if (withoutStrace !== undefined) skip(withoutStrace);
    const { root, git } = await makeTwoVersions(rig, `strace ${name}`, v1, v2);
    const folder = join(root, 'data');
    let tag: 'v1' | 'v2' = 'v1';
    // Moving aside and removing; then making the file, and the link, that were moved aside.
    for (const calls of [['rename,unlink'], ['openat', 'changed'], ['symlink', 'l']] as const) {
      for (let call = 1; await isKilledAndMended(calls, call); call++);
    }

    async function isKilledAndMended([calls, only]: readonly [string, string?], call: number): Promise<boolean> {
      tag = tag === 'v1' ? 'v2' : 'v1';
      writeFiles(folder, { same: 'edited', mine: 'm' });
      rmSync(join(folder, 'away'), { force: true });
      git('checkout', '--quiet', tag);
      const file = only === undefined ? [] : ['-P', join(folder, only)];
      const inject = ['-e', `trace=${calls}`, ...file, '-e', `inject=${calls}:signal=SIGKILL:when=${call}`];
      const isKilled = isKilledBy(inject, root, ['checkout', ...args]);
      // Were the files that a kill left in the air taken for deleted, this would keep them so.
      await told(rig, root, ['checkout']);
      const expected: Record<string, string> = {
        ...asRead(tag === 'v1' ? v1 : v2),
        same: 'file edited',
        mine: 'file m',
      };
      const found = readFolder(folder) ?? {};
      // What was deleted by hand comes back when all was to be made anew, or overwritten.
      if (args.length === 0 || found['away'] === undefined) delete expected['away'];
      // An edit that was to be overwritten is there, or is not, or has been set aside.
      const leftovers = pathsNamed(folder, '.mlv-tmp-');
      if (args[0] === '--force' && found['same'] === 'file s') expected['same'] = 'file s';
      for (const leftover of args[0] === '--force' ? leftovers : []) {
        expect(readFileSync(join(folder, leftover), 'utf8')).toBe('edited');
        rmSync(join(folder, leftover));
        delete found[leftover];
      }
      expect(found).toEqual(expected);
      return isKilled;
    }
  });

  function isKilledBy(inject: readonly string[], root: string, args: readonly string[]): boolean {
    const traced = ['-qq', '-o', '/dev/null', ...inject, process.execPath, BIN, ...args];
    return spawnSync('strace', traced, { cwd: root, env: rig.env }).signal === 'SIGKILL';
  }
});

test('killed at any moment, it can be finished, and nothing is lost', async () => {
  const v1: Files = { ...manyFiles(150), ...manyFiles(50, 'stays/'), gone: 'g' };
  const v2: Files = {
    ...Object.fromEntries(Object.entries(manyFiles(150)).map(([path, content]) => [path, `${content}again`])),
    ...manyFiles(50, 'stays/'),
    ...manyFiles(100, 'new/'),
  };
  const { root, git } = await makeTwoVersions(rig, 'killed', v1, v2);
  const folder = join(root, 'data');
  const mine = { 'stays/000/00000.txt': 'my edit', mine: 'my file', '000/mine': 'my file there' };
  writeFiles(folder, mine);
  rmSync(join(folder, 'stays/000/00001.txt'));
  const contents = { v1: edited(v1), v2: edited(v2) };
  let killed = 0;
  for (let round = 0; round < 6; round++) {
    const tag = round % 2 === 0 ? 'v2' : 'v1';
    git('checkout', '--quiet', tag);
    const delay = 75 + 8 * round;
    const running = rig.start(root, ['checkout', ...(round % 4 === 3 ? ['--relink'] : [])]);
    setTimeout(() => running.process.kill('SIGKILL'), delay);
    const { code } = await running.result;
    if (code === undefined) killed += 1;
    await told(rig, root, ['checkout']);
    const expected = contents[tag];
    const now = readFolder(folder);
    // Where all is made anew, what was deleted by hand comes back with the rest when that is interrupted.
    if (round % 4 === 3 && now?.['stays/000/00001.txt'] !== undefined) rmSync(join(folder, 'stays/000/00001.txt'));
    expect(readFolder(folder)).toEqual(expected);
    expect(pathsNamed(folder, '.mlv-tmp-')).toEqual([]);
  }
  expect(killed).toBeGreaterThan(0);
  expect(await told(rig, root, ['status'])).toContain('modified: 2 added, 1 changed, 1 removed\n');

  function edited(files: Files): Record<string, string> {
    const read = { ...asRead({ ...files, ...mine }) };
    delete read['stays/000/00001.txt'];
    return read;
  }
});

test('killed while a deleted folder comes back, the rest of it is not taken for deleted', async () => {
  const v1 = manyFiles(300);
  const { root } = await makeTwoVersions(rig, 'killed-back', v1, { a: '1' });
  const folder = join(root, 'data');
  for (const delay of [90, 120, 160]) {
    rmSync(folder, { recursive: true, force: true });
    const running = rig.start(root, ['checkout']);
    setTimeout(() => running.process.kill('SIGKILL'), delay);
    await running.result;
    await told(rig, root, ['checkout']);
    expect(Object.keys(readFolder(folder) ?? {}).length).toBe(300);
    expect((await data<{ clean: boolean }>(rig, root, ['status'])).clean).toBe(true);
  }
  expect(readFolder(folder)).toEqual(asRead(v1));
});
