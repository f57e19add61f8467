/**
 * Random graphs, run for real: `cat` of what a stage reads, with its own name. Compared with what running from nothing would give, and
 * with a simulation of which stages have to run.
 */
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { MlvRig } from '../support/mlv.ts';
import { makeMlvRig } from '../support/mlv.ts';
import { makePipeline, noting } from '../support/pipeline.ts';
import type { Stages, TestPipeline } from '../support/pipeline.ts';

const RUNS = Number(process.env['MLV_REPRO_ROUNDS'] ?? 6);
const SEED = process.env['MLV_REPRO_SEED'];
const SETTINGS = { numRuns: RUNS, ...(SEED !== undefined && { seed: Number(SEED) }), interruptAfterTimeLimit: 600_000 };
const TIMEOUT_MS = 120_000 + RUNS * 15_000;

let rig: MlvRig;
let count = 0;

beforeAll(() => void (rig = makeMlvRig()));
afterAll(() => rig.dispose());

/** A stage of the graph: it reads sources and outputs of stages before it, and makes a file or a folder. */
interface Node {
  readonly sources: readonly number[];
  readonly before: readonly number[];
  readonly isFolder: boolean;
  /** Makes the same whatever the second half of its sources says: a change stops there. */
  readonly isDull: boolean;
}

const SOURCES = 3;

const graph: fc.Arbitrary<readonly Node[]> = fc
  .array(
    fc.record({
      sources: fc.uniqueArray(fc.nat({ max: SOURCES - 1 }), { maxLength: 2 }),
      before: fc.uniqueArray(fc.nat({ max: 20 }), { maxLength: 2 }),
      isFolder: fc.boolean(),
      isDull: fc.nat({ max: 4 }).map((number) => number === 0),
    }),
    { minLength: 1, maxLength: 6 },
  )
  .map((nodes) =>
    nodes.map(({ sources, before, ...rest }, index) => {
      const earlier = index === 0 ? [] : [...new Set(before.map((number) => number % index))].sort((a, b) => a - b);
      return { ...rest, before: earlier, sources: sources.length + earlier.length === 0 ? [0] : sources };
    }),
  );

const source = (index: number): string => `source-${index}`;
const out = (index: number): string => `out-${index}`;
const stage = (index: number): string => `s${index}`;
const fileOf = (nodes: readonly Node[], index: number): string =>
  nodes[index]?.isFolder ? `${out(index)}/deep/x` : out(index);

function stagesOf(nodes: readonly Node[], version = ''): Stages {
  return Object.fromEntries(
    nodes.map(({ sources, before, isFolder, isDull }, index) => {
      const inputs = [...sources.map(source), ...before.map((other) => fileOf(nodes, other))];
      const made = fileOf(nodes, index);
      const write = isDull
        ? `cat ${inputs.join(' ')} > /dev/null && echo ${stage(index)}${version} > ${made}`
        : `{ echo ${stage(index)}${version}; cat ${inputs.join(' ')}; } > ${made}`;
      return [
        stage(index),
        {
          cmd: noting(stage(index), `${isFolder ? `mkdir -p ${out(index)}/deep && ` : ''}${write}`),
          // As a whole, not by file.
          deps: [...sources.map(source), ...before.map(out)],
          outs: [out(index)],
        },
      ];
    }),
  );
}

/** What running from nothing gives. */
function expected(nodes: readonly Node[], sources: readonly string[], version = ''): string[] {
  const made: string[] = [];
  for (const [index, node] of nodes.entries()) {
    const own = `${stage(index)}${version}\n`;
    const read = [...node.sources.map((each) => sources[each] ?? ''), ...node.before.map((each) => made[each] ?? '')];
    made.push(node.isDull ? own : own + read.join(''));
  }
  return made;
}

/** The stages that read something that differs. */
function stale(nodes: readonly Node[], old: readonly string[], now: readonly string[]): string[] {
  const [before, after] = [expected(nodes, old), expected(nodes, now)];
  return nodes.flatMap((node, index) =>
    node.sources.some((each) => old[each] !== now[each]) || node.before.some((each) => before[each] !== after[each])
      ? [stage(index)]
      : [],
  );
}

const outputsOf = (p: TestPipeline, nodes: readonly Node[]): (string | undefined)[] =>
  nodes.map((_, index) => p.read(fileOf(nodes, index)));

async function project(nodes: readonly Node[], sources: readonly string[]): Promise<TestPipeline> {
  const p = await makePipeline(rig, `project-${count++}`, stagesOf(nodes));
  p.write(filesOf(sources));
  return p;
}

function filesOf(sources: readonly string[]): Record<string, string> {
  return Object.fromEntries(sources.map((text, index) => [source(index), text]));
}

function discard(p: TestPipeline): void {
  rmSync(p.root, { recursive: true });
}

const FIRST = Array.from({ length: SOURCES }, (_, index) => `first ${index}\n`);

