import fc from 'fast-check';
import { expect, test } from 'vitest';
import { droppedFields } from '../../../src/execution/kubernetes/dropped-fields.ts';

test('what was kept, in whatever form, and with more beside it, is not told', () => {
  const sent = { spec: { a: '1073741824', list: [{ name: 'x' }], off: false, none: [], nothing: {} } };
  const kept = { kind: 'Job', spec: { a: '1Gi', list: [{ name: 'x', more: 1 }], other: true } };
  expect(droppedFields(sent, kept)).toEqual([]);
});

test('what is gone is told by its path, the whole of it once', () => {
  const sent = {
    spec: { podFailurePolicy: { rules: [{ action: 'Ignore' }] }, list: [{ name: 'x', on: true }], ttl: 0 },
  };
  expect(droppedFields(sent, { spec: { list: [{ name: 'x' }] } })).toEqual([
    'spec.podFailurePolicy',
    'spec.list[0].on',
    'spec.ttl',
  ]);
});

test('nothing is gone of what comes back as it was sent', () => {
  fc.assert(
    fc.property(fc.object({ maxDepth: 4 }), (sent) => {
      const text = JSON.stringify(sent);
      expect(droppedFields(JSON.parse(text), JSON.parse(text))).toEqual([]);
    }),
  );
});
