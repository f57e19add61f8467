import { setTimeout as sleep } from 'node:timers/promises';
import { MlvError } from '../domain/errors.ts';
import type { BufferPool } from '../platform/buffer-pool.ts';
import { createBufferPool } from '../platform/buffer-pool.ts';
import { createAdaptiveLimit } from './adaptive-limit.ts';
import { createSlots } from '../platform/slots.ts';
import { TransientError } from './transient-error.ts';

/** What a transfer may use at once. */
export interface TransferLimits {
  /** Objects or ranges under way: as many as the engine may ever let through. */
  readonly jobs: number;
  /** Bounds the bytes under way. Never taken from while waiting for the engine is what its holder needs to give back. */
  readonly pool: BufferPool;
}

/** Transfers at once where no engine says how many. */
const JOBS = 4;

/** What a transfer with this home may use. */
export function limitsOf({ limits }: { readonly limits?: TransferLimits }): TransferLimits {
  return limits ?? { jobs: JOBS, pool: createBufferPool(BYTES_IN_FLIGHT) };
}

/** One thing asked of a remote. */
export interface EngineRequest {
  /** For messages: `read packs/ab/…`. */
  readonly what: string;
  readonly kind: 'read' | 'write';
  /** How many bytes go either way: the deadline depends on it. */
  readonly bytes: number;
  readonly signal?: AbortSignal | undefined;
}

/** What has been asked so far. */
export interface EngineCounters {
  /** Tries count each. */
  readonly requests: number;
  readonly retries: number;
  readonly throttles: number;
}

/** Sends requests to one remote: a bounded number at a time, each with a deadline, and again when they failed in passing. */
export interface RequestEngine {
  /**
   * Calls `attempt` until it succeeds. It must heed its signal, and throw `TransientError` for what may go away by itself;
   * everything else it throws is final. Throws `remote-unreachable`, `remote-read-failed` or `remote-write-failed` when it
   * did not go away; the signal's reason.
   */
  run<T>(request: EngineRequest, attempt: (signal: AbortSignal) => Promise<T>): Promise<T>;
  readonly limits: TransferLimits;
  counters(): EngineCounters;
}

export interface EngineOptions {
  /** How messages call the remote. */
  readonly name: string;
  /** Requests at once, to begin with and at most. */
  readonly start?: number;
  readonly most?: number;
  /** How often one request is tried; where the store asks for patience, only `totalMs` counts. */
  readonly tries?: number;
  /** No try starts later than this after the first one. */
  readonly totalMs?: number;
  /** Deadline of one try: so long, and the time that its bytes take at a slow line's speed. */
  readonly tryMs?: number;
  readonly clock?: EngineClock;
  /** From 0 to 1. */
  readonly random?: () => number;
}

export interface EngineClock {
  /** Milliseconds since whenever. */
  now(): number;
  /** Rejects when the signal is aborted. */
  sleep(ms: number, signal: AbortSignal | undefined): Promise<void>;
  /** Calls back later; returns what cancels that. */
  after(ms: number, callBack: () => void): () => void;
}

const START = 8;
const MOST = 64;
const TRIES = 10;
const TOTAL_MS = 5 * 60_000;
const TRY_MS = 60_000;
/** A line this slow is still a line. */
const SLOW_BYTES_PER_MS = 64;
const BYTES_IN_FLIGHT = 128 << 20;
const FIRST_WAIT_MS = 200;
const LONGEST_WAIT_MS = 20_000;
/** What was never reached is probably misspelt, or not there. */
const TRIES_OF_UNKNOWN = 3;

const CLOCK: EngineClock = {
  now: () => performance.now(),
  async sleep(ms, signal) {
    await sleep(ms, undefined, signal === undefined ? {} : { signal }).catch(() => signal?.throwIfAborted());
  },
  after(ms, callBack) {
    const timer = setTimeout(callBack, ms);
    return () => clearTimeout(timer);
  },
};

/** The engine of one remote; every home has its own. */
export function createRequestEngine(options: EngineOptions): RequestEngine {
  const { name, most = MOST, tries = TRIES, totalMs = TOTAL_MS, tryMs = TRY_MS } = options;
  const { clock = CLOCK, random = Math.random } = options;
  const limit = createAdaptiveLimit({ start: Math.min(options.start ?? START, most), most, now: () => clock.now() });
  const slots = createSlots(limit.current);
  const counters = { requests: 0, retries: 0, throttles: 0 };
  let hasWorked = false;

  async function tryOnce<T>(request: EngineRequest, attempt: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const { signal } = request;
    const release = await slots.take(signal);
    const stop = new AbortController();
    const forward = (): void => stop.abort(signal?.reason);
    const ms = tryMs + request.bytes / SLOW_BYTES_PER_MS;
    const late = new TransientError(`no end after ${seconds(ms)}`);
    const cancel = clock.after(ms, () => stop.abort(late));
    try {
      signal?.throwIfAborted();
      signal?.addEventListener('abort', forward, { once: true });
      counters.requests += 1;
      const result = await attempt(stop.signal);
      hasWorked = true;
      limit.succeeded(request.bytes, slots.isFull());
      return result;
    } catch (error) {
      if (signal?.aborted === true) throw signal.reason;
      throw stop.signal.aborted ? late : error;
    } finally {
      cancel();
      signal?.removeEventListener('abort', forward);
      release();
    }
  }

  /** Milliseconds until the next try; undefined when there is to be none. */
  function pause(error: TransientError, tried: number, spentMs: number): number | undefined {
    if (error.isUnreachable && !hasWorked && tried >= TRIES_OF_UNKNOWN) return undefined;
    if (tried >= tries && !error.isThrottle) return undefined;
    const backOff = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** (tried - 1)) * (0.5 + random() / 2);
    const ms = error.retryAfterMs === undefined ? backOff : Math.max(error.retryAfterMs, tried > 2 ? backOff : 0);
    return spentMs + ms > totalMs ? undefined : ms;
  }

  return {
    limits: { jobs: most, pool: createBufferPool(BYTES_IN_FLIGHT) },
    counters: () => ({ ...counters }),
    async run(request, attempt) {
      const began = clock.now();
      for (let tried = 1; ; tried++) {
        try {
          return await tryOnce(request, attempt);
        } catch (error) {
          if (!(error instanceof TransientError)) throw error;
          hasWorked ||= !error.isUnreachable;
          if (error.isThrottle) {
            counters.throttles += 1;
            limit.throttled();
          }
          const spentMs = clock.now() - began;
          const ms = pause(error, tried, spentMs);
          if (ms === undefined) throw gaveUp({ name, request, error, tried, spentMs });
          counters.retries += 1;
          await clock.sleep(ms, request.signal);
        }
      }
    },
  };
}

function gaveUp(failure: {
  readonly name: string;
  readonly request: EngineRequest;
  readonly error: TransientError;
  readonly tried: number;
  readonly spentMs: number;
}): MlvError {
  const { name, request, error, tried, spentMs } = failure;
  const isRead = request.kind === 'read';
  return new MlvError({
    code: error.isUnreachable ? 'remote-unreachable' : isRead ? 'remote-read-failed' : 'remote-write-failed',
    kind: 'io',
    message: `cannot ${request.what} at ${name}: ${error.message} (tried ${tried === 1 ? 'once' : `${tried} times`} in ${seconds(spentMs)})`,
    hint: error.hint ?? 'Try again later: what has been transferred is not transferred again.',
    cause: error.cause ?? error,
  });
}

function seconds(ms: number): string {
  return `${ms < 10_000 ? (ms / 1000).toFixed(1) : Math.round(ms / 1000)} s`;
}
