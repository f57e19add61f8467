import { expect, test } from 'vitest';
import type { Digest } from '../../src/domain/digest.ts';
import { MlvError } from '../../src/domain/errors.ts';
import { createFailures } from '../../src/storage/transfer-failures.ts';

const blob = (number: number): { digest: Digest; path: string } => ({
  digest: String(number).padStart(64, '0') as Digest,
  path: `data/${number}`,
});
const failed = (code: string): MlvError => new MlvError({ code, kind: 'io', message: `it is ${code}` });

test('objects that fail are noted, each once with its last reason', () => {
  const failures = createFailures();
  failures.note([blob(1), blob(2)], failed('remote-read-failed'));
  failures.note([blob(2)], failed('remote-denied'));
  expect(failures.list()).toEqual([
    { ...blob(1), reason: 'it is remote-read-failed' },
    { ...blob(2), reason: 'it is remote-denied' },
  ]);
  expect(failures.count()).toBe(2);
  expect([1, 2, 3].map((number) => failures.has(blob(number).digest))).toEqual([true, true, false]);
});

test.each([failed('remote-full'), new TypeError('a bug')])('$message: that is no failure of an object', (error) => {
  const failures = createFailures();
  expect(() => failures.note([blob(1)], error)).toThrow(error);
  expect(failures.count()).toBe(0);
});

test('the fifth request in a row that fails ends it; one that succeeds starts the count anew', () => {
  const failures = createFailures();
  const fail = (number: number): void => failures.note([blob(number)], failed('remote-write-failed'));
  for (const number of [1, 2, 3, 4]) fail(number);
  failures.succeeded();
  for (const number of [5, 6, 7, 8]) fail(number);
  expect(() => fail(9)).toThrow('it is remote-write-failed');
  expect(failures.count()).toBe(8);
});
