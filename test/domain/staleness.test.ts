import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type {
  DataVersion,
  LockedStage,
  ParamValue,
  Stage,
  StageId,
  StageObservation,
} from '../../src/domain/pipeline.ts';
import type { RepoPath } from '../../src/domain/repo-path.ts';
import type { StageGraph } from '../../src/domain/stage-graph.ts';
import { buildGraph, selectWithUpstream } from '../../src/domain/stage-graph.ts';
import type { StaleReason } from '../../src/domain/staleness.ts';
import { decide, lockedStage } from '../../src/domain/staleness.ts';
import { byPath, fileOf, outputOf, ranStage, seenOf, stageOf } from '../support/stages.ts';
import { digestOf } from '../support/trees.ts';

const params = (values: Readonly<Record<string, ParamValue>>): StageObservation['params'] =>
  byPath({ 'params.yaml': new Map(Object.entries(values)) });

const STAGE = stageOf('train', {
  deps: ['data', 'train.py'],
  params: [{ file: 'params.yaml' as RepoPath, keys: ['lr', 'net'] }],
  env: ['SEED'],
  tools: { python: 'python --version' },
  image: 'python:3.12',
  outs: ['model', outputOf('state', { persist: true }), outputOf('score.json', { cache: false })],
});
const SEEN = seenOf({
  deps: byPath({ data: { type: 'dir', hash: digestOf('d'), size: 9, files: 2 }, 'train.py': fileOf('code') }),
  params: params({ lr: 0.1, net: { depth: 3, width: 8 } }),
  env: new Map([['SEED', digestOf('7')]]),
  tools: new Map([['python', 'Python 3.12.1']]),
});
const MADE = byPath({ model: fileOf('m'), state: fileOf('s'), 'score.json': fileOf('{}') });
const LOCKED = lockedStage(STAGE, SEEN, MADE);
const AFTER: StageObservation = { ...SEEN, outs: MADE };

interface Case {
  readonly stage?: Partial<Stage>;
  readonly locked?: Partial<LockedStage>;
  readonly seen?: Partial<StageObservation>;
}

function reasonsOf({ stage, locked, seen }: Case): readonly StaleReason[] {
  const decision = decide({
    stage: { ...STAGE, ...stage },
    locked: { ...LOCKED, ...locked },
    seen: { ...AFTER, ...seen },
    isForced: false,
  });
  return decision.type === 'stale' ? decision.reasons : [];
}

const withDep = (path: string, version: DataVersion | undefined): StageObservation['deps'] =>
  new Map([...SEEN.deps, [path as RepoPath, version]]);
const withOut = (path: string, state: 'deleted' | 'not-checked-out' | DataVersion): StageObservation['outs'] =>
  new Map([...MADE, [path as RepoPath, state]]);

