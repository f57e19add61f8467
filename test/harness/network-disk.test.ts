/**
 * Disks as network file systems are: times in steps of seconds, a server whose clock is minutes ahead or behind, files that go stale once,
 * what is removed while it is open stays as `.nfs…`, no hard links, other machines at the same files. Simulated: `network-disk.cjs`.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  lutimesSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { bundleChild } from '../support/bundled-child.ts';
import { manyFiles, pathsNamed, readFolder, writeFiles } from '../support/folders.ts';
import type { MlvOptions, MlvRig } from '../support/mlv.ts';
import { makeMlvRig } from '../support/mlv.ts';
import { shareProject } from '../support/shared-project.ts';
import { data, told } from '../support/told.ts';
import { seededRandom } from './random.ts';

/** `npm run test:disk` sets more. */
const ROUNDS = process.env['MLV_DISK'] === 'whole' ? 12 : 2;
const seed = Number(process.env['MLV_DISK_SEED'] ?? Date.now() % 1_000_000);
const PRELOAD = fileURLToPath(new URL('disk/network-disk.cjs', import.meta.url));
const MINUTES = 60_000;
const DAYS = 24 * 60 * MINUTES;

let rig: MlvRig;
const counts = new Map<string, number>();
const count = (what: string): void => void counts.set(what, (counts.get(what) ?? 0) + 1);

beforeAll(() => {
  rig = makeMlvRig();
});
afterAll(() => {
  console.log(`MLV_DISK_SEED=${seed}: ${[...counts].map(([what, times]) => `${what} ${times}`).join(', ')}`);
  rig.dispose();
});

/** A disk of that kind, as one machine sees it. */
function disk(kind: {
  readonly grain?: number;
  readonly ahead?: number;
  readonly stale?: number;
  readonly under?: string;
  readonly silly?: boolean;
  readonly bootId?: string;
  readonly host?: string;
}): MlvOptions & { readonly env: Readonly<Record<string, string>> } {
  return { env: { NODE_OPTIONS: `--require=${PRELOAD}`, NETWORK_DISK: JSON.stringify(kind) } };
}

const CLOCKS = [
  ['times in whole seconds', { grain: 1_000 }],
  ['times in two seconds, the server five minutes ahead', { grain: 2_000, ahead: 5 * MINUTES }],
  ['times in two seconds, the server five minutes behind', { grain: 2_000, ahead: -5 * MINUTES }],
] as const;

test.concurrent.each(CLOCKS)(
  'no edit goes unnoticed: %s',
  { timeout: 60_000 + ROUNDS * 10_000 },
  async (name, kind) => {
    const random = seededRandom(seed);
    const options = disk(kind);
    const { root } = await rig.project(name);
    const paths = Array.from({ length: 12 }, (_, index) => `data/${index % 3}/${index}`);
    writeFiles(root, Object.fromEntries(paths.map((path) => [path, `${path} 00000`])));
    await told(rig, root, ['add', 'data'], options);
    const edited = new Set<string>();
    for (let round = 0; round < ROUNDS; round++) {
      for (let edits = 1 + random.next(3); edits > 0; edits--) {
        const path = random.pick(paths);
        // As long as before, in the same moment, and by an editor that keeps the inode.
        writeFileSync(join(root, path), `${path} ${String(1 + random.next(99_999)).padStart(5, '0')}`);
        edited.add(path);
      }
      const { items } = await data<{ items: { changes: { path: string }[] }[] }>(rig, root, ['status'], options);
      const found = items.flatMap(({ changes }) => changes.map(({ path }) => path.replace(/^(?!data\/)/, 'data/')));
      expect(found.sort()).toEqual([...edited].sort());
      count('edits seen by status');
      if (random.next(2) === 0) continue;
      await told(rig, root, ['commit'], options);
      edited.clear();
      count('commits');
    }
    await told(rig, root, ['commit'], options);
    const before = readFolder(join(root, 'data'));
    rmSync(join(root, 'data'), { recursive: true });
    await told(rig, root, ['checkout', 'data'], options);
    expect(readFolder(join(root, 'data'))).toEqual(before);
  },
);

