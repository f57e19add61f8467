/** `mlv repro` and `mlv plan` at their commonest; the rest of what people expect is in `test/harness/repro-semantics.test.ts`. */
import { afterAll, beforeAll, describe, test } from 'vitest';
import type { MlvRig } from '../support/mlv.ts';
import { makeMlvRig } from '../support/mlv.ts';
import { joining, makePipeline, noting } from '../support/pipeline.ts';
import type { Stages, TestPipeline } from '../support/pipeline.ts';

let rig: MlvRig;
let count = 0;

beforeAll(() => void (rig = makeMlvRig()));
afterAll(() => rig.dispose());

const CHAIN: Stages = {
  one: joining('one', ['in'], 'a'),
  two: joining('two', ['a'], 'b'),
  three: joining('three', ['b'], 'c'),
};

async function fresh(stages: Stages): Promise<TestPipeline> {
  const p = await makePipeline(rig, `project-${count++}`, stages);
  p.write({ in: '1\n' });
  return p;
}

/** A project whose stages ran once. */
async function ranOnce(stages: Stages): Promise<TestPipeline> {
  const p = await fresh(stages);
  await p.repro();
  p.ran();
  return p;
}

describe.concurrent('stages', () => {
  test('a first run runs all in order; a second one runs nothing', async ({ expect }) => {
    const p = await fresh(CHAIN);
    expect(await p.plan()).toEqual({ one: 'run', two: 'run', three: 'run' });
    expect(p.ran()).toEqual([]);
    expect(await p.repro()).toEqual({ one: 'ran', two: 'ran', three: 'ran' });
    expect(p.ran()).toEqual(['one', 'two', 'three']);
    const lock = p.read('mlv.lock');
    expect(await p.repro()).toEqual({ one: 'up-to-date', two: 'up-to-date', three: 'up-to-date' });
    expect([p.ran(), p.read('mlv.lock') === lock]).toEqual([[], true]);
    expect(await p.plan()).toEqual({ one: 'skip', two: 'skip', three: 'skip' });
  });

  test('without its lock file, all is restored from the run cache, and nothing runs', async ({ expect }) => {
    const p = await ranOnce(CHAIN);
    const lock = p.read('mlv.lock');
    p.write({ 'mlv.lock': null });
    expect(await p.plan()).toEqual({ one: 'restore', two: 'restore', three: 'restore' });
    expect(await p.repro()).toEqual({ one: 'restored', two: 'restored', three: 'restored' });
    p.write({ 'mlv.lock': null, a: null, c: null });
    expect(await p.repro()).toEqual({ one: 'restored', two: 'restored', three: 'restored' });
    expect([p.ran(), p.read('mlv.lock'), p.read('a'), p.read('c')]).toEqual([[], lock, '1\n', '1\n']);
  });

  test('outputs that were deleted by hand are brought back, not made again', async ({ expect }) => {
    const p = await ranOnce(CHAIN);
    p.write({ a: null, c: null });
    expect(await p.plan()).toEqual({ one: 'restore', two: 'skip', three: 'restore' });
    expect(await p.repro('--no-run-cache')).toEqual({ one: 'restored', two: 'up-to-date', three: 'restored' });
    expect([p.ran(), p.read('a'), p.read('c')]).toEqual([[], '1\n', '1\n']);
  });

  test('a result that is as before stops the run there', async ({ expect }) => {
    const p = await ranOnce({ ...CHAIN, one: { cmd: noting('one', 'head -n 1 in > a'), deps: ['in'], outs: ['a'] } });
    p.write({ in: '1\n2\n' });
    expect(await p.plan()).toEqual({ one: 'run', two: 'depends', three: 'depends' });
    expect(await p.repro()).toEqual({ one: 'ran', two: 'up-to-date', three: 'up-to-date' });
    expect(p.ran()).toEqual(['one']);
  });
});
