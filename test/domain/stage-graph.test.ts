import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { MlvError } from '../../src/domain/errors.ts';
import type { Stage, StageId } from '../../src/domain/pipeline.ts';
import type { RepoPath } from '../../src/domain/repo-path.ts';
import { buildGraph, selectWithUpstream } from '../../src/domain/stage-graph.ts';
import { stageOf } from '../support/stages.ts';

const ids = (...names: string[]): StageId[] => names as StageId[];

/** What was thrown, as its code, message and items. */
function refusal(stages: readonly Stage[]): { code: string; message: string; items: readonly string[] } {
  try {
    buildGraph(stages);
  } catch (error) {
    if (error instanceof MlvError) return { code: error.code, message: error.message, items: error.items };
    throw error;
  }
  throw new Error('nothing was refused');
}

/** Stages 0 to n - 1, with an edge for each pair; the first of a pair makes what the second reads. */
function stagesOf(count: number, edges: readonly (readonly [number, number])[]): Stage[] {
  return Array.from({ length: count }, (_, index) =>
    stageOf(`s${index}`, {
      outs: [`out/${index}`],
      deps: [...new Set(edges.filter(([, to]) => to === index).map(([from]) => `out/${from}`))],
    }),
  );
}

const pairs = (count: number): fc.Arbitrary<[number, number][]> =>
  fc.array(fc.tuple(fc.nat(count - 1), fc.nat(count - 1)), { maxLength: 25 });
const COUNT = 10;
/** A graph without a cycle, its stages declared in any order. */
const acyclic = fc
  .tuple(
    pairs(COUNT),
    fc.shuffledSubarray(
      Array.from({ length: COUNT }, (_, i) => i),
      { minLength: COUNT },
    ),
  )
  .map(([edges, declared]) => {
    const forward = edges.filter(([a, b]) => a !== b).map(([a, b]) => [Math.min(a, b), Math.max(a, b)] as const);
    const stages = stagesOf(COUNT, forward);
    return declared.flatMap((index) => stages[index] ?? []);
  });

