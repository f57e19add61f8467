import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Dag } from '../../src/domain/dag.ts';
import { dagOfOutputs, dagOfStages, stagesAround } from '../../src/domain/dag.ts';
import { dagDot } from '../../src/domain/dag-dot.ts';
import { dagMermaid } from '../../src/domain/dag-mermaid.ts';
import { dagText } from '../../src/domain/dag-text.ts';
import type { Stage, StageId } from '../../src/domain/pipeline.ts';
import { buildGraph } from '../../src/domain/stage-graph.ts';
import { stageOf } from '../support/stages.ts';

const SAMPLE: readonly Stage[] = [
  stageOf('prepare', { outs: ['data/clean', 'data/ids'] }),
  stageOf('features', { deps: ['data/clean'], outs: ['table'], frozen: true }),
  stageOf('train', { deps: ['table', 'data/ids'], outs: ['model'] }),
  stageOf('evaluate', { deps: ['model', 'data'], outs: [] }),
  stageOf('page', { file: 'docs/mlv.yaml', deps: ['table'], outs: ['docs/page'] }),
  stageOf('alone', { outs: ['x'] }),
];
const GRAPH = buildGraph(SAMPLE);
const STAGES = dagOfStages(GRAPH, GRAPH.order);

/** `a>b c>b`: nodes in the order they are first named. */
function dagOf(text: string): Dag {
  const edges = text.split(' ').map((edge) => edge.split('>'));
  const ids = [...new Set(edges.flat())];
  return {
    nodes: ids.map((id) => ({ id, kind: 'stage', isFrozen: false })),
    edges: edges.flatMap(([from = '', to]) => (to === undefined ? [] : [{ from, to }])),
  };
}

describe('the stages to draw', () => {
  test('are targets and all before them, before frozen ones too', () => {
    expect(stagesAround(GRAPH, ['train' as StageId])).toEqual(['prepare', 'features', 'train']);
  });

  test('have edges among themselves only, each once', () => {
    expect(dagOfStages(GRAPH, ['features', 'train', 'alone'] as StageId[])).toEqual({
      nodes: [
        { id: 'features', kind: 'stage', isFrozen: true },
        { id: 'train', kind: 'stage', isFrozen: false },
        { id: 'alone', kind: 'stage', isFrozen: false },
      ],
      edges: [{ from: 'features', to: 'train' }],
    });
  });

  test('may be drawn as outputs; a stage without any is one itself', () => {
    expect(dagOfOutputs(GRAPH, ['prepare', 'features', 'train', 'evaluate'] as StageId[])).toEqual({
      nodes: [
        { id: 'data/clean', kind: 'output', isFrozen: false },
        { id: 'data/ids', kind: 'output', isFrozen: false },
        { id: 'table', kind: 'output', isFrozen: true },
        { id: 'model', kind: 'output', isFrozen: false },
        { id: 'evaluate', kind: 'stage', isFrozen: false },
      ],
      edges: [
        { from: 'data/clean', to: 'table' },
        { from: 'data/ids', to: 'model' },
        { from: 'table', to: 'model' },
        { from: 'data/clean', to: 'evaluate' },
        { from: 'data/ids', to: 'evaluate' },
        { from: 'model', to: 'evaluate' },
      ],
    });
  });
});

