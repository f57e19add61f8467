import { chmodSync, cpSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { asRead, type Files, manyFiles, readFolder, writeFiles } from '../support/folders.ts';
import { repositoryAt } from '../support/git.ts';
import type { MlvRig } from '../support/mlv.ts';
import { makeMlvRig } from '../support/mlv.ts';
import { told } from '../support/told.ts';

/** Few, so that `npm test` stays short; `npm run test:damage` sets more. A seed in the environment repeats a run. */
const ROUNDS = Number(process.env['MLV_DAMAGE_ROUNDS'] ?? 3);
const seed = Number(process.env['MLV_DAMAGE_SEED'] ?? Date.now() % 1_000_000);

const EVERYTHING = '--all-commits';
let rig: MlvRig;
/** A project with two versions, both pushed, and its remote beside it: copied for each round. */
let template: string;
let random = 0;

const v1: Files = { ...manyFiles(1_200, 'data/'), 'data/middle': Buffer.alloc((1 << 20) + 1, 'm'), 'data/same': 's' };
const v2: Files = { ...v1, 'data/same': 's2', 'data/new': 'n', 'data/large': Buffer.alloc((8 << 20) + 1, 'l') };

beforeAll(async () => {
  rig = makeMlvRig();
  console.log(`damaged by MLV_DAMAGE_SEED=${seed}`);
  template = join(rig.folder, 'template');
  const { root, git } = await rig.project('template/project');
  await told(rig, root, ['remote', 'add', '-d', 'store', '../store']);
  for (const files of [v1, v2]) {
    writeFiles(root, files);
    await told(rig, root, ['add', 'data']);
    git('add', '--all');
    git('commit', '--quiet', '-m', 'version');
    await told(rig, root, ['push']);
  }
});
afterAll(() => rig.dispose(), 120_000);

/** Mulberry32: neighbouring seeds have nothing in common. */
function next(below: number): number {
  random = (random + 0x6d2b79f5) >>> 0;
  let mixed = Math.imul(random ^ (random >>> 15), random | 1);
  mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
  return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * below);
}

function pick<T>(items: readonly T[]): T {
  const item = items[next(items.length)];
  if (item === undefined) throw new Error('nothing to choose from');
  return item;
}

type Action = 'flip' | 'truncate' | 'swap' | 'delete';

/** Damages one of the files, and tells what was done. */
function damage(folder: string, files: readonly string[], action: Action): string {
  const path = pick(files);
  const name = relative(folder, path);
  if (action === 'delete') {
    rmSync(path);
    return `delete ${name}`;
  }
  chmodSync(path, 0o644);
  if (action === 'swap') {
    const content = readFileSync(path);
    const others = files.filter((other) => other !== path && !readFileSync(other).equals(content));
    if (others.length === 0) return damage(folder, files, 'flip');
    const other = pick(others);
    renameSync(path, `${path}-`);
    renameSync(other, path);
    renameSync(`${path}-`, other);
    return `swap ${name} and ${relative(folder, other)}`;
  }
  const bytes = readFileSync(path);
  if (action === 'truncate') {
    const length = next(bytes.length);
    writeFileSync(path, bytes.subarray(0, length));
    return `truncate ${name} to ${length} of ${bytes.length}`;
  }
  const at = next(bytes.length);
  bytes.writeUInt8(bytes.readUInt8(at) ^ (1 << next(8)), at);
  writeFileSync(path, bytes);
  return `flip ${name} at ${at} of ${bytes.length}`;
}

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true })
    .map((name) => join(folder, String(name)))
    .filter((path) => statSync(path).isFile())
    .sort();
}

/** Every file that is there has the bytes that it should have. With `isWhole`, all are there. */
function expectGood(root: string, isWhole: boolean): void {
  const found = readFolder(join(root, 'data')) ?? {};
  const wanted = Object.fromEntries(
    Object.entries(asRead(v2)).map(([path, text]) => [path.slice('data/'.length), text]),
  );
  // Empty folders are what a checkout leaves that could not go on.
  const there = Object.keys(found).filter((path) => found[path] !== 'empty');
  const paths = isWhole ? [...there, ...Object.keys(wanted)] : there;
  expect(paths.filter((path) => found[path] !== wanted[path])).toEqual([]);
}

interface Verified {
  readonly clean: boolean;
  readonly problems: readonly unknown[];
  readonly missingFiles: number;
  readonly notInCache: number;
}

async function verified(root: string, args: readonly string[]): Promise<Verified | { readonly error: unknown }> {
  const { code, stdout, stderr } = await rig.mlv(root, ['--json', 'verify', ...args]);
  const result = JSON.parse(stdout) as Verified | { error: { code: string } };
  if ('error' in result && result.error.code === 'bug') throw new Error(stdout + stderr);
  expect(code).toBe('clean' in result && result.clean ? 0 : 1);
  return result;
}

