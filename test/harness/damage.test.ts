/** Bytes flipped, files cut short, swapped and deleted, wherever mlv keeps something: always found, never passed on, mended. */
import { cpSync, existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Files, writeFiles } from '../support/folders.ts';
import { repositoryAt } from '../support/git.ts';
import type { MlvResult, MlvRig } from '../support/mlv.ts';
import { makeMlvRig } from '../support/mlv.ts';
import { OWNER, startRig } from '../support/s3-server/rig.ts';
import type { S3Server } from '../support/s3-server/server.ts';
import { told } from '../support/told.ts';
import { bucketPlace, damage, folderPlace, type Place } from './damage/places.ts';
import { small } from './kill/contents.ts';
import { openHistogram } from './kill/histogram.ts';
import { fillBucket } from './kill/scenes.ts';
import { differences, stateAs, stateOf } from './kill/workspace-state.ts';
import { type Random, seededRandom, some } from './random.ts';

/** Rounds for each place; `npm run test:damage` sets more. A seed in the environment repeats a run. */
const { MLV_DAMAGE_ROUNDS } = process.env;
const ROUNDS = Number(MLV_DAMAGE_ROUNDS ?? 1);
const seed = Number(process.env['MLV_DAMAGE_SEED'] ?? Date.now() % 1_000_000);
const EVERYTHING = '--all-commits';
const env = {
  AWS_ACCESS_KEY_ID: OWNER.accessKeyId,
  AWS_SECRET_ACCESS_KEY: OWNER.secretAccessKey,
  AWS_EC2_METADATA_DISABLED: 'true',
};

const v1: Files = {
  ...small('data', 320, 'v1'),
  'data/middle': Buffer.alloc((1 << 20) + 1, 'm'),
  'data/same': 's1',
  model: 'model of v1',
};
const v2: Files = {
  ...v1,
  'data/same': 's2',
  'data/new': 'n',
  'data/large': Buffer.alloc((8 << 20) + 1, 'l'),
  model: 'model of v2',
};
const NAMES = ['data', 'model'];

let rig: MlvRig;
let server: S3Server;
/** A project with two versions, both pushed, and its remote beside it: copied for each round. */
let template: string;
const counts = openHistogram('what is damaged', 'rounds', 'how');

beforeAll(async () => {
  rig = makeMlvRig();
  server = await startRig();
  console.log(`damaged by MLV_DAMAGE_SEED=${seed}`);
  template = join(rig.folder, 'template');
  const { root, git } = await rig.project('template/project');
  await told(rig, root, ['remote', 'add', '-d', 'store', '../store']);
  for (const files of [v1, v2]) {
    writeFiles(root, files);
    await told(rig, root, ['add', ...NAMES]);
    git('add', '--all');
    git('commit', '--quiet', '-m', 'version');
    await told(rig, root, ['push']);
  }
}, 120_000);
afterAll(async () => {
  console.log(`MLV_DAMAGE_SEED=${seed}\n${String(counts)}`);
  await server.close();
  rig.dispose();
}, 120_000);

interface Round {
  /** Its own copy of the template. */
  readonly folder: string;
  readonly root: string;
  readonly random: Random;
  /** Its prefix in the bucket, where the remote is one. */
  readonly prefix: string | undefined;
}

const mlv = (root: string, ...args: string[]): Promise<MlvResult> => rig.mlv(root, ['--no-progress', ...args], { env });
const success = (root: string, ...args: string[]): Promise<string> => told(rig, root, args, { env });

/** Every file that is there has the bytes that it should have. With `isWhole`, all are there. */
function expectGood(root: string, isWhole: boolean, wanted: Files = v2): void {
  const [found, right] = [stateOf(root, NAMES), stateAs(wanted)];
  // Empty folders are what a checkout leaves that could not go on.
  const there = Object.fromEntries(Object.entries(found).filter(([, what]) => what !== 'empty'));
  const missing = Object.fromEntries(Object.entries(right).filter(([path]) => isWhole || there[path] !== undefined));
  expect(differences(there, missing)).toEqual([]);
}

interface Verified {
  readonly clean: boolean;
  readonly problems: readonly unknown[];
  readonly missingFiles: number;
  readonly notInCache: number;
}

async function verified(root: string, ...args: string[]): Promise<Verified | { readonly error: unknown }> {
  const { code, stdout, stderr } = await mlv(root, '--json', 'verify', ...args);
  const result = JSON.parse(stdout) as Verified | { error: { code: string } };
  if ('error' in result && result.error.code === 'bug') throw new Error(stdout + stderr);
  expect(code).toBe('clean' in result && result.clean ? 0 : 1);
  return result;
}

