import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { TreeEntry, TreeSummary } from '../../src/domain/tree.ts';
import { MAX_PAGE_LINES, MAX_ROOT_LINES } from '../../src/domain/tree.ts';
import type { TreeEdit } from '../../src/domain/tree-edit.ts';
import { editTree } from '../../src/domain/tree-edit.ts';
import { parseRoot } from '../../src/domain/tree-format.ts';
import type { TreePath } from '../../src/domain/tree-path.ts';
import { treePathFromText } from '../../src/domain/tree-path.ts';
import { openTree } from '../../src/domain/tree-reader.ts';
import type { Objects } from '../support/trees.ts';
import { boundaryNames, buildTree, createObjects, entriesIn, entryAt, hash, innerNames } from '../support/trees.ts';

const BOUNDARIES = boundaryNames(25, 'p');
const INNER = innerNames(60, 'p');

function edit(tree: TreeSummary, objects: Objects, edits: readonly TreeEdit[]): TreeSummary {
  return editTree({ root: tree.root, edits, load: objects.load, hash, emit: objects.emit });
}

function set(path: string, version = 0): TreeEdit {
  return { path: treePathFromText(path), entry: entryAt(path, version) };
}

function remove(path: string): TreeEdit {
  return { path: treePathFromText(path), entry: undefined };
}

function codeOf(run: () => unknown): string {
  try {
    run();
    return 'done';
  } catch (error) {
    return error instanceof Error && 'code' in error ? String(error.code) : String(error);
  }
}

describe('an edited tree is the one that is built from nothing', () => {
  const flat = fc.constantFrom(...BOUNDARIES, ...INNER);
  const change = fc.record({ path: flat, version: fc.option(fc.nat(3), { nil: undefined }) });
  const edits = fc.uniqueArray(change, { selector: ({ path }) => path, maxLength: 30 });

  test('whatever the history of edits', () => {
    fc.assert(
      fc.property(fc.array(flat, { maxLength: 80 }), fc.array(edits, { maxLength: 6 }), (first, history) => {
        const objects = createObjects();
        const content = new Map<string, TreeEntry>(first.map((path) => [path, entryAt(path)]));
        let tree = buildTree(content.values(), objects);
        for (const step of history) {
          for (const { path, version } of step) {
            if (version === undefined) content.delete(path);
            else content.set(path, entryAt(path, version));
          }
          tree = edit(
            tree,
            objects,
            step.map(({ path, version }) => (version === undefined ? remove(path) : set(path, version))),
          );
          expect(tree).toEqual(buildTree(content.values()));
        }
        expect(entriesIn(openTree(tree.root, objects.load))).toHaveLength(content.size);
      }),
      { numRuns: 300 },
    );
  });

  const names = [...BOUNDARIES, ...INNER].sort();
  const ends = new Set(BOUNDARIES);
  const withoutBoundary = names.filter((name) => name !== BOUNDARIES[7]);
  const lastPage = names.slice(names.findLastIndex((name, index) => index < names.length - 1 && ends.has(name)) + 1);

  test.each<[string, readonly string[]]>([
    ['its first entry', names.slice(0, 1)],
    ['its last entry', names.slice(-1)],
    ['the end of a page', [BOUNDARIES[7] ?? '']],
    ['all ends of pages', BOUNDARIES],
    ['all but the ends of pages', INNER],
    ['its last page', lastPage],
    ['everything', names],
    ['something that is not there', ['zzz', 'aaa', 'p0a']],
  ])('without %s', (_, gone) => {
    const objects = createObjects();
    const tree = buildTree(
      names.map((name) => entryAt(name)),
      objects,
    );
    const rest = names.filter((name) => !gone.includes(name));
    expect(edit(tree, objects, gone.map(remove))).toEqual(buildTree(rest.map((name) => entryAt(name))));
  });

  test.each<[string, readonly string[], readonly string[]]>([
    ['grown from nothing', [], names],
    ['with something before it', names, ['0']],
    ['with something after it', names, ['z', 'zz']],
    ['with a new end of a page', withoutBoundary, [BOUNDARIES[7] ?? '']],
  ])('%s', (_, before, added) => {
    const objects = createObjects();
    const tree = buildTree(
      before.map((name) => entryAt(name)),
      objects,
    );
    expect(
      edit(
        tree,
        objects,
        added.toReversed().map((name) => set(name)),
      ),
    ).toEqual(buildTree([...before, ...added].map((name) => entryAt(name))));
  });

  test('where pages end because they are full', () => {
    const many = innerNames(2 * MAX_PAGE_LINES + 5, 'n');
    const objects = createObjects();
    const tree = buildTree(
      many.map((name) => entryAt(name)),
      objects,
    );
    const [first = '', ...rest] = many;
    expect(edit(tree, objects, [remove(first)])).toEqual(buildTree(rest.map((name) => entryAt(name))));
    expect(edit(tree, objects, [set(`${first}!`)])).toEqual(
      buildTree([...many, `${first}!`].map((name) => entryAt(name))),
    );
  });

  test('where it gets and loses a level', () => {
    const many = boundaryNames(MAX_ROOT_LINES + 1, 'b');
    const [first = '', ...rest] = many;
    const objects = createObjects();
    const flatTree = buildTree(
      rest.map((name) => entryAt(name)),
      objects,
    );
    const tall = edit(flatTree, objects, [set(first)]);
    expect(tall).toEqual(buildTree(many.map((name) => entryAt(name))));
    expect(parseRoot(objects.load(tall.root), tall.root).level).toBe(1);
    expect(edit(tall, objects, [remove(first)])).toEqual(flatTree);
  });
});

