import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { StageId } from '../../../src/domain/pipeline.ts';
import { jobName, runtimeName, stageSlug } from '../../../src/execution/kubernetes/job-names.ts';
import { digestOf } from '../../support/trees.ts';

const HEX = digestOf('fingerprint');
const LABEL = /^[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?$/;

test.each([
  ['train', 'train'],
  ['train@1', 'train-1'],
  ['Train_v2.1@cnn-3', 'train-v2-1-cnn-3'],
  ['sub/mlv.yaml:train', 'sub-train'],
  ['größe@ü', 'gr-e'],
  ['日本', 'stage'],
  ['experiments/language/mlv.yaml:fine-tune@large', 'experiments-la-fine-tune-large'],
  ['123456789012345678901234567890', '123456789012345678901234567890'],
  ['1234567890123-5678901234567890xx', '1234567890123-8901234567890xx'],
])('the stage %s is called %s', (id, slug) => {
  expect(stageSlug(id as StageId)).toBe(slug);
});

test('whatever the stage, names are those of RFC 1123, with room for what is put behind the names of pods', () => {
  const id = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 60 }),
    fc.stringMatching(/^[a-zA-Z0-9@:/._-]{0,80}$/),
    fc.stringMatching(/^[a-z-]{25,40}$/),
  );
  fc.assert(
    fc.property(id, fc.nat(999_999), (text, attempt) => {
      const slug = stageSlug(text as StageId);
      expect(slug).toMatch(LABEL);
      expect(slug.length).toBeLessThanOrEqual(30);
      const name = jobName(text as StageId, HEX, attempt);
      expect(name).toMatch(LABEL);
      expect(name.length).toBeLessThanOrEqual(63 - '-abcde'.length);
      expect(name.endsWith(`-${HEX.slice(0, 12)}${attempt === 0 ? '' : `-r${attempt}`}`)).toBe(true);
    }),
    { numRuns: 300 },
  );
});

test('what runs in pods is named by its content', () => {
  expect(runtimeName(digestOf('a'))).toBe(`mlv-runtime-${digestOf('a').slice(0, 12)}`);
});
