/** The thread that runs the parsers. Whoever started it sees what it is at, and ends it when it does not come back. */
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { parentPort, workerData } from 'node:worker_threads';
import type { Random } from '../harness/random.ts';
import { seededRandom } from '../harness/random.ts';
import type { Block } from './coverage.ts';
import { markNews, reachedAmong, startCoverage } from './coverage.ts';
import type { Failure } from './judge.ts';
import { judge, minimise } from './judge.ts';
import { mutate } from './mutate.ts';
import type { FromWorker, WorkerData } from './protocol.ts';
import { noteInput } from './protocol.ts';
import type { Target } from './target.ts';

/** Asking for the coverage takes as long as dozens of inputs; so it is asked for less often where there is no news. */
const BATCH = { least: 16, most: 512 };
/** Time goes to where there is most to find: a millisecond a turn for each block, within bounds. */
const SLICE_MS = { least: 30, most: 200 };
/** Of one target; with more, the rest has to wait for these to be mended. */
const MAX_FINDINGS = 5;

interface Run {
  readonly target: Target;
  readonly number: number;
  readonly random: Random;
  readonly reached: Map<string, Uint8Array>;
  readonly corpus: Buffer[];
  readonly known: Set<string>;
  batch: number;
  runs: number;
  blocks: number;
}

const data = workerData as WorkerData;
const coverage = startCoverage(new URL('parsers.js', import.meta.url));

function tell(message: FromWorker): void {
  parentPort?.postMessage(message);
}

async function attempt(run: Run, input: Buffer): Promise<Failure | undefined> {
  noteInput(data.shared, run.number, input);
  run.runs += 1;
  const failure = await judge(run.target, input);
  if (failure !== undefined && !run.known.has(failure.signature)) {
    run.known.add(failure.signature);
    const smaller = await minimise(run.target, input, failure);
    tell({ type: 'finding', target: run.target.name, what: failure.what, input: smaller });
  }
  noteInput(data.shared, -1, Buffer.alloc(0));
  return failure;
}

async function begin(target: Target, number: number): Promise<Run> {
  const salt = Buffer.from(target.name).reduce((sum, byte) => Math.imul(sum, 31) + byte, 7);
  const random = seededRandom(data.seed ^ salt);
  const run: Run = {
    target,
    number,
    random,
    reached: new Map(),
    corpus: [],
    known: new Set(),
    batch: BATCH.least,
    runs: 0,
    blocks: 0,
  };
  coverage.take();
  for (const seed of target.seeds) {
    const input = Buffer.from(seed as string);
    await attempt(run, input);
    run.corpus.push(input);
  }
  run.blocks = markNews(run.reached, coverage.take()).length;
  return run;
}

async function batch(run: Run): Promise<void> {
  const { random, corpus, reached } = run;
  const inputs: Buffer[] = [];
  coverage.take();
  for (let count = 0; count < run.batch; count++) {
    // What was found last leads on; everything gets its turn.
    const from = random.next(2) === 0 ? corpus.slice(-8) : corpus;
    const words = run.target.words ?? [];
    const input = mutate(random.pick(from), { random, other: random.pick(corpus), words });
    if ((await attempt(run, input)) === undefined) inputs.push(input);
  }
  const news = markNews(reached, coverage.take());
  run.blocks += news.length;
  run.batch = news.length > 0 ? BATCH.least : Math.min(BATCH.most, run.batch * 2);
  await keepThose(run, inputs, news);
}

/** Keeps one input for each of these blocks, by halves: most batches have one that brings all. */
async function keepThose(run: Run, inputs: readonly Buffer[], wanted: readonly Block[]): Promise<void> {
  if (wanted.length === 0 || inputs.length === 0) return;
  const half = inputs.slice(0, Math.ceil(inputs.length / 2));
  coverage.take();
  for (const input of half) await attempt(run, input);
  const found = reachedAmong(wanted, coverage.take());
  if (inputs.length > 1) await keepThose(run, half, found);
  else if (found.length > 0) run.corpus.push(...half);
  const rest = wanted.filter((block) => !found.includes(block));
  if (inputs.length > 1) await keepThose(run, inputs.slice(half.length), rest);
}

function report({ target, runs, corpus, blocks }: Run): void {
  tell({ type: 'counts', target: target.name, runs, kept: corpus.length, blocks });
}

async function main(): Promise<void> {
  // Only now: what was compiled before the counting began is not counted.
  const { allTargets } = await import('./targets/index.ts');
  mkdirSync(data.scratch, { recursive: true });
  const targets = allTargets({
    scratch: data.scratch,
    fixture: (name) => readFileSync(join(data.fixtures, name)),
  }).filter(({ name }) => !data.without.includes(name) && (data.only === undefined || name === data.only));
  const runs: Run[] = [];
  for (const [number, target] of targets.entries()) {
    tell({ type: 'target', number, name: target.name });
    runs.push(await begin(target, number));
  }
  const end = Date.now() + data.seconds * 1000;
  while (runs.length > 0 && Date.now() < end) {
    for (const run of runs) {
      const until = Math.min(end, Date.now() + Math.min(SLICE_MS.most, Math.max(SLICE_MS.least, run.blocks)));
      while (Date.now() < until && run.known.size < MAX_FINDINGS) await batch(run);
      report(run);
    }
    // Messages go out, and what was left undone by timers is done.
    await pause(0);
  }
  tell({ type: 'end' });
}

await main();