/** Each alone, with all that it says. */
const TABLE: readonly (readonly [string, Case, readonly StaleReason[]])[] = [
  ['nothing', {}, []],
  ['another command', { stage: { commands: ['b'] } }, [{ type: 'command', from: ['run train'], to: ['b'] }]],
  [
    'commands split otherwise',
    { stage: { commands: ['a', 'b'] }, locked: { commands: ['a\nb'] } },
    [{ type: 'command', from: ['a\nb'], to: ['a', 'b'] }],
  ],
  [
    'another working folder',
    { stage: { wdir: 'sub' as RepoPath } },
    [{ type: 'wdir', from: '' as RepoPath, to: 'sub' as RepoPath }],
  ],
  [
    'another content of a dependency',
    { seen: { deps: withDep('train.py', fileOf('new')) } },
    [{ type: 'dependency-changed', path: 'train.py' as RepoPath, from: fileOf('code'), to: fileOf('new') }],
  ],
  [
    'another mode of a dependency',
    { seen: { deps: withDep('train.py', { ...fileOf('code'), exec: true }) } },
    [
      {
        type: 'dependency-changed',
        path: 'train.py' as RepoPath,
        from: fileOf('code'),
        to: { ...fileOf('code'), exec: true },
      },
    ],
  ],
  [
    'a folder in place of a file',
    { seen: { deps: withDep('train.py', { ...fileOf('code'), type: 'dir', files: 0 }) } },
    [
      {
        type: 'dependency-changed',
        path: 'train.py' as RepoPath,
        from: fileOf('code'),
        to: { ...fileOf('code'), type: 'dir', files: 0 },
      },
    ],
  ],
  [
    'one more dependency',
    { stage: { deps: [...STAGE.deps, 'x' as RepoPath] }, seen: { deps: withDep('x', fileOf('x')) } },
    [{ type: 'dependency-added', path: 'x' as RepoPath, to: fileOf('x') }],
  ],
  [
    'one dependency less',
    { stage: { deps: ['data' as RepoPath] } },
    [{ type: 'dependency-removed', path: 'train.py' as RepoPath, from: fileOf('code') }],
  ],
  [
    'a dependency that is gone',
    { seen: { deps: withDep('train.py', undefined) } },
    [{ type: 'dependency-missing', path: 'train.py' as RepoPath }],
  ],
  ['another number', { seen: { params: params({ lr: 0.2, net: { depth: 3, width: 8 } }) } }, [param('lr', 0.1, 0.2)]],
  [
    'the same digits as text',
    { seen: { params: params({ lr: '0.1', net: { depth: 3, width: 8 } }) } },
    [param('lr', 0.1, '0.1')],
  ],
  [
    'a parameter that is gone',
    { seen: { params: params({ net: { depth: 3, width: 8 } }) } },
    [param('lr', 0.1, undefined)],
  ],
  [
    'a parameter that is new, though null',
    { seen: { params: params({ lr: 0.1, net: { depth: 3, width: 8 }, on: null }) } },
    [param('on', undefined, null)],
  ],
  [
    'values inside a map',
    { seen: { params: params({ lr: 0.1, net: { width: 9, drop: 0.5 } }) } },
    [param('net.depth', 3, undefined), param('net.drop', undefined, 0.5), param('net.width', 8, 9)],
  ],
  ['maps in another order', { seen: { params: params({ net: { width: 8, depth: 3 }, lr: 0.1 }) } }, []],
  [
    'a list in another order',
    { locked: { params: params({ a: [1, 2] }) }, seen: { params: params({ a: [2, 1] }) } },
    [param('a', [1, 2], [2, 1])],
  ],
  [
    'a value of a whole file',
    {
      locked: { params: params({ '': { a: { b: 1 }, c: 2 } }) },
      seen: { params: params({ '': { a: { b: 3 }, c: 2 } }) },
    },
    [param('a.b', 1, 3)],
  ],
  [
    'a number that JSON lacks',
    { locked: { params: params({ a: null }) }, seen: { params: params({ a: Infinity }) } },
    [param('a', null, Infinity)],
  ],
  [
    'a variable with another value',
    { seen: { env: new Map([['SEED', digestOf('8')]]) } },
    [{ type: 'environment', name: 'SEED', change: 'changed' }],
  ],
  [
    'a variable that is no longer set',
    { seen: { env: new Map([['SEED', null]]) } },
    [{ type: 'environment', name: 'SEED', change: 'changed' }],
  ],
  [
    'a variable that is newly declared, though not set',
    { seen: { env: new Map([['A', null], ...SEEN.env]) } },
    [{ type: 'environment', name: 'A', change: 'added' }],
  ],
  [
    'a variable that is no longer declared',
    { seen: { env: new Map() } },
    [{ type: 'environment', name: 'SEED', change: 'removed' }],
  ],
  [
    'another version of a tool',
    { seen: { tools: new Map([['python', 'Python 3.13.0']]) } },
    [{ type: 'tool', name: 'python', from: 'Python 3.12.1', to: 'Python 3.13.0' }],
  ],
  [
    'another tool',
    { seen: { tools: new Map([['node', '20']]) } },
    [
      { type: 'tool', name: 'node', from: undefined, to: '20' },
      { type: 'tool', name: 'python', from: 'Python 3.12.1', to: undefined },
    ],
  ],
  ['another image', { stage: { image: 'python:3.13' } }, [{ type: 'image', from: 'python:3.12', to: 'python:3.13' }]],
  [
    'an image named by its digest',
    { stage: { image: `python:3.12@sha256:${'1'.repeat(64)}` } },
    [{ type: 'image', from: 'python:3.12', to: `python:3.12@sha256:${'1'.repeat(64)}` }],
  ],
  [
    'outputs declared otherwise',
    { stage: { outs: [outputOf('extra'), outputOf('model', { persist: true }), outputOf('score.json')] } },
    [
      {
        type: 'outputs-declared',
        added: ['extra' as RepoPath],
        removed: ['state' as RepoPath],
        changedOptions: ['model' as RepoPath, 'score.json' as RepoPath],
      },
    ],
  ],
  [
    'what becomes of outputs afterwards',
    { stage: { outs: STAGE.outs.map((out) => ({ ...out, kind: 'plot', push: false, remote: 'r', labels: ['x'] })) } },
    [],
  ],
  ['outputs that were never checked out', { seen: { outs: new Map() } }, []],
  ['an output that was never checked out', { seen: { outs: withOut('model', 'not-checked-out') } }, []],
  [
    'an output that was changed by hand',
    { seen: { outs: withOut('model', fileOf('mine')) } },
    [{ type: 'output-changed', path: 'model' as RepoPath, from: fileOf('m'), to: fileOf('mine') }],
  ],
  [
    'several things, in order',
    {
      stage: { commands: ['b'], wdir: 'sub' as RepoPath, image: 'i', outs: [outputOf('model')] },
      seen: {
        deps: withDep('data', undefined),
        params: params({ lr: 1, net: { depth: 3, width: 8 } }),
        env: new Map(),
        tools: new Map(),
        outs: withOut('model', 'deleted'),
      },
    },
    [
      { type: 'command', from: ['run train'], to: ['b'] },
      { type: 'wdir', from: '' as RepoPath, to: 'sub' as RepoPath },
      { type: 'dependency-missing', path: 'data' as RepoPath },
      param('lr', 0.1, 1),
      { type: 'environment', name: 'SEED', change: 'removed' },
      { type: 'tool', name: 'python', from: 'Python 3.12.1', to: undefined },
      { type: 'image', from: 'python:3.12', to: 'i' },
      {
        type: 'outputs-declared',
        added: [],
        removed: ['score.json' as RepoPath, 'state' as RepoPath],
        changedOptions: [],
      },
      { type: 'output-deleted', path: 'model' as RepoPath },
    ],
  ],
];

