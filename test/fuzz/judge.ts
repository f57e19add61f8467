/** Whether a parser took an input as it should: its result or `MlvError`, soon, and in memory that follows the input. */
import { getHeapStatistics } from 'node:v8';
import { MlvError } from '../../src/domain/errors.ts';
import type { Target } from './target.ts';

const MAX_MS = 1000;
/** Of one input, garbage included: so much, and so much more for each of its bytes. */
const MAX_HEAP = { base: 48 << 20, perByte: 4096 };
/** What is asked for in buffers, at once or one after the other. */
const MAX_BUFFERS = { base: 4 << 20, perByte: 256 };
const MINIMISE_MS = 3000;

export interface Failure {
  /** For people. */
  readonly what: string;
  /** The same for what is the same mistake. */
  readonly signature: string;
}

let requested = 0;

/** Buffers are counted as they are asked for: one that is too large and thrown away at once shows nowhere else. */
for (const name of ['alloc', 'allocUnsafe', 'allocUnsafeSlow'] as const) {
  const make = Buffer[name].bind(Buffer) as (size: number, ...others: unknown[]) => Buffer;
  Object.defineProperty(Buffer, name, {
    value: (size: number, ...others: unknown[]) => {
      requested += size;
      return make(size, ...others);
    },
  });
}

/** Runs a target once; what took too long has to do so three times. */
export async function judge(target: Target, input: Buffer): Promise<Failure | undefined> {
  for (let tries = 1; ; tries++) {
    const { failure, ms } = await once(target, input);
    if (failure !== undefined) return failure;
    if (ms <= MAX_MS) return undefined;
    if (tries === 3 || ms > 3 * MAX_MS)
      return { what: `takes ${Math.round(ms)} ms for ${input.length} bytes`, signature: 'time' };
  }
}

async function once(target: Target, input: Buffer): Promise<{ failure?: Failure | undefined; ms: number }> {
  // A parser may keep or change what it is given.
  const given = Buffer.from(input);
  requested = 0;
  const heap = heapBytes();
  const before = process.cpuUsage();
  const began = performance.now();
  try {
    const result = target.run(given);
    if (result instanceof Promise) await result;
  } catch (error) {
    if (!(error instanceof MlvError) && !isOfSystem(error)) return { failure: thrown(error), ms: 0 };
  }
  // Of a machine that others use too, the smaller of the two.
  const cpu = process.cpuUsage(before);
  const ms = Math.min(performance.now() - began, (cpu.user + cpu.system) / 1000);
  if (requested > MAX_BUFFERS.base + MAX_BUFFERS.perByte * input.length)
    return { failure: { what: `asks for ${requested} bytes for ${input.length}`, signature: 'buffers' }, ms };
  const grown = heapBytes() - heap;
  if (grown > MAX_HEAP.base + MAX_HEAP.perByte * input.length)
    return { failure: { what: `the heap grows by ${grown} bytes for ${input.length}`, signature: 'heap' }, ms };
  return { ms };
}

/** The disk's own refusals, such as of a name that is too long: the command line has words for them. */
function isOfSystem(error: unknown): boolean {
  return error instanceof Error && 'syscall' in error && 'errno' in error;
}

function heapBytes(): number {
  const { used_heap_size: heap, external_memory: external } = getHeapStatistics();
  return heap + external;
}

function thrown(error: unknown): Failure {
  if (!(error instanceof Error)) return { what: `throws ${String(error)}`, signature: 'not an error' };
  const frames = (error.stack ?? '').split('\n').filter((line) => line.startsWith('    at '));
  const place = frames[0]?.trim() ?? '';
  const kind = error.message.startsWith('does not hold: ') ? error.message : `${error.name} ${place}`;
  return { what: [`${error.name}: ${error.message}`, ...frames.slice(0, 6)].join('\n'), signature: kind };
}

/** A smaller input that fails alike, as far as some seconds go. */
export async function minimise(target: Target, input: Buffer, { signature }: Failure): Promise<Buffer> {
  const end = performance.now() + MINIMISE_MS;
  let best = input;
  for (let size = best.length >> 1; size > 0; size >>= 1) {
    for (let at = 0; at < best.length;) {
      if (performance.now() > end) return best;
      const smaller = Buffer.concat([best.subarray(0, at), best.subarray(at + size)]);
      if ((await judge(target, smaller))?.signature === signature) best = smaller;
      else at += size;
    }
  }
  return best;
}
