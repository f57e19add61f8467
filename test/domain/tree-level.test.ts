import fc from 'fast-check';
import { expect, test } from 'vitest';
import { isBelowLevel, readLevel } from '../../src/domain/tree-level.ts';
import { treePathFromText, treePathToText } from '../../src/domain/tree-path.ts';
import type { TreeEntry } from '../../src/domain/tree.ts';
import { buildTree, byPath, createObjects, entryAt } from '../support/trees.ts';

const segment = fc.constantFrom('a', 'b', 'c', 'a-', 'a.', 'ä', 'b0', '%');
const paths = fc.uniqueArray(
  fc.array(segment, { minLength: 1, maxLength: 4 }).map((parts) => parts.join('/')),
  {
    maxLength: 40,
  },
);

/** Entries without those that are a folder of another. */
function entriesAt(names: readonly string[]): TreeEntry[] {
  const kept = names.filter((name) => !names.some((other) => other.startsWith(`${name}/`)));
  return kept.map((name, index) => entryAt(name, index + 1, index % 5 === 0 ? 'd' : 'f')).sort(byPath);
}

/** One level, found by looking at all entries. */
function levelOf(entries: readonly TreeEntry[], folder: string): unknown[] {
  const inside = folder === '' ? '' : `${folder}/`;
  const found = new Map<string, { files: number; bytes: number } | 'entry'>();
  for (const { path, size, kind } of entries) {
    const text = treePathToText(path);
    if (text === folder) return [[text, 'entry']];
    if (!text.startsWith(inside)) continue;
    const rest = text.slice(inside.length);
    if (!rest.includes('/')) {
      found.set(text, 'entry');
      continue;
    }
    const name = inside + rest.slice(0, rest.indexOf('/'));
    const sum = found.get(name) as { files: number; bytes: number } | undefined;
    found.set(name, { files: (sum?.files ?? 0) + (kind === 'd' ? 0 : 1), bytes: (sum?.bytes ?? 0) + size });
  }
  return [...found];
}

function read(entries: readonly TreeEntry[], folder: string): unknown[] {
  const objects = createObjects();
  const { root } = buildTree(entries, objects);
  const level = readLevel(root, objects.load, folder === '' ? undefined : treePathFromText(folder));
  return Array.from(level, (item) =>
    item.type === 'entry'
      ? [treePathToText(item.entry.path), 'entry']
      : [treePathToText(item.path), { files: item.files, bytes: item.bytes }],
  );
}

test('one level of any folder is what looking at all entries finds', () => {
  fc.assert(
    fc.property(paths, fc.array(segment, { maxLength: 3 }), (names, at) => {
      const entries = entriesAt(names);
      expect(read(entries, at.join('/'))).toEqual(levelOf(entries, at.join('/')));
    }),
  );
});

test('pages inside a folder of the level are neither read nor wanted, and counted all the same', () => {
  const names = ['a', 'b'].flatMap((folder) =>
    Array.from({ length: 20_000 }, (_, index) => `x/${folder}/${String(index).padStart(6, '0')}`),
  );
  const entries = [...names.map((name) => entryAt(name, 1)), entryAt('x/c', 1), entryAt('y', 1)];
  const objects = createObjects();
  const { root } = buildTree(entries, objects);
  const pages = objects.all.size - 1;
  const level = readLevel(root, objects.load, treePathFromText('x'));
  expect(Array.from(level, (item) => (item.type === 'entry' ? treePathToText(item.entry.path) : item))).toEqual([
    { type: 'folder', path: 'x/a', files: 20_000, bytes: 200_000 },
    { type: 'folder', path: 'x/b', files: 20_000, bytes: 200_000 },
    'x/c',
  ]);
  expect(pages).toBeGreaterThan(20);
  // The root, the first page, that in which `a` ends, and the last.
  expect(objects.loaded.length).toBe(4);
});

test.each([
  [undefined, 'a/1', 'a/2', true],
  [undefined, 'a/1', 'b/2', false],
  [undefined, '', 'a/2', false],
  [undefined, 'a', 'b', false],
  ['a', 'a/1', 'a/2', false],
  ['a', 'a/b/1', 'a/b/2', true],
  ['a', 'a/b/1', 'b/b/2', false],
])('of the level of %s, all after %s up to %s is inside one folder: %s', (folder, after, last, expected) => {
  const at = folder === undefined ? undefined : treePathFromText(folder);
  expect(isBelowLevel(at, after, treePathFromText(last))).toBe(expected);
});