function param(key: string, from: ParamValue | undefined, to: ParamValue | undefined): StaleReason {
  return { type: 'parameter', file: 'params.yaml' as RepoPath, key, from, to };
}

describe('a stage', () => {
  test.each(TABLE)('with %s is stale for that reason, and no other', (_, given, expected) => {
    expect(reasonsOf(given)).toEqual(expected);
  });

  test('that never ran is stale for that', () => {
    expect(decide({ stage: STAGE, locked: undefined, seen: SEEN, isForced: false })).toEqual({
      type: 'stale',
      reasons: [{ type: 'never-run' }],
      isRestorable: true,
    });
  });

  test('that never ran, and cannot, says so', () => {
    const seen = { ...SEEN, deps: withDep('data', undefined) };
    expect(decide({ stage: STAGE, locked: undefined, seen, isForced: false })).toEqual({
      type: 'stale',
      reasons: [{ type: 'never-run' }, { type: 'dependency-missing', path: 'data' }],
      isRestorable: false,
    });
  });

  test('that is frozen is frozen, whatever else', () => {
    const frozen = { ...STAGE, frozen: true, alwaysChanged: true };
    for (const locked of [undefined, LOCKED])
      expect(decide({ stage: frozen, locked, seen: seenOf(), isForced: true })).toEqual({ type: 'frozen' });
  });

  test('whose outputs were deleted, or are of another version, and nothing else, is told apart', () => {
    const seen = {
      ...AFTER,
      outs: new Map([...withOut('model', 'deleted'), ['state' as RepoPath, 'out-of-date' as const]]),
    };
    expect(decide({ stage: STAGE, locked: LOCKED, seen, isForced: false })).toEqual({
      type: 'outputs-missing',
      reasons: [
        { type: 'output-deleted', path: 'model' },
        { type: 'output-out-of-date', path: 'state' },
      ],
    });
  });

  test.each([
    ['forced', STAGE, true, [{ type: 'forced' }]],
    ['always changed', { ...STAGE, alwaysChanged: true }, false, [{ type: 'always-changed' }]],
    ['both', { ...STAGE, alwaysChanged: true }, true, [{ type: 'forced' }, { type: 'always-changed' }]],
  ])('that is %s runs, with no result from elsewhere', (_, stage, isForced, reasons) => {
    expect(decide({ stage, locked: LOCKED, seen: AFTER, isForced })).toEqual({
      type: 'stale',
      reasons,
      isRestorable: false,
    });
  });

  test('that is forced and has another reason tells both', () => {
    const seen = { ...AFTER, outs: withOut('model', 'deleted') };
    expect(decide({ stage: STAGE, locked: LOCKED, seen, isForced: true })).toEqual({
      type: 'stale',
      reasons: [{ type: 'forced' }, { type: 'output-deleted', path: 'model' }],
      isRestorable: false,
    });
  });

  test('that declares nothing runs each time', () => {
    const stage = stageOf('hello');
    const locked = lockedStage(stage, seenOf(), new Map());
    expect(decide({ stage, locked, seen: seenOf(), isForced: false })).toEqual({
      type: 'stale',
      reasons: [{ type: 'nothing-declared' }],
      isRestorable: false,
    });
  });

  test('may be answered from the run cache, with persist outputs too', () => {
    const decision = decide({ stage: { ...STAGE, commands: ['b'] }, locked: LOCKED, seen: AFTER, isForced: false });
    expect(decision).toEqual(expect.objectContaining({ type: 'stale', isRestorable: true }));
  });

  test('is up to date right after it ran', () => {
    fc.assert(
      fc.property(ranStage, ({ stage, seen, made }) => {
        const locked = lockedStage(stage, seen, made);
        expect(decide({ stage, locked, seen: { ...seen, outs: made }, isForced: false })).toEqual({
          type: 'up-to-date',
        });
        expect(decide({ stage, locked, seen: { ...seen, outs: new Map() }, isForced: false })).toEqual({
          type: 'up-to-date',
        });
      }),
    );
  });
});