describe('a graph in text', () => {
  test.each([
    ['nodes without edges', 'a b c', ['○  a', '○  b', '○  c']],
    ['a chain', 'a>b b>c', ['○  a', '●  b', '●  c']],
    ['parts that have nothing to do with each other', 'a>b c>d e', ['○  a', '●  b', '', '○  c', '●  d', '', '○  e']],
    [
      'many between two',
      'a>b1 a>b2 a>b3 a>b4 b1>c b2>c b3>c b4>c',
      ['○      a', '├─●    b1', '├─│─●  b2', '│ ├─┘', '├─│─●  b3', '│ ├─┘', '● │    b4', '├─┘', '●      c'],
    ],
    ['many before one', 'a>d b>d c>d', ['○    a', '│ ○  b', '├─┘', '│ ○  c', '├─┘', '●    d']],
    ['lanes that cross', 'a>p b>q c>p c>q', ['○      a', '│ ○    b', '│ │ ○  c', '●─│─┤  p', '  ├─┘', '  ●    q']],
    ['a lane that many join', 'a>x a>y b>y b>z', ['○    a', '├─●  x', '│ ○  b', '●─┤  y', '  ●  z']],
    ['shortcuts', 'a>b b>c a>c c>d a>d', ['○    a', '├─●  b', '├─●  c', '├─┘', '●    d']],
  ])('shows %s', (_, edges, expected) => {
    expect(dagText(dagOf(edges))).toEqual(expected);
  });

  test('names stages as on the command line, and tells which are frozen', () => {
    expect(dagText(STAGES)).toEqual([
      '○      prepare',
      '├─●    features (frozen)',
      '├─┼─●  train',
      '├─│─┘',
      '● │    evaluate',
      '  ●    docs/mlv.yaml:page',
      '',
      '○      alone',
    ]);
  });

  test('can be read back: lines lead from each node to those it leads to, and to no other', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(11), fc.nat(11)), { maxLength: 30 }), (pairs) => {
        const edges = [...new Set(pairs.filter(([a, b]) => a < b).map(([a, b]) => `n${a}>n${b}`))].sort();
        const nodes = Array.from({ length: 12 }, (_, index) => `n${index}`);
        const lines = dagText(dagOf([...nodes, ...edges].join(' ')));
        expect(readBack(lines)).toEqual(edges);
        expect(Math.max(...lines.map((line) => line.length))).toBeLessThan(80);
      }),
      { numRuns: 500 },
    );
  });

  test('with too many lanes becomes a list', () => {
    const numbers = Array.from({ length: 21 }, (_, index) => index);
    const edges = numbers.flatMap((from) => numbers.slice(0, from + 1).map((to) => `s${from}>t${to}`));
    const lines = dagText(dagOf([...numbers.map((each) => `s${each}`), ...edges].join(' ')));
    expect(lines.slice(0, 2)).toEqual(['s0', 's1']);
    expect(lines).toContain('t0 ← s0, s1, s2, 18 more');
    expect(lines).toContain('t20 ← s20');
    expect(lines).toHaveLength(42);
  });

  test('of ten thousand stages takes less than two seconds', () => {
    const edges = Array.from({ length: 10_000 }, (_, index) => `first>s${index} s${index}>last`);
    const dag = dagOf(edges.join(' '));
    const start = performance.now();
    expect(dagText(dag)[0]).toBe('○      first');
    expect(performance.now() - start).toBeLessThan(2000);
  });
});

/** The edges that lanes mean, found by following them down, character by character. */
function readBack(lines: readonly string[]): string[] {
  const edges: string[] = [];
  /** What comes down each column. */
  const flows = new Map<number, Set<string>>();
  for (const line of lines) {
    const name = /n\d+$/.exec(line)?.[0];
    const graph = line.slice(0, line.length - (name?.length ?? 0)).trimEnd();
    const cells = Array.from({ length: Math.ceil(graph.length / 2) }, (_, column) => graph[column * 2] ?? ' ');
    const columns = cells.flatMap((cell, column) => ('●○├┤┼┴└┘'.includes(cell) ? [column] : []));
    // What a line of dashes connects; a lane on the way passes under it.
    const from = columns.filter((column) => cells[column] !== '○').flatMap((column) => [...(flows.get(column) ?? [])]);
    const at = cells.findIndex((cell) => cell === '●' || cell === '○');
    if (name === undefined && columns.length > 0) flows.set(columns[0] ?? 0, new Set(from));
    if (name !== undefined) {
      if (cells[at] === '●') edges.push(...new Set(from.map((each) => `${each}>${name}`)));
      flows.set(at, new Set([name]));
    }
    for (const [column, cell] of cells.entries()) if ('┴└┘ ─'.includes(cell)) flows.delete(column);
    for (const column of flows.keys()) if (column >= cells.length) flows.delete(column);
    if (columns.length > 1) {
      const dashes = graph.slice((columns[0] ?? 0) * 2, (columns.at(-1) ?? 0) * 2 + 1);
      expect(dashes).toMatch(/^(?:.─)*.$/);
    }
  }
  return edges.sort();
}

