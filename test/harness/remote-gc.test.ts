/**
 * The code of pushes, pulls, merges and collections, run in random orders over years that pass in a moment: what a ref names is on the
 * remote at all times, and what nothing names goes. `test/model` looks at every order of a smaller model, and at each step left out.
 * `npm run test:remote-gc` runs more rounds.
 */
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, expect, test, vi } from 'vitest';
import { CELL_BYTES } from '../../src/domain/blob-index.ts';
import type { Digest } from '../../src/domain/digest.ts';
import { digestFromBytes } from '../../src/domain/digest.ts';
import { MlvError } from '../../src/domain/errors.ts';
import { keyPath, parseIndexName } from '../../src/domain/remote-layout.ts';
import { childrenOf } from '../../src/domain/tree-children.ts';
import { collectRemote } from '../../src/storage/collect-remote.ts';
import { download } from '../../src/storage/download.ts';
import { openIndexFile } from '../../src/storage/index-file.ts';
import type { LocalCache } from '../../src/storage/local-cache.ts';
import { openLocalCache } from '../../src/storage/local-cache.ts';
import type { GcRoot } from '../../src/storage/mark-needed.ts';
import { openRemote } from '../../src/storage/remote.ts';
import { upload } from '../../src/storage/upload.ts';
import type { Tree } from '../storage/transfer-rig.ts';
import { addTree } from '../storage/transfer-rig.ts';
import type { Random } from './random.ts';
import { seededRandom } from './random.ts';
import type { Pace, SimulatedStore } from './simulated-store.ts';
import { createStore, DAY_MS, Killed } from './simulated-store.ts';

const ROUNDS = Number(process.env['MLV_REMOTE_GC_ROUNDS'] ?? 5);
const seed = Number(process.env['MLV_REMOTE_GC_SEED'] ?? Date.now() % 1_000_000);
/** What is simulated needs no disk. */
const MEMORY = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();
const VERSIONS = 6;
const CONTENTS = 10;
/** What may fail beside others, and says so. */
const MAY_FAIL = ['push-overtaken', 'gc-stale', 'gc-overtaken', 'gc-late', 'remote-trees-missing', 'remote-changing'];

const counts = new Map<string, number>();
const count = (what: string, times = 1): void => void counts.set(what, (counts.get(what) ?? 0) + times);
afterAll(() => {
  console.log(`MLV_REMOTE_GC_SEED=${seed}: ${[...counts].map(([what, times]) => `${what} ${times}`).join(', ')}`);
});
afterEach(() => vi.restoreAllMocks());

interface World {
  readonly folder: string;
  readonly random: Random;
  readonly store: SimulatedStore;
  /** Has all content of all versions. */
  readonly source: LocalCache;
  readonly versions: readonly Tree[];
  /** What each version names, itself included. */
  readonly named: ReadonlyMap<Digest, ReadonlySet<Digest>>;
  readonly refs: Map<string, Tree>;
  check(): void;
}

async function makeWorld(random: Random, folder: string): Promise<World> {
  const source = openLocalCache({ folder: join(folder, 'source'), packBelow: () => 1 << 20 });
  const versions: Tree[] = [];
  const named = new Map<Digest, Set<Digest>>();
  for (let version = 0; version < VERSIONS; version++) {
    const numbers = Array.from({ length: CONTENTS }, (_, number) => number).filter(() => random.next(2) === 0);
    const files = Object.fromEntries(numbers.map((number) => [`file-${number}`, `content ${number}`]));
    const tree = await addTree(source, { ...files, own: `own ${version}` });
    versions.push(tree);
    named.set(tree.digest, reachable(source, tree.digest));
  }
  const rows = new Map<string, Map<Digest, string[]>>();
  const refs = new Map<string, Tree>();

  /** Where the indexes that the store has say that blobs are. */
  function placesOf(name: Digest, bytes: Buffer): Map<Digest, string[]> {
    const known = rows.get(name);
    if (known !== undefined) return known;
    const path = join(folder, 'checked');
    writeFileSync(path, bytes);
    const index = openIndexFile(path, name);
    const places = new Map<Digest, string[]>();
    const cells = index.readCells(0, index.head.rows);
    for (let at = 0; at < cells.length; at += CELL_BYTES) {
      const found = index.find(cells.subarray(at, at + 32)).map(({ key }) => keyPath(key));
      places.set(digestFromBytes(cells, at), found);
    }
    index.close();
    rows.set(name, places);
    return places;
  }

  const store = createStore(random, check);

  /** What refs name has bytes, and a row that tells where. */
  function check(): void {
    const there = new Set<Digest>();
    for (const [key, { bytes }] of store.objects) {
      const name = key.startsWith('index/') ? parseIndexName(key) : undefined;
      if (name?.kind !== 'index') continue;
      for (const [digest, paths] of placesOf(name.hash, bytes))
        if (paths.some((path) => store.objects.has(path))) there.add(digest);
    }
    for (const [name, { digest: root }] of refs)
      for (const digest of named.get(root) ?? [])
        if (!there.has(digest)) throw new Error(`${name} names ${digest}, which is gone`);
  }
  return { folder, random, store, source, versions, named, refs, check };
}

