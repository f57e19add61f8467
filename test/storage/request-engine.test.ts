import { beforeEach, describe, expect, test } from 'vitest';
import { MlvError } from '../../src/domain/errors.ts';
import type { EngineClock, EngineOptions, RequestEngine } from '../../src/storage/request-engine.ts';
import { createRequestEngine } from '../../src/storage/request-engine.ts';
import { TransientError } from '../../src/storage/transient-error.ts';

/** Time that passes only when everybody waits for it. */
function fakeClock() {
  let now = 0;
  let timers: { at: number; callBack: () => void }[] = [];
  const after = (ms: number, callBack: () => void): (() => void) => {
    const timer = { at: now + ms, callBack };
    timers.push(timer);
    return () => void (timers = timers.filter((each) => each !== timer));
  };
  const clock: EngineClock = {
    now: () => now,
    after,
    sleep: (ms, signal) =>
      new Promise((resolve, reject) => {
        const cancel = after(ms, resolve);
        signal?.addEventListener('abort', () => {
          cancel();
          reject(signal.reason as Error);
        });
      }),
  };
  return {
    clock,
    /** Lets time pass until `promise` is settled. */
    async run<T>(promise: Promise<T>): Promise<T> {
      let isSettled = false;
      const settled = promise.finally(() => (isSettled = true));
      settled.catch(() => {});
      for (;;) {
        await new Promise((resolve) => void setImmediate(resolve));
        if (isSettled) return settled;
        const [next] = timers.sort((a, b) => a.at - b.at);
        if (next === undefined) throw new Error('nobody waits, and nothing ends');
        timers = timers.filter((each) => each !== next);
        now = next.at;
        next.callBack();
      }
    },
  };
}

let time: ReturnType<typeof fakeClock>;
beforeEach(() => {
  time = fakeClock();
});

function open(options: Partial<EngineOptions> = {}): RequestEngine {
  return createRequestEngine({ name: 's3://b', clock: time.clock, random: () => 1, ...options });
}

const read = { what: 'read key', kind: 'read', bytes: 0 } as const;
const write = { what: 'write key', kind: 'write', bytes: 0 } as const;

/** Fails so often, then succeeds; notes when it was called. */
function failing(times: number, error: () => unknown, at: number[] = []) {
  return async (): Promise<string> => {
    at.push(time.clock.now());
    if (at.length <= times) throw error();
    return 'done';
  };
}

describe('retries', () => {
  test('wait longer each time, and end with success', async () => {
    const at: number[] = [];
    const engine = open();
    const result = time.run(
      engine.run(
        read,
        failing(4, () => new TransientError('reset'), at),
      ),
    );
    expect(await result).toBe('done');
    expect(at).toEqual([0, 200, 600, 1400, 3000]);
    expect(engine.counters()).toEqual({ requests: 5, retries: 4, throttles: 0 });
  });

  test('are spread by chance, down to half the wait', async () => {
    const at: number[] = [];
    await time.run(
      open({ random: () => 0 }).run(
        read,
        failing(2, () => new TransientError('reset'), at),
      ),
    );
    expect(at).toEqual([0, 100, 300]);
  });

  test('heed what the store asks for', async () => {
    const at: number[] = [];
    const slow = (): Error => new TransientError('SlowDown', { isThrottle: true, retryAfterMs: 7000 });
    const engine = open();
    await time.run(engine.run(read, failing(2, slow, at)));
    expect(at).toEqual([0, 7000, 14_000]);
    expect(engine.counters().throttles).toBe(2);
  });

  test('end after some tries, with how often and how long', async () => {
    const error = time.run(
      open({ tries: 3 }).run(
        write,
        failing(99, () => new TransientError('InternalError (500)')),
      ),
    );
    await expect(error).rejects.toMatchObject({
      code: 'remote-write-failed',
      kind: 'io',
      message: 'cannot write key at s3://b: InternalError (500) (tried 3 times in 0.6 s)',
    });
  });

  test('go on while the store asks for patience, and end after the time for all tries', async () => {
    const at: number[] = [];
    const slow = (): Error => new TransientError('SlowDown (503)', { isThrottle: true });
    const error = time.run(open().run(read, failing(99, slow, at)));
    await expect(error).rejects.toMatchObject({ code: 'remote-read-failed' });
    expect(at.length).toBeGreaterThan(15);
    expect(at.at(-1)).toBeLessThanOrEqual(300_000);
    expect(at.at(-1)).toBeGreaterThan(270_000);
  });

  test('are few for what was never reached, more for what went away', async () => {
    const refused = (): Error => new TransientError('ECONNREFUSED', { isUnreachable: true, hint: 'Is it there?' });
    const engine = open();
    const first: number[] = [];
    const expected = { code: 'remote-unreachable', hint: 'Is it there?' };
    await expect(time.run(engine.run(read, failing(99, refused, first)))).rejects.toMatchObject(expected);
    expect(first).toHaveLength(3);
    await time.run(engine.run(read, failing(0, refused)));
    const later: number[] = [];
    await expect(time.run(engine.run(read, failing(99, refused, later)))).rejects.toMatchObject(expected);
    expect(later).toHaveLength(10);
  });

  test('are not made of what does not pass', async () => {
    const denied = new MlvError({ code: 'remote-denied', kind: 'refused', message: 'no' });
    const engine = open();
    await expect(
      engine.run(
        read,
        failing(1, () => denied),
      ),
    ).rejects.toBe(denied);
    const bug = new TypeError('a bug');
    await expect(
      engine.run(
        read,
        failing(1, () => bug),
      ),
    ).rejects.toBe(bug);
    expect(engine.counters().retries).toBe(0);
  });

  test('end when they are told to, also while waiting', async () => {
    const stop = new AbortController();
    const enough = new Error('enough');
    time.clock.after(250, () => stop.abort(enough));
    const running = open().run(
      { ...read, signal: stop.signal },
      failing(99, () => new TransientError('reset')),
    );
    await expect(time.run(running)).rejects.toBe(enough);
  });
});