test.concurrent.each([
  ['times in whole seconds', { grain: 1_000 }],
  ['what is open stays, the server behind', { grain: 2_000, silly: true, ahead: -7 * MINUTES }],
])('the whole trip: %s', { timeout: 120_000 }, async (name, kind) => {
  const options = disk(kind);
  const origin = await shareProject(rig, `trip ${name}`);
  const { root, git } = origin;
  const run = (cwd: string, ...args: string[]): Promise<string> => {
    count('commands of trips');
    return told(rig, cwd, args, options);
  };
  writeFiles(root, { ...manyFiles(120, 'data/'), 'data/large': Buffer.alloc(9 << 20, name), model: 'first' });
  await run(root, 'add', 'data', 'model');
  git('commit', '--quiet', '--all', '-m', '1');
  await run(root, 'push');
  const clone = origin.clone(`trip-clone ${name}`);
  await run(clone.root, 'pull');
  expect(readFolder(join(clone.root, 'data'), [])).toEqual(readFolder(join(root, 'data')));
  writeFiles(clone.root, { 'data/000/00001.txt': 'edited', 'data/new': 'new', model: 'other' });
  rmSync(join(clone.root, 'data/000/00002.txt'));
  await run(clone.root, 'commit');
  clone.git('commit', '--quiet', '--all', '-m', '2');
  await run(clone.root, 'push');
  git('pull', '--quiet', clone.root, 'main');
  await run(root, 'pull');
  const isSilly = (path: string): boolean => !/\.nfs[0-9a-f]{24}$/.test(path);
  const held = Object.entries(readFolder(join(root, 'data')) ?? {}).filter(([path]) => isSilly(path));
  expect(Object.fromEntries(held)).toEqual(readFolder(join(clone.root, 'data')));
  for (const each of [root, clone.root]) {
    expect(await data(rig, each, ['status'], options)).toMatchObject({ clean: true });
    for (const side of [[], ['--remote']]) await run(each, 'verify', ...side);
    await run(each, 'gc', '--dry-run');
  }
  expect(pathsNamed(join(root, '.git/mlv/cache'), '.nfs').length > 0).toBe('silly' in kind);
});

test('a file that goes stale once costs at most one more run', { timeout: 60_000 + ROUNDS * 10_000 }, async () => {
  const random = seededRandom(seed);
  const origin = await shareProject(rig, 'stale', { ...manyFiles(80, 'data/'), model: 'first' }, 'data', 'model');
  await told(rig, origin.root, ['push']);
  for (let round = 0; round < ROUNDS; round++) {
    const { root } = origin.clone(`stale-${round}`);
    for (const args of [['pull'], ['status'], ['commit'], ['push'], ['verify'], ['gc', '--dry-run']]) {
      if (args[0] === 'commit') writeFiles(root, { 'data/000/00001.txt': `edited ${round}` });
      const stale = 1 + random.next(40);
      const { code, stdout, stderr } = await rig.mlv(
        root,
        ['--no-progress', ...args],
        disk({ stale, under: rig.folder }),
      );
      count('commands that met a stale file');
      if (code === 0) continue;
      // Single files that could not be had are told with what could.
      expect(stdout + stderr).toMatch(/^(error: (?!this is a bug)|.*\n\nfailed: )[^]*\nhint: .*\n$/);
      await told(rig, root, args);
      count('run again');
    }
    expect(await data(rig, root, ['verify'])).toMatchObject({ clean: true });
    expect(await data(rig, root, ['status'])).toMatchObject({ clean: true });
  }
});

test.concurrent.each([30 * DAYS, -30 * DAYS])(
  'ages are told by the clock of the disk, which is %d ms ahead',
  async (ahead) => {
    const options = disk({ ahead, grain: 1_000 });
    const { root, git } = await rig.project(`clock ${ahead}`);
    writeFiles(root, { 'data/a': 'first', 'data/b': 'kept' });
    await told(rig, root, ['add', 'data'], options);
    writeFiles(root, { 'data/a': 'second' });
    const temporary = join(root, '.git/mlv/cache/tmp/of-another-process');
    writeFileSync(temporary, 'begun');
    await told(rig, root, ['commit'], options);
    expect(readFileSync(temporary, 'utf8')).toBe('begun');
    git('commit', '--quiet', '--all', '-m', '1');
    const gc = (): Promise<Record<string, unknown>> => data(rig, root, ['gc', '--yes', '--unpushed'], options);
    expect(await gc()).toMatchObject({ garbage: { blobs: 0 } });
    const cache = join(root, '.git/mlv/cache');
    const then = new Date(Date.now() - 15 * DAYS);
    for (const path of readdirSync(cache, { recursive: true })) lutimesSync(join(cache, String(path)), then, then);
    expect(await gc()).toMatchObject({ garbage: { blobs: 3 }, done: true });
    expect(await gc()).toMatchObject({ expired: { blobs: 0 } });
    await told(rig, root, ['verify'], options);
    count('collections by the clock of the disk');
  },
);