async function expectClean(root: string, ...args: string[]): Promise<void> {
  expect(await verified(root, ...args)).toMatchObject({ clean: true, problems: [], missingFiles: 0 });
}

/** A clone with nothing in its cache pulls; whatever it gets is right. */
async function pullElsewhere({ folder, root, prefix }: Round, name: string): Promise<string> {
  const clone = join(folder, name);
  repositoryAt(root).git('clone', '--quiet', root, clone);
  if (prefix !== undefined) cpSync(join(root, '.git/mlv/config.yaml'), join(clone, '.git/mlv/config.yaml'));
  await mlv(clone, 'pull');
  return clone;
}

async function inCache({ folder, root }: Round): Promise<void> {
  expect(await verified(root, EVERYTHING)).toMatchObject({ clean: false });

  await success(root, 'remote', 'add', '--local', 'second', '../second');
  await mlv(root, 'push', '-r', 'second', EVERYTHING);
  const second = await verified(root, '-r', 'second', EVERYTHING);
  if ('problems' in second) expect(second.problems).toEqual([]);
  for (const name of NAMES) rmSync(join(root, name), { recursive: true });
  await mlv(root, 'checkout', ...NAMES);
  expectGood(root, false);

  expect(await verified(root, '--repair', EVERYTHING)).toMatchObject({ clean: true });
  await expectClean(root, EVERYTHING);
  await success(root, 'checkout', '--force', ...NAMES);
  expectGood(root, true);
  await success(root, 'push', '-r', 'second', EVERYTHING);
  await expectClean(root, '-r', 'second', EVERYTHING);
  expect(existsSync(join(folder, 'second'))).toBe(true);
}

async function onRemote(round: Round): Promise<void> {
  const { root } = round;
  expect(await verified(root, '--remote', EVERYTHING)).toMatchObject({ clean: false });
  expectGood(await pullElsewhere(round, 'before'), false);

  expect(await verified(root, '--remote', '--repair', EVERYTHING)).toMatchObject({ clean: true });
  await expectClean(root, '--remote', EVERYTHING);
  await expectClean(root, '--quick', EVERYTHING);
  await success(root, 'push');
  const after = await pullElsewhere(round, 'after');
  expectGood(after, true);
  await success(after, 'fetch', EVERYTHING);
  await expectClean(after, EVERYTHING);
}

async function inPointer({ root }: Round): Promise<void> {
  const found = await verified(root);
  // A digest that is another one may be one that only a remote has.
  expect('error' in found || !found.clean || found.notInCache > 0).toBe(true);
  await mlv(root, 'push');
  await mlv(root, 'pull');
  expectGood(root, false);
  repositoryAt(root).git('checkout', '--quiet', 'data.mlv', 'model.mlv');
  await success(root, 'checkout', ...NAMES);
  expectGood(root, true);
  await expectClean(root);
  await expectClean(root, '--remote', EVERYTHING);
}

/** What only saves work is not believed when it is damaged: an edit of the same size is seen, recorded and sent. */
async function inState(round: Round): Promise<void> {
  const { root } = round;
  const edits = { 'data/same': 's3', model: 'model of v3' };
  writeFiles(root, edits);
  const status = JSON.parse((await mlv(root, '--json', 'status')).stdout) as {
    items: { path: string; changed: number }[];
  };
  expect(status.items.map(({ path, changed }) => [path, changed])).toEqual([
    ['data', 1],
    ['model', 1],
  ]);
  await success(root, 'commit');
  repositoryAt(root).git('commit', '--quiet', '--all', '-m', 'v3');
  await success(root, 'push');
  await expectClean(root);
  await expectClean(root, '--remote', EVERYTHING);
  expectGood(await pullElsewhere(round, 'after'), true, { ...v2, ...edits });
}

/** What tells edits from old data: told, nothing is changed without it, and it can be done without. */
async function inCheckoutRecord({ root }: Round, what: string): Promise<void> {
  if (!what.startsWith('delete')) expect(await verified(root)).toMatchObject({ clean: false });
  const before = repositoryAt(root).git('status', '--porcelain');
  for (const command of ['checkout', 'commit', 'pull', 'push']) await mlv(root, command);
  expectGood(root, true);
  expect(repositoryAt(root).git('status', '--porcelain')).toBe(before);
  rmSync(join(root, '.git/mlv/checkout'), { recursive: true });
  await success(root, 'checkout', ...NAMES);
  expectGood(root, true);
  await expectClean(root);
}