describe('an edit reads', () => {
  const names = [...BOUNDARIES, ...INNER].sort();
  const objects = createObjects();
  const tree = buildTree(
    names.map((name) => entryAt(name)),
    objects,
  );
  const read = (...edits: TreeEdit[]): number => {
    objects.loaded.length = 0;
    edit(tree, objects, edits);
    return objects.loaded.length - 1;
  };

  test('the one page that holds its path', () => {
    expect(read(set(INNER[30] ?? '', 1))).toBe(1);
    expect(read(remove(INNER[30] ?? ''))).toBe(1);
    expect(read(set('a'))).toBe(1);
    expect(read(set('zzz'))).toBe(1);
    expect(read()).toBe(0);
  });

  test('the next page too where the end of one goes', () => {
    expect(read(remove(BOUNDARIES[7] ?? ''))).toBe(2);
  });

  test('the pages that could hold a folder of a new path', () => {
    const first = names.findIndex((name) => name === INNER[10]);
    const page = names.slice(first).find((name) => BOUNDARIES.includes(name)) ?? '';
    expect(codeOf(() => read(set(`${INNER[10]}/x`)))).toBe('tree-file-folder');
    expect(read(set(`${page}0/x/y`))).toBe(1);
  });

  test('each page once, however many edits there are', () => {
    const many = createObjects();
    const paths = Array.from(
      { length: 100_000 },
      (_, index) => `${String(index % 1000).padStart(4, '0')}/${String(index).padStart(7, '0')}.png`,
    );
    const large = buildTree(
      paths.map((path) => entryAt(path)),
      many,
    );
    const changed = paths.filter((_, index) => index % 20 === 0);
    many.loaded.length = 0;
    const result = edit(large, many, [
      ...changed.map((path) => set(path, 1)),
      ...changed.map((path) => set(`${path}.new`)),
    ]);
    expect(result.files).toBe(105_000);
    expect(many.loaded).toHaveLength(new Set(many.loaded).size);
  });
});

