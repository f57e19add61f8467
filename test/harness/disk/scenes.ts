/** Commands, each with a project in which it has much to write: what a disk is made too small for. */
import { createHash } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { lutimesSync } from 'node:fs';
import { join } from 'node:path';
import type { Files } from '../../support/folders.ts';
import { pathsNamed, readFolder, writeFiles } from '../../support/folders.ts';
import type { TestRepository } from '../../support/git.ts';
import { repositoryAt } from '../../support/git.ts';
import type { MlvRig } from '../../support/mlv.ts';
import { told } from '../../support/told.ts';

/** The parts of a world: each may be a disk of its own. */
export type Part = 'repo' | 'cache' | 'store';
export const PARTS: readonly Part[] = ['repo', 'cache', 'store'];

export interface Scene {
  readonly args: readonly string[];
  /** Parts that it writes to, and that a disk too small is tried for. */
  readonly writes: readonly Part[];
  /** What of the workspace it changes. */
  readonly changes: 'nothing' | 'data';
  /** Takes a project with one version, recorded and pushed, to where the command has something to do. */
  prepare(rig: MlvRig, world: string): Promise<void>;
}

function noise(name: string, bytes: number): Buffer {
  const pieces: Buffer[] = [];
  for (let length = 0; length < bytes; length += 64) {
    pieces.push(createHash('sha512').update(`${name} ${length}`).digest());
  }
  return Buffer.concat(pieces).subarray(0, bytes);
}

/** Small files enough for packs, middle ones, and one that is copied in pieces. */
function version(number: number, folder = 'data'): Files {
  const files: Record<string, Buffer> = {};
  for (let index = 0; index < 90; index++) {
    const changed = index % 3 === 0 ? number : 0;
    files[`${folder}/small/${index}`] = noise(`${folder} ${changed} ${index}`, 500 + index * 20);
  }
  for (const name of ['a', 'b']) files[`${folder}/middle-${name}`] = noise(`${folder} ${number} ${name}`, 300_000);
  files[`${folder}/large`] = noise(`${folder} ${number}`, 9 << 20);
  return files;
}

async function record(rig: MlvRig, repository: TestRepository, files: Files): Promise<void> {
  writeFiles(repository.root, files);
  await told(rig, repository.root, ['add', 'data']);
  repository.git('commit', '--quiet', '--all', '-m', 'version');
}

/** The second version, pushed, and the repository that has pushed it. */
async function recordSecond(rig: MlvRig, world: string): Promise<TestRepository> {
  const repository = repositoryAt(join(world, 'repo'));
  await record(rig, repository, version(2));
  return repository;
}

/** What the second version added to the cache is not there; the pointers name it. */
async function onlyOnRemote(rig: MlvRig, world: string): Promise<void> {
  const kept = join(world, 'first');
  cpSync(join(world, 'cache'), join(kept, 'cache'), { recursive: true, preserveTimestamps: true });
  cpSync(join(world, 'repo'), join(kept, 'repo'), { recursive: true, preserveTimestamps: true });
  const { git, root } = await recordSecond(rig, world);
  await told(rig, root, ['push']);
  const commit = git('rev-parse', 'HEAD');
  const objects = join(world, 'objects');
  cpSync(join(root, '.git/objects'), objects, { recursive: true });
  for (const part of ['cache', 'repo']) {
    rmSync(join(world, part), { recursive: true });
    cpSync(join(kept, part), join(world, part), { recursive: true, preserveTimestamps: true });
  }
  cpSync(objects, join(root, '.git/objects'), { recursive: true });
  git('merge', '--quiet', '--ff-only', commit);
  for (const folder of [kept, objects]) rmSync(folder, { recursive: true });
}

function makeOld(folder: string): void {
  const then = new Date(Date.now() - 30 * 24 * 60 * 60 * 1000);
  for (const name of readdirSync(folder, { recursive: true })) lutimesSync(join(folder, String(name)), then, then);
}

