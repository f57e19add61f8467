/** Projects in which a command is about to be run while the power fails: each is prepared once, and recorded once. */
import { chmodSync, cpSync, mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Files, link, writeFiles } from '../../support/folders.ts';
import { repositoryAt } from '../../support/git.ts';
import type { MlvRig } from '../../support/mlv.ts';
import { told } from '../../support/told.ts';
import { small } from '../kill/contents.ts';
import { makePipelineOrigin, PIPELINE_SCENES, type PipelineScene } from '../kill/pipeline-scenes.ts';
import { damageFolder, makeOld } from '../kill/scenes.ts';

export interface Scene {
  readonly name: string;
  readonly args: readonly string[];
  /** What `folder/store` has at first: after the first push, after the second, damaged, or nothing. */
  readonly store: 'nothing' | 'v1' | 'v2' | 'damage';
  /** Brings `folder/project`, a clone of both versions at v2 with nothing in its cache, into the state before the command. */
  prepare(project: Project): Promise<void>;
  /** What the disk is given to do: clones of files. */
  readonly clones?: boolean;
  /** Of what `mlv verify` must have all bytes at any time, and once the command has ended well. None: of what is checked out. */
  readonly held?: readonly string[];
  readonly heldAfter?: readonly string[];
  /** The workspace is brought to other content, which the cache has, as well as what it replaces: it is not flushed. */
  readonly checksOut?: boolean;
  /** The data goes from one place to another. */
  readonly moves?: boolean;
  /** The whole remote must be right. */
  readonly sends?: boolean;
  readonly damaged?: 'cache' | 'remote';
  /** Of stages, whose project is another. */
  readonly pipeline?: PipelineScene;
  /** How the command, run again, may say that it has been done. */
  readonly isDone?: RegExp;
}

export interface Project {
  readonly folder: string;
  readonly root: string;
  mlv(...args: string[]): Promise<string>;
  git(...args: string[]): string;
  write(files: Files): void;
  remove(...paths: string[]): void;
  /** Checks out a version in Git, and pulls its data. */
  at(version: 'v1' | 'v2'): Promise<void>;
}

export function projectIn(rig: MlvRig, folder: string): Project {
  const root = join(folder, 'project');
  const project: Project = {
    folder,
    root,
    mlv: (...args) => told(rig, root, args),
    git: (...args) => repositoryAt(root).git(...args),
    write: (files) => writeFiles(root, files),
    remove(...paths) {
      for (const path of paths) rmSync(join(root, path), { recursive: true });
    },
    async at(version) {
      project.git('checkout', '--quiet', version);
      await project.mlv('pull', ...HELD);
    },
  };
  return project;
}

const MIB = 1 << 20;

/** Bytes that do not repeat, and have no zeros in a row. */
function bytes(length: number, first: number): Buffer {
  const content = Buffer.alloc(length, 1);
  for (let at = 0; at + 4 <= length; at += 4) content.writeUInt32LE(((at >>> 2) * 0x9e3779b1 + first) >>> 0 || 1, at);
  return content;
}

/** A file that is gathered, or cloned, by itself; one that has a file of its own in a cache; and enough small ones for a pack. */
const LARGE = bytes(8 * MIB + 5, 1);
const V1: Files = {
  ...small('data/old', 40, 'v1'),
  ...small('data/stay', 50, 'v1'),
  'data/large': LARGE,
  'data/middle': bytes(MIB + 5, 2),
  'data/latest': link('middle'),
  'deep/er/model': bytes(3_000, 3),
  ...small('part/a', 5, 'v1'),
  ...small('part/b', 5, 'v1'),
};
const V2: Files = {
  ...Object.fromEntries(Object.entries(V1).filter(([path]) => !path.startsWith('data/old/'))),
  ...small('data/stay', 20, 'v2'),
  ...small('data/young', 50, 'v2'),
  'data/middle': bytes(MIB + 9, 4),
  'deep/er/model': bytes(3_100, 5),
  'part/a/more': 'more\n',
};
const ADDED = ['data', 'deep/er/model', 'part'] as const;
/** What is in the workspace of most scenes. */
const HELD = ['data', 'deep/er/model', 'part/a'];
const EDITS: Files = {
  'data/stay/mine': 'not recorded\n',
  [Object.keys(small('data/stay', 30, ''))[25] ?? '']: 'edited\n',
};
const FRESH: Files = {
  ...small('new/folder/fresh', 70, 'v2'),
  'new/folder/fresh/large': bytes(9 * MIB, 7),
  'new/folder/fresh/middle': bytes(MIB + 7, 8),
  'new/other': 'another\n',
};

/**
 * Both versions recorded; `v1`, `v2` and `damage` beside are the remote after the first push, after the second, and damaged. Below
 * `pipeline` the same of stages.
 */
