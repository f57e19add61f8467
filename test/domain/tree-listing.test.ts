import { expect, test } from 'vitest';
import { listTree } from '../../src/domain/tree-listing.ts';
import { buildTree, createObjects, digestOf, entryAt } from '../support/trees.ts';

test('a line for each file, in order, control characters escaped', () => {
  const objects = createObjects();
  const entries = [entryAt('é\n', 1), entryAt('a', 2, 'x'), entryAt('empty', 0, 'd'), entryAt('z', 3, 'l')];
  const [one, two, three] = ['1', '2', '3'].map((text) => digestOf(text).slice(0, 10));
  expect([...listTree(buildTree(entries, objects).root, objects.load)]).toEqual([
    `a  20  ${two} executable`,
    'empty/',
    `z  30  ${three} symlink`,
    `é%0A  10  ${one}`,
  ]);
});

test('with many files, a line for each page, which is not read; a change moves the lines of its page alone', () => {
  const objects = createObjects();
  const entries = Array.from({ length: 30_000 }, (_, index) => entryAt(`${String(index).padStart(6, '0')}.txt`, 1));
  const before = buildTree(entries, objects).root;
  entries[17_000] = entryAt('017000.txt', 2);
  const after = buildTree(entries, objects).root;
  objects.loaded.length = 0;
  const lines = [...listTree(before, objects.load)];
  expect(new Set(objects.loaded)).toEqual(new Set([before]));
  expect(lines.length).toBeLessThan(100);
  expect(lines.at(-1)).toMatch(/^… 029999\.txt {2}\d+ files {2}\d+ {2}[0-9a-f]{10}$/);
  const changed = [...listTree(after, objects.load)];
  expect(changed.filter((line, index) => line !== lines[index])).toHaveLength(1);
});
