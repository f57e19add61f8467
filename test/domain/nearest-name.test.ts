import { expect, test } from 'vitest';
import { nearestName } from '../../src/domain/nearest-name.ts';

const KEYS = ['cache.dir', 'cache.links', 'cache.packBelow', 'core.autostage', 'remote'];

test.each([
  ['cache.pakBelow', 'cache.packBelow'],
  ['cache.link', 'cache.links'],
  ['CACHE.DIR', 'cache.dir'],
  ['reomte', 'remote'],
  ['core.autoStage', 'core.autostage'],
  ['something', undefined],
  ['', undefined],
  ['x'.repeat(5_000_000), undefined],
])('takes %j for %j', (name, expected) => {
  expect(nearestName(name, KEYS)).toBe(expected);
});
