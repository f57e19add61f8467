import { describe, expect, test } from 'vitest';
import type { EngineOptions, EngineRequest } from '../../src/storage/request-engine.ts';
import { createRequestEngine } from '../../src/storage/request-engine.ts';
import { TransientError } from '../../src/storage/transient-error.ts';

const READ: EngineRequest = { what: 'read packs/ab/x', kind: 'read', bytes: 0 };

/** An engine whose time passes only while it sleeps. */
function rig(options: Partial<EngineOptions> = {}) {
  const sleeps: number[] = [];
  const timers = new Set<() => void>();
  let time = 0;
  const engine = createRequestEngine({
    name: 's3://bucket',
    random: () => 1,
    clock: {
      now: () => time,
      async sleep(ms, signal) {
        signal?.throwIfAborted();
        sleeps.push(ms);
        time += ms;
      },
      after(_ms, callBack) {
        timers.add(callBack);
        return () => timers.delete(callBack);
      },
    },
    ...options,
  });
  const pass = (ms: number): number => (time += ms);
  return { engine, sleeps, pass, expire: () => [...timers].forEach((callBack) => callBack()) };
}

/** Fails with the errors, in turn, then succeeds. */
function failing(...errors: Error[]): () => Promise<string> {
  return async () => {
    const error = errors.shift();
    if (error !== undefined) throw error;
    return 'done';
  };
}

function times(count: number, error: () => Error): Error[] {
  return Array.from({ length: count }, error);
}

const reset = (): TransientError => new TransientError('reset');

describe('the request engine', () => {
  test('tries again, after longer and longer waits', async () => {
    const { engine, sleeps } = rig();
    expect(await engine.run(READ, failing(...times(4, reset)))).toBe('done');
    expect(sleeps).toEqual([200, 400, 800, 1600]);
    expect(engine.counters()).toEqual({ requests: 5, retries: 4, throttles: 0 });
  });

  test('waits as long as the store asks', async () => {
    const { engine, sleeps } = rig();
    await engine.run(READ, failing(new TransientError('busy', { isThrottle: true, retryAfterMs: 7000 })));
    expect(sleeps).toEqual([7000]);
  });

  test('says in the end what was asked, how often, for how long and why', async () => {
    const { engine } = rig({ tries: 3 });
    await expect(engine.run(READ, failing(...times(3, reset)))).rejects.toMatchObject({
      code: 'remote-read-failed',
      message: 'cannot read packs/ab/x at s3://bucket: reset (tried 3 times in 0.6 s)',
    });
    await expect(engine.run({ ...READ, kind: 'write' }, failing(...times(3, reset)))).rejects.toMatchObject({
      code: 'remote-write-failed',
    });
  });

  test('is patient with a store that asks for it, until the time for all tries is over', async () => {
    const { engine, sleeps } = rig({ tries: 2, totalMs: 100_000 });
    const throttle = (): TransientError => new TransientError('SlowDown', { isThrottle: true });
    await expect(engine.run(READ, failing(...times(100, throttle)))).rejects.toMatchObject({
      code: 'remote-read-failed',
    });
    expect(sleeps.length).toBeGreaterThan(5);
    expect(sleeps.reduce((sum, ms) => sum + ms, 0)).toBeLessThanOrEqual(100_000);
  });

  test('does not try again what is final', async () => {
    const { engine, sleeps } = rig();
    const final = new Error('no such thing');
    await expect(engine.run(READ, failing(final))).rejects.toBe(final);
    expect(sleeps).toEqual([]);
  });

  test('gives up soon on what was never reached, but not on what was', async () => {
    const unreachable = (): TransientError => new TransientError('ENOTFOUND', { isUnreachable: true });
    const { engine, sleeps } = rig();
    await expect(engine.run(READ, failing(...times(9, unreachable)))).rejects.toMatchObject({
      code: 'remote-unreachable',
    });
    expect(sleeps).toHaveLength(2);
    await engine.run(READ, failing());
    expect(await engine.run(READ, failing(...times(9, unreachable)))).toBe('done');
  });

  test('gives up a try that does not end, and tries again', async () => {
    const { engine, sleeps, expire } = rig();
    let tries = 0;
    const result = await engine.run(READ, (signal) => {
      if (++tries > 1) return Promise.resolve('done');
      return new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => reject(new Error('stopped')));
        expire();
      });
    });
    expect([result, tries, sleeps.length]).toEqual(['done', 2, 1]);
  });

  test('stops with the reason of the signal, also while it waits', async () => {
    const { engine } = rig();
    const stop = new AbortController();
    const reason = new Error('enough');
    const running = engine.run({ ...READ, signal: stop.signal }, async () => {
      stop.abort(reason);
      throw reset();
    });
    await expect(running).rejects.toBe(reason);
  });

  test('lets no more through than it was told, and half of that when the store asks for fewer', async () => {
    const { engine, pass } = rig({ start: 8, most: 8 });
    let running = 0;
    let most = 0;
    const ask = (error?: Error): Promise<void> =>
      engine.run(READ, async () => {
        most = Math.max(most, ++running);
        await new Promise((resolve) => setImmediate(resolve));
        running -= 1;
        const thrown = error;
        error = undefined;
        if (thrown !== undefined) throw thrown;
      });
    await Promise.all(Array.from({ length: 40 }, () => ask()));
    expect(most).toBe(8);
    pass(10_000);
    await ask(new TransientError('SlowDown', { isThrottle: true }));
    most = 0;
    await Promise.all(Array.from({ length: 12 }, () => ask()));
    expect(most).toBe(4);
    expect(engine.counters().throttles).toBe(1);
  });

  test('lets more through while that brings more', async () => {
    const { engine, pass } = rig({ start: 8, most: 64 });
    let running = 0;
    let most = 0;
    for (let round = 0; round < 20; round++) {
      await Promise.all(
        Array.from({ length: 200 }, () =>
          engine.run({ ...READ, bytes: 1 << 20 }, async () => {
            most = Math.max(most, ++running);
            await new Promise((resolve) => setImmediate(resolve));
            running -= 1;
            pass(200 / running ** 2);
          }),
        ),
      );
    }
    expect(most).toBeGreaterThan(16);
    expect(most).toBeLessThanOrEqual(64);
  });
});