function reachable(cache: LocalCache, root: Digest): Set<Digest> {
  const found = new Set([root]);
  for (const digest of found) {
    const bytes = cache.read(digest);
    if (!bytes.toString('latin1').startsWith('mlv-tree') && digest === root) throw new Error('not a root');
    const isTree = bytes.toString('latin1').startsWith('mlv-tree') || /^[0-9a-f]{64} /.test(bytes.toString('latin1'));
    if (!isTree) continue;
    const { trees, blobs } = childrenOf(bytes, digest);
    for (const child of [...trees, ...blobs]) found.add(child);
  }
  return found;
}

function pace({ random }: World): Pace {
  return (['brisk', 'slow', 'sleepy', 'sleepy'] as const)[random.next(4)] ?? 'brisk';
}

function steps({ random }: World): number {
  return random.next(8) === 0 ? random.next(40) : Infinity;
}

async function push(world: World, clone: number, version: number): Promise<void> {
  const { store, source, versions, refs, random, check } = world;
  const tree = versions[version];
  if (tree === undefined) return;
  const home = store.home(pace(world), steps(world));
  const remote = await openRemote({ home, mirrorFolder: join(world.folder, `mirror-${clone}`) });
  try {
    const { missing, failed } = await upload({ remote, cache: source, roots: [tree], renewNotes: true });
    expect([missing, failed]).toEqual([[], []]);
  } finally {
    remote.close();
  }
  count('pushes');
  if (random.next(5) === 0) return;
  // The commit is published soon, or while the note of the push holds.
  await store.wait(random.next(random.next(2) === 0 ? 3 * DAY_MS : 50 * DAY_MS));
  if (store.now() - home.lastListed() > 58 * DAY_MS) return;
  refs.set(`ref-${random.next(4)}`, tree);
  check();
  count('published');
}

async function collect(
  world: World,
  number: number,
  speed: Pace = world.random.next(4) > 0 ? 'brisk' : pace(world),
): Promise<void> {
  const { store, refs, folder } = world;
  const home = store.home(speed, speed === 'eager' ? Infinity : steps(world));
  const scratch = join(folder, `scratch-${number}`);
  const cache = openLocalCache({ folder: join(scratch, 'cache'), packBelow: () => 1 << 20 });
  const remote = await openRemote({ home, mirrorFolder: join(folder, `mirror-gc-${number % 2}`) });
  async function* roots(): AsyncGenerator<GcRoot> {
    await home.time();
    for (const { digest } of refs.values()) yield { digest, type: 'dir' };
  }
  try {
    const result = await collectRemote({ remote, cache, scratch, roots, confirm: async () => true });
    count('collections');
    count('files buried', result.garbage.files);
    count('files deleted', result.expired.files - result.stuck);
    count('blobs saved', result.rescued.blobs + result.kept.blobs);
    expect(result.stuck).toBe(0);
  } finally {
    remote.close();
    cache.close();
    rmSync(scratch, { recursive: true, force: true });
  }
}

async function pull(world: World, number: number): Promise<void> {
  const { store, refs, folder, random } = world;
  const names = [...refs.keys()];
  const name = names[random.next(names.length)];
  const tree = name === undefined ? undefined : refs.get(name);
  if (name === undefined || tree === undefined) return;
  const cache = openLocalCache({ folder: join(folder, `pull-${number}`), packBelow: () => 1 << 20 });
  const remote = await openRemote({ home: store.home('brisk'), mirrorFolder: join(folder, `mirror-pull`) });
  try {
    const { missing, damaged, failed } = await download({ remote, cache, wanted: [tree] });
    if (refs.get(name) === tree) expect([missing, damaged, failed]).toEqual([[], [], []]);
    count('pulls');
  } finally {
    remote.close();
    cache.close();
    rmSync(join(folder, `pull-${number}`), { recursive: true, force: true });
  }
}