async function expectClean(root: string, args: readonly string[]): Promise<void> {
  expect(await verified(root, args)).toMatchObject({ clean: true, problems: [], missingFiles: 0 });
}

const ACTIONS: readonly Action[] = ['flip', 'flip', 'truncate', 'swap', 'delete'];
const PLACES = [
  'loose',
  'packs',
  'index',
  'remote packs',
  'remote objects',
  'remote index',
  'remote',
  'pointer',
] as const;
const CACHE = { loose: 'b3', packs: 'packs', index: 'index' } as const;
const REMOTE = { 'remote packs': 'packs', 'remote objects': 'objects', 'remote index': 'index', remote: '' } as const;

/** A clone with nothing in its cache pulls; whatever it gets is right. */
async function pullElsewhere(folder: string, name: string): Promise<string> {
  const root = join(folder, name);
  repositoryAt(join(folder, 'project')).git('clone', '--quiet', join(folder, 'project'), root);
  await rig.mlv(root, ['pull']);
  return root;
}

async function inCache(folder: string, place: keyof typeof CACHE): Promise<void> {
  const root = join(folder, 'project');
  const cache = join(root, '.git/mlv/cache', CACHE[place]);
  console.log(damage(cache, filesBelow(cache), pick(ACTIONS)));
  expect(await verified(root, [EVERYTHING])).toMatchObject({ clean: false });

  await rig.mlv(root, ['remote', 'add', '--local', 'second', '../second']);
  await rig.mlv(root, ['push', '-r', 'second', EVERYTHING]);
  const second = await verified(root, ['-r', 'second', EVERYTHING]);
  if ('problems' in second) expect(second.problems).toEqual([]);
  rmSync(join(root, 'data'), { recursive: true });
  await rig.mlv(root, ['checkout', 'data']);
  expectGood(root, false);

  expect(await verified(root, ['--repair', EVERYTHING])).toMatchObject({ clean: true });
  await expectClean(root, [EVERYTHING]);
  await told(rig, root, ['checkout', '--force', 'data']);
  expectGood(root, true);
  await told(rig, root, ['push', '-r', 'second', EVERYTHING]);
  await expectClean(root, ['-r', 'second', EVERYTHING]);
}

async function onRemote(folder: string, place: keyof typeof REMOTE): Promise<void> {
  const root = join(folder, 'project');
  const store = join(folder, 'store', REMOTE[place]);
  console.log(damage(store, place === 'remote' ? [join(store, 'mlv.json')] : filesBelow(store), pick(ACTIONS)));
  expect(await verified(root, ['--remote', EVERYTHING])).toMatchObject({ clean: false });

  expectGood(await pullElsewhere(folder, 'before'), false);

  expect(await verified(root, ['--remote', '--repair', EVERYTHING])).toMatchObject({ clean: true });
  await expectClean(root, ['--remote', EVERYTHING]);
  await expectClean(root, ['--quick', EVERYTHING]);
  await told(rig, root, ['push']);
  const after = await pullElsewhere(folder, 'after');
  expectGood(after, true);
  await told(rig, after, ['fetch', EVERYTHING]);
  await expectClean(after, [EVERYTHING]);
}

async function inPointer(folder: string): Promise<void> {
  const root = join(folder, 'project');
  const file = join(root, 'data.mlv');
  console.log(damage(root, [file], pick(['flip', 'truncate'])));
  const found = await verified(root, []);
  // A digest that is another one may be one that only a remote has.
  expect('error' in found || !found.clean || found.notInCache > 0).toBe(true);
  await rig.mlv(root, ['push']);
  await rig.mlv(root, ['pull']);
  expectGood(root, false);
  repositoryAt(root).git('checkout', '--quiet', 'data.mlv');
  await told(rig, root, ['checkout', 'data']);
  expectGood(root, true);
  await expectClean(root, []);
  await expectClean(root, ['--remote', EVERYTHING]);
}

test(`${ROUNDS} rounds of damage: found, never passed on, mended`, { timeout: ROUNDS * 30_000 }, async () => {
  let mended = 0;
  for (let round = 0; round < ROUNDS; round++) {
    // Each round can be repeated alone.
    random = (seed * 1_000 + round) >>> 0;
    const folder = join(rig.folder, `round-${round}`);
    cpSync(template, folder, { recursive: true });
    const place = PLACES[round % PLACES.length] ?? 'loose';
    try {
      if (place === 'pointer') await inPointer(folder);
      else if (place in CACHE) await inCache(folder, place as keyof typeof CACHE);
      else await onRemote(folder, place as keyof typeof REMOTE);
    } catch (error) {
      throw new Error(`round ${round} (${place}) of MLV_DAMAGE_SEED=${seed}`, { cause: error });
    }
    rmSync(folder, { recursive: true, force: true });
    mended += 1;
  }
  expect(mended).toBe(ROUNDS);
});
