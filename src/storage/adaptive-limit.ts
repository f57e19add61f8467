/** How many requests may be under way: more while that brings more through, half when the store complains. */
export interface AdaptiveLimit {
  current(): number;
  /** A request has ended well; `isFull` when others waited for its slot. */
  succeeded(bytes: number, isFull: boolean): void;
  /** The store asked for fewer. */
  throttled(): void;
}

/** Less than this says nothing about throughput. */
const WINDOW_MS = 250;
/** What must come through more for another step. */
const GROWTH = 1.05;
const STEP = 4;
/** A store, or the line to it, may have got faster: once in so many windows a step is tried all the same. */
const PROBE_WINDOWS = 20;
/** What a request costs beside its bytes, in bytes. */
const REQUEST_BYTES = 64 << 10;
const HALVE_MS = 1000;

/** Starts with `start` and goes up to `most`. `now` tells milliseconds. */
export function createAdaptiveLimit(options: {
  readonly start: number;
  readonly most: number;
  readonly now: () => number;
}): AdaptiveLimit {
  const { most, now } = options;
  let limit = Math.min(options.start, most);
  let halvedAt = -Infinity;
  let best = 0;
  let idleWindows = 0;
  let window = { since: now(), done: 0, bytes: 0, isFull: false };

  function judge(elapsed: number): void {
    const rate = window.bytes / elapsed;
    if (rate > best * GROWTH) {
      best = rate;
      idleWindows = 0;
      limit = Math.min(most, limit + STEP);
    } else if (++idleWindows >= PROBE_WINDOWS) {
      idleWindows = 0;
      best = rate;
      limit = Math.min(most, limit + 1);
    }
  }

  return {
    current: () => limit,
    succeeded(bytes, isFull) {
      window.done += 1;
      window.bytes += bytes + REQUEST_BYTES;
      window.isFull ||= isFull;
      const elapsed = now() - window.since;
      if (elapsed < WINDOW_MS || window.done < limit) return;
      // With slots to spare, more of them change nothing.
      if (window.isFull) judge(elapsed);
      window = { since: now(), done: 0, bytes: 0, isFull: false };
    },
    throttled() {
      if (now() - halvedAt < HALVE_MS) return;
      halvedAt = now();
      limit = Math.max(1, Math.floor(limit / 2));
      best = 0;
      idleWindows = 0;
      window = { since: now(), done: 0, bytes: 0, isFull: false };
    },
  };
}
