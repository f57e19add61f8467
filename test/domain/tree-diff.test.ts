import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Digest } from '../../src/domain/digest.ts';
import type { TreeEntry } from '../../src/domain/tree.ts';
import { MAX_ROOT_LINES } from '../../src/domain/tree.ts';
import { createSeeker, entryCursor } from '../../src/domain/tree-cursors.ts';
import type { TreeChange } from '../../src/domain/tree-diff.ts';
import { diffTrees, sameEntry } from '../../src/domain/tree-diff.ts';
import type { TreePath } from '../../src/domain/tree-path.ts';
import { EMPTY_CURSOR, openTree } from '../../src/domain/tree-reader.ts';
import { boundaryNames, buildTree, createObjects, entriesIn, entryAt, innerNames } from '../support/trees.ts';

const NAMES = [...boundaryNames(25, 'p'), ...innerNames(60, 'p')].sort();

const content = fc
  .uniqueArray(
    fc.record({
      path: fc.constantFrom(...NAMES),
      version: fc.nat(1),
      kind: fc.constantFrom('f' as const, 'x' as const),
    }),
    { selector: ({ path }) => path, maxLength: 80 },
  )
  .map((list) => list.map(({ path, version, kind }) => entryAt(path, version, kind)));

function naiveDiff(before: readonly TreeEntry[], after: readonly TreeEntry[]): TreeChange[] {
  const paths = [...new Set([...before, ...after].map(({ path }) => path))].sort();
  return paths
    .map((path) => ({
      path,
      before: before.find((entry) => entry.path === path),
      after: after.find((entry) => entry.path === path),
    }))
    .filter(({ before: old, after: now }) => old === undefined || now === undefined || !sameEntry(old, now));
}

describe('the difference of two trees', () => {
  test('is what comparing path by path finds', () => {
    fc.assert(
      fc.property(content, content, (before, after) => {
        const objects = createObjects();
        const [old, now] = [buildTree(before, objects), buildTree(after, objects)];
        expect([...diffTrees(openTree(old.root, objects.load), openTree(now.root, objects.load))]).toEqual(
          naiveDiff(before, after),
        );
      }),
      { numRuns: 300 },
    );
  });

  test('with nothing is everything', () => {
    const objects = createObjects();
    const entries = NAMES.map((name) => entryAt(name));
    const { root } = buildTree(entries, objects);
    expect([...diffTrees(EMPTY_CURSOR, openTree(root, objects.load))]).toEqual(
      entries.map((after) => ({ path: after.path, before: undefined, after })),
    );
    expect([...diffTrees(openTree(root, objects.load), EMPTY_CURSOR)]).toHaveLength(entries.length);
  });

  test('between trees of different heights', () => {
    const objects = createObjects();
    const many = boundaryNames(MAX_ROOT_LINES + 1, 'b');
    const [gone = '', ...rest] = many;
    const tall = buildTree(
      many.map((name) => entryAt(name)),
      objects,
    );
    const low = buildTree(
      rest.map((name) => entryAt(name)),
      objects,
    );
    expect([...diffTrees(openTree(tall.root, objects.load), openTree(low.root, objects.load))]).toEqual([
      { path: gone, before: entryAt(gone), after: undefined },
    ]);
  });

  test('reads only pages that differ', () => {
    const objects = createObjects();
    const before = buildTree(
      NAMES.map((name) => entryAt(name)),
      objects,
    );
    const after = buildTree(
      NAMES.map((name, index) => entryAt(name, index === 40 ? 1 : 0)),
      objects,
    );
    objects.loaded.length = 0;
    expect([...diffTrees(openTree(before.root, objects.load), openTree(after.root, objects.load))]).toHaveLength(1);
    expect(objects.loaded).toHaveLength(4);
  });
});

describe('looking paths up in order', () => {
  test('finds what is there and nothing else', () => {
    fc.assert(
      fc.property(content, fc.uniqueArray(fc.constantFrom(...NAMES, '', 'a', 'p', 'zz')), (entries, asked) => {
        const objects = createObjects();
        const { root } = buildTree(entries, objects);
        const seek = createSeeker(openTree(root, objects.load));
        for (const path of asked.sort())
          expect(seek(path as TreePath)).toEqual(entries.find((entry) => entry.path === path));
      }),
    );
  });

  test('may ask for a path again', () => {
    const objects = createObjects();
    const seek = createSeeker(openTree(buildTree([entryAt('a'), entryAt('b')], objects).root, objects.load));
    expect([seek('b' as TreePath), seek('b' as TreePath)]).toEqual([entryAt('b'), entryAt('b')]);
  });

  test('reads no page that cannot hold one', () => {
    const objects = createObjects();
    const { root } = buildTree(
      NAMES.map((name) => entryAt(name)),
      objects,
    );
    objects.loaded.length = 0;
    const seek = createSeeker(openTree(root, objects.load));
    expect(seek(NAMES[50] as TreePath)).toEqual(entryAt(NAMES[50] ?? ''));
    expect(seek('zzz' as TreePath)).toBeUndefined();
    expect(new Set(objects.loaded).size).toBe(2);
  });
});

test('a cursor over one entry has that entry', () => {
  const entry = entryAt('a');
  expect(entriesIn(entryCursor(entry))).toEqual([entry]);
  expect(() => entryCursor(entry).open()).toThrow('only a node');
});

test('entries are the same when content and form are, wherever they lie', () => {
  expect(sameEntry(entryAt('a'), entryAt('b'))).toBe(true);
  expect(sameEntry(entryAt('a'), entryAt('a', 0, 'x'))).toBe(false);
  expect(sameEntry(entryAt('a'), { ...entryAt('a'), digest: '0'.repeat(64) as Digest })).toBe(false);
});
