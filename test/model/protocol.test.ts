/**
 * Garbage collection of remotes, as docs/gc-protocol.md has it: every order of steps of a few actors, looked at one by one.
 * `npm run test:model` looks at all states of each scenario, and writes how many there are.
 */
import { describe, expect, test } from 'vitest';
import { HOLDS, NEEDED, SPARE } from './scenarios.ts';
import { search } from './search.ts';

const isWhole = process.env['MLV_MODEL'] === 'whole';
/** In every run of the tests. */
const NEAREST = 2_500;
/** Minutes, and a gigabyte or two. */
const MOST = 1_200_000;

function tell(name: string, text: string): void {
  if (isWhole) console.log(`${name}: ${text}`);
}

describe('the protocol keeps its promises', () => {
  test.each(HOLDS)('$name', { timeout: 3_600_000 }, ({ name, world, promised, isLong = false }) => {
    const max = isWhole ? MOST : isLong ? NEAREST : Number.POSITIVE_INFINITY;
    const { states, isWhole: isAll, broken, trace } = search(world, promised, max);
    tell(name, `${states} states, ${isAll ? 'all there are' : 'the nearest'}`);
    expect({ broken, trace }).toEqual({ broken: undefined, trace: [] });
    expect(isAll || (states === max && isLong)).toBe(true);
  });
});

describe('something breaks without', () => {
  const tried = NEEDED.filter(({ isLong = false }) => isWhole || !isLong);
  test.each(tried)('$name', { timeout: 600_000 }, ({ name, world, without, breaks, steps }) => {
    const { states, broken, trace } = search({ ...world, rules: { ...world.rules, ...without } }, [breaks]);
    tell(name, `${broken ?? 'nothing'}, after ${trace.length} steps, ${states} states\n  ${trace.join('\n  ')}`);
    expect(trace).toHaveLength(steps);
    expect(broken).toBeDefined();
  });
  // The same worlds, nothing left out, hold: what breaks is due to what was left out.
  test.each(tried)('… and nothing with: $name', { timeout: 600_000 }, ({ world, breaks }) => {
    expect(search(world, [breaks], NEAREST)).toMatchObject({ broken: undefined, trace: [] });
  });
});

test.each(SPARE)('nothing was found to break without $name', ({ world, without, breaks }) => {
  const found = search({ ...world, rules: { ...world.rules, ...without } }, [breaks]);
  expect(found).toMatchObject({ broken: undefined, isWhole: true });
});