describe('nothing becomes a file and a folder', () => {
  // `f` and what is below it are far apart, with ends of pages in between.
  const between = [...boundaryNames(3, 'f!'), ...boundaryNames(3, 'f-')];
  const far = boundaryNames(3, 'f/');
  const base = (...paths: string[]): { objects: Objects; tree: TreeSummary } => {
    const objects = createObjects();
    return {
      objects,
      tree: buildTree(
        [...between, ...paths].map((path) => entryAt(path)),
        objects,
      ),
    };
  };

  test.each<[string, string[], TreeEdit[]]>([
    ['a file below a file', ['f'], [set('f/x')]],
    ['a file far below a file', ['f'], [set('f/x/y/z')]],
    ['a file where a folder is', ['f/x'], [set('f')]],
    ['a file where a folder of several pages is', far, [set('f')]],
    ['a file where only the first page of a folder goes', [...far, 'f/z'], [set('f'), ...far.map(remove)]],
    ['a file where only the last entry of a folder stays', [...far, 'f/z', 'g'], [set('f'), ...far.map(remove)]],
    ['both at once', [], [set('f'), set('f/x')]],
    ['both at once, with a third in between', [], [set('f/x'), set('f-a'), set('f')]],
  ])('%s', (_, paths, edits) => {
    const { objects, tree } = base(...paths);
    expect(codeOf(() => edit(tree, objects, edits))).toBe('tree-file-folder');
  });

  test.each<[string, string[], TreeEdit[], string[]]>([
    ['a file takes the place of a folder that goes', far, [set('f'), ...far.map(remove)], ['f']],
    ['a folder takes the place of a file that goes', ['f'], [set('f/x'), remove('f')], ['f/x']],
    ['names that only begin alike', ['f'], [set('f.d/x'), set('f0')], ['f', 'f.d/x', 'f0']],
  ])('but %s', (_, paths, edits, expected) => {
    const { objects, tree } = base(...paths);
    expect(edit(tree, objects, edits)).toEqual(buildTree([...between, ...expected].map((path) => entryAt(path))));
  });

  test('an empty folder that gets something is no entry any more', () => {
    const { objects } = base();
    const tree = buildTree(
      [...between.map((path) => entryAt(path)), entryAt('f', 0, 'd'), entryAt('g', 0, 'd')],
      objects,
    );
    const expected = buildTree([...between.map((path) => entryAt(path)), entryAt('f/x/y'), entryAt('g', 0, 'd')]);
    expect(edit(tree, objects, [set('f/x/y')])).toEqual(expected);
  });

  test('as a plain check finds it', () => {
    const segment = fc.constantFrom('a', 'b', 'a-', 'a0', ...boundaryNames(2, 'a'), ...boundaryNames(2, 'a-'));
    const path = fc.array(segment, { minLength: 1, maxLength: 3 }).map((parts) => parts.join('/'));
    const isBroken = (paths: Iterable<string>): boolean => {
      const all = [...paths];
      return all.some((each) => all.some((other) => other.startsWith(`${each}/`)));
    };
    const kept = fc
      .uniqueArray(path, { maxLength: 20 })
      .map((paths) => paths.filter((each) => !paths.some((other) => other.startsWith(`${each}/`))));
    const changes = fc.uniqueArray(fc.record({ path, isSet: fc.boolean() }), {
      selector: (change) => change.path,
      maxLength: 8,
    });
    fc.assert(
      fc.property(kept, changes, (paths, steps) => {
        const objects = createObjects();
        const tree = buildTree(
          paths.map((each) => entryAt(each)),
          objects,
        );
        const result = new Set(paths);
        for (const step of steps) {
          if (step.isSet) result.add(step.path);
          else result.delete(step.path);
        }
        const run = (): TreeSummary =>
          edit(
            tree,
            objects,
            steps.map((step) => (step.isSet ? set(step.path) : remove(step.path))),
          );
        if (isBroken(result)) expect(codeOf(run)).toBe('tree-file-folder');
        else expect(run()).toEqual(buildTree(Array.from(result, (each) => entryAt(each))));
      }),
      { numRuns: 1_000 },
    );
  });
});

test('a name that no tree may hold is refused', () => {
  const objects = createObjects();
  const tree = buildTree([entryAt('a')], objects);
  expect(
    codeOf(() =>
      edit(tree, objects, [{ path: '../x' as TreePath, entry: { ...entryAt('a'), path: '../x' as TreePath } }]),
    ),
  ).toBe('tree-path');
});
