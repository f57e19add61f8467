import { assert, integer, property } from 'fast-check';
import { expect, test } from 'vitest';
import { amountOf, quantityOf } from './quantity.ts';

test.each([
  ['1500m', 1.5],
  ['1.5', 1.5],
  ['2Gi', 2 * 2 ** 30],
  ['1e3', 1000],
  ['1k', 1000],
  ['.5', 0.5],
  ['1gb', Number.NaN],
  ['', Number.NaN],
  ['1 Gi', Number.NaN],
])('reads %s', (text, amount) => {
  expect(amountOf(text)).toBe(amount);
});

test('reads what it writes', () => {
  assert(
    property(integer({ min: 0, max: 2 ** 45 }), integer({ min: 0, max: 999 }), (whole, thousandths) => {
      expect(amountOf(quantityOf(whole))).toBe(whole);
      const amount = Number(`${whole % 1000}.${String(thousandths).padStart(3, '0')}`);
      expect(amountOf(quantityOf(amount))).toBe(amount);
    }),
  );
});