/** A page, list or root: alone, or in a pack. */
function isTree(bytes: Buffer): boolean {
  const text = bytes.toString('latin1');
  return text.includes('mlv-tree 1 ') || /[0-9a-f]{64} \d+ [fxld] /.test(text);
}

type Where = (round: Round) => Place;
const inCacheAt =
  (...below: string[]): Where =>
  ({ root }) =>
    folderPlace(join(root, '.git/mlv/cache'), below);
const inStore =
  (...below: string[]): Where =>
  ({ folder, prefix }) =>
    prefix === undefined
      ? folderPlace(join(folder, 'store'), below)
      : bucketPlace(server.bucket(), `${prefix}/${below[0]}`);

const PLACES: readonly (readonly [string, Where, (round: Round, what: string) => Promise<void>])[] = [
  ['loose blobs', inCacheAt('b3'), inCache],
  ['packs', inCacheAt('packs'), inCache],
  ['indexes', inCacheAt('index'), inCache],
  ['trees', ({ root }) => folderPlace(join(root, '.git/mlv/cache'), ['b3', 'packs'], isTree), inCache],
  ['stat caches', ({ root }) => folderPlace(join(root, '.git/mlv'), ['state']), inState],
  [
    'notes on remotes',
    ({ root }) => folderPlace(join(root, '.git/mlv'), ['remotes', 'complete-roots', 'unpurged-roots']),
    inState,
  ],
  ['checkout records', ({ root }) => folderPlace(join(root, '.git/mlv'), ['checkout']), inCheckoutRecord],
  ['pointers', ({ root }) => folderPlace(root, ['data.mlv', 'model.mlv']), inPointer],
  ['packs in a folder', inStore('packs'), onRemote],
  ['objects in a folder', inStore('objects'), onRemote],
  ['indexes in a folder', inStore('index'), onRemote],
  ['mlv.json in a folder', inStore('mlv.json'), onRemote],
  ['packs in a bucket', inStore('packs'), onRemote],
  ['objects in a bucket', inStore('objects'), onRemote],
  ['indexes in a bucket', inStore('index'), onRemote],
  ['mlv.json in a bucket', inStore('mlv.json'), onRemote],
];

/** In short some of them, others each time. */
const CHOSEN = MLV_DAMAGE_ROUNDS === undefined ? some(PLACES, 8, seed) : PLACES;

test.concurrent.each(CHOSEN)('%s', { timeout: 60_000 + ROUNDS * 60_000 }, async (name, where, check) => {
  let mended = 0;
  for (let at = 0; at < ROUNDS; at++) {
    const place = PLACES.findIndex(([each]) => each === name);
    // Each round can be repeated alone.
    const random = seededRandom(seed * 1_000 + at * PLACES.length + place);
    const id = `round-${place}-${at}`;
    const folder = join(rig.folder, id);
    const root = join(folder, 'project');
    cpSync(template, folder, { recursive: true, preserveTimestamps: true });
    const prefix = name.endsWith('bucket') ? id : undefined;
    if (prefix !== undefined) {
      await success(root, 'remote', 'modify', '--local', 'store', 'url', `s3://data/${prefix}`);
      await success(root, 'config', '--local', 'remotes.store.endpoint', server.endpoint);
      await fillBucket(server.bucket(), prefix, join(folder, 'store'));
      // As it would be had it been pushed from here.
      await success(root, 'verify', '--quick', EVERYTHING);
    }
    const round = { folder, root, random, prefix };
    // A pointer that is gone, or another's, is nothing unusual: Git tells, and has it.
    const actions = name === 'pointers' ? (['flip', 'truncate'] as const) : undefined;
    const what = await damage(where(round), random, actions);
    try {
      await check(round, what);
    } catch (error) {
      throw new Error(`round ${at} of MLV_DAMAGE_SEED=${seed}: ${what}: ${String(error)}`, { cause: error });
    }
    rmSync(folder, { recursive: true, force: true });
    for (const key of server.bucket().objects().keys()) if (key.startsWith(`${id}/`)) await server.bucket().delete(key);
    counts.add(name, what.split(' ')[0] ?? '');
    mended += 1;
  }
  expect(mended).toBe(ROUNDS);
});
