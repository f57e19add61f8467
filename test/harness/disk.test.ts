/**
 * Disks that are full, out of names or read-only, and too few open files, while a command is at work: it says so and loses nothing,
 * leaves nothing behind, and does the rest once that is mended.
 */
import { execFileSync } from 'node:child_process';
import { chmodSync, cpSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { MlvOptions, MlvResult, MlvRig } from '../support/mlv.ts';
import { makeMlvRig } from '../support/mlv.ts';
import type { Part } from './disk/scenes.ts';
import { dataOf, leftovers, makeWorld, PARTS, SCENES } from './disk/scenes.ts';
import type { SmallDisk } from './disk/small-disk.ts';
import { mountSmallDisk, noDisks } from './disk/small-disk.ts';

/** More amounts of room, and every command on every disk; `npm run test:disk` sets it. */
const isWhole = process.env['MLV_DISK'] === 'whole';
const BYTES = isWhole ? [0, 16_384, 200_000, 700_000, 5_000_000] : [200_000];
const NAMES = isWhole ? [0, 1, 3, 8, 21, 60] : [3];
const OPEN_FILES = isWhole ? [64, 32, 28, 26, 24, 22, 20] : [24];
const SILENT = { NODE_OPTIONS: `--require=${fileURLToPath(new URL('../support/silent-statfs.cjs', import.meta.url))}` };
/** Root may do everything, so what is not allowed is tried as nobody. */
const NOBODY = 65_534;
const as: MlvOptions = process.getuid?.() === 0 ? { uid: NOBODY } : {};

let rig: MlvRig;
const templates = new Map<string, string>();
const counts = new Map<string, { trials: number; told: number }>();
const messages = new Map<string, string>();
let trials = 0;

const TIMEOUT = { timeout: 600_000 };
const names = Object.keys(SCENES);
const places = names.flatMap((name) => (SCENES[name]?.writes ?? []).map((part) => [name, part] as const));
/** In short: every command where it writes most, with a full disk; one of them with whatever else is wrong. */
const mainPlaces = places.filter(([name, part]) => isWhole || SCENES[name]?.writes[0] === part);
const fewPlaces = mainPlaces.filter(([name]) => isWhole || name === 'pull');
const fewNames = isWhole ? names : ['pull'];
const checksRoom = ['add', 'checkout', 'fetch', 'push'];

beforeAll(async () => {
  rig = makeMlvRig();
  chmodSync(rig.folder, 0o755);
  const first = await makeWorld(rig, 'first');
  const making = Object.entries(SCENES).map(async ([name, scene]) => {
    const world = join(rig.folder, `template ${name}`);
    cpSync(first, world, { recursive: true, preserveTimestamps: true });
    await scene.prepare(rig, world);
    templates.set(name, world);
  });
  await Promise.all(making);
}, 120_000);
afterAll(() => {
  const rows = [...counts].map(([what, { trials: all, told }]) => `${what}: ${all} trials, ${told} told`);
  console.log(rows.sort().join('\n'));
  if (isWhole) console.log([...messages].map(([what, text]) => `${what}: ${text}`).join('\n'));
  rig.dispose();
});

/** The world that a scene begins with, one part of it perhaps on a small disk; the clone has noted in the cache where it is now. */
async function openWorld(
  name: string,
  part: Part | undefined,
): Promise<{ world: string; disk: SmallDisk | undefined }> {
  const world = join(rig.folder, `trial ${++trials}`);
  mkdirSync(world);
  const disk = part === undefined ? undefined : mountSmallDisk(join(world, part));
  for (const each of PARTS) {
    mkdirSync(join(world, each), { recursive: true });
    execFileSync('cp', ['-a', `${templates.get(name) ?? ''}/${each}/.`, join(world, each)]);
  }
  await rig.mlv(join(world, 'repo'), ['status']);
  return { world, disk };
}

/** What is in the cache and on the remote is whole, as far as the command has come; what is missing is told apart. */
async function expectWhole(world: string, isRepaired: boolean): Promise<void> {
  for (const side of isRepaired ? [[], ['--remote']] : [['--remote']]) {
    const { stdout, stderr } = await rig.mlv(join(world, 'repo'), ['verify', '--json', ...side]);
    const { problems, error } = JSON.parse(stdout) as { problems?: unknown; error?: unknown };
    expect({ problems, error, stderr }).toEqual({ problems: [], error: undefined, stderr: '' });
  }
}

/** A failure that tells people what happened, where, and what to do. */
function expectTold({ code, stdout, stderr }: MlvResult, where: RegExp): void {
  const lines = stderr.trimEnd().split('\n');
  expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
  expect(lines[0]).toMatch(/^error: /);
  expect(lines.at(-1)).toMatch(/^hint: /);
  expect(stderr).not.toMatch(/^ +at |bug in mlv/m);
  expect(stderr).toMatch(where);
}

interface Trial {
  readonly name: string;
  /** The part that is on a disk of its own. */
  readonly part?: Part;
  /** What it is counted as. */
  readonly what: string;
  readonly spoil?: (disk: SmallDisk | undefined, world: string) => void;
  readonly mend?: (disk: SmallDisk | undefined, world: string) => void;
  readonly options?: MlvOptions;
  /** What the message has to name; undefined where the command must succeed. */
  readonly where: ((world: string) => RegExp) | undefined;
}

/** Runs the command where something is wrong, and once more where nothing is. Returns whether the workspace is then as it should be. */
async function tryOne({ name, part, what, spoil, mend, options, where }: Trial): Promise<boolean> {
  const scene = SCENES[name];
  if (scene === undefined) throw new Error(`there is no scene ${name}`);
  const { world, disk } = await openWorld(name, part);
  const run = (given?: MlvOptions): Promise<MlvResult> =>
    rig.mlv(join(world, 'repo'), ['--no-progress', ...scene.args], given);
  const counted = counts.get(what) ?? { trials: 0, told: 0 };
  counts.set(what, counted);
  try {
    const before = dataOf(world);
    spoil?.(disk, world);
    const result = await run(options);
    counted.trials += 1;
    if (where === undefined) expect(result).toMatchObject({ code: 0, stderr: '' });
    if (result.code !== 0 && where !== undefined) {
      expectTold(result, where(world));
      expect(leftovers(world)).toEqual([]);
      if (scene.changes === 'nothing') expect(dataOf(world)).toEqual(before);
      counted.told += 1;
      messages.set(`${name}, ${what}, ${part ?? ''}`, result.stderr.trimEnd().replaceAll(world, ''));
    }
    mend?.(disk, world);
    if (isWhole) await expectWhole(world, name !== 'verify --repair');
    const again = await run();
    expect(again).toMatchObject({ code: 0, stderr: '' });
    await expectWhole(world, true);
    expect(leftovers(world)).toEqual([]);
    if (name === 'fetch') await rig.mlv(join(world, 'repo'), ['checkout']);
    const { stdout } = await rig.mlv(join(world, 'repo'), ['status', '--json']);
    return (JSON.parse(stdout) as { clean: boolean }).clean;
  } finally {
    disk?.unmount();
  }
}

/** Messages name something on that disk: what is in the workspace, by its path in the project. */
function naming(part: Part): (world: string) => RegExp {
  return (world) => (part === 'repo' ? /^ *(error: )?(data|more)\/|\/repo/m : new RegExp(join(world, part)));
}

async function tryAll(all: readonly Trial[]): Promise<boolean> {
  for (const trial of all) if (!(await tryOne(trial))) return false;
  return true;
}

describe.skipIf(noDisks !== undefined)(
  `disks in memory${noDisks === undefined ? '' : ` (skipped: ${noDisks})`}`,
  () => {
    const mend = (disk: SmallDisk | undefined): void => disk?.makeRoom();

    test.concurrent.each(mainPlaces)('%s, where the disk of the %s is full', TIMEOUT, async (name, part) => {
      const tries = BYTES.flatMap((bytes) => {
        const spoil = (disk: SmallDisk | undefined): void => disk?.leave({ bytes });
        const common = { name, part, spoil, mend, where: naming(part) };
        const silent = { ...common, what: 'full disk that does not tell', options: { env: SILENT } };
        return isWhole || checksRoom.includes(name) ? [{ ...common, what: 'full disk' }, silent] : [silent];
      });
      expect(await tryAll(tries)).toBe(true);
    });

    test.concurrent.each(fewPlaces)('%s, where the disk of the %s is out of names', TIMEOUT, async (name, part) => {
      const tries = NAMES.map((count) => {
        const spoil = (disk: SmallDisk | undefined): void => disk?.leave({ names: count });
        return { name, part, what: 'disk without names left', spoil, mend, where: naming(part) };
      });
      expect(await tryAll(tries)).toBe(true);
    });

    test.concurrent.each(fewPlaces)('%s, where the disk of the %s is read-only', TIMEOUT, async (name, part) => {
      const spoil = (disk: SmallDisk | undefined): void => disk?.setReadOnly(true);
      const again = (disk: SmallDisk | undefined): void => disk?.setReadOnly(false);
      expect(await tryOne({ name, part, what: 'read-only disk', spoil, mend: again, where: naming(part) })).toBe(true);
    });

    test.concurrent.each(fewPlaces)('%s, where the %s is on a disk of its own', TIMEOUT, async (name, part) => {
      expect(await tryOne({ name, part, what: 'another disk', where: undefined })).toBe(true);
    });

    test.concurrent.each(fewNames)('%s, where the temporary folder is full', TIMEOUT, async (name) => {
      const folder = join(rig.folder, `full ${name}`);
      const disk = mountSmallDisk(folder);
      const options = { env: { TMPDIR: folder } };
      try {
        disk.leave({ bytes: 0 });
        expect(await tryOne({ name, what: 'full temporary folder', options, where: undefined })).toBe(true);
      } finally {
        disk.unmount();
      }
    });
  },
);

test.skipIf(noDisks !== undefined)('what the cache has already needs no room in it', TIMEOUT, async () => {
  const { world, disk } = await openWorld('push', 'cache');
  try {
    const repo = join(world, 'repo');
    cpSync(join(repo, 'data'), join(repo, 'again'), { recursive: true });
    disk?.leave({ bytes: 200_000 });
    expect(await rig.mlv(repo, ['--no-progress', 'add', 'again'])).toMatchObject({ code: 0, stderr: '' });
  } finally {
    disk?.unmount();
  }
});

test.skipIf(noDisks !== undefined)(
  'whoever may only read the cache needs a temporary folder to verify a remote',
  TIMEOUT,
  async () => {
    const { world, disk } = await openWorld('checkout', 'cache');
    const verify = (folder: string): Promise<MlvResult> =>
      rig.mlv(join(world, 'repo'), ['--no-progress', 'verify', '--remote', '--rev', 'HEAD~1'], {
        env: { TMPDIR: folder },
      });
    const full = mountSmallDisk(join(world, 'temporary'));
    try {
      disk?.setReadOnly(true);
      expectTold(await verify('/nowhere'), /^error: .* nothing can be made in \/nowhere either$/m);
      expect(await verify(join(world, 'temporary'))).toMatchObject({ code: 0, stderr: '' });
      full.leave({ bytes: 0 });
      expectTold(await verify(join(world, 'temporary')), /^error: cannot write .*\/temporary\/.*: the disk is full$/m);
      expect(readdirSync(join(world, 'temporary'))).toEqual([]);
    } finally {
      disk?.unmount();
      full.unmount();
    }
  },
);

test.concurrent.each(fewNames)('%s without a temporary folder', TIMEOUT, async (name) => {
  const options = { env: { TMPDIR: '/nowhere' } };
  expect(await tryOne({ name, what: 'no temporary folder', options, where: undefined })).toBe(true);
});

test.concurrent.each(fewPlaces)('%s, where nothing may be written in the %s', TIMEOUT, async (name, part) => {
  const chmod = (mode: string, path: string): void => void execFileSync('chmod', ['-R', mode, path]);
  const give = (owner: number, world: string): void => {
    if (as.uid !== undefined) execFileSync('chown', ['-R', `${owner}:${owner}`, world]);
  };
  const spoil = (_disk: SmallDisk | undefined, world: string): void => {
    give(NOBODY, world);
    chmod('a-w', join(world, part));
  };
  const mend = (_disk: SmallDisk | undefined, world: string): void => {
    give(0, world);
    chmod('u+w', join(world, part));
  };
  expect(await tryOne({ name, what: 'read-only folder', spoil, mend, options: as, where: naming(part) })).toBe(true);
});

test.concurrent.each(fewNames)('%s with few open files', TIMEOUT, async (name) => {
  const where = (): RegExp => /open files/;
  const tries = OPEN_FILES.map((openFiles) => ({
    name,
    what: `at most ${openFiles} open files`,
    options: { openFiles },
    where,
  }));
  expect(await tryAll(tries)).toBe(true);
});
