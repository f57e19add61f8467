/** A pipeline of two versions, and commands that run, restore, send and fetch its results: killed here, and cut short in power-loss. */
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { isDigest } from '../../../src/domain/digest.ts';
import { formatLock, type LockedStages, parsePlainLock } from '../../../src/domain/lock-file.ts';
import { REPO_ROOT } from '../../../src/domain/repo-path.ts';
import { openWorkspace } from '../../../src/workspace/open.ts';
import { type Files, writeFiles } from '../../support/folders.ts';
import { hermeticEnv } from '../../support/git.ts';
import type { MlvRig } from '../../support/mlv.ts';
import { told } from '../../support/told.ts';
import { digestOf, hash } from '../../support/trees.ts';
import { small } from './contents.ts';

export interface PipelineScene {
  readonly name: string;
  readonly args: readonly string[];
  /** What there is on the remote at first. */
  readonly remoteHas: 'nothing' | 'v2';
  /** Brings a clone at v2, with nothing in its cache, into the state before the command. */
  prepare(project: PreparedProject): Promise<void>;
  /** Files at outputs before it and after it. */
  readonly before: Files;
  readonly after: Files;
  /** Of what is there before, what nothing but the workspace has. */
  readonly edits: Texts;
  /** Outputs whose data is in the cache all the time, and once it has ended. */
  readonly held: readonly string[];
  readonly heldAfter: readonly string[];
  /** Whether all is known that it makes, so that no command is to run. */
  readonly runsNothing?: boolean;
  /** Whether results go to the remote, or come from it. */
  readonly records?: 'sent' | 'received';
}

export interface PreparedProject {
  readonly root: string;
  mlv(...args: string[]): Promise<string>;
  git(...args: string[]): string;
}

type Texts = Readonly<Record<string, string>>;

/** What a stage makes: of each path a text, and how many times it comes. */
type Made = Readonly<Record<string, readonly [text: string, times: number]>>;

/** Beside the project: while it is there, commands of stages fail. */
export const NO_RUNS = 'no-runs';
const MAKE = `import { closeSync, existsSync, mkdirSync, openSync, readFileSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
if (existsSync('../${NO_RUNS}')) throw new Error('this result is known');
for (const [path, [text, times]] of Object.entries(JSON.parse(readFileSync(process.argv[2], 'utf8')))) {
  mkdirSync(dirname(path), { recursive: true });
  const bytes = Buffer.from(text.repeat(times));
  const file = openSync(path, 'w');
  for (let at = 0; at < bytes.length; at += 400_000) writeSync(file, bytes, at, Math.min(400_000, bytes.length - at));
  closeSync(file);
}
`;

const stage = (name: string, deps: readonly string[], rest: object): object => ({
  cmd: `node make.mjs ${name}.json`,
  deps: ['make.mjs', `${name}.json`, ...deps],
  ...rest,
});
const STAGES = {
  split: stage('split', [], { outs: ['table', 'parts'] }),
  train: stage('train', ['table', 'parts'], {
    outs: [{ memory: { persist: true } }],
    metrics: [{ 'score.json': { cache: false } }],
  }),
  other: stage('other', [], { outs: ['other/model'] }),
};
const pipelineText = (stages: object): string => `${JSON.stringify({ stages }, undefined, 1)}\n`;

/** What the stages make of a version. */
function madeOf(version: string): { readonly split: Made; readonly train: Made; readonly other: Made } {
  const parts = Object.entries({ ...small('parts/stay', 20, 'v1'), ...small(`parts/${version}`, 12, version) });
  return {
    // It has a file of its own in the cache.
    split: {
      table: [`a row of ${version}\n`, 90_000],
      ...Object.fromEntries(parts.map(([path, text]) => [path, [text, 1] as const])),
    },
    train: { [`memory/${version}`]: [`learned of ${version}\n`, 50], 'score.json': [`{"score": "${version}"}\n`, 1] },
    other: { 'other/model': [`another of ${version}\n`, 2_000] },
  };
}

const LATE: Made = { late: ['this is late\n', 3] };
/** Commands read what they are to make. */
const sourcesOf = (made: Readonly<Record<string, Made>>): Files =>
  Object.fromEntries(Object.entries(made).map(([name, each]) => [`${name}.json`, `${JSON.stringify(each)}\n`]));
const files = (...made: readonly Made[]): Record<string, string> =>
  Object.fromEntries(
    made.flatMap((each) => Object.entries(each)).map(([path, [text, times]]) => [path, text.repeat(times)]),
  );

const V1 = madeOf('v1');
const V2 = madeOf('v2');
const V3 = madeOf('v3');

