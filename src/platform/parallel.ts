import { setMaxListeners } from 'node:events';
import pLimit from 'p-limit';

/**
 * Calls `work` for each item, at most `jobs` at a time, and takes the next item only when there is room for it. The first
 * failure, or an abort of `signal`, stops it: `work` sees that through the signal it is given; what is under way is waited
 * for, then the failure (or the signal's reason) is thrown.
 */
export async function forEachParallel<T>(
  items: Iterable<T> | AsyncIterable<T>,
  options: { readonly jobs: number; readonly signal?: AbortSignal | undefined },
  work: (item: T, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const stop = new AbortController();
  const signal = options.signal === undefined ? stop.signal : AbortSignal.any([options.signal, stop.signal]);
  setMaxListeners(0, signal); // each job listens, and waits perhaps; Node would warn of a leak
  const limit = pLimit(options.jobs);
  const running = new Set<Promise<void>>();
  try {
    for await (const item of items) {
      signal.throwIfAborted();
      const task = limit(async () => {
        try {
          await work(item, signal);
        } catch (error) {
          stop.abort(error);
        }
      }).then(() => void running.delete(task));
      running.add(task);
      if (running.size >= options.jobs) await Promise.race(running);
    }
  } catch (error) {
    stop.abort(error);
  }
  await Promise.all(running);
  if (stop.signal.aborted) throw stop.signal.reason;
  signal.throwIfAborted();
}

export interface ByteBudget {
  /** Waits until so many bytes (or all there are, where it asks for more) are free; call what it returns to give them back. */
  take(bytes: number, signal?: AbortSignal): Promise<() => void>;
}

/** Bounds the bytes in memory at once; served in the order asked. */
export function createByteBudget(limit: number): ByteBudget {
  let free = limit;
  const waiting: { readonly bytes: number; readonly start: () => void }[] = [];

  function serve(): void {
    for (let next = waiting[0]; next !== undefined && next.bytes <= free; next = waiting[0]) {
      waiting.shift();
      free -= next.bytes;
      next.start();
    }
  }

  return {
    take: (wanted, signal) =>
      new Promise((resolve, reject) => {
        const bytes = Math.min(wanted, limit);
        const cancel = (): void => {
          waiting.splice(waiting.indexOf(entry), 1);
          reject(signal?.reason as Error);
          serve();
        };
        const entry = {
          bytes,
          start(): void {
            signal?.removeEventListener('abort', cancel);
            let isHeld = true;
            resolve(() => {
              if (isHeld) free += bytes;
              isHeld = false;
              serve();
            });
          },
        };
        if (signal?.aborted === true) return reject(signal.reason as Error);
        signal?.addEventListener('abort', cancel, { once: true });
        waiting.push(entry);
        serve();
      }),
  };
}
