/** Stages as they are once an `mlv.yaml` was read. */
import fc from 'fast-check';
import type {
  DataVersion,
  ParamValue,
  Stage,
  StageId,
  StageObservation,
  StageOutput,
} from '../../src/domain/pipeline.ts';
import type { RepoPath } from '../../src/domain/repo-path.ts';
import { digestOf } from './trees.ts';

export type StageParts = Partial<Omit<Stage, 'id' | 'name' | 'file' | 'deps' | 'outs' | 'wdir'>> & {
  readonly file?: string;
  readonly wdir?: string;
  readonly deps?: readonly string[];
  readonly outs?: readonly (string | StageOutput)[];
};

/** A stage with an id as its file gives it; outputs may be given by path. */
export function stageOf(name: string, parts: StageParts = {}): Stage {
  const { file = 'mlv.yaml', wdir, deps = [], outs = [], ...rest } = parts;
  const folder = file.includes('/') ? file.slice(0, file.lastIndexOf('/')) : '';
  return {
    id: (folder === '' ? name : `${file}:${name}`) as StageId,
    name,
    file: file as RepoPath,
    line: 1,
    commands: [`run ${name}`],
    wdir: (wdir ?? folder) as RepoPath,
    deps: [...deps].sort() as RepoPath[],
    params: [],
    outs: outs.map((out) => (typeof out === 'string' ? outputOf(out) : out)).sort((a, b) => (a.path < b.path ? -1 : 1)),
    env: [],
    tools: {},
    frozen: false,
    alwaysChanged: false,
    mutex: [],
    resources: {},
    retries: 0,
    ...rest,
  };
}

export function outputOf(path: string, parts: Partial<StageOutput> = {}): StageOutput {
  return { path: path as RepoPath, kind: 'out', cache: true, persist: false, push: true, ...parts };
}

export function fileOf(content: string): DataVersion {
  return { type: 'file', hash: digestOf(content), size: content.length };
}

/** A map with keys that are paths. */
export function byPath<T>(entries: Readonly<Record<string, T>>): Map<RepoPath, T> {
  return new Map(Object.entries(entries) as [RepoPath, T][]);
}

export function seenOf(parts: Partial<StageObservation> = {}): StageObservation {
  return { deps: new Map(), params: new Map(), env: new Map(), tools: new Map(), outs: new Map(), ...parts };
}

const name = fc.constantFrom('a', 'b', 'c d', '__proto__', 'é', '0');
const value = fc.oneof(
  fc.jsonValue({ maxDepth: 2 }).map((json) => JSON.parse(JSON.stringify(json)) as ParamValue),
  fc.constantFrom(Infinity, -Infinity, NaN, -0),
);
const content = fc.constantFrom('1', '2', '3');
export const version: fc.Arbitrary<DataVersion> = fc.oneof(
  content.map(fileOf),
  content.map((each): DataVersion => ({ ...fileOf(each), exec: true })),
  content.map((each): DataVersion => ({ type: 'dir', hash: digestOf(each), size: 9, files: 3 })),
);

/** One image by two names. */
const MIRRORED = ['python:3.12', 'mirror.example.org/python'].map((each) => `${each}@sha256:${'1'.repeat(64)}`);

export interface RanStage {
  readonly stage: Stage;
  readonly seen: StageObservation;
  /** What it made. */
  readonly made: ReadonlyMap<RepoPath, DataVersion>;
}

/** A stage that declares something, all that it reads, and what it makes. */
export const ranStage: fc.Arbitrary<RanStage> = fc
  .record({
    file: fc.constantFrom('mlv.yaml', 'sub/mlv.yaml', 'sub/deep/mlv.yaml'),
    wdir: fc.constantFrom('', 'sub', 'other'),
    commands: fc.array(fc.string({ maxLength: 5 }), { minLength: 1, maxLength: 3 }),
    deps: fc.dictionary(name, version, { maxKeys: 3, noNullPrototype: true }),
    params: fc.array(fc.tuple(name, fc.array(fc.tuple(name, value), { maxLength: 3 })), { maxLength: 2 }),
    env: fc.array(fc.tuple(name, fc.option(content.map(digestOf))), { maxLength: 2 }),
    tools: fc.array(fc.tuple(name, content), { maxLength: 2 }),
    image: fc.constantFrom(undefined, 'python:3.12', ...MIRRORED),
    outs: fc.array(fc.tuple(name, fc.boolean(), fc.boolean(), fc.boolean(), version, fc.option(version)), {
      minLength: 1,
      maxLength: 3,
    }),
  })
  .map(({ file, wdir, commands, image, ...parts }) => {
    const outs = new Map(parts.outs.map(([path, ...rest]) => [`made/${path}`, rest] as const));
    const deps = Object.entries(parts.deps).map(([path, each]) => [`read/${path}` as RepoPath, each] as const);
    const params = new Map(parts.params.map(([path, values]) => [`${path}.yaml` as RepoPath, new Map(values)]));
    const env = new Map(parts.env);
    const tools = new Map(parts.tools);
    const stage = stageOf('train', {
      file,
      wdir,
      commands,
      ...(image !== undefined && { image }),
      deps: deps.map(([path]) => path),
      params: [...params].map(([path, values]) => ({ file: path, keys: [...values.keys()] })),
      env: [...env.keys()],
      tools: Object.fromEntries([...tools.keys()].map((each) => [each, `${each} --version`])),
      outs: [...outs].map(([path, [cache, persist, push]]) => outputOf(path, { cache, persist, push })),
    });
    const before = [...outs].map(([path, [, , , , old]]) => [path as RepoPath, old ?? 'not-checked-out'] as const);
    return {
      stage,
      seen: { deps: new Map(deps), params, env, tools, outs: new Map(before) },
      made: new Map([...outs].map(([path, [, , , made]]) => [path as RepoPath, made])),
    };
  });