describe('what is recorded of a stage', () => {
  test('is what it used, and what it made, kept as declared', () => {
    const outs = STAGE.outs.map((out) => (out.path === 'model' ? { ...out, push: false, remote: 'r' } : out));
    expect(lockedStage({ ...STAGE, outs }, SEEN, MADE)).toEqual({
      commands: ['run train'],
      wdir: '',
      deps: SEEN.deps,
      params: SEEN.params,
      env: SEEN.env,
      tools: SEEN.tools,
      image: 'python:3.12',
      outs: byPath({
        model: { ...fileOf('m'), cache: true, persist: false, push: false, remote: 'r' },
        'score.json': { ...fileOf('{}'), cache: false, persist: false, push: true },
        state: { ...fileOf('s'), cache: true, persist: true, push: true },
      }),
    });
  });

  test('is whole', () => {
    expect(() => lockedStage(STAGE, SEEN, byPath({ model: fileOf('m') }))).toThrow('without a version of score.json');
    expect(() => lockedStage(STAGE, seenOf(), MADE)).toThrow('without a version of data');
  });
});

/** A project whose stages make of their inputs what a hash makes of them; `rounded` ones forget the difference. */
interface World {
  readonly graph: StageGraph;
  readonly files: Map<RepoPath, string>;
  readonly locks: Map<StageId, LockedStage>;
}

/** Runs what is stale; returns that. */
function repro({ graph, files, locks }: World, rounded: ReadonlySet<string> = new Set()): StageId[] {
  return graph.order.filter((id) => {
    const stage = graph.stage(id);
    const at = (paths: readonly RepoPath[]): [RepoPath, DataVersion | undefined][] =>
      paths.map((path) => [path, files.has(path) ? fileOf(files.get(path) ?? '') : undefined]);
    const outs = at(stage.outs.map(({ path }) => path)).map(
      ([path, found]) => [path, found ?? 'not-checked-out'] as const,
    );
    const seen = seenOf({ deps: new Map(at(stage.deps)), outs: new Map(outs) });
    if (decide({ stage, locked: locks.get(id), seen, isForced: false }).type === 'up-to-date') return false;
    const input = rounded.has(id) ? id : stage.deps.map((path) => files.get(path)).join();
    for (const { path } of stage.outs) files.set(path, digestOf(path + input));
    locks.set(
      id,
      lockedStage(stage, seen, new Map(at(stage.outs.map(({ path }) => path)) as [RepoPath, DataVersion][])),
    );
    return true;
  });
}

describe('a pipeline', () => {
  const STAGES = 8;
  const edges = fc.array(fc.tuple(fc.nat(STAGES - 1), fc.nat(STAGES - 1)), { maxLength: 20 });
  const world = (pairs: readonly (readonly [number, number])[]): World => {
    const stages = Array.from({ length: STAGES }, (_, index) =>
      stageOf(`s${index}`, {
        deps: [`in/${index}`, ...new Set(pairs.filter(([a, b]) => a < b && b === index).map(([a]) => `out/${a}`))],
        outs: [`out/${index}`],
      }),
    );
    const files = new Map(stages.map((_, index) => [`in/${index}` as RepoPath, 'old']));
    return { graph: buildGraph(stages), files, locks: new Map() };
  };

  test('runs whole the first time, and not at all the second', () => {
    fc.assert(
      fc.property(edges, (pairs) => {
        const made = world(pairs);
        expect(repro(made)).toEqual(made.graph.order);
        expect(repro(made)).toEqual([]);
      }),
    );
  });

  test('runs, after a change of one input, exactly what depends on it', () => {
    fc.assert(
      fc.property(edges, fc.nat(STAGES - 1), (pairs, changed) => {
        const made = world(pairs);
        repro(made);
        made.files.set(`in/${changed}` as RepoPath, 'new');
        const after = selectWithUpstream(made.graph, [`s${changed}` as StageId], { downstream: true });
        expect(repro(made)).toEqual(after);
        expect(repro(made)).toEqual([]);
      }),
    );
  });

  test('stops where a stage makes the same bytes again', () => {
    const made = world([
      [0, 1],
      [1, 2],
      [2, 3],
    ]);
    const rounded = new Set(['s1']);
    repro(made, rounded);
    made.files.set('in/0' as RepoPath, 'new');
    expect(repro(made, rounded)).toEqual(['s0', 's1']);
  });
});