describe('two machines', () => {
  const machines = [
    { bootId: 'one', host: 'one', grain: 1_000, ahead: 3 * MINUTES },
    { bootId: 'two', host: 'two', grain: 1_000, ahead: 3 * MINUTES },
  ] as const;
  let child: string;
  let folder: string;
  beforeAll(async () => {
    folder = mkdtempSync(join(rig.folder, 'locks-'));
    child = await bundleChild(
      new URL('../platform/lock-child.ts', import.meta.url),
      mkdtempSync(join(rig.folder, 'child-')),
    );
  });

  const start = (kind: Parameters<typeof disk>[0], ...args: string[]) =>
    spawn(process.execPath, [child, folder, ...args], {
      env: { ...process.env, ...disk(kind).env },
      stdio: ['ignore', 'pipe', 'inherit'],
    });

  test('never hold a lock at once, and lose no turn', { timeout: 60_000 }, async () => {
    const times = ROUNDS * 5;
    writeFileSync(join(folder, 'count'), '0');
    const children = [...machines, ...machines].map((kind) => start(kind, 'count', String(times)));
    const codes = await Promise.all(children.map(async (each) => (await once(each, 'exit'))[0] as number));
    expect(codes).toEqual([0, 0, 0, 0]);
    expect(readFileSync(join(folder, 'count'), 'utf8')).toBe(String(4 * times));
    for (let turn = 0; turn < 4 * times; turn++) count('turns of two machines');
  });

  test('take a lock over from one that was killed, not from one that lives', { timeout: 60_000 }, async () => {
    const holder = start({ ...machines[0], grain: 1 }, 'hold', '1', '100');
    if (holder.stdout !== null) await once(holder.stdout, 'data');
    const waiter = start({ ...machines[1], grain: 1 }, 'count', '1');
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    expect(waiter.exitCode).toBeNull();
    holder.kill('SIGKILL');
    writeFileSync(join(folder, 'count'), '0');
    expect(await once(waiter, 'exit')).toEqual([0, null]);
    count('locks taken over');
  });

  test('add to one cache, collect, and check out', { timeout: 60_000 + ROUNDS * 30_000 }, async () => {
    const cache = join(rig.folder, 'common');
    const projects = await Promise.all(['left', 'right'].map((name) => rig.project(name)));
    for (const { root } of projects) await told(rig, root, ['config', '--local', 'cache.dir', cache]);
    for (let round = 0; round < ROUNDS; round++) {
      await Promise.all(
        projects.map(async ({ root }, index) => {
          const options = disk({ ...(machines[index] ?? machines[0]), silly: true });
          // Half of it is the same on both.
          writeFiles(root, { ...manyFiles(80, `data/${round}/`), ...manyFiles(80, `data/${round}/${index}/`) });
          await told(rig, root, ['--wait-for-lock', '1m', 'add', 'data'], options);
          const before = readFolder(join(root, 'data'));
          await told(rig, root, ['--wait-for-lock', '1m', '-q', 'gc', '--yes', '--unpushed'], options);
          rmSync(join(root, 'data'), { recursive: true });
          await told(rig, root, ['checkout'], options);
          expect(readFolder(join(root, 'data'))).toEqual(before);
          count('rounds of two machines on a cache');
        }),
      );
    }
    for (const [index, { root }] of projects.entries()) await told(rig, root, ['verify'], disk(machines[index] ?? {}));
  });
});

test('the simulation: what it says of a disk is what mlv sees', () => {
  const file = join(rig.folder, 'file');
  writeFileSync(file, '');
  utimesSync(file, 1.5, 1.5);
  const script = `const fs = require('node:fs'); const [, file] = process.argv;
    console.log(fs.statSync(file).mtimeMs, String(fs.statSync(file, { bigint: true }).mtimeNs), require('node:os').hostname());`;
  const { stdout } = spawnNode(['-e', script, file], disk({ grain: 1_000, ahead: 60_000, host: 'elsewhere' }));
  return expect(stdout)
    .resolves.toBe('61000 61000000000 elsewhere\n')
    .then(() => expect(statSync(file).mtimeMs).toBe(1_500));
});

function spawnNode(args: readonly string[], { env }: MlvOptions): { stdout: Promise<string> } {
  const child = spawn(process.execPath, args, {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const chunks: string[] = [];
  child.stdout.setEncoding('utf8').on('data', (text: string) => chunks.push(text));
  return { stdout: once(child, 'close').then(() => chunks.join('')) };
}
