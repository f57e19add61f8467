import { expect, test } from 'vitest';
import { readPipelineFile } from '../../src/domain/pipeline-reader.ts';
import type { Stage } from '../../src/domain/pipeline.ts';
import { parseRepoPath } from '../../src/domain/repo-path.ts';

function stageOf(...fields: readonly string[]): Stage | undefined {
  const yaml = ['stages:', '  train:', '    cmd: x', ...fields.map((field) => `    ${field}`)].join('\n');
  return readPipelineFile(yaml, parseRepoPath('sub/mlv.yaml'), () => undefined).stages[0];
}

test('what a stage says for clusters is read', () => {
  const stage = stageOf(
    'vars: [{limit: 2h, code: 3}]',
    'secrets: [wandb, db.eu, wandb]',
    'queue: team-a',
    'pending_timeout: ${limit}',
    'no_retry_exit_codes: [200, "${code}", 3]',
    'checkpoint: ./half/',
    'deps: [halfway]',
    'pod:',
    '  spec:',
    '    nodeSelector: null',
    '    tolerations: [{key: spot, operator: Exists, tolerationSeconds: 30}]',
  );
  expect(stage?.cluster).toEqual({
    secrets: ['wandb', 'db.eu'],
    queue: 'team-a',
    pendingTimeout: 7200,
    noRetryExitCodes: [3, 200],
    checkpoint: 'sub/half',
    pod: {
      spec: { nodeSelector: null, tolerations: [{ key: 'spot', operator: 'Exists', tolerationSeconds: 30 }] },
    },
  });
});

test('a stage that says nothing for clusters has nothing of it', () => {
  expect(stageOf('timeout: 90s')).toMatchObject({ timeout: 90 });
  expect(stageOf('timeout: 90s')).not.toHaveProperty('cluster');
});

test('a checkpoint lies beside what the stage reads and makes, and below the folder that it runs in or elsewhere', () => {
  expect(stageOf('wdir: train', 'checkpoint: half', 'deps: [../data]', 'outs: [model]')?.cluster).toEqual({
    checkpoint: 'sub/train/half',
  });
  expect(stageOf('checkpoint: ../half')?.cluster).toEqual({ checkpoint: 'half' });
});
