/** Killed again and again, at random times, each command going on with what the ones before have left; checkouts of one version over another. */
import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { asRead, type Files, manyFiles, pathsNamed, readFolder, writeFiles } from '../support/folders.ts';
import type { TestRepository } from '../support/git.ts';
import type { MlvRig } from '../support/mlv.ts';
import { makeMlvRig } from '../support/mlv.ts';
import { shareProject } from '../support/shared-project.ts';
import { told } from '../support/told.ts';

/** Kills of each command; `npm run test:kill` sets more. A seed in the environment repeats a run. */
const KILLS = Number(process.env['MLV_KILLS'] ?? 4);
const seed = Number(process.env['MLV_KILL_SEED'] ?? Date.now() % 1_000_000);

let rig: MlvRig;
let random = seed >>> 0;
beforeAll(() => {
  rig = makeMlvRig();
  console.log(`killed at moments from MLV_KILL_SEED=${seed}`);
});
afterAll(() => rig.dispose());

function next(): number {
  random = (Math.imul(random, 1_664_525) + 1_013_904_223) >>> 0;
  return random / 2 ** 32;
}

/** Two large files among many small ones, so that packs, loose blobs and objects all come about. */
function version(name: string): Files {
  return {
    ...manyFiles(400, `data/${name}/`),
    ...manyFiles(200, 'data/common/'),
    'data/same-name': `version ${name}`,
    'data/large': Buffer.alloc((8 << 20) + 1, name),
    'data/middle': Buffer.alloc((1 << 20) + 1, name),
  };
}

/** How long a whole run takes, in milliseconds. */
async function durationOf(work: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await work();
  return performance.now() - started;
}

/** Starts a command and kills it at a moment of its life, drawn anew each time; now and then it is faster. */
async function killed(root: string, args: readonly string[], wholeMs: number): Promise<void> {
  const { process: child, result } = rig.start(root, args);
  // Reading modules takes the first part of the time, and changes nothing.
  const timer = setTimeout(() => child.kill('SIGKILL'), 60 + next() * Math.max(0, wholeMs - 60));
  const { code, stderr } = await result;
  clearTimeout(timer);
  if (code !== undefined && code !== 0) throw new Error(`mlv ${args.join(' ')} failed by itself:\n${stderr}`);
}

const dataIn = (root: string): Record<string, string> | undefined => readFolder(join(root, 'data'));

function expected(files: Files): Record<string, string> {
  return Object.fromEntries(Object.entries(asRead(files)).map(([path, text]) => [path.slice('data/'.length), text]));
}

/** Compares the dataset with what it should be, telling only what differs. */
function expectData(root: string, wanted: Readonly<Record<string, string>>): void {
  const found = dataIn(root) ?? {};
  const differing = [...new Set([...Object.keys(found), ...Object.keys(wanted)])].filter(
    (path) => found[path] !== wanted[path],
  );
  expect(differing.map((path) => [path, found[path]?.slice(0, 40), wanted[path]?.slice(0, 40)])).toEqual([]);
}

/** Nothing but what the pointer names is in the dataset, and the cache has all of it. */
async function expectWhole(repository: TestRepository, files: Files): Promise<void> {
  const { root } = repository;
  rmSync(join(root, 'data'), { recursive: true });
  await told(rig, root, ['checkout', '--force']);
  expectData(root, expected(files));
}

test('add, killed at any moment, is done by the next one', { timeout: 120_000 + KILLS * 20_000 }, async () => {
  const repository = await rig.project('add');
  const { root, git } = repository;
  writeFiles(root, version('v1'));
  const wholeMs = await durationOf(() => told(rig, root, ['add', 'data']));
  for (let kill = 0; kill < KILLS; kill++) {
    git('reset', '--quiet');
    for (const name of ['.git/mlv', '.gitignore', 'data.mlv']) rmSync(join(root, name), { recursive: true });
    await killed(root, ['add', 'data'], wholeMs);
    expectData(root, expected(version('v1')));
    // A pointer names what is safe.
    const isNamed = existsSync(join(root, 'data.mlv'));
    if (isNamed) await expectWhole(repository, version('v1'));
    else await told(rig, root, ['status']);
    await told(rig, root, ['add', 'data']);
    if (!isNamed) await expectWhole(repository, version('v1'));
    expect(git('status', '--porcelain')).toBe('A  .gitignore\nA  data.mlv\n?? .mlv/');
  }
});