test(
  'a second run runs nothing; after a change of one input just its stale descendants run',
  async () => {
    await fc.assert(
      fc.asyncProperty(graph, fc.nat({ max: SOURCES - 1 }), fc.constantFrom('1', '3'), async (nodes, changed, jobs) => {
        const p = await project(nodes, FIRST);
        await p.repro('-j', jobs);
        expect(p.ran().sort()).toEqual(nodes.map((_, index) => stage(index)));
        expect(outputsOf(p, nodes)).toEqual(expected(nodes, FIRST));
        const lock = p.read('mlv.lock');
        expect(new Set(Object.values(await p.repro('-j', jobs)))).toEqual(new Set(['up-to-date']));
        expect([p.ran(), p.read('mlv.lock')]).toEqual([[], lock]);

        const now = FIRST.with(changed, 'second\n');
        p.write(filesOf(now));
        const planned = await p.plan();
        await p.repro('-j', jobs);
        const ran = p.ran();
        expect([...ran].sort()).toEqual(stale(nodes, FIRST, now));
        // What the plan was sure of came true.
        for (const [name, action] of Object.entries(planned)) {
          if (action === 'run') expect(ran).toContain(name);
          else if (action !== 'depends') expect(ran).not.toContain(name);
        }
        expect(outputsOf(p, nodes)).toEqual(expected(nodes, now));

        p.write(filesOf(FIRST));
        await p.repro('-j', jobs);
        expect([p.ran(), outputsOf(p, nodes), p.read('mlv.lock')]).toEqual([[], expected(nodes, FIRST), lock]);
        discard(p);
      }),
      SETTINGS,
    );
  },
  TIMEOUT_MS,
);

type Step =
  | { readonly type: 'edit'; readonly source: number; readonly text: string }
  | { readonly type: 'delete' | 'spoil'; readonly node: number }
  | { readonly type: 'command'; readonly version: string }
  | { readonly type: 'commit' | 'forget' | 'unlock' }
  | { readonly type: 'switch'; readonly branch: string }
  | { readonly type: 'part'; readonly node: number }
  | { readonly type: 'repro'; readonly options: readonly string[] };

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({
    type: fc.constant('edit' as const),
    source: fc.nat({ max: SOURCES - 1 }),
    text: fc.constantFrom('a\n', 'b\n', 'c\n'),
  }),
  fc.record({ type: fc.constantFrom('delete' as const, 'spoil' as const), node: fc.nat({ max: 5 }) }),
  fc.record({ type: fc.constant('command' as const), version: fc.constantFrom('', '-two') }),
  fc.record({ type: fc.constantFrom('commit' as const, 'forget' as const, 'unlock' as const) }),
  fc.record({ type: fc.constant('switch' as const), branch: fc.constantFrom('main', 'side', 'other') }),
  fc.record({ type: fc.constant('part' as const), node: fc.nat({ max: 5 }) }),
  fc.record({
    type: fc.constant('repro' as const),
    options: fc.constantFrom([], ['-j', '3'], ['--no-run-cache'], ['-f']),
  }),
);

const LAST: Step = { type: 'repro', options: [] };

/** One that a person could take; what is in the way of Git is committed first. */
async function take(p: TestPipeline, nodes: readonly Node[], given: Step): Promise<void> {
  const node = 'node' in given ? given.node % nodes.length : 0;
  const made = join(p.root, out(node));
  if (given.type === 'edit') p.write({ [source(given.source)]: given.text });
  else if (given.type === 'delete') rmSync(made, { recursive: true, force: true });
  else if (given.type === 'spoil') {
    if (nodes[node]?.isFolder) mkdirSync(join(made, 'deep'), { recursive: true });
    rmSync(join(p.root, fileOf(nodes, node)), { force: true });
    p.write({ [fileOf(nodes, node)]: `by hand ${count++}\n` });
  } else if (given.type === 'command') p.stages(stagesOf(nodes, given.version));
  else if (given.type === 'unlock') rmSync(join(p.root, 'mlv.lock'), { force: true });
  else if (given.type === 'forget') await p.mlv(['run-cache', 'forget', '--yes']);
  else if (given.type === 'part') await p.mlv(['repro', stage(node)]);
  else if (given.type === 'repro') await p.repro(...given.options);
  else {
    // Outputs that were written before any stage ran are not ignored yet, and must not get into Git.
    p.git('add', '--all', '--', '.', ':!out-*');
    p.git('commit', '--quiet', '--allow-empty', '-m', 'step');
    if (given.type === 'switch') {
      const isThere = p.git('branch', '--list', given.branch) !== '';
      p.git('switch', '--quiet', ...(isThere ? [] : ['-c']), given.branch);
    }
  }
}

/** Sources and commands as they are now. */
function situation(p: TestPipeline): { sources: string[]; version: string } {
  const sources = FIRST.map((_, index) => p.read(source(index)) ?? '');
  return { sources, version: p.read('mlv.yaml')?.includes('-two') ? '-two' : '' };
}

test(
  'whatever was edited, deleted, switched or run between, the outputs are what running from nothing gives',
  async () => {
    await fc.assert(
      fc.asyncProperty(graph, fc.array(step, { minLength: 3, maxLength: 10 }), async (nodes, steps) => {
        const p = await project(nodes, FIRST);
        for (const each of [...steps, LAST]) {
          const byHand = each.type === 'repro' || each.type === 'part' ? outputsOf(p, nodes) : [];
          await take(p, nodes, each);
          const now = outputsOf(p, nodes);
          for (const [index, text] of byHand.entries())
            if (text?.startsWith('by hand') && now[index] !== text) expect(await p.isKept(text)).toBe(true);
        }
        const { sources, version } = situation(p);
        expect(outputsOf(p, nodes)).toEqual(expected(nodes, sources, version));
        p.ran();
        expect(new Set(Object.values(await p.repro()))).toEqual(new Set(['up-to-date']));
        expect(p.ran()).toEqual([]);
        discard(p);
      }),
      SETTINGS,
    );
  },
  TIMEOUT_MS,
);