export const SCENES: Readonly<Record<string, Scene>> = {
  add: {
    args: ['add', 'more'],
    writes: ['cache', 'repo'],
    changes: 'nothing',
    async prepare(_rig, world) {
      writeFiles(join(world, 'repo'), version(1, 'more'));
    },
  },
  commit: {
    args: ['commit'],
    writes: ['cache', 'repo'],
    changes: 'nothing',
    async prepare(_rig, world) {
      writeFiles(join(world, 'repo'), version(2));
    },
  },
  checkout: {
    args: ['checkout'],
    writes: ['repo'],
    changes: 'data',
    async prepare(rig, world) {
      const { git, root } = await recordSecond(rig, world);
      git('checkout', '--quiet', 'HEAD~1');
      await told(rig, root, ['checkout']);
      git('checkout', '--quiet', 'main');
    },
  },
  fetch: { args: ['fetch'], writes: ['cache', 'repo'], changes: 'nothing', prepare: onlyOnRemote },
  pull: { args: ['pull'], writes: ['cache', 'repo'], changes: 'data', prepare: onlyOnRemote },
  push: {
    args: ['push'],
    writes: ['store', 'repo'],
    changes: 'nothing',
    async prepare(rig, world) {
      await recordSecond(rig, world);
    },
  },
  gc: {
    args: ['gc', '--yes'],
    writes: ['cache'],
    changes: 'nothing',
    async prepare(rig, world) {
      const { git, root } = await recordSecond(rig, world);
      await told(rig, root, ['push']);
      git('checkout', '--quiet', 'HEAD~1');
      await told(rig, root, ['checkout']);
      git('branch', '--force', 'main', 'HEAD');
      git('checkout', '--quiet', 'main');
      git('reflog', 'expire', '--expire=now', '--all');
      makeOld(join(world, 'cache'));
    },
  },
  'verify --repair': {
    args: ['verify', '--repair'],
    writes: ['cache'],
    changes: 'nothing',
    async prepare(_rig, world) {
      const { packs, loose } = filesOfCache(join(world, 'cache'));
      for (const pack of packs) {
        const bytes = readFileSync(pack);
        bytes[100] = (bytes[100] ?? 0) ^ 1;
        rmSync(pack);
        writeFileSync(pack, bytes);
      }
      for (const path of loose) truncateSync(path, 1_000);
    },
  },
};

function filesOfCache(cache: string): { packs: string[]; loose: string[] } {
  const packs = readdirSync(join(cache, 'packs')).map((name) => join(cache, 'packs', name));
  const names = readdirSync(join(cache, 'b3'), { recursive: true }).map(String);
  return { packs, loose: names.filter((name) => name.includes('/')).map((name) => join(cache, 'b3', name)) };
}

/** A world with one version of data, recorded and pushed; cache and remote are beside the repository. */
export async function makeWorld(rig: MlvRig, name: string): Promise<string> {
  const world = join(rig.folder, name);
  mkdirSync(world, { recursive: true });
  const repository = await rig.project(`${name}/repo`);
  const { root } = repository;
  await told(rig, root, ['config', '--local', 'cache.dir', '../cache']);
  await told(rig, root, ['remote', 'add', '-d', 'store', '../store']);
  await record(rig, repository, version(1));
  await told(rig, root, ['push']);
  return world;
}

/** Files that a command which has ended leaves nowhere. */
export function leftovers(world: string): string[] {
  const found = pathsNamed(join(world, 'repo'), '.mlv-tmp-').map((path) => `repo/${path}`);
  for (const folder of ['cache/tmp', 'store/tmp']) {
    if (!existsSync(join(world, folder))) continue;
    // The beginning of a large download is gone on with.
    const names = readdirSync(join(world, folder)).filter((name) => !name.startsWith('partial-'));
    found.push(...names.map((each) => `${folder}/${each}`));
  }
  return found;
}

/** Digests of all data that is in the workspace. */
export function dataOf(world: string): Record<string, string> {
  const found: Record<string, string> = {};
  for (const folder of ['data', 'more']) {
    for (const [path, content] of Object.entries(readFolder(join(world, 'repo', folder)) ?? {}))
      found[`${folder}/${path}`] = createHash('sha256').update(content).digest('hex');
  }
  return found;
}