test('push, killed at any moment, is finished by the next one', { timeout: 120_000 + KILLS * 20_000 }, async () => {
  const project = await shareProject(rig, 'push', version('v1'), 'data');
  const trial = join(rig.folder, 'push-trial');
  await told(rig, project.root, ['remote', 'add', '--local', 'trial', trial]);
  const wholeMs = await durationOf(() => told(rig, project.root, ['push', '-r', 'trial']));
  // Each continues on what the ones before have left; every fourth starts afresh.
  for (let kill = 0; kill < KILLS; kill++) {
    const name = `store-${Math.floor(kill / 4)}`;
    if (kill % 4 === 0) await told(rig, project.root, ['remote', 'add', '--local', name, join(rig.folder, name)]);
    await killed(project.root, ['push', '-r', name], wholeMs);
    await told(rig, project.root, ['status', `--remote=${name}`]);
    if (kill % 4 !== 3) continue;
    await told(rig, project.root, ['push', '-r', name]);
    expect(await told(rig, project.root, ['push', '-r', name])).toContain('up to date');
    const reader = project.clone(`push-reader-${kill}`);
    await told(rig, reader.root, ['remote', 'add', '--local', name, join(rig.folder, name)]);
    await told(rig, reader.root, ['pull', '-r', name]);
    expectData(reader.root, expected(version('v1')));
  }
});

test('pull, killed at any moment, is finished by the next one', { timeout: 120_000 + KILLS * 20_000 }, async () => {
  const project = await shareProject(rig, 'pull', version('v1'), 'data');
  await told(rig, project.root, ['push']);
  const trial = project.clone('pull-trial');
  const wholeMs = await durationOf(() => told(rig, trial.root, ['pull']));
  for (let kill = 0; kill < KILLS; kill += 2) {
    const { root } = project.clone(`pull-${kill}`);
    for (const _ of [1, 2]) await killed(root, ['pull'], wholeMs);
    await told(rig, root, ['status']);
    await told(rig, root, ['pull']);
    expectData(root, expected(version('v1')));
    expect(pathsNamed(join(root, 'data'), '.mlv-tmp-')).toEqual([]);
    expect(await told(rig, root, ['status'])).toMatch(/^1 path unchanged/);
    rmSync(root, { recursive: true });
  }
});

test(
  'checkout, killed at any moment, is finished by the next one and keeps edits',
  { timeout: 120_000 + KILLS * 20_000 },
  async () => {
    const project = await shareProject(rig, 'checkout', version('v1'), 'data');
    const { root, git } = project;
    git('branch', 'v1');
    rmSync(join(root, 'data/v1'), { recursive: true });
    await project.version(version('v2'), 'data');
    git('branch', 'v2');
    const go = async (name: string): Promise<void> => {
      git('checkout', '--quiet', name);
      await told(rig, root, ['checkout']);
    };
    const wholeMs = await durationOf(() => go('v1'));
    writeFiles(root, { 'data/my own': 'not recorded', 'data/common/000/00001.txt': 'edited' });
    const mine = { 'my own': 'file not recorded', 'common/000/00001.txt': 'file edited' };
    for (let kill = 0; kill < KILLS; kill++) {
      const name = kill % 2 === 0 ? 'v2' : 'v1';
      git('checkout', '--quiet', name);
      await killed(root, ['checkout'], wholeMs);
      expect(dataIn(root)).toMatchObject(mine);
      await told(rig, root, ['status']);
      // Every third time the next version comes on top of what is unfinished.
      if (kill % 3 === 2) continue;
      await told(rig, root, ['checkout']);
      expectData(root, { ...expected(version(name)), ...mine });
      expect(pathsNamed(join(root, 'data'), '.mlv-tmp-')).toEqual([]);
    }
    await go('v1');
    expectData(root, { ...expected(version('v1')), ...mine });
    expect(await told(rig, root, ['add', 'data'])).toContain('1 added, 1 changed');
  },
);