export async function makeOrigin(rig: MlvRig): Promise<string> {
  const origin = join(rig.folder, 'origin');
  const { root, git } = await rig.project('origin/project');
  await told(rig, root, ['remote', 'add', '-d', 'store', '../store']);
  for (const [version, files] of Object.entries({ v1: V1, v2: V2 })) {
    for (const name of ADDED) rmSync(join(root, name), { recursive: true, force: true });
    writeFiles(root, files);
    await told(rig, root, ['add', ...ADDED]);
    git('add', '--all');
    git('commit', '--quiet', '-m', version);
    git('tag', version);
    await told(rig, root, ['push']);
    cpSync(join(origin, 'store'), join(origin, version), { recursive: true });
  }
  cpSync(join(origin, 'v2'), join(origin, 'damage'), { recursive: true });
  damageFolder(join(origin, 'damage'), ['packs', 'index', 'objects']);
  mkdirSync(join(origin, 'nothing'));
  await makePipelineOrigin(rig, join(origin, 'pipeline'));
  return origin;
}

/** At v1, with the files of v2 in the workspace. */
async function edited(project: Project): Promise<void> {
  await project.at('v1');
  project.remove('data', 'deep/er/model', 'part/a');
  project.write(Object.fromEntries(Object.entries(V2).filter(([path]) => !path.startsWith('part/b/'))));
}

async function both(project: Project): Promise<void> {
  await project.at('v1');
  await project.at('v2');
  await project.mlv('fetch', '--all-tags');
}

const cacheOf = ({ root }: Project): string => join(root, '.git/mlv/cache');

/** Nothing names v1 any more, and nothing was used of late. */
async function outdated(project: Project): Promise<void> {
  await both(project);
  project.git('tag', 'kept', 'v1');
  project.git('tag', '-d', 'v1', 'kept');
  project.git('reflog', 'expire', '--expire=now', '--all');
  makeOld(cacheOf(project));
}

const atV1 = async (project: Project): Promise<void> => {
  await project.at('v1');
  project.git('checkout', '--quiet', 'v2');
};

const both1 = async (project: Project): Promise<void> => {
  await both(project);
  await project.at('v1');
  project.write(EDITS);
  project.git('checkout', '--quiet', 'v2');
};

const ALL = ['--all-tags'];
const common = { store: 'v2' } as const;

