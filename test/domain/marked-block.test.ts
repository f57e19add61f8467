import fc from 'fast-check';
import { expect, test } from 'vitest';
import { markedBlock, withMarkedBlock, withoutMarkedBlock } from '../../src/domain/marked-block.ts';

test('a block comes and goes, and all else stays as it is', () => {
  const text = fc
    .array(fc.constantFrom('a\n', '\n', '# mlv\n', '# mlv: begin', '# mlv: begin\n', '\r\n', 'b'), { maxLength: 6 })
    .map((all) => all.join(''));
  const lines = fc.array(fc.constantFrom('x\n', 'y $& \n', '\n'), { maxLength: 3 }).map((all) => all.join(''));
  fc.assert(
    fc.property(text, lines, lines, (before, first, second) => {
      const once = withMarkedBlock(before, first);
      expect(markedBlock(once)).toBe(first);
      const twice = withMarkedBlock(once, second);
      expect(markedBlock(twice)).toBe(second);
      expect(withoutMarkedBlock(twice)).toBe(before);
      expect(markedBlock(before)).toBeUndefined();
      expect(withoutMarkedBlock(before)).toBe(before);
    }),
  );
});