/** Where the pipeline makes something. */
export const OUTPUTS = ['table', 'parts', 'memory', 'score.json', 'other/model', 'late'] as const;
/** Whether a stage, before it runs, takes away what is at a path: all but what persists. */
export function isTakenAway(path: string): boolean {
  return OUTPUTS.some((each) => each !== 'memory' && (path === each || path.startsWith(`${each}/`)));
}
/** What another clone gets of it. */
export const PULLED: Files = files(V2.split, V1.train, V2.train, V2.other);
const DATA = ['table', 'parts', 'memory', 'other/model'];
/** Where somebody has written: at outputs of an earlier run, at one that was never checked out, in one that persists. */
const BY_HAND: Texts = {
  table: 'rows by hand\n',
  [Object.keys(small('parts/stay', 5, ''))[3] ?? '']: 'a part by hand\n',
  'parts/mine': 'another part by hand\n',
};
const MODEL: Texts = { 'other/model': 'a model by hand\n' };
const SCORE: Texts = { 'score.json': '"by hand"\n' };
const NOTE: Texts = { 'memory/note': 'a note by hand\n' };

const before1 = files(V1.split, V1.train);
/** Git brings it. */
const SCORE_2: Files = { 'score.json': files(V2.train)['score.json'] ?? '' };

export const PIPELINE_SCENES: readonly PipelineScene[] = [
  {
    name: 'repro',
    args: ['repro'],
    remoteHas: 'v2',
    async prepare({ root, git, mlv }) {
      git('checkout', '--quiet', 'v1');
      await mlv('pull', 'table', 'parts', 'memory');
      const { split, train } = V2;
      const late = { ...STAGES, late: stage('late', [], { outs: ['late'] }) };
      writeFiles(root, { ...sourcesOf({ split, train, late: LATE }), 'mlv.yaml': pipelineText(late) });
      writeFiles(root, { ...BY_HAND, ...MODEL, ...SCORE, ...NOTE });
    },
    before: { ...before1, ...BY_HAND, ...MODEL, ...SCORE, ...NOTE },
    after: { ...files(V2.split, V1.train, V2.train, V1.other, LATE), ...NOTE },
    edits: { ...BY_HAND, ...MODEL, ...SCORE, ...NOTE },
    held: ['table', 'parts', 'memory'],
    // Not the model: a command that outlives mlv makes what the lock file says, which is then up to date, and only on the remote.
    heldAfter: ['table', 'parts', 'memory', 'late'],
  },
  {
    // By results that are known (split, other), and by what the lock file of the other branch says (train).
    name: 'repro, restored',
    args: ['repro'],
    remoteHas: 'v2',
    async prepare({ root, git, mlv }) {
      git('checkout', '--quiet', 'v1');
      await mlv('pull');
      git('checkout', '--quiet', 'v2');
      await mlv('fetch', '--run-cache');
      await mlv('run-cache', 'forget', 'train', '--yes');
      writeFiles(root, { ...sourcesOf({ other: V1.other }), ...BY_HAND, ...MODEL });
    },
    before: { ...before1, ...SCORE_2, ...BY_HAND, ...MODEL },
    after: files(V2.split, V1.train, V2.train, V1.other),
    edits: { ...BY_HAND, ...MODEL },
    held: DATA,
    heldAfter: DATA,
    runsNothing: true,
  },
  {
    // Nothing is here, no lock file either: two results come from the remote, and with them the inputs of the stage that runs.
    name: 'repro --pull',
    args: ['repro', '--pull'],
    remoteHas: 'v2',
    async prepare({ root }) {
      rmSync(join(root, 'mlv.lock'));
      writeFiles(root, { ...sourcesOf({ train: V3.train, other: V1.other }), ...BY_HAND, ...SCORE });
    },
    before: { ...BY_HAND, ...SCORE },
    after: files(V2.split, V3.train, V1.other),
    edits: { ...BY_HAND, ...SCORE },
    held: [],
    heldAfter: DATA,
  },
  {
    name: 'push --run-cache',
    args: ['push', '--run-cache'],
    remoteHas: 'nothing',
    async prepare({ root, mlv }) {
      await mlv('pull', '--run-cache');
      await mlv('fetch', '--all-tags');
      plantDamage(join(root, '.git/mlv/runs'));
    },
    before: PULLED,
    after: PULLED,
    edits: {},
    held: DATA,
    heldAfter: DATA,
    records: 'sent',
  },
  {
    name: 'pull --run-cache',
    args: ['pull', '--run-cache'],
    remoteHas: 'v2',
    async prepare({ root }) {
      const runs = join(root, '.git/mlv/runs');
      cpSync(join(dirname(root), 'store/runs'), runs, { recursive: true });
      const [empty, cut] = filesBelow(runs);
      truncateSync(join(runs, empty ?? ''));
      truncateSync(join(runs, cut ?? ''), 100);
      for (const other of filesBelow(runs).slice(3)) rmSync(join(runs, other));
    },
    before: SCORE_2,
    after: PULLED,
    edits: {},
    held: [],
    heldAfter: DATA,
    records: 'received',
  },
];