describe('deadlines', () => {
  const never = (signal: AbortSignal): Promise<never> =>
    new Promise((_, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason as Error));
    });

  test('depend on the bytes', async () => {
    const start = time.clock.now();
    const running = open({ tries: 1 }).run({ ...read, bytes: 64 * 60_000 }, never);
    await expect(time.run(running)).rejects.toMatchObject({
      message: 'cannot read key at s3://b: no end after 120 s (tried once in 120 s)',
    });
    expect(time.clock.now() - start).toBe(120_000);
  });

  test('lead to another try', async () => {
    let tries = 0;
    const running = open().run(read, (signal) => (++tries === 1 ? never(signal) : Promise.resolve('done')));
    expect(await time.run(running)).toBe('done');
  });
});

describe('requests at once', () => {
  /** Keeps so many requests going for a while; a request's time depends on how many there are. Returns the most there were. */
  async function load(
    engine: RequestEngine,
    options: { ms: number; clients?: number; takes: (underWay: number) => number },
  ) {
    const end = time.clock.now() + options.ms;
    let underWay = 0;
    let most = 0;
    const client = async (): Promise<void> => {
      while (time.clock.now() < end) {
        await engine.run(read, async () => {
          most = Math.max(most, ++underWay);
          await time.clock.sleep(options.takes(underWay), undefined);
          underWay -= 1;
        });
      }
    };
    await time.run(Promise.all(Array.from({ length: options.clients ?? 100 }, client)));
    return most;
  }

  test('start at 8 and grow to 64 where that brings more', async () => {
    const engine = open();
    expect(await load(engine, { ms: 50, clients: 20, takes: () => 30 })).toBe(8);
    expect(await load(engine, { ms: 10_000, takes: () => 30 })).toBe(64);
  });

  test('stay few where more do not bring more', async () => {
    expect(await load(open(), { ms: 10_000, takes: (underWay) => 10 * underWay })).toBeLessThan(24);
  });

  test('are never more than asked for', async () => {
    expect(await load(open({ most: 3 }), { ms: 5000, takes: () => 30 })).toBe(3);
  });

  test('are halved when the store complains, once a second', async () => {
    const engine = open();
    await load(engine, { ms: 10_000, takes: () => 30 });
    const slow = (): Error => new TransientError('SlowDown', { isThrottle: true, retryAfterMs: 1 });
    const calls = Array.from({ length: 20 }, () => engine.run(read, failing(1, slow)));
    await time.run(Promise.all(calls));
    expect(await load(engine, { ms: 60, takes: () => 30 })).toBe(32);
  });
});
