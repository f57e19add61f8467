import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Digest } from '../../src/domain/digest.ts';
import { createDigestSet } from '../../src/domain/digest-set.ts';

/** Few different starts, so that many digests want the same slot. */
const digests = fc
  .tuple(fc.constantFrom('00000000', 'ffffffff', '1f000000'), fc.nat(200))
  .map(([start, number]) => (start + number.toString(16).padStart(56, '0')) as Digest);

test('a set of digests has what a Set has, in the same order', () => {
  fc.assert(
    fc.property(fc.array(digests, { maxLength: 300 }), digests, (given, other) => {
      const expected = new Set(given);
      const set = createDigestSet(given);
      expect([...set]).toEqual([...expected]);
      expect(set.size).toBe(expected.size);
      for (const [number, digest] of [...expected].entries()) {
        expect(set.numberOf(digest)).toBe(number);
        expect(set.add(digest)).toBe(number);
      }
      expect(set.size).toBe(expected.size);
      expect(set.has(other)).toBe(expected.has(other));
    }),
  );
});

test('digests by the hundred thousand take a small part of what a Set of strings takes', () => {
  const count = 200_000;
  const before = process.memoryUsage();
  const set = createDigestSet();
  for (let number = 0; number < count; number++)
    set.add(((number * 2_654_435_761) % 2 ** 32).toString(16).padStart(8, '0').padEnd(64, '0') as Digest);
  expect(set.size).toBe(count);
  const taken = process.memoryUsage().arrayBuffers - before.arrayBuffers;
  // Up to half of it is what growing has left behind.
  expect(taken).toBeLessThan(150 * count);
});