async function unlessExpected(work: Promise<void>): Promise<void> {
  try {
    await work;
  } catch (error) {
    const isExpected = error instanceof Killed || (error instanceof MlvError && MAY_FAIL.includes(error.code));
    if (!isExpected) throw error;
    count(error instanceof MlvError ? error.code : 'killed');
  }
}

/** Days in which what was pushed long ago, and is garbage, is pushed again by some while others collect it. */
async function meet(world: World): Promise<void> {
  const { store, random } = world;
  const pushers = Array.from({ length: 3 }, async (_, clone) => {
    for (let turn = 0; turn < 2; turn++) {
      await store.wait(random.next(turn === 0 ? DAY_MS : 20 * DAY_MS));
      await unlessExpected(push(world, clone, random.next(VERSIONS)));
    }
  });
  const collectors = Array.from({ length: 3 }, async (_, number) => {
    for (let turn = 0; turn < 10; turn++) {
      await store.wait(random.next(4 * DAY_MS));
      await unlessExpected(collect(world, 3 * turn + number));
    }
  });
  const reader = async (): Promise<void> => {
    for (let turn = 0; turn < 2; turn++) {
      await store.wait(random.next(20 * DAY_MS));
      await unlessExpected(pull(world, turn));
    }
  };
  await Promise.all([...pushers, ...collectors, reader()]);
}

async function live(world: World): Promise<void> {
  const { store, random, refs } = world;
  for (let age = 0; age < 3; age++) {
    await meet(world);
    for (const name of refs.keys()) if (random.next(3) > 0) refs.delete(name);
    // Until notes of what was pushed do not count any more.
    await store.wait(90 * DAY_MS + random.next(6 * DAY_MS));
  }
  await meet(world);
}

/** When nobody pushes any more, only what refs name is left. */
async function settle(world: World): Promise<void> {
  const { store } = world;
  for (let run = 0; run < 4; run++) {
    await store.wait(run === 0 ? 110 * DAY_MS : 16 * DAY_MS);
    await collect(world, 100 + run, 'eager');
  }
}

function left({ store, folder }: World): number {
  mkdirSync(folder, { recursive: true });
  return [...store.objects.keys()].filter((key) => /^(?:packs|objects)\//.test(key)).length;
}

test(
  `${ROUNDS} years of pushes, pulls, merges and collections in random orders`,
  { timeout: ROUNDS * 20_000 + 60_000 },
  async () => {
    for (let round = 0; round < ROUNDS; round++) {
      const random = seededRandom(seed + round);
      const folder = mkdtempSync(join(MEMORY, 'mlv-remote-gc-'));
      try {
        const world = await makeWorld(random, folder);
        const { store, refs } = world;
        // Every clone's clock is wrong, by days or years.
        const offset = (random.next(2000) - 1000) * DAY_MS;
        vi.spyOn(Date, 'now').mockImplementation(() => store.now() + offset);
        await store.run(live(world));
        await store.run(settle(world));
        world.check();
        for (const [name, tree] of refs) {
          const cache = openLocalCache({ folder: join(folder, name), packBelow: () => 1 << 20 });
          const reading = (async () => {
            const remote = await openRemote({ home: store.home('eager'), mirrorFolder: join(folder, 'mirror-last') });
            const result = await download({ remote, cache, wanted: [tree] });
            remote.close();
            return result;
          })();
          await store.run(reading);
          expect(await reading).toMatchObject({ missing: [], damaged: [], failed: [] });
          cache.close();
        }
        count('versions left', new Set(refs.values()).size);
        count('files left', left(world));
        if (refs.size === 0) expect(left(world)).toBe(0);
        count('rounds');
        world.source.close();
      } catch (error) {
        throw new Error(`round ${round}, MLV_REMOTE_GC_SEED=${seed + round}`, { cause: error });
      } finally {
        vi.restoreAllMocks();
        rmSync(folder, { recursive: true, force: true });
      }
    }
  },
);
