import { expect, test } from 'vitest';
import type { Digest } from '../../src/domain/digest.ts';
import { childrenOf } from '../../src/domain/tree-children.ts';

const a = 'a'.repeat(64) as Digest;
const b = 'b'.repeat(64) as Digest;
const of = (text: string): unknown => childrenOf(Buffer.from(text, 'latin1'), a);

test('tells what roots, lists and pages name', () => {
  expect(of(`mlv-tree 1 0\n${b} 1 2 x\n`)).toEqual({ trees: [b], blobs: [] });
  expect(of('mlv-tree 1 0\n')).toEqual({ trees: [], blobs: [] });
  expect(of(`${b} 10 200 a\n${a} 1 2 f x\n`)).toEqual({ trees: [b, a], blobs: [] });
  expect(of(`${b} 10 f 2 3 a\n${a} 1 x b\n${a} 1 l c\n${b} 0 d e\n`)).toEqual({ trees: [], blobs: [b, a, a] });
});

test.each(['', 'text\n', `${b} 1 f x`, `${b} 1 f x\n\n`, `${b} 1 f x\n${a} 1 2 y\n`])('refuses %j', (text) => {
  expect(() => of(text)).toThrow('malformed');
});
