import { expect, it } from 'vitest';
import { findCollisions } from '../../src/domain/name-collisions.ts';

it('finds names that differ in case or normalisation alone, folders too', () => {
  const paths = ['a/one.txt', 'A/two.txt', 'b/caf\u00e9', 'b/cafe\u0301', 'b/other', 'c/x', 'c/y'];
  expect(findCollisions(paths)).toEqual([
    ['A', 'a'],
    ['b/cafe\u0301', 'b/caf\u00e9'],
  ]);
});

it('finds nothing among names that no disk confuses', () => {
  expect(findCollisions(['a', 'ab', 'a-b', 'b/a', 'c/a'])).toEqual([]);
});