/** Results that are none: empty, cut short, of zeros, not text at all, and what a killed command leaves. */
function plantDamage(runs: string): void {
  const [first = ''] = filesBelow(runs);
  const text = readFileSync(join(runs, first));
  const damaged = [Buffer.alloc(0), text.subarray(0, 100), Buffer.alloc(text.length), Buffer.from([0xc3, 0x28])];
  for (const [at, bytes] of damaged.entries())
    writeFileSync(join(runs, dirname(first), digestOf(`damaged ${at}`)), bytes);
  writeFileSync(join(runs, dirname(first), '.mlv-tmp-1-killed'), text.subarray(0, 200));
}

/** Files of a folder, by their path in it, sorted. */
function filesBelow(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
    .sort();
}

/** The results in a folder of them that are what their names say, and the files that are not. */
export function recordsIn(runs: string): { readonly whole: readonly string[]; readonly others: readonly string[] } {
  const isWhole = (path: string): boolean => {
    const name = path.slice(path.lastIndexOf('/') + 1);
    return isDigest(name) && hash(readFileSync(join(runs, path))).toString('hex') === name;
  };
  const all = filesBelow(runs);
  return { whole: all.filter(isWhole), others: all.filter((path) => !isWhole(path)) };
}

/** Undefined where each entry of a lock file is one of these lock files', else what is wrong with it. */
export function wrongLock(found: string | undefined, allowed: readonly (string | undefined)[]): string | undefined {
  if (allowed.includes(found)) return undefined;
  const known = allowed.flatMap((text) => [...entriesOf(text).values()]);
  try {
    return [...entriesOf(found)].find(([, text]) => !known.includes(text))?.join(': ');
  } catch (error) {
    return String(error);
  }
}

/** Outputs of entries of a lock file that it did not have before. */
export function recordedSince(before: string | undefined, found: string | undefined): string[] {
  const known = entriesOf(before);
  return [...entriesOf(found)]
    .filter(([name, text]) => known.get(name) !== text)
    .flatMap(([name]) => [...(parsed(found).get(name)?.outs ?? [])])
    .flatMap(([path, { cache }]) => (cache ? [path] : []));
}

/** The text of each entry, by stage. */
function entriesOf(text: string | undefined): ReadonlyMap<string, string> {
  return new Map([...parsed(text)].map(([name, entry]) => [name, formatLock(new Map([[name, entry]]), REPO_ROOT)]));
}

function parsed(text: string | undefined): LockedStages {
  if (text === undefined) return new Map();
  const stages = parsePlainLock(text, REPO_ROOT);
  if (stages === undefined) throw new Error(`not as mlv writes it: ${JSON.stringify(text)}`);
  return stages;
}

/** Of what only the workspace had, the paths of what is now neither there nor in the cache. (Whether the cache is right `verify` says.) */
export async function lostEdits(root: string, edits: Texts): Promise<string[]> {
  const workspace = await openWorkspace({ cwd: root, environment: hermeticEnv(dirname(root)) });
  try {
    const isHere = (path: string, content: string): boolean =>
      existsSync(join(root, path)) && readFileSync(join(root, path), 'utf8') === content;
    const isKept = (content: string): boolean => workspace.cache().has(digestOf(content));
    return Object.entries(edits).flatMap(([path, content]) => (isHere(path, content) || isKept(content) ? [] : [path]));
  } finally {
    await workspace.close();
  }
}

/** Both versions run and recorded; `v1` and `v2` beside are the remote after the first push and after the second. */
export async function makePipelineOrigin(rig: MlvRig, origin: string): Promise<void> {
  const { root, git } = await rig.project(`${origin.slice(rig.folder.length + 1)}/project`);
  await told(rig, root, ['remote', 'add', '-d', 'store', '../store']);
  writeFiles(root, { 'make.mjs': MAKE, 'mlv.yaml': pipelineText(STAGES) });
  for (const [version, made] of Object.entries({ v1: V1, v2: V2 })) {
    writeFiles(root, sourcesOf(made));
    const { code, stderr } = await rig.mlv(root, ['--no-progress', 'repro']);
    if (code !== 0) throw new Error(`mlv repro exited with ${code}:\n${stderr}`);
    git('add', '--all');
    git('commit', '--quiet', '-m', version);
    git('tag', version);
    await told(rig, root, ['push', '--run-cache']);
    cpSync(join(origin, 'store'), join(origin, version), { recursive: true });
  }
  mkdirSync(join(origin, 'nothing'));
}
