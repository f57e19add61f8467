import { spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Files } from '../support/folders.ts';
import { asRead, manyFiles, pathsNamed, readFolder, writeFiles } from '../support/folders.ts';
import type { TestRepository } from '../support/git.ts';
import type { MlvResult, MlvRig } from '../support/mlv.ts';
import { makeMlvRig } from '../support/mlv.ts';
import { shareProject } from '../support/shared-project.ts';
import { data, refusal, told, withoutWaiting } from '../support/told.ts';

/** Each test so many times; `npm run test:races` sets more. */
const repeats = Number(process.env['MLV_RACE_ROUNDS'] ?? 1) - 1;

let rig: MlvRig;
beforeEach(() => {
  rig = makeMlvRig();
});
afterEach(() => rig.dispose());

const isClean = async (root: string): Promise<boolean> => (await data<{ clean: boolean }>(rig, root, ['status'])).clean;

/** Runs a command and kills it after some milliseconds. */
function killed(root: string, args: readonly string[], delay: number): Promise<MlvResult> {
  const { process: child, result } = rig.start(root, ['--no-progress', ...args]);
  setTimeout(() => child.kill('SIGKILL'), delay);
  return result;
}

describe('commands at the same time', { repeats }, () => {
  test('adds of different paths: every pointer, and every line in .gitignore, is there', async () => {
    const { root, git } = await rig.project('adds');
    const names = ['a', 'b', 'c', 'd', 'e', 'f'];
    writeFiles(
      root,
      Object.fromEntries(
        names.flatMap((name) => [
          [`${name}/1`, name],
          [`${name}/2`, 'same'],
        ]),
      ),
    );
    const results = await Promise.all(names.map((name) => rig.mlv(root, ['--no-progress', 'add', name])));
    expect(results.map(({ code, stderr }) => [code, withoutWaiting(stderr)])).toEqual(names.map(() => [0, '']));
    expect(readFileSync(join(root, '.gitignore'), 'utf8').split('\n').sort()).toEqual([
      '',
      ...names.map((name) => `/${name}`),
    ]);
    expect(git('diff', '--cached', '--name-only').split('\n')).toEqual([
      '.gitignore',
      '.mlv/config.yaml',
      ...names.map((name) => `${name}.mlv`),
    ]);
    expect(
      git('status', '--porcelain', '--untracked-files=all')
        .split('\n')
        .filter((line) => !line.startsWith('A ')),
    ).toEqual([]);
    expect(await isClean(root)).toBe(true);
  });

  test('adds and looks of one directory that others are writing to', async () => {
    const { root } = await rig.project('looks');
    writeFiles(root, manyFiles(1_200, 'data/'));
    await told(rig, root, ['add', 'data']);
    for (let round = 0; round < 2; round++) {
      writeFiles(root, { 'data/000/00000.txt': `edited ${round}`, [`data/zzz/${round}`]: 'new' });
      const commands = ['status', 'add data', 'status', 'status data/000', 'add data/zzz', 'status'];
      const results = await Promise.all(
        commands.map((command) => rig.mlv(root, ['--no-progress', ...command.split(' ')])),
      );
      for (const { code, stderr } of results)
        expect([code === 0 ? '' : stderr.split('\n')[0], stderr.includes('bug')]).toEqual(['', false]);
    }
    await told(rig, root, ['add', 'data']);
    expect(await isClean(root)).toBe(true);
  });

  test('two pushes to one remote: both versions arrive', async () => {
    const origin = await shareProject(rig, 'pushes', manyFiles(100, 'data/'), 'data');
    const clones = [origin.clone('pushes-1'), origin.clone('pushes-2')];
    await told(rig, origin.root, ['push']);
    for (const [index, { root, git }] of clones.entries()) {
      await told(rig, root, ['pull']);
      writeFiles(root, { ...manyFiles(100, `data/of-${index}/`), 'data/000/00000.txt': `of ${index}` });
      await told(rig, root, ['commit']);
      git('commit', '--quiet', '-m', 'mine');
      git('push', '--quiet', 'origin', `HEAD:refs/heads/b${index}`);
    }
    const results = await Promise.all(clones.map(({ root }) => rig.mlv(root, ['--no-progress', 'push'])));
    expect(results.map(({ code, stderr }) => [code, withoutWaiting(stderr)])).toEqual([
      [0, ''],
      [0, ''],
    ]);
    for (const index of [0, 1]) {
      const other = origin.clone(`pushes-check-${index}`);
      other.git('checkout', '--quiet', `b${index}`);
      await told(rig, other.root, ['pull']);
      expect(readFolder(join(other.root, 'data'))).toEqual(readFolder(join(clones[index]?.root ?? '', 'data')));
    }
  });
});

