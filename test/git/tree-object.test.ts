import { expect, test } from 'vitest';
import { parseTree } from '../../src/git/trees.ts';

const ID = Buffer.alloc(20, 7);
const ENTRY = Buffer.concat([Buffer.from('100644 a.mlv\0'), ID]);

test('a tree object of Git has its entries', () => {
  const folder = Buffer.concat([Buffer.from('40000 b c\0'), ID]);
  expect(parseTree(Buffer.concat([ENTRY, folder]), 20)).toEqual([
    { mode: '100644', name: 'a.mlv', id: '07'.repeat(20) },
    { mode: '040000', name: 'b c', id: '07'.repeat(20) },
  ]);
});

test('one that is malformed is refused, wherever it ends', () => {
  for (let length = ENTRY.length + 1; length < 2 * ENTRY.length; length++) {
    const cut = Buffer.concat([ENTRY, ENTRY]).subarray(0, length);
    expect(() => parseTree(cut, 20)).toThrow(expect.objectContaining({ code: 'git-tree-damaged' }));
  }
  // Without its NUL, and without its space.
  for (const text of ['100644 a.mlv', '100644\0']) {
    const bytes = Buffer.concat([ENTRY, Buffer.from(text), ID]);
    expect(() => parseTree(bytes, 20)).toThrow(expect.objectContaining({ code: 'git-tree-damaged' }));
  }
});
