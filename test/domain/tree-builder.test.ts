import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { TreeEntry } from '../../src/domain/tree.ts';
import {
  EMPTY_DIGEST,
  endsPage,
  MAX_PAGE_BYTES,
  MAX_PAGE_LINES,
  MAX_ROOT_BYTES,
  MAX_ROOT_LINES,
} from '../../src/domain/tree.ts';
import { createTreeBuilder } from '../../src/domain/tree-builder.ts';
import { parseRoot } from '../../src/domain/tree-format.ts';
import type { TreePath } from '../../src/domain/tree-path.ts';
import { treePathFromText } from '../../src/domain/tree-path.ts';
import { openTree, readEntries, summarise } from '../../src/domain/tree-reader.ts';
import {
  boundaryNames,
  buildTree,
  byPath,
  createObjects,
  digestOf,
  entriesIn,
  entryAt,
  hash,
  innerNames,
} from '../support/trees.ts';

const BOUNDARIES = boundaryNames(40, 'p');
const INNER = innerNames(200, 'p');

function codeOf(run: () => unknown): string {
  try {
    run();
    return 'nothing thrown';
  } catch (error) {
    return error instanceof Error && 'code' in error ? String(error.code) : String(error);
  }
}

describe('a tree', () => {
  test('of nothing is a header', () => {
    const objects = createObjects();
    const tree = buildTree([], objects);
    expect(objects.load(tree.root).toString('latin1')).toBe('mlv-tree 1 0\n');
    expect({ files: tree.files, bytes: tree.bytes, objects: objects.all.size }).toEqual({
      files: 0,
      bytes: 0,
      objects: 1,
    });
    expect(entriesIn(openTree(tree.root, objects.load))).toEqual([]);
  });

  test('has exactly these bytes', () => {
    const objects = createObjects();
    const tree = buildTree(
      [
        entryAt('b c.txt', 12),
        entryAt('a/run.sh', 3, 'x'),
        entryAt('a/empty', 0, 'd'),
        entryAt('link', 1, 'l'),
        entryAt('50%\n', 0),
        entryAt('é', 2),
      ],
      objects,
    );
    const page = [
      `${digestOf('0')} 0 f 50%25%0A\n`,
      `${EMPTY_DIGEST} 0 d a/empty\n`,
      `${digestOf('3')} 30 x a/run.sh\n`,
      `${digestOf('12')} 120 f b c.txt\n`,
      `${digestOf('1')} 10 l link\n`,
      `${digestOf('2')} 20 f \xc3\xa9\n`,
    ].join('');
    const root = `mlv-tree 1 0\n${digestOf(page)} 5 180 \xc3\xa9\n`;
    expect([...objects.all.values()].map((bytes) => bytes.toString('latin1'))).toEqual([page, root]);
    expect(tree).toEqual({ root: digestOf(root), files: 5, bytes: 180 });
  });

  test('comes back as it was written, over many pages', () => {
    const kind = fc.constantFrom('f', 'x', 'l', 'd' as const);
    const entry = fc
      .record({ path: fc.constantFrom(...BOUNDARIES, ...INNER), version: fc.nat(5), kind })
      .map(({ path, version, kind: form }) => entryAt(path, version, form));
    const entries = fc.uniqueArray(entry, { selector: ({ path }) => path, maxLength: 120 });
    fc.assert(
      fc.property(entries, (list) => {
        const objects = createObjects();
        const tree = buildTree(list, objects);
        const files = list.filter(({ kind: form }) => form !== 'd');
        const expected = {
          root: tree.root,
          files: files.length,
          bytes: files.reduce((sum, { size }) => sum + size, 0),
        };
        expect(tree).toEqual(expected);
        expect(summarise(tree.root, objects.load)).toEqual(expected);
        expect([...readEntries(tree.root, objects.load)]).toEqual([...list].sort(byPath));
      }),
    );
  });

  test('ends a page after the entry that the rule names, and only there', () => {
    const [first = '', second = ''] = BOUNDARIES;
    const names = [first, second, ...INNER.slice(0, 20)].sort();
    const objects = createObjects();
    const { root } = buildTree(
      names.map((name) => entryAt(name)),
      objects,
    );
    const ends = [first, second, names.at(-1) ?? ''];
    expect(parseRoot(objects.load(root), root).nodes.map(({ lastPath }) => lastPath)).toEqual([...new Set(ends)]);
  });

  test('has the two files of a version apart from the first but one page in common', () => {
    const names = [...BOUNDARIES, ...INNER];
    const [before, after] = [createObjects(), createObjects()];
    buildTree(
      names.map((name) => entryAt(name)),
      before,
    );
    buildTree(
      names.map((name) => entryAt(name, name === INNER[100] ? 1 : 0)),
      after,
    );
    const fresh = [...after.all.keys()].filter((digest) => !before.all.has(digest));
    expect(fresh).toHaveLength(2);
  });

  test('ends a page at 16,384 entries where no name does', () => {
    const names = innerNames(MAX_PAGE_LINES + 10, 'n');
    const objects = createObjects();
    const { root } = buildTree(
      names.map((name) => entryAt(name)),
      objects,
    );
    expect(parseRoot(objects.load(root), root).nodes.map(({ files }) => files)).toEqual([MAX_PAGE_LINES, 10]);
    expect(entriesIn(openTree(root, objects.load))).toHaveLength(names.length);
  });

  describe('of very long names', () => {
    const folder = Array.from({ length: 15 }, () => '\t'.repeat(255)).join('/');
    const names: string[] = [];
    for (let index = 0; names.length < 400; index++) {
      const path = `${folder}/${String(index).padStart(8, '0')}`;
      if (!endsPage(treePathFromText(path), 0)) names.push(path);
    }
    /** Of an entry without content, and of a page with one such entry. */
    const lineBytes = 70 + treePathFromText(names[0] ?? '').length;
    const full = Math.ceil(MAX_PAGE_BYTES / lineBytes);

    test('ends a page with the entry that fills 4 MiB', () => {
      const objects = createObjects();
      const { root } = buildTree(
        names.map((name) => entryAt(name)),
        objects,
      );
      expect(parseRoot(objects.load(root), root).nodes.map(({ files }) => files)).toEqual([full, names.length - full]);
      expect(entriesIn(openTree(root, objects.load))).toHaveLength(names.length);
    });

    test.each([
      [full - 1, 0],
      [full, 1],
    ])('has a root of at most 4 MiB: %d pages make level %d', (count, level) => {
      const objects = createObjects();
      const builder = createTreeBuilder({ hash, emit: objects.emit });
      for (const name of names.slice(0, count)) {
        builder.page({ digest: EMPTY_DIGEST, files: 1, bytes: 0, lastPath: treePathFromText(name) });
      }
      const { root } = builder.finish();
      const parsed = parseRoot(objects.load(root), root);
      const files = parsed.nodes.reduce((sum, node) => sum + node.files, 0);
      expect({ level: parsed.level, files, isLarge: count * lineBytes > MAX_ROOT_BYTES }).toEqual({
        level,
        files: count,
        isLarge: level > 0,
      });
    });
  });
});

