import { setImmediate, setTimeout } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { createBufferPool } from '../../src/platform/buffer-pool.ts';
import { createByteBudget, forEachParallel } from '../../src/platform/parallel.ts';

describe('a parallel loop', () => {
  test('does everything, never more than so many at once, and takes items only as it needs them', async () => {
    let running = 0;
    let most = 0;
    let taken = 0;
    const done: number[] = [];
    function* items() {
      for (let item = 0; item < 50; item++) {
        taken += 1;
        expect(taken - done.length).toBeLessThanOrEqual(5);
        yield item;
      }
    }
    await forEachParallel(items(), { jobs: 4 }, async (item) => {
      running += 1;
      most = Math.max(most, running);
      await setTimeout(item % 3);
      running -= 1;
      done.push(item);
    });
    expect(most).toBe(4);
    expect(done.sort((a, b) => a - b)).toEqual(Array.from({ length: 50 }, (_, item) => item));
  });

  test('ends with the first failure, tells the others, and waits for them', async () => {
    const ended: number[] = [];
    const work = forEachParallel([1, 2, 3, 4, 5, 6, 7], { jobs: 3 }, async (item, signal) => {
      await setTimeout(item === 2 ? 1 : 20);
      if (item === 2) throw new Error('two');
      expect(signal.aborted).toBe(true);
      ended.push(item);
    });
    await expect(work).rejects.toThrow('two');
    expect(ended).toEqual([1, 3]);
  });

  test('ends with the reason of its signal', async () => {
    const stop = new AbortController();
    const reason = new Error('stopped');
    let started = 0;
    const work = forEachParallel([1, 2, 3, 4, 5], { jobs: 2, signal: stop.signal }, async (item) => {
      started += 1;
      await setTimeout(5);
      if (item === 2) stop.abort(reason);
    });
    await expect(work).rejects.toBe(reason);
    expect(started).toBeLessThan(5);
  });

  test('warns of nothing when all its jobs wait with its signal', async () => {
    const warnings: string[] = [];
    const note = ({ message }: Error): number => warnings.push(message);
    process.on('warning', note);
    const pool = createBufferPool(1 << 20);
    await forEachParallel(Array(40).keys(), { jobs: 40 }, async (_, signal) => {
      const memory = await pool.take(1 << 20, signal);
      await setImmediate();
      memory.release();
    });
    await setImmediate();
    process.off('warning', note);
    expect(warnings).toEqual([]);
  });

  test('passes on what the items themselves throw', async () => {
    function* items() {
      yield 1;
      throw new Error('no more');
    }
    await expect(forEachParallel(items(), { jobs: 2 }, async () => {})).rejects.toThrow('no more');
  });
});

describe('a byte budget', () => {
  test('lets go on in the order asked, as bytes come back', async () => {
    const budget = createByteBudget(10);
    const order: string[] = [];
    const first = await budget.take(6);
    const second = budget.take(8).then((release) => (order.push('second'), release));
    const third = budget.take(1).then((release) => (order.push('third'), release));
    await setImmediate();
    expect(order).toEqual([]);
    first();
    first(); // giving back twice gives back once
    (await second)();
    (await third)();
    expect(order).toEqual(['second', 'third']);
    (await budget.take(1_000))(); // more than there is: all of it
  });

  test('forgets who gave up waiting', async () => {
    const budget = createByteBudget(10);
    const release = await budget.take(10);
    const stop = new AbortController();
    const waiting = budget.take(10, stop.signal);
    const next = budget.take(1);
    stop.abort(new Error('gave up'));
    await expect(waiting).rejects.toThrow('gave up');
    await expect(budget.take(1, stop.signal)).rejects.toThrow('gave up');
    release();
    (await next)();
  });
});

test('a buffer pool uses memory again and stays below its limit', async () => {
  const pool = createBufferPool(1 << 20);
  const first = await pool.take(300_000);
  expect(first.bytes).toHaveLength(300_000);
  const memory = first.bytes.buffer;
  let gotSecond = false;
  const second = pool.take(600_000).then((taken) => {
    gotSecond = true;
    return taken;
  });
  await setImmediate();
  expect(gotSecond).toBe(false);
  first.release();
  first.release();
  (await second).release();
  const third = await pool.take(100);
  expect(third.bytes).toHaveLength(100);
  third.release();
  const again = await pool.take(290_000);
  expect(again.bytes.buffer).not.toBe(memory); // it made room for the larger one
  again.release();
  expect((await pool.take(280_000)).bytes.buffer).toBe(again.bytes.buffer);
});