const ODD = [
  'a"b',
  'a#b',
  '<b>',
  'a\nb',
  '`a`',
  'a\\b',
  'a_b',
  'a-b',
  'a b',
  'a__b',
  'a_2d_b',
  'end',
  '&lt;',
  'ä',
  '😀',
];
const odd: Dag = {
  nodes: ODD.map((id) => ({ id, kind: 'output', isFrozen: false })),
  edges: [{ from: 'a"b', to: 'a\nb' }],
};

describe('a graph in Mermaid', () => {
  test('has a node for each stage and a line for each edge', () => {
    expect(dagMermaid(STAGES)).toEqual([
      'flowchart TD',
      '    stage_prepare["prepare"]',
      '    stage_features["features (frozen)"]',
      '    stage_train["train"]',
      '    stage_evaluate["evaluate"]',
      '    stage_docs_2f_mlv_2e_yaml_3a_page["docs/mlv.yaml:page"]',
      '    stage_alone["alone"]',
      '    stage_prepare --> stage_features',
      '    stage_prepare --> stage_train',
      '    stage_prepare --> stage_evaluate',
      '    stage_features --> stage_train',
      '    stage_features --> stage_docs_2f_mlv_2e_yaml_3a_page',
      '    stage_train --> stage_evaluate',
    ]);
  });

  test('has names of its own for odd ids, and labels that end where they should', () => {
    const lines = dagMermaid(odd);
    const names = lines.slice(1, 1 + ODD.length).map((line) => /^ {4}(output_\w+)\("([^"\n<>`\\]+)"\)$/.exec(line));
    expect(new Set(names.map((match) => match?.[1])).size).toBe(ODD.length);
    expect(names.slice(0, 5).map((match) => match?.[2])).toEqual([
      'a#34;b',
      'a#35;b',
      '#60;b#62;',
      'a#10;b',
      '#96;a#96;',
    ]);
    expect(lines.at(-1)).toBe('    output_a_22_b --> output_a_a_b');
  });
});

describe('a graph in the language of Graphviz', () => {
  test('has a node for each stage and a line for each edge', () => {
    expect(dagDot(STAGES)).toEqual([
      'digraph {',
      '  node [shape=box]',
      '  "prepare"',
      '  "features" [style="dashed"]',
      '  "train"',
      '  "evaluate"',
      '  "docs/mlv.yaml:page"',
      '  "alone"',
      '  "prepare" -> "features"',
      '  "prepare" -> "train"',
      '  "prepare" -> "evaluate"',
      '  "features" -> "train"',
      '  "features" -> "docs/mlv.yaml:page"',
      '  "train" -> "evaluate"',
      '}',
    ]);
  });

  test('has odd ids in quotes', () => {
    const lines = dagDot(odd);
    const ids = lines
      .slice(2, 2 + ODD.length)
      .map((line) => /^ {2}("(?:[^"\\\n]|\\["\\])+") \[style="rounded"\]$/.exec(line)?.[1]);
    expect(ids.slice(0, 6)).toEqual(['"a\\"b"', '"a#b"', '"<b>"', '"a&#10;b"', '"`a`"', '"a\\\\b"']);
    expect(new Set(ids).size).toBe(ODD.length);
    expect(lines.at(-2)).toBe('  "a\\"b" -> "a&#10;b"');
  });
});
