import { readFileSync } from 'node:fs';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { pipelineJsonSchema } from '../../src/domain/pipeline-json-schema.ts';

interface Case {
  readonly name: string;
  readonly yaml: string;
  readonly dvc: { readonly error?: string };
}

const { cases } = JSON.parse(readFileSync(new URL('dvc-resolved.json', import.meta.url), 'utf8')) as {
  cases: readonly Case[];
};
const validate = new Ajv2020({ strict: true, allErrors: true }).compile(JSON.parse(pipelineJsonSchema()) as object);

test('what ships is what the reader checks by', () => {
  const shipped = readFileSync(new URL('../../dist/mlv.schema.json', import.meta.url), 'utf8');
  expect(shipped).toBe(pipelineJsonSchema());
});

test.each(cases.filter(({ dvc }) => dvc.error === undefined))('accepts: $name', ({ yaml }) => {
  validate(parse(yaml));
  expect(validate.errors).toBeNull();
});

test("accepts mlv's own fields", () => {
  validate({
    stages: {
      train: {
        cmd: ['a', 'b'],
        env: ['CUDA_VISIBLE_DEVICES'],
        tools: { python: 'python --version' },
        image: 'python:3.12',
        resources: { cpu: '500m', memory: '8Gi', gpu: 1, gpu_type: 'a100', disk: 1e9, shm: '${shm}' },
        run_on: { kubernetes: 'big' },
        timeout: '1h30m',
        secrets: ['db', '${secret}'],
        queue: 'team-a',
        pending_timeout: 600,
        no_retry_exit_codes: [2, '${fatal}'],
        checkpoint: 'checkpoints',
        pod: { metadata: { labels: { a: 'b' } }, spec: { priorityClassName: 'high' } },
        retries: 2,
        mutex: 'gpu',
        params: ['lr', { 'a.json': ['x'] }, { 'b.toml': null }],
      },
    },
    metrics: ['m.json'],
    plots: ['p.csv', { loss: { x: 'step', y: { 'log.csv': 'loss' } } }],
  });
  expect(validate.errors).toBeNull();
});

test.each([
  ['an unknown field', { stages: { a: { comand: 'x' } } }],
  ['no command', { stages: { a: { deps: ['x'] } } }],
  ['no command at all', { stages: { a: { cmd: [] } } }],
  ['a number as a path', { stages: { a: { cmd: 'x', deps: [1] } } }],
  ['a flag that is none', { stages: { a: { cmd: 'x', frozen: 'yes' } } }],
  ['an option that is none', { stages: { a: { cmd: 'x', outs: [{ b: { cach: false } }] } } }],
  ['a size that is none', { stages: { a: { cmd: 'x', resources: { memory: 'much' } } } }],
  ['a time that is none', { stages: { a: { cmd: 'x', timeout: 'soon' } } }],
  ['an image that is none', { stages: { a: { cmd: 'x', image: 'https://x' } } }],
  ["a secret's value", { stages: { a: { cmd: 'x', secrets: ['Hunter2!'] } } }],
  ['an exit code that is none', { stages: { a: { cmd: 'x', no_retry_exit_codes: [256] } } }],
  ['a patch of something else than a pod', { stages: { a: { cmd: 'x', pod: { containers: [] } } } }],
  ['foreach without do', { stages: { a: { foreach: [1], cmd: 'x' } } }],
  ['an unknown section', { stage: {} }],
])('refuses %s', (_, value) => {
  expect(validate(value)).toBe(false);
});