describe('a graph of stages', () => {
  test.each([
    ['is an output', 'data/clean', 'data/clean'],
    ['lies inside an output', 'data/clean/a.csv', 'data/clean'],
    ['holds an output', 'data', 'data/clean'],
    ['holds an output deep inside', 'data', 'data/clean/a/b'],
    ['is the whole project', '', 'data/clean'],
  ])('has an edge where a dependency %s', (_, dependency, output) => {
    const graph = buildGraph([stageOf('use', { deps: [dependency] }), stageOf('make', { outs: [output] })]);
    expect(graph.order).toEqual(['make', 'use']);
    expect(graph.upstream(ids('use')[0] as StageId)).toEqual(['make']);
    expect(graph.downstream(ids('make')[0] as StageId)).toEqual(['use']);
    expect(graph.links('use' as StageId)).toEqual([{ from: 'make', output, to: 'use', dependency }]);
  });

  test('has an edge where a file with parameters is an output', () => {
    const use = stageOf('use', { params: [{ file: 'tuned.yaml' as RepoPath }] });
    expect(buildGraph([use, stageOf('tune', { outs: ['tuned.yaml'] })]).order).toEqual(['tune', 'use']);
  });

  test('has none where names only begin alike', () => {
    const graph = buildGraph([
      stageOf('use', { deps: ['data', 'x/a.b'] }),
      stageOf('make', { outs: ['data-2', 'data.csv', 'dat', 'x/a', 'x/a.b.c'] }),
    ]);
    expect(graph.order).toEqual(['use', 'make']);
    expect(graph.upstream('use' as StageId)).toEqual([]);
  });

  test('keeps the order of declaration where it is free', () => {
    const stages = ['z', 'a', 'm'].map((name) => stageOf(name, { outs: [name] }));
    expect(buildGraph([...stages, stageOf('0', { deps: ['m', 'z'] })]).order).toEqual(['z', 'a', 'm', '0']);
  });

  test('knows who makes a path', () => {
    const graph = buildGraph([stageOf('make', { outs: ['data/clean'] })]);
    const maker = (path: string): string | undefined => graph.producerOf(path as RepoPath)?.id;
    expect(['data/clean', 'data/clean/a/b', 'data', 'data/cleaner', ''].map(maker)).toEqual([
      'make',
      'make',
      undefined,
      undefined,
      undefined,
    ]);
  });

  test('refuses a cycle and draws it, with the paths that make it', () => {
    const stages = [
      stageOf('other', { outs: ['x'] }),
      stageOf('a', { deps: ['c.out', 'x'], outs: ['a.out'] }),
      stageOf('b', { deps: ['a.out/part'], outs: ['b/out'] }),
      stageOf('c', { deps: ['b'], outs: ['c.out'] }),
    ];
    const expected = {
      code: 'pipeline-cycle',
      message: 'stages wait for each other: a → b → c → a',
      items: [
        'a makes a.out, b depends on a.out/part',
        'b makes b/out, c depends on b',
        'c makes c.out, a depends on c.out',
      ],
    };
    expect(refusal(stages)).toEqual(expected);
  });

  test('draws of a long cycle the beginning', () => {
    const stages = stagesOf(
      500,
      Array.from({ length: 500 }, (_, index) => [index, (index + 1) % 500] as const),
    );
    const { message, items } = refusal(stages);
    expect(message).toBe('stages wait for each other: s0 → s1 → s2 → s3 → s4 → s5 → s6 → s7 → s8 → … → s0');
    expect(items).toHaveLength(500);
  });

  test('refuses two stages that make one path', () => {
    const stages = [
      stageOf('a', { outs: ['m'], line: 3 }),
      stageOf('b', { outs: ['m'], line: 9, file: 'sub/mlv.yaml' }),
    ];
    expect(refusal(stages)).toEqual({
      code: 'output-twice',
      message: 'two stages make m: a (mlv.yaml:3) and sub/mlv.yaml:b (sub/mlv.yaml:9)',
      items: [],
    });
  });

  test.each([
    ['of another stage', [stageOf('a', { outs: ['m'], line: 3 }), stageOf('b', { outs: ['m/x/y'], line: 9 })], 'b', 9],
    [
      'of another stage, told before',
      [stageOf('b', { outs: ['m/x/y'], line: 9 }), stageOf('a', { outs: ['m'], line: 3 })],
      'b',
      9,
    ],
    ['of the same stage', [stageOf('a', { outs: ['m', 'm/x/y'], line: 3 })], 'a', 3],
  ])('refuses an output inside an output %s', (_, stages, name, line) => {
    expect(refusal(stages)).toEqual({
      code: 'output-inside-output',
      message: `an output lies inside another one: m/x/y of ${name} (mlv.yaml:${line}) inside m of a (mlv.yaml:3)`,
      items: [],
    });
  });

  test.each([
    ['m', 'm', 'both depends on m and makes it'],
    ['m/x', 'm', 'depends on m/x and makes m, and one lies inside the other'],
    ['m', 'm/x', 'depends on m and makes m/x, and one lies inside the other'],
    ['', 'm', 'depends on the whole project and makes m, and one lies inside the other'],
  ])('refuses a stage that depends on %j and makes %j', (dependency, output, what) => {
    expect(refusal([stageOf('a', { deps: [dependency], outs: [output], line: 7 })])).toEqual({
      code: 'stage-depends-on-itself',
      message: `mlv.yaml:7: stage a ${what}: it would be out of date whenever it has run`,
      items: [],
    });
  });

  test('has each stage after those that it reads from, whatever the order of declaration', () => {
    fc.assert(
      fc.property(acyclic, (stages) => {
        const graph = buildGraph(stages);
        expect([...graph.order].sort()).toEqual(stages.map(({ id }) => id).sort());
        for (const [index, id] of graph.order.entries())
          for (const from of graph.upstream(id)) expect(graph.order.indexOf(from)).toBeLessThan(index);
      }),
    );
  });

  test('has upstream and downstream as two views of the same edges', () => {
    fc.assert(
      fc.property(acyclic, (stages) => {
        const { order, upstream, downstream } = buildGraph(stages);
        const up = order.flatMap((to) => upstream(to).map((from) => `${from} ${to}`));
        const down = order.flatMap((from) => downstream(from).map((to) => `${from} ${to}`));
        const declared = stages.flatMap(({ id, deps }) => deps.map((path) => `${path.replace('out/', 's')} ${id}`));
        expect([up.sort(), down.sort()]).toEqual([declared.sort(), declared.sort()]);
      }),
    );
  });

  test('finds a cycle if and only if there is one', () => {
    fc.assert(
      fc.property(pairs(6), (edges) => {
        const others = edges.filter(([a, b]) => a !== b);
        // Reachability by repeated squaring, which has nothing in common with a walk.
        const reach = Array.from({ length: 6 }, (_, a) =>
          Array.from({ length: 6 }, (__, b) => others.some(([x, y]) => x === a && y === b)),
        );
        for (let k = 0; k < 6; k++)
          for (const row of reach) if (row[k] === true) for (let b = 0; b < 6; b++) row[b] ||= reach[k]?.[b] === true;
        const isCyclic = reach.some((row, index) => row[index]);
        if (isCyclic) expect(refusal(stagesOf(6, others)).code).toBe('pipeline-cycle');
        else expect(buildGraph(stagesOf(6, others)).order).toHaveLength(6);
      }),
    );
  });

  test('of ten thousand stages in a chain, each with a folder of its own, takes less than two seconds', () => {
    const stages = Array.from({ length: 10_000 }, (_, index) =>
      stageOf(`s${index}`, {
        deps: [`code/${index}.py`, `data/${index}`, `data/${index}/x`],
        outs: [`data/${index + 1}/x`, `metrics/${index}.json`],
      }),
    ).toReversed();
    const start = performance.now();
    const graph = buildGraph(stages);
    expect(selectWithUpstream(graph, ids('s9999'))).toHaveLength(10_000);
    expect(performance.now() - start).toBeLessThan(2000);
    expect(graph.order[0]).toBe('s0');
  });
});

