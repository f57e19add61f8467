import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { PurgeRecord } from '../../src/domain/purge-record.ts';
import type { TreeEntry } from '../../src/domain/tree.ts';
import { sameEntry } from '../../src/domain/tree-diff.ts';
import type { TreeEdit } from '../../src/domain/tree-edit.ts';
import { editTree } from '../../src/domain/tree-edit.ts';
import type { TreePath } from '../../src/domain/tree-path.ts';
import { treePathFromText } from '../../src/domain/tree-path.ts';
import { openTree, readEntries } from '../../src/domain/tree-reader.ts';
import type { Selection } from '../../src/workspace/checkout-record.ts';
import { isSelected } from '../../src/workspace/checkout-record.ts';
import { createInheritance } from '../../src/workspace/inherit.ts';
import type { Objects } from '../support/trees.ts';
import { boundaryNames, buildTree, byPath, createObjects, entryAt, hash, innerNames } from '../support/trees.ts';

const NAMES = [
  ...boundaryNames(10, 'p/'),
  ...innerNames(10, 'p/'),
  ...boundaryNames(4, 'q/'),
  ...innerNames(6, 'q/'),
  'a',
  'r',
];

function inherit(
  base: readonly TreeEntry[],
  workspace: readonly TreeEntry[],
  selected: Selection,
  objects: Objects = createObjects(),
  purged: PurgeRecord = new Map(),
) {
  const { root } = buildTree(base, objects);
  objects.loaded.length = 0;
  const edits: TreeEdit[] = [];
  const inheritance = createInheritance({
    base: openTree(root, objects.load),
    below: (path) => readEntries(root, objects.load, path),
    selected,
    purged,
    edit: (edit) => edits.push(edit),
  });
  for (const entry of [...workspace].sort(byPath)) inheritance.entry(entry);
  const notCheckedOut = inheritance.finish();
  return { root, edits, notCheckedOut };
}

describe('a partly checked-out folder', () => {
  const base = ['a', 'in/x', 'in/y', 'out/x', 'out/y'].map((path) => entryAt(path));
  const selected = ['in' as TreePath];
  const [, x, y] = base as [TreeEntry, TreeEntry, TreeEntry];

  test('that was not touched changes nothing', () => {
    expect(inherit(base, [x, y], selected)).toMatchObject({ edits: [], notCheckedOut: 3 });
  });

  test('holds no empty folder where the base has files that were never asked for', () => {
    const [folder, fresh] = [entryAt('out', 0, 'd'), entryAt('none', 0, 'd')];
    expect(inherit(base, [x, y, folder, fresh], selected)).toMatchObject({
      edits: [{ path: 'none', entry: fresh }],
      notCheckedOut: 3,
    });
  });

  test('changes what was edited, added and deleted in it, and nothing else', () => {
    const [edited, added, outside] = [entryAt('in/x', 1), entryAt('in/new'), entryAt('out/new')];
    expect(inherit(base, [edited, added, outside], selected)).toMatchObject({
      edits: [
        { path: 'in/new', entry: added },
        { path: 'in/x', entry: edited },
        { path: 'in/y', entry: undefined },
        { path: 'out/new', entry: outside },
      ],
      notCheckedOut: 3,
    });
  });

  test('replaces what was never checked out by what is there in its place', () => {
    const mine = entryAt('out/x', 2);
    expect(inherit(base, [x, y, mine], selected)).toMatchObject({
      edits: [{ path: 'out/x', entry: mine }],
      notCheckedOut: 2,
    });
  });

  test('with nothing selected keeps everything', () => {
    expect(inherit(base, [], [])).toMatchObject({ edits: [], notCheckedOut: 5 });
  });

  test('with everything selected loses what is gone', () => {
    expect(inherit(base, [], 'all').edits).toEqual(base.map(({ path }) => ({ path, entry: undefined })));
  });

  test('does not count empty folders as files', () => {
    expect(inherit([entryAt('out/x'), entryAt('out/y', 0, 'd')], [], selected)).toMatchObject({
      edits: [],
      notCheckedOut: 1,
    });
  });

  test('does not read pages in which nothing is selected', () => {
    const objects = createObjects();
    const all = NAMES.map((name) => entryAt(name));
    const { notCheckedOut } = inherit(all, [entryAt('a')], [treePathFromText('a')], objects);
    expect(notCheckedOut).toBe(all.length - 1);
    expect(objects.loaded).toHaveLength(2);
  });
});

describe('a folder of which some was purged', () => {
  const base = ['a', 'in', 'on/x', 'on/y'].map((path, index) => entryAt(path, 10 + index));
  const [a, inside, x, y] = base as [TreeEntry, TreeEntry, TreeEntry, TreeEntry];
  const purged: PurgeRecord = new Map(
    [inside, x].map(({ digest }) => [digest, { digest, day: '2026-11-21', reason: undefined }]),
  );
  const edits = (...workspace: TreeEntry[]) => inherit(base, workspace, 'all', createObjects(), purged).edits;

  test('keeps it, and loses what else is gone', () => {
    expect(inherit(base, [a, y], 'all', createObjects(), purged)).toMatchObject({ edits: [], notCheckedOut: 0 });
    expect(edits(a)).toEqual([{ path: 'on/y', entry: undefined }]);
    expect(edits(a, entryAt('on', 0, 'd'))).toEqual([{ path: 'on/y', entry: undefined }]);
  });

  test('takes what is there in its place', () => {
    const mine = entryAt('on/x', 99);
    expect(edits(a, mine, y)).toEqual([{ path: 'on/x', entry: mine }]);
    const file = entryAt('on', 99);
    expect(edits(a, file)).toEqual([
      { path: 'on', entry: file },
      { path: 'on/x', entry: undefined },
      { path: 'on/y', entry: undefined },
    ]);
    const below = entryAt('in/mine', 99);
    expect(edits(a, below, y)).toEqual([
      { path: 'in', entry: undefined },
      { path: 'in/mine', entry: below },
    ]);
  });
});

test('the base with these changes is the workspace where selected, and the base elsewhere', () => {
  const entry = fc
    .record({ path: fc.constantFrom(...NAMES), version: fc.nat(1) })
    .map(({ path, version }) => entryAt(path, version));
  const entries = fc.uniqueArray(entry, { selector: ({ path }) => path });
  const selection = fc.oneof(
    fc.constant('all' as const),
    fc.uniqueArray(fc.constantFrom('p', 'q', 'a', NAMES[4] ?? '', NAMES[15] ?? '').map((path) => path as TreePath)),
  );
  fc.assert(
    fc.property(entries, entries, selection, (base, workspace, selected) => {
      const objects = createObjects();
      const { root, edits, notCheckedOut } = inherit(base, workspace, selected, objects);
      const inherited = base.filter(
        ({ path }) => !isSelected(selected, path) && !workspace.some((mine) => mine.path === path),
      );
      expect(notCheckedOut).toBe(inherited.length);
      expect(editTree({ root, edits, load: objects.load, hash, emit: objects.emit })).toEqual(
        buildTree([...workspace, ...inherited]),
      );
      // No edit says what the base says already.
      for (const edit of edits) {
        const before = base.find(({ path }) => path === edit.path);
        expect(before !== undefined && edit.entry !== undefined && sameEntry(before, edit.entry)).toBe(false);
      }
    }),
    { numRuns: 500 },
  );
});