describe('interrupted', { repeats }, () => {
  test('an add leaves the pointer as it was or as it is to be, and can be repeated', async () => {
    const { root, git } = await rig.project('add-killed');
    writeFiles(root, { ...manyFiles(600, 'data/'), 'data/large': Buffer.alloc(12_000_000, 'large') });
    await told(rig, root, ['add', 'data/../data']);
    git('commit', '--quiet', '-m', '1');
    const before = readFileSync(join(root, 'data.mlv'), 'utf8');
    for (let round = 0; round < 4; round++) {
      writeFiles(root, {
        ...manyFiles(150, `data/round-${round}/`),
        'data/large': Buffer.alloc(12_000_000, `large ${round}`),
      });
      const { code } = await killed(root, ['add', 'data'], 75 + 40 * round);
      // What pointer there is, it names what is whole.
      git('worktree', 'add', '--quiet', '--detach', join(rig.folder, `add-killed-${round}`));
      const other = join(rig.folder, `add-killed-${round}`);
      writeFileSync(join(other, 'data.mlv'), readFileSync(join(root, 'data.mlv')));
      await told(rig, other, ['checkout', 'data/000', 'data/large']);
      if (code !== 0) await told(rig, root, ['add', 'data']);
      expect(await isClean(root)).toBe(true);
      git('commit', '--quiet', '--allow-empty', '-m', String(round));
      rmSync(other, { recursive: true });
      git('worktree', 'prune');
    }
    expect(readFileSync(join(root, 'data.mlv'), 'utf8')).not.toBe(before);
    rmSync(join(root, 'data'), { recursive: true });
    await told(rig, root, ['checkout']);
    expect(Object.keys(readFolder(join(root, 'data')) ?? {}).length).toBe(1_201);
  });

  test('pushes and pulls go on where they were', async () => {
    const files: Files = { ...manyFiles(500, 'data/'), 'data/large': Buffer.alloc(30_000_000, 'large') };
    const origin = await shareProject(rig, 'transfers', files, 'data');
    const clone = origin.clone('transfers-clone');
    for (let delay = 80; delay < 240; delay += 40) await killed(origin.root, ['push'], delay);
    await told(rig, origin.root, ['push']);
    for (let delay = 80; delay < 280; delay += 40) {
      await killed(clone.root, ['pull'], delay);
      // Whatever there is by now, it is no edit.
      const { code, stderr } = await rig.mlv(clone.root, ['--no-progress', 'status']);
      expect([code, stderr]).toEqual([0, '']);
    }
    await told(rig, clone.root, ['pull']);
    expect(readFolder(join(clone.root, 'data'))).toEqual(
      asRead(Object.fromEntries(Object.entries(files).map(([path, content]) => [path.slice(5), content]))),
    );
    expect(pathsNamed(join(clone.root, 'data'), '.mlv-tmp-')).toEqual([]);
    expect(await told(rig, clone.root, ['pull'])).toMatch(/up to date\nNothing to check out\n$/);
    expect(await isClean(clone.root)).toBe(true);
  });

  test('by Ctrl-C it exits with 130, says how to go on, and nothing is half done', async () => {
    const { root } = await rig.project('ctrl-c');
    writeFiles(root, { 'data/large': Buffer.alloc(200_000_000, 'large') });
    const { process: child, result } = rig.start(root, ['--no-progress', 'add', 'data']);
    const begun = join(root, '.git/mlv/cache/tmp');
    while (!existsSync(begun) || readdirSync(begun).length === 0) await sleep(5);
    child.kill('SIGINT');
    const { code, stderr, stdout } = await result;
    expect([code, stdout]).toEqual([130, '']);
    expect(stderr).toBe('error: interrupted\nhint: Run the same command again: it continues where this one stopped\n');
    expect(await told(rig, root, ['status'])).toContain('Nothing is tracked yet');
    await told(rig, root, ['add', 'data']);
    expect(await isClean(root)).toBe(true);
  });
});

describe('a file that somebody is writing to', { repeats }, () => {
  let repository: TestRepository;
  beforeEach(async () => {
    repository = await rig.project('writer');
    writeFiles(repository.root, { 'data/a': '1' });
    await told(rig, repository.root, ['add', 'data']);
  });

  async function whileWriting(script: string, work: () => Promise<void>): Promise<void> {
    const writer = spawn(process.execPath, ['-e', script], {
      cwd: repository.root,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    try {
      await new Promise((resolve) => writer.stdout.once('data', resolve));
      await work();
    } finally {
      writer.kill('SIGKILL');
    }
  }

  test.for([
    ['grows', 'fs.appendFileSync(path, "more");'],
    ['is overwritten in place', 'fs.writeSync(file, String(Math.random()), 0);'],
  ] as const)('one that %s is refused, and the pointer stays as it was', async ([, step]) => {
    const { root, git } = repository;
    const pointer = readFileSync(join(root, 'data.mlv'), 'utf8');
    const path = 'data/busy';
    const script = `const fs = require('fs'); const path = ${JSON.stringify(path)};
      fs.writeFileSync(path, Buffer.alloc(1e8)); const file = fs.openSync(path, 'r+'); let told = false;
      for (const end = Date.now() + 20000; Date.now() < end;) { ${step} if (!told) told = fs.writeSync(1, 'x'); }`;
    await whileWriting(script, async () => {
      expect(await refusal(rig, root, ['add', 'data'])).toBe(
        'error: a path in data cannot be added\n' +
          '  busy: it changed while it was read\n' +
          'hint: Nothing was changed. Mend them, or exclude them with lines in .mlvignore, and run the command again.\n',
      );
    });
    expect(readFileSync(join(root, 'data.mlv'), 'utf8')).toBe(pointer);
    expect(git('diff', '--name-only')).toBe('');
    rmSync(join(root, path));
    expect(await told(rig, root, ['status'])).toContain('1 path unchanged');
  });
});
