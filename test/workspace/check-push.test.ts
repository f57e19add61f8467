import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parsePushedRefs } from '../../src/workspace/check-push.ts';

const id = fc.oneof(
  fc
    .string({ unit: fc.constantFrom('0', '1', '9', 'a', 'f'), minLength: 40, maxLength: 40 })
    .filter((text) => !/^0+$/.test(text)),
  fc.constant('f'.repeat(64)),
);
const zero = fc.constantFrom('0'.repeat(40), '0'.repeat(64));
const ref = fc.constantFrom('refs/heads/main', 'refs/tags/v1', 'HEAD', 'HEAD~2', 'refs/heads/ümlaut/x');

test('reads what is pushed, and leaves out what is deleted', () => {
  const pushed = fc.tuple(ref, id, ref, fc.oneof(id, zero));
  const deleted = fc.tuple(fc.constant('(delete)'), zero, ref, id);
  fc.assert(
    fc.property(fc.array(fc.oneof(pushed, deleted)), (lines) => {
      const input = lines.map((line) => `${line.join(' ')}\n`).join('');
      const expected = lines
        .filter(([name]) => name !== '(delete)')
        .map(([name, local, , before]) => ({ name, id: local, before: /^0+$/.test(before) ? undefined : before }));
      expect(parsePushedRefs(input)).toEqual(expected);
    }),
  );
});

test('takes nothing from what is no such line', () => {
  expect(parsePushedRefs('\n')).toEqual([]);
  expect(parsePushedRefs('refs/heads/main main refs/heads/main\nx')).toEqual([]);
});