describe('the stages that a run looks at', () => {
  // prepare → features → train → evaluate, prepare → report, alone
  const chain = (frozen: readonly string[] = []): Stage[] =>
    [
      stageOf('evaluate', { deps: ['model'], outs: ['score'] }),
      stageOf('prepare', { outs: ['data'] }),
      stageOf('report', { deps: ['data'], outs: ['page'] }),
      stageOf('features', { deps: ['data'], outs: ['table'] }),
      stageOf('train', { deps: ['table'], outs: ['model'] }),
      stageOf('alone', { outs: ['x'] }),
    ].map((stage) => ({ ...stage, frozen: frozen.includes(stage.name) }));

  test.each([
    ['a target and all before it', [], ['train'], {}, ['prepare', 'features', 'train']],
    ['several targets, each stage once', [], ['report', 'train'], {}, ['prepare', 'features', 'train', 'report']],
    ['targets alone with single, in order', [], ['train', 'prepare'], { single: true }, ['prepare', 'train']],
    ['a target and all after it', [], ['features'], { downstream: true }, ['features', 'train', 'evaluate']],
    ['nothing before a frozen stage for its sake', ['features'], ['evaluate'], {}, ['features', 'train', 'evaluate']],
    [
      'what is before a frozen stage for the sake of others',
      ['features'],
      ['evaluate', 'report'],
      {},
      ['prepare', 'features', 'train', 'evaluate', 'report'],
    ],
    ['nothing behind a frozen stage', ['features'], ['prepare'], { downstream: true }, ['prepare', 'report']],
    ['all after a frozen target', ['features'], ['features'], { downstream: true }, ['features', 'train', 'evaluate']],
  ])('are %s', (_, frozen, targets, options, expected) => {
    expect(selectWithUpstream(buildGraph(chain(frozen)), ids(...targets), options)).toEqual(expected);
  });

  test('are of one if they are of the other, seen from the other end', () => {
    fc.assert(
      fc.property(acyclic, (stages) => {
        const graph = buildGraph(stages);
        for (const a of graph.order) {
          for (const b of selectWithUpstream(graph, [a]))
            expect(selectWithUpstream(graph, [b], { downstream: true })).toContain(a);
        }
      }),
    );
  });
});