describe('above 4,096 pages', () => {
  const names = boundaryNames(MAX_ROOT_LINES + 1, 'b');
  const [listEnd = ''] = boundaryNames(1, 'c', 1);

  test('a root lists pages up to that number', () => {
    const objects = createObjects();
    const { root } = buildTree(
      names.slice(1).map((name) => entryAt(name)),
      objects,
    );
    const parsed = parseRoot(objects.load(root), root);
    expect({ level: parsed.level, nodes: parsed.nodes.length }).toEqual({ level: 0, nodes: MAX_ROOT_LINES });
  });

  test('and lists beyond it, which end by the next ten bits of the same hash', () => {
    const objects = createObjects();
    const entries = [...names, listEnd, 'z'].map((name) => entryAt(name));
    const { root } = buildTree(entries, objects);
    const { level, nodes } = parseRoot(objects.load(root), root);
    const ends = [...names, listEnd, 'z'].sort().filter((name) => name === 'z' || endsPage(name as TreePath, 1));
    expect({ level, ends: nodes.map(({ lastPath }) => lastPath) }).toEqual({ level: 1, ends });
    expect(ends).toContain(listEnd);
    expect(entriesIn(openTree(root, objects.load))).toEqual(entries.sort(byPath));
  });
});

describe('a builder refuses', () => {
  const build =
    (...entries: TreeEntry[]) =>
    (): void => {
      const builder = createTreeBuilder({ hash, emit: () => {} });
      for (const entry of entries) builder.entry(entry);
      builder.finish();
    };

  test.each([
    ['disorder', 'tree-order', ['b', 'a']],
    ['a path twice', 'tree-order', ['a', 'a']],
    ['a file that is a folder', 'tree-file-folder', ['a', 'a/b']],
    ['one with others in between', 'tree-file-folder', ['a', 'a!', 'a-b', 'a/b']],
    ['one far above', 'tree-file-folder', ['a', 'a-b/c', 'a/b/c/d']],
    ['an absolute path', 'tree-path', ['/a']],
    ['a climb', 'tree-path', ['a/../b']],
    ['an empty segment', 'tree-path', ['a//b']],
    ['a trailing slash', 'tree-path', ['a/']],
    ['a backslash', 'tree-path', ['a\\b']],
    ['a drive', 'tree-path', ['c:a']],
    ['NUL', 'tree-path', ['a\0b']],
    ['.git', 'tree-path', ['a/.GIT/config']],
    ['.git with a stream', 'tree-path', ['.git::$INDEX_ALLOCATION/config']],
    ['.git with a dot', 'tree-path', ['.git./config']],
    ['.git as a short name', 'tree-path', ['GIT~1/config']],
    ['.git with ignorable characters', 'tree-path', ['.g\u200cit/config']],
    ['.mlv', 'tree-path', ['.Mlv/config.yaml']],
    ['a name that is too long', 'tree-path', ['x'.repeat(256)]],
    ['a path that is too long', 'tree-path', [`${'x'.repeat(200)}/`.repeat(20) + 'x'.repeat(77)]],
  ])('%s', (_, code, paths) => {
    expect(codeOf(build(...paths.map((path) => entryAt(path))))).toBe(code);
  });

  test('nothing of names that merely look alike', () => {
    const paths = ['.gitignore', '.mlvignore', 'a b', 'a-b', 'a.b', 'a/b', 'a0', 'git', 'x'.repeat(255), '…'];
    expect(codeOf(build(...paths.map((path) => entryAt(path))))).toBe('nothing thrown');
    expect(codeOf(build(entryAt(`${'x'.repeat(200)}/`.repeat(20) + 'x'.repeat(76))))).toBe('nothing thrown');
  });

  test('a finished page while one is open, or one that comes before what is there', () => {
    const builder = createTreeBuilder({ hash, emit: () => {} });
    const page = { digest: EMPTY_DIGEST, files: 1, bytes: 0, lastPath: 'm' as TreePath };
    builder.page(page);
    expect(codeOf(() => builder.page(page))).toBe('tree-order');
    expect(codeOf(() => builder.entry(entryAt('b')))).toBe('tree-order');
    builder.entry(entryAt('n'));
    expect(() => builder.page({ ...page, lastPath: 'o' as TreePath })).toThrow('has not ended');
  });
});
