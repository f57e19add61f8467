/** What fails in passing is asked again, after pauses that grow and differ from client to client. */
import { setTimeout as sleep } from 'node:timers/promises';
import { TransientError } from '../../storage/transient-error.ts';

export interface RetryOptions {
  readonly signal: AbortSignal;
  /** No try starts later than this after the first. */
  readonly patienceMs: number;
  /** Whether it may be asked again where nobody knows if the server did it. What the server turned away may always. */
  readonly isRepeatable: boolean;
}

const FIRST_MS = 250;
const LONGEST_MS = 15_000;

/** Calls `attempt` until it does not throw `TransientError`; when patience ends, throws the last one. Throws the signal's reason. */
export async function withRetries<T>(options: RetryOptions, attempt: (tried: number) => Promise<T>): Promise<T> {
  const { signal, patienceMs, isRepeatable } = options;
  const began = performance.now();
  for (let tried = 0; ; tried++) {
    try {
      return await attempt(tried);
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof TransientError)) throw error;
      // Unreached, or told to come again: nothing was done.
      const isUndone = error.isUnreachable || error.isThrottle || error.retryAfterMs !== undefined;
      if (!isUndone && !isRepeatable) throw error;
      const ms = Math.max(error.retryAfterMs ?? 0, pauseMs(tried));
      if (performance.now() - began + ms > patienceMs) throw error;
      await pause(ms, signal);
    }
  }
}

/** Milliseconds to wait after so many failures in a row. */
export function pauseMs(failures: number): number {
  return Math.min(LONGEST_MS, FIRST_MS * 2 ** failures) * (0.5 + Math.random() / 2);
}

/** Throws the signal's reason. */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal }).catch(() => undefined);
  signal.throwIfAborted();
}
