import { expect, test } from 'vitest';
import type { Digest } from '../../src/domain/digest.ts';
import type { Damage } from '../../src/storage/damage.ts';
import { createDamagePaths, createMissingList, MAX_PATHS, sumMissing } from '../../src/workspace/verify-result.ts';

const digest = (number: number): Digest => number.toString(16).padStart(8, '0').padEnd(64, '0') as Digest;
const path = (number: number): string => `data/${String(number).padStart(6, '0')}`;
const damage = (...numbers: number[]): Damage => ({
  kind: 'pack',
  where: 'packs/x',
  reason: 'it is gone',
  digests: new Set(numbers.map(digest)),
});

test('of very much that is missing only the first is kept, and all is counted, each digest once', () => {
  const list = createMissingList();
  for (let number = 0; number < 200_000; number++) list.note({ path: path(number), digest: digest(number), files: 1 });
  for (let number = 0; number < 200_000; number += 7) list.note({ path: 'again', digest: digest(number), files: 1 });
  const { missing, missingFiles } = sumMissing([list, list]);
  expect(missingFiles).toBe(400_000);
  expect(list.files).toBe(200_000);
  const first = Array.from({ length: MAX_PATHS }, (_, number) => ({
    path: path(number),
    digest: digest(number),
    files: 1,
  }));
  expect(missing).toEqual(first);
  expect(list.items).toEqual(first);
});

test('what is told elsewhere is known, and neither kept nor counted', () => {
  const list = createMissingList(MAX_PATHS, (each) => each === digest(1));
  for (const number of [1, 2]) list.note({ path: path(number), digest: digest(number), files: 3 });
  expect([list.has(digest(1)), list.has(digest(2)), list.has(digest(3))]).toEqual([true, true, false]);
  expect([list.items, list.files]).toEqual([[{ path: path(2), digest: digest(2), files: 3 }], 3]);
});

test('of the paths that damage hits the first by name are kept', () => {
  const all = Array.from({ length: 5_000 }, (_, number) => number);
  const large = damage(...all);
  const paths = createDamagePaths([large]);
  for (const number of all.toReversed()) paths.add(digest(number), path(number));
  expect(paths.of(large)).toEqual(all.slice(0, MAX_PATHS).map(path));
});

test('where there is very much damage, each keeps few paths', () => {
  const damages = Array.from({ length: 2_000 }, (_, number) => damage(number));
  const paths = createDamagePaths(damages);
  for (const [number] of damages.entries())
    for (let copy = 0; copy < 200; copy++) paths.add(digest(number), path(copy));
  expect(damages.reduce((sum, each) => sum + paths.of(each).length, 0)).toBe(50 * 2_000);
});

test('a digest that several damages name hits in each of them, and its path is told once', () => {
  const [one, two, other] = [damage(1, 2), damage(2, 3), damage(4)];
  const paths = createDamagePaths([one, two, other]);
  for (const number of [2, 2, 1, 5]) paths.add(digest(number), path(number));
  expect([one, two, other].map((each) => paths.of(each))).toEqual([[path(1), path(2)], [path(2)], []]);
  expect([1, 2, 3, 4, 5].map((number) => paths.has(digest(number)))).toEqual([true, true, true, true, false]);
});
