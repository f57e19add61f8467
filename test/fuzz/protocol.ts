/** What the thread that runs parsers tells the one that watches it. */

export interface WorkerData {
  readonly seconds: number;
  readonly seed: number;
  readonly only: string | undefined;
  /** Targets that a thread before this one did not come back from. */
  readonly without: readonly string[];
  readonly scratch: string;
  /** `fixtures/formats` */
  readonly fixtures: string;
  /** The input under test: see `noteInput`. */
  readonly shared: SharedArrayBuffer;
}

export interface Counts {
  readonly target: string;
  readonly runs: number;
  readonly kept: number;
  readonly blocks: number;
}

export interface FoundInput {
  readonly target: string;
  readonly what: string;
  readonly input: Uint8Array;
}

export type FromWorker =
  | { readonly type: 'target'; readonly number: number; readonly name: string }
  | ({ readonly type: 'counts' } & Counts)
  | ({ readonly type: 'finding' } & FoundInput)
  | { readonly type: 'end' };

const HEAD = 3;
const HEAD_BYTES = HEAD * Int32Array.BYTES_PER_ELEMENT;

/** Room for any input. */
export const SHARED_BYTES = HEAD_BYTES + (1 << 20);

/** Puts an input where it can be seen from outside; the target's number is -1 between inputs. */
export function noteInput(shared: SharedArrayBuffer, target: number, input: Buffer): void {
  const head = new Int32Array(shared, 0, HEAD);
  new Uint8Array(shared, HEAD_BYTES).set(input);
  Atomics.store(head, 1, input.length);
  Atomics.store(head, 2, target);
  Atomics.add(head, 0, 1);
}

/** What `noteInput` was last called with, and how often it was. */
export function readInput(shared: SharedArrayBuffer): { calls: number; target: number; input: Buffer } {
  const head = new Int32Array(shared, 0, HEAD);
  const [calls, length, target] = [Atomics.load(head, 0), Atomics.load(head, 1), Atomics.load(head, 2)];
  return { calls, target, input: Buffer.from(new Uint8Array(shared, HEAD_BYTES, length)) };
}