export const SCENES: readonly Scene[] = [
  {
    name: 'init',
    args: ['init'],
    store: 'nothing',
    isDone: /already-a-project|is an mlv project already/,
    async prepare({ root, git }) {
      for (const name of readdirSync(root)) rmSync(join(root, name), { recursive: true });
      mkdirSync(root, { recursive: true });
      git('init', '--quiet', '--initial-branch=main');
    },
  },
  { ...common, name: 'config', args: ['config', 'core.autostage', 'true'], prepare: async ({ at }) => at('v2') },
  {
    ...common,
    name: 'remote add',
    args: ['remote', 'add', 'other', '../other'],
    isDone: /other.*(is there|already|exists)/,
    prepare: async ({ at }) => at('v2'),
  },
  {
    ...common,
    name: 'add, first',
    args: ['add', 'new/folder/fresh', 'new/other'],
    async prepare(project) {
      project.git('checkout', '--quiet', 'v2');
      project.write(FRESH);
    },
    heldAfter: ['new/folder/fresh', 'new/other'],
  },
  {
    ...common,
    name: 'add, clones',
    clones: true,
    args: ['add', 'new/folder/fresh', 'new/other'],
    async prepare(project) {
      project.git('checkout', '--quiet', 'v2');
      project.write(FRESH);
    },
    heldAfter: ['new/folder/fresh', 'new/other'],
  },
  {
    ...common,
    name: 'add, many',
    args: ['add', 'many'],
    async prepare(project) {
      await project.at('v2');
      project.write(Object.fromEntries(Array.from({ length: 1_100 }, (_, n) => [`many/${n % 7}/${n}`, `${n}\n`])));
    },
    held: HELD,
    heldAfter: ['many'],
  },
  {
    ...common,
    name: 'add, inside',
    args: ['add', 'data/stay/mine', 'data/few'],
    async prepare(project) {
      await project.at('v2');
      project.write({ ...EDITS, ...small('data/few', 3, 'v2') });
    },
    held: HELD,
    heldAfter: HELD,
  },
  {
    ...common,
    name: 'add, merging',
    args: ['add', 'many/8'],
    async prepare(project) {
      await project.at('v2');
      for (let each = 1; each <= 8; each++) {
        project.write(small(`many/${each}`, 64, 'v2'));
        if (each < 8) await project.mlv('add', `many/${each}`);
      }
    },
    held: HELD,
    heldAfter: ['many/1', 'many/8'],
  },
  { ...common, name: 'commit', args: ['commit'], prepare: edited, heldAfter: HELD },
  { ...common, name: 'checkout', args: ['checkout'], checksOut: true, prepare: both1, held: HELD, heldAfter: HELD },
  {
    ...common,
    name: 'checkout, clones',
    clones: true,
    args: ['checkout'],
    checksOut: true,
    prepare: both1,
    held: HELD,
    heldAfter: HELD,
  },
  { ...common, name: 'push', args: ['push'], store: 'v1', sends: true, prepare: both },
  { ...common, name: 'push, first', args: ['push'], store: 'nothing', sends: true, prepare: both },
  { ...common, name: 'push, clones', args: ['push'], store: 'nothing', clones: true, sends: true, prepare: both },
  { ...common, name: 'fetch', args: ['fetch', ...ALL], prepare: atV1, heldAfter: ALL },
  {
    ...common,
    name: 'fetch, first',
    args: ['fetch', ...ALL],
    prepare: async ({ git }) => void git('checkout', '--quiet', 'v2'),
    heldAfter: ALL,
  },
  {
    ...common,
    name: 'fetch, clones',
    clones: true,
    args: ['fetch', ...ALL],
    prepare: async ({ git }) => void git('checkout', '--quiet', 'v2'),
    heldAfter: ALL,
  },
  {
    ...common,
    name: 'pull',
    args: ['pull'],
    checksOut: true,
    async prepare(project) {
      await atV1(project);
      project.write(EDITS);
    },
    heldAfter: HELD,
  },
  {
    ...common,
    name: 'pull, first',
    args: ['pull'],
    checksOut: true,
    prepare: async ({ git }) => void git('checkout', '--quiet', 'v2'),
    heldAfter: ['data', 'deep/er/model', 'part'],
  },
  {
    ...common,
    name: 'move',
    args: ['move', 'data', 'new/place/data'],
    moves: true,
    isDone: /is not tracked by mlv/,
    async prepare(project) {
      await project.at('v2');
      project.write(EDITS);
    },
  },
  {
    ...common,
    name: 'remove',
    args: ['remove', 'deep/er/model'],
    prepare: async ({ at }) => at('v2'),
    isDone: /nothing tracked by mlv matches/,
  },
  {
    ...common,
    name: 'remove --data',
    args: ['remove', '--data', 'data'],
    checksOut: true,
    prepare: async ({ at }) => at('v2'),
    isDone: /nothing tracked by mlv matches/,
  },
  {
    ...common,
    name: 'unprotect',
    args: ['unprotect', 'data'],
    checksOut: true,
    async prepare(project) {
      await project.mlv('config', '--local', 'cache.links', 'symlink');
      await project.at('v2');
    },
    held: HELD,
    heldAfter: HELD,
  },
  { ...common, name: 'gc', args: ['gc', '--yes'], prepare: outdated, held: HELD, heldAfter: HELD },
  {
    ...common,
    name: 'gc --undo',
    args: ['gc', '--undo'],
    isDone: /nothing in the trash/,
    async prepare(project) {
      const commit = project.git('rev-parse', 'v1');
      await outdated(project);
      await project.mlv('gc', '--yes');
      project.git('tag', 'v1', commit);
    },
    held: HELD,
    heldAfter: ALL,
  },
  {
    ...common,
    name: 'gc, trash',
    args: ['gc', '--yes'],
    async prepare(project) {
      const commit = project.git('rev-parse', 'v1');
      await outdated(project);
      await project.mlv('gc', '--yes');
      project.git('tag', 'v1', commit);
      makeOld(cacheOf(project));
    },
    held: HELD,
    heldAfter: ALL,
  },
  {
    ...common,
    name: 'repair of the cache',
    args: ['verify', '--repair', ...ALL],
    damaged: 'cache',
    async prepare(project) {
      await both(project);
      damageFolder(cacheOf(project), ['packs', 'index', 'b3']);
    },
    heldAfter: ALL,
  },
  {
    ...common,
    name: 'repair of a large blob',
    args: ['verify', '--repair', ...ALL],
    damaged: 'cache',
    async prepare(project) {
      await both(project);
      const loose = join(cacheOf(project), 'b3');
      const files = readdirSync(loose, { recursive: true }).map((name) => join(loose, String(name)));
      const large = files.find((name) => statSync(name).size === LARGE.length);
      if (large === undefined) throw new Error('the large blob has no file of its own');
      chmodSync(large, 0o644);
      writeFileSync(large, LARGE.subarray(1));
    },
    heldAfter: ALL,
  },
  {
    ...common,
    name: 'repair of a folder',
    args: ['verify', '--remote', '--repair', ...ALL],
    store: 'damage',
    damaged: 'remote',
    sends: true,
    prepare: both,
  },
  ...PIPELINE_SCENES.map((pipeline): Scene => {
    const { name, args, remoteHas, held, heldAfter, records } = pipeline;
    return {
      name,
      args,
      store: remoteHas,
      prepare: (project) => pipeline.prepare(project),
      held,
      heldAfter,
      // What is brought into the workspace by a pull, and by no stage, is told as an edit.
      checksOut: records === 'received',
      sends: records === 'sent',
      pipeline,
    };
  }),
];
