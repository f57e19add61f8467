/** Projects in which a command is about to be run and killed: each is prepared once and copied for every trial. */
import {
  cpSync,
  lutimesSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { chmodSync } from 'node:fs';
import { join } from 'node:path';
import { type Files, writeFiles } from '../../support/folders.ts';
import { repositoryAt } from '../../support/git.ts';
import type { MlvRig } from '../../support/mlv.ts';
import type { BucketView } from '../../support/s3-server/bucket-view.ts';
import { told } from '../../support/told.ts';
import { FRESH, only, V1, V2 } from './contents.ts';
import { makePipelineOrigin, NO_RUNS, OUTPUTS, PIPELINE_SCENES, PULLED } from './pipeline-scenes.ts';

export const SCENES: readonly string[] = [
  'add',
  'commit',
  'checkout',
  'push',
  'push, first',
  'push, bucket',
  'push, first, bucket',
  'fetch',
  'fetch, bucket',
  'pull',
  'pull, first',
  'pull, bucket',
  'repair of the cache',
  'repair of a folder',
  'repair of a bucket',
  'gc',
  ...PIPELINE_SCENES.map(({ name }) => name),
];
/** Paths that are tracked, or will be. */
const NAMES = ['data', 'model', 'part', 'fresh'] as const;
/** Of a file that both versions have; and of one that neither has. */
const EDITS: Files = { [Object.keys(only(V1, 'data/stay'))[100] ?? '']: 'edited\n', 'data/mine': 'not recorded\n' };

export interface Scene {
  readonly name: string;
  readonly args: readonly string[];
  /** Which origin it is a clone of: data that was added, or what a pipeline makes. */
  readonly of: 'data' | 'pipeline';
  readonly remote: 'folder' | 'bucket';
  /** What there is on the remote at first. */
  readonly remoteHas: 'nothing' | 'v1' | 'v2' | 'damage';
  /** Brings `folder/project`, a clone at v2 with nothing in its cache and `folder/store` as remote, into the state before the command. */
  prepare(folder: string): Promise<void>;
  /** Files of the workspace before it and after it. */
  readonly before: Files;
  readonly after: Files;
  /** Top-level paths that these are at. */
  readonly names: readonly string[];
  /** What another clone gets. */
  readonly pulled: Files;
  /** Of what is there before, what nothing but the workspace has, and the command may take away. */
  readonly edits?: Readonly<Record<string, string>>;
  /** Whether results of stages are sent or received. */
  readonly records?: 'sent' | 'received';
  /** What is damaged before the command. */
  readonly damaged?: 'cache' | 'remote';
  /** Paths whose data is in the cache all the time, and once the command has ended. */
  readonly held: readonly string[];
  readonly heldAfter: readonly string[];
}

const part1 = only(V1, 'part/a');
const part2 = only(V2, 'part/a');
const w1 = { ...only(V1, 'data', 'model'), ...part1 };
const w2 = { ...only(V2, 'data', 'model'), ...part2 };
/** What is in the workspace of most scenes. */
const HELD = ['data', 'model', 'part/a'];

/** All scenes; `rig` runs what prepares them. */
export function makeScenes(rig: MlvRig): Scene[] {
  const run = (folder: string, ...args: string[]): Promise<string> => told(rig, join(folder, 'project'), args);
  const git = (folder: string, ...args: string[]): string => repositoryAt(join(folder, 'project')).git(...args);
  const at = async (folder: string, version: 'v1' | 'v2'): Promise<void> => {
    git(folder, 'checkout', '--quiet', version);
    await run(folder, 'pull', ...HELD);
  };
  /** At v1, with the files of v2 in the workspace. */
  const edited = async (folder: string): Promise<void> => {
    await at(folder, 'v1');
    for (const name of ['data', 'model', 'part']) rmSync(join(folder, 'project', name), { recursive: true });
    writeFiles(join(folder, 'project'), w2);
  };
  const both = async (folder: string): Promise<void> => {
    await at(folder, 'v1');
    await at(folder, 'v2');
    await run(folder, 'fetch', '--all-tags');
  };
  const common = {
    of: 'data',
    names: NAMES,
    remote: 'folder',
    remoteHas: 'v2',
    before: w2,
    after: w2,
    pulled: V2,
    held: HELD,
    heldAfter: HELD,
  } as const;
  const repairs = {
    ...common,
    remoteHas: 'damage',
    args: ['verify', '--remote', '--repair', '--all-tags'],
    prepare: both,
    damaged: 'remote',
  } as const;

  return [
    {
      ...common,
      name: 'add',
      args: ['add', ...NAMES],
      prepare: async (folder) => {
        await edited(folder);
        writeFiles(join(folder, 'project'), FRESH);
      },
      before: { ...w2, ...FRESH },
      after: { ...w2, ...FRESH },
      heldAfter: [...HELD, 'fresh'],
    },
    { ...common, name: 'commit', args: ['commit'], prepare: edited },
    {
      ...common,
      name: 'checkout',
      args: ['checkout'],
      prepare: async (folder) => {
        await both(folder);
        await at(folder, 'v1');
        writeFiles(join(folder, 'project'), EDITS);
        git(folder, 'checkout', '--quiet', 'v2');
      },
      before: { ...w1, ...EDITS },
      after: { ...w2, ...EDITS },
    },
    { ...common, name: 'push', args: ['push'], remoteHas: 'v1', prepare: both },
    { ...common, name: 'push, first', args: ['push'], remoteHas: 'nothing', prepare: both },
    { ...common, name: 'push, bucket', args: ['push'], remote: 'bucket', remoteHas: 'v1', prepare: both },
    { ...common, name: 'push, first, bucket', args: ['push'], remote: 'bucket', remoteHas: 'nothing', prepare: both },
    ...(['folder', 'bucket'] as const).flatMap((remote): Scene[] => [
      {
        ...common,
        remote,
        name: remote === 'folder' ? 'fetch' : 'fetch, bucket',
        args: ['fetch'],
        prepare: async (folder) => {
          await at(folder, 'v1');
          git(folder, 'checkout', '--quiet', 'v2');
        },
        before: w1,
        after: w1,
        held: [],
      },
      {
        ...common,
        remote,
        name: remote === 'folder' ? 'pull' : 'pull, bucket',
        args: ['pull'],
        prepare: async (folder) => {
          await at(folder, 'v1');
          writeFiles(join(folder, 'project'), EDITS);
          git(folder, 'checkout', '--quiet', 'v2');
        },
        before: { ...w1, ...EDITS },
        after: { ...w2, ...EDITS },
        held: [],
      },
    ]),
    {
      ...common,
      name: 'pull, first',
      args: ['pull'],
      prepare: () => Promise.resolve(),
      before: {},
      after: V2,
      held: [],
    },
    {
      ...common,
      name: 'repair of the cache',
      args: ['verify', '--repair', '--all-tags'],
      prepare: async (folder) => {
        await both(folder);
        damageFolder(join(folder, 'project/.git/mlv/cache'), ['packs', 'index', 'b3']);
      },
      damaged: 'cache',
      held: [],
    },
    { ...repairs, name: 'repair of a folder' },
    { ...repairs, name: 'repair of a bucket', remote: 'bucket' },
    {
      ...common,
      name: 'gc',
      args: ['gc', '--yes'],
      prepare: async (folder) => {
        await both(folder);
        git(folder, 'tag', '-d', 'v1');
        git(folder, 'reflog', 'expire', '--expire=now', '--all');
        makeOld(join(folder, 'project/.git/mlv/cache'));
      },
    },
    ...PIPELINE_SCENES.map((scene): Scene => ({
      ...scene,
      of: 'pipeline',
      names: OUTPUTS,
      remote: 'folder',
      pulled: PULLED,
      prepare: async (folder) => {
        await scene.prepare({
          root: join(folder, 'project'),
          mlv: (...args) => run(folder, ...args),
          git: (...args) => git(folder, ...args),
        });
        if (scene.runsNothing === true) writeFileSync(join(folder, NO_RUNS), '');
      },
    })),
  ];
}

/** Flips a bit in the largest file of the first of these folders, cuts the largest of the second short, removes the smallest of the third. */
export function damageFolder(folder: string, [flipped, cut, gone]: readonly [string, string, string]): void {
  const bySize = (name: string): string[] =>
    readdirSync(join(folder, name), { recursive: true })
      .map((path) => join(folder, name, String(path)))
      .filter((path) => statSync(path).isFile())
      .sort((a, b) => statSync(a).size - statSync(b).size || (a < b ? -1 : 1));
  const [largest, index, smallest] = [bySize(flipped).at(-1), bySize(cut).at(-1), bySize(gone)[0]];
  if (largest === undefined || index === undefined || smallest === undefined) throw new Error('nothing to damage');
  for (const path of [largest, index]) chmodSync(path, 0o644);
  const bytes = readFileSync(largest);
  bytes.writeUInt8(bytes.readUInt8(bytes.length >>> 1) ^ 1, bytes.length >>> 1);
  writeFileSync(largest, bytes);
  truncateSync(index, statSync(index).size >>> 1);
  rmSync(smallest);
}

/** Nothing in a folder has been used for three weeks. */
export function makeOld(folder: string): void {
  const then = new Date(Date.now() - 21 * 24 * 60 * 60 * 1000);
  for (const name of readdirSync(folder, { recursive: true })) lutimesSync(join(folder, String(name)), then, then);
}

/** Puts everything in a folder under a prefix of a bucket. */
export async function fillBucket(bucket: BucketView, prefix: string, folder: string): Promise<void> {
  for (const name of readdirSync(folder, { recursive: true }).map(String)) {
    if (!statSync(join(folder, name)).isFile() || name.startsWith('tmp/')) continue;
    await bucket.put(`${prefix}/${name}`, readFileSync(join(folder, name)));
  }
}

/** Both versions recorded, and three remotes: after the first push, after the second, and damaged; below `pipeline` one of stages. */
export async function makeOrigin(rig: MlvRig): Promise<string> {
  const origin = join(rig.folder, 'origin');
  const { root, git } = await rig.project('origin/project');
  await told(rig, root, ['remote', 'add', '-d', 'store', '../store']);
  for (const [version, files] of Object.entries({ v1: V1, v2: V2 })) {
    for (const name of NAMES) rmSync(join(root, name), { recursive: true, force: true });
    writeFiles(root, files);
    await told(rig, root, ['add', 'data', 'model', 'part']);
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
