import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { describeRun, runOrigin, openRunCache } from '../../src/workspace/run-cache.ts';
import type { MlvRig } from '../support/mlv.ts';
import { makeMlvRig } from '../support/mlv.ts';
import type { StageRig } from '../support/stage-rig.ts';
import { makeStage, makeStageRig } from '../support/stage-rig.ts';
import { refusal, told } from '../support/told.ts';
import { digestOf } from '../support/trees.ts';

let rig: MlvRig;
let stages: StageRig;
beforeAll(async () => {
  rig = makeMlvRig();
  stages = await makeStageRig();
});
afterAll(async () => {
  await stages.dispose();
  rig.dispose();
});

test('results are listed, pushed, forgotten, and fetched again', async () => {
  const { root, workspace } = stages;
  const mlv = (...args: string[]): Promise<string> => told(rig, root, args);
  expect(await mlv('run-cache', 'list')).toBe('No results are known here\n');
  const stage = makeStage('train', { outs: ['model'] });
  const { outs } = await stages.run(stage, { 'model/weights': 'weights', 'model/words': 'words' });
  const record = describeRun({
    stage,
    fingerprint: digestOf('f'),
    outs,
    seconds: 2,
    origin: await runOrigin(workspace),
  });
  openRunCache(workspace).put(record);
  const line = `train  ${record.finished}  Ada <ada@example.com>  1 output  12 B`;
  expect(await mlv('run-cache')).toBe(`${line}  here\n`);
  expect(await mlv('run-cache', 'list', 'other')).toBe('No results are known here\n');

  await mlv('remote', 'add', '-d', 'store', '../store');
  stages.repository.git('commit', '--quiet', '--all', '-m', 'all');
  expect(await mlv('push', '--run-cache')).toContain('run cache  1 result there  sent 1 result\n');
  expect(await mlv('push', '--run-cache')).toContain('run cache  1 result there  up to date\n');

  expect(await mlv('run-cache', 'forget', '--dry-run')).toBe(`${line}  here\n`);
  expect(await mlv('run-cache', 'forget', '--older-than', '1h', '--yes')).toBe('There is nothing to forget\n');
  expect(await refusal(rig, root, ['run-cache', 'forget'])).toContain(
    'nothing was forgotten: nobody is there to be asked',
  );
  expect(await refusal(rig, root, ['run-cache', 'forget', '--older-than', 'long'], { code: 2 })).toContain(
    'is not a time',
  );
  expect(await mlv('run-cache', 'forget', 'train', '--yes')).toBe('forgot 1 result\n');
  expect(await mlv('run-cache', 'list')).toBe('No results are known here\n');

  stages.remove('.git/mlv/cache', 'model');
  expect(await mlv('fetch', '--run-cache')).toContain('run cache  1 result here  got 1 result\n');
  const listed = JSON.parse(await mlv('run-cache', 'list', '--json')) as unknown[];
  expect(listed).toMatchObject([{ stage: 'train', outs: ['model'], size: 12, seconds: 2, platform: record.platform }]);
  expect(await mlv('pull', '--run-cache')).toContain('run cache  1 result here  up to date\n');
  expect(readFileSync(join(root, 'mlv.lock'), 'utf8')).toContain('train:');
});
