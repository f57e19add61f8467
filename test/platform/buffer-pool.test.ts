import { expect, test } from 'vitest';
import { createBufferPool } from '../../src/platform/buffer-pool.ts';

const MIB = 1 << 20;

test('memory is handed out up to the limit, in the order asked, and used again', async () => {
  const pool = createBufferPool(4 * MIB);
  const [first, second] = [await pool.take(2 * MIB), await pool.take(2 * MIB)];
  const order: string[] = [];
  const third = pool.take(3 * MIB).then((buffer) => (order.push('third'), buffer));
  const fourth = pool.take(1).then((buffer) => (order.push('fourth'), buffer));
  second.release();
  await new Promise((resolve) => void setImmediate(resolve));
  expect(order).toEqual([]);
  first.release();
  expect((await third).bytes).toHaveLength(3 * MIB);
  (await third).release();
  expect((await fourth).bytes).toHaveLength(1);
  expect(order).toEqual(['third', 'fourth']);
});

test('the parts of a terabyte fit, and what is larger than the limit is alone', async () => {
  const pool = createBufferPool(4 * MIB);
  const large = await pool.take(5 * MIB);
  expect(large.bytes).toHaveLength(5 * MIB);
  let isTaken = false;
  const next = pool.take(1).then(() => (isTaken = true));
  await new Promise((resolve) => void setImmediate(resolve));
  expect(isTaken).toBe(false);
  large.release();
  await next;
});
