import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Digest } from '../../src/domain/digest.ts';
import type { TreeEntry, TreeNode } from '../../src/domain/tree.ts';
import { EMPTY_DIGEST, endsPage, formatEntry, formatNode, MAX_PAGE_LINES } from '../../src/domain/tree.ts';
import { parsePage, parseRoot } from '../../src/domain/tree-format.ts';
import { requireSymlinkTarget } from '../../src/domain/tree-order.ts';
import type { TreePath } from '../../src/domain/tree-path.ts';
import { treePathFromText } from '../../src/domain/tree-path.ts';
import { openTree, readEntries } from '../../src/domain/tree-reader.ts';
import type { Objects } from '../support/trees.ts';
import {
  boundaryNames,
  buildTree,
  byPath,
  createObjects,
  digestOf,
  entriesIn,
  entryAt,
  forgeList,
  forgeNode,
  forgeRoot,
  forgeTree,
  innerNames,
} from '../support/trees.ts';

const BOUNDARIES = boundaryNames(30, 'p');
const INNER = innerNames(150, 'p');
const [END = '', SECOND_END = ''] = BOUNDARIES;
const HASH = digestOf('0');

function line(path: string, text = `${HASH} 0 f `): string {
  return `${text}${treePathFromText(path)}\n`;
}

/** What reading all of a tree throws. */
function codeOf(objects: Objects, root: Digest): string {
  return codeThrown(() => entriesIn(openTree(root, objects.load)));
}

function codeThrown(run: () => unknown): string {
  try {
    run();
    return 'accepted';
  } catch (error) {
    return error instanceof Error && 'code' in error ? String(error.code) : String(error);
  }
}

function codeOfPages(...pages: string[]): string {
  const objects = createObjects();
  return codeOf(objects, forgeTree(objects, pages));
}

describe('a page is refused', () => {
  test('unless it is like this', () => {
    expect(codeOfPages(line('a') + line('b'))).toBe('accepted');
    expect(codeOfPages(line(END), line('q'))).toBe('accepted');
  });

  test.each([
    ['without an end of line', line('a').slice(0, -1) + 'b'],
    ['with an empty line', `${line('a')}\n`],
    ['with upper-case digits', line('a', `${HASH.toUpperCase()} 0 f `)],
    ['with a short digest', line('a', `${HASH.slice(1)} 00 f `)],
    ['with a digest that is none', line('a', `${'g'.repeat(64)} 0 f `)],
    ['with a tab', line('a', `${HASH}\t0 f `)],
    ['with two spaces', line('a', `${HASH}  0 f `)],
    ['with a leading zero', line('a', `${HASH} 00 f `)],
    ['with a sign', line('a', `${HASH} +1 f `)],
    ['with a negative number', line('a', `${HASH} -1 f `)],
    ['with a fraction', line('a', `${HASH} 1.0 f `)],
    ['with an exponent', line('a', `${HASH} 1e3 f `)],
    ['with hexadecimal digits', line('a', `${HASH} 0x1 f `)],
    ['with more than JavaScript can count', line('a', `${HASH} 9007199254740992 f `)],
    ['with another mode', line('a', `${HASH} 0 p `)],
    ['with a long mode', line('a', `${HASH} 0 ff `)],
    ['without a mode', `${HASH} 0 aaaaaaaa\n`],
    ['without a path', `${HASH} 00000 f \n`],
    ['with an empty folder that has a size', line('a', `${EMPTY_DIGEST} 1 d `)],
    ['with an empty folder that has content', line('a', `${HASH} 0 d `)],
    ['that is empty', ''],
  ])('%s', (_, page) => {
    expect(codeOfPages(page)).toBe('tree-invalid');
  });

  test('that does not end where its bytes do', () => {
    const objects = createObjects();
    const node = forgeNode(objects, line('a'));
    const cut = { ...node, digest: objects.put(line('a').slice(0, -1)) };
    expect(codeOf(objects, forgeRoot(objects, 0, [cut]))).toBe('tree-invalid');
  });

  test.each([
    ['files', { files: 2 }],
    ['bytes', { bytes: 1 }],
    ['last path', { lastPath: 'b' as TreePath }],
  ])('whose parent says other %s', (_, change) => {
    const objects = createObjects();
    const node = { ...forgeNode(objects, line('a')), ...change };
    expect(codeOf(objects, forgeRoot(objects, 0, [node]))).toBe('tree-invalid');
  });
});

describe('another split of the same entries is refused', () => {
  test('a page that goes on after its boundary', () => {
    expect(codeOfPages(line(END) + line('q'))).toBe('tree-invalid');
    expect(codeOfPages(line(END) + line(`${END}0`), line('q'))).toBe('tree-invalid');
  });

  test('a page that ends before its boundary', () => {
    expect(codeOfPages(line('a'), line('b'))).toBe('tree-invalid');
  });

  test('a last page that is empty', () => {
    expect(codeOfPages(line(END), '')).toBe('tree-invalid');
  });

  test('a page of 16,385 entries', () => {
    const names = innerNames(MAX_PAGE_LINES + 2, 'n');
    const page = (from: number, to?: number): string =>
      names
        .slice(from, to)
        .map((name) => line(name))
        .join('');
    expect(codeOfPages(page(0, MAX_PAGE_LINES), page(MAX_PAGE_LINES))).toBe('accepted');
    expect(codeOfPages(page(0, MAX_PAGE_LINES + 1), page(MAX_PAGE_LINES + 1))).toBe('tree-invalid');
    expect(codeOfPages(page(0))).toBe('tree-invalid');
    expect(codeOfPages(page(0, MAX_PAGE_LINES - 1), page(MAX_PAGE_LINES - 1))).toBe('tree-invalid');
  });

  test('a page that goes on after 4 MiB', () => {
    const folder = Array.from({ length: 15 }, () => '\t'.repeat(255)).join('/');
    const names = innerNames(400, `${folder}/`).map((name) => line(name));
    const full = Math.ceil((4 << 20) / (names[0] ?? '').length);
    const page = (from: number, to?: number): string => names.slice(from, to).join('');
    expect(codeOfPages(page(0, full), page(full))).toBe('accepted');
    expect(codeOfPages(page(0, full + 1), page(full + 1))).toBe('tree-invalid');
    expect(codeOfPages(page(0))).toBe('tree-invalid');
  });

  test('an object that is larger than any page', () => {
    const objects = createObjects();
    const node = { digest: objects.put('x'.repeat((8 << 20) + 1)), files: 1, bytes: 0, lastPath: 'a' as TreePath };
    expect(codeOf(objects, forgeRoot(objects, 0, [node]))).toBe('tree-invalid');
  });

  const many = boundaryNames(4_097, 'b');
  const manyNodes = (objects: Objects, count: number): TreeNode[] =>
    many.slice(0, count).map((name) => forgeNode(objects, line(name)));
  /** Lists by the rule. */
  const group = (objects: Objects, nodes: readonly TreeNode[]): TreeNode[] => {
    const lists: TreeNode[][] = [[]];
    for (const node of nodes) {
      lists.at(-1)?.push(node);
      if (endsPage(node.lastPath, 1)) lists.push([]);
    }
    return lists.filter((list) => list.length > 0).map((list) => forgeList(objects, list));
  };

  test('lists where a root would do', () => {
    const objects = createObjects();
    expect(codeOf(objects, forgeRoot(objects, 1, group(objects, manyNodes(objects, 4_097))))).toBe('accepted');
    expect(codeOf(objects, forgeRoot(objects, 1, group(objects, manyNodes(objects, 4_096))))).toBe('tree-invalid');
    expect(codeOf(objects, forgeRoot(objects, 1, [forgeList(objects, [forgeNode(objects, line('a'))])]))).toBe(
      'tree-invalid',
    );
  });

  test('two levels of lists where one would do', () => {
    const objects = createObjects();
    const top = forgeList(objects, group(objects, manyNodes(objects, 4_097)));
    expect(codeOf(objects, forgeRoot(objects, 2, [top]))).toBe('tree-invalid');
  });

  test('a root that should have had lists', () => {
    const objects = createObjects();
    expect(codeOf(objects, forgeRoot(objects, 0, manyNodes(objects, 4_096)))).toBe('accepted');
    expect(codeOf(objects, forgeRoot(objects, 0, manyNodes(objects, 4_097)))).toBe('tree-invalid');
  });

  test('a list that ends elsewhere than the rule says', () => {
    const objects = createObjects();
    const nodes = manyNodes(objects, 4_097);
    const halves = [nodes.slice(0, 2_000), nodes.slice(2_000)].map((half) => forgeList(objects, half));
    expect(codeOf(objects, forgeRoot(objects, 1, halves))).toBe('tree-invalid');
    expect(nodes.some(({ lastPath }) => endsPage(lastPath, 1))).toBe(true);
    expect(codeOf(objects, forgeRoot(objects, 1, [forgeList(objects, nodes)]))).toBe('tree-invalid');
  });

  test('a list that its parent sums up wrongly', () => {
    const objects = createObjects();
    const [first, ...rest] = group(objects, manyNodes(objects, 4_097));
    const wrong = first === undefined ? [] : [{ ...first, bytes: first.bytes + 1 }, ...rest];
    expect(codeOf(objects, forgeRoot(objects, 1, wrong))).toBe('tree-invalid');
  });
});

describe('a root is refused', () => {
  const node = formatNode({ digest: HASH, files: 1, bytes: 0, lastPath: 'a' as TreePath });
  test.each([
    ['without a header', '', 'tree-invalid'],
    ['that is a page', line('a'), 'tree-invalid'],
    ['of another kind', 'mlv-list 0 0\n', 'tree-invalid'],
    ['with a level that no tree has', `mlv-tree 1 3\n${node}`, 'tree-invalid'],
    ['with a leading zero', `mlv-tree 1 00\n${node}`, 'tree-invalid'],
    ['with a leading zero in its version', `mlv-tree 00 0\n${node}`, 'tree-invalid'],
    ['with lists of nothing', 'mlv-tree 1 1\n', 'tree-invalid'],
    ['with more in its header', 'mlv-tree 1 0 \n', 'tree-invalid'],
    ['with a line that is cut', `mlv-tree 1 0\n${node.slice(0, -1)}`, 'tree-invalid'],
    ['with a line of a page', `mlv-tree 1 0\n${line('a')}`, 'tree-invalid'],
    ['with a page twice', `mlv-tree 1 0\n${node}${node}`, 'tree-invalid'],
    ['with a leading zero in a number', `mlv-tree 1 0\n${node.replace(' 1 ', ' 01 ')}`, 'tree-invalid'],
    ['of a later format', 'mlv-tree 2 0\nanything', 'tree-version'],
  ])('%s', (_, text, code) => {
    expect(codeThrown(() => parseRoot(Buffer.from(text), HASH))).toBe(code);
  });
});

describe('entries are refused', () => {
  test.each([
    ['out of order', 'tree-order', line('b') + line('a')],
    ['twice', 'tree-order', line('a') + line('a')],
    ['as a file and a folder', 'tree-file-folder', line('a') + line('a-b') + line('a/b')],
    ['as an empty folder with something in it', 'tree-file-folder', line('a', `${EMPTY_DIGEST} 0 d `) + line('a/b')],
    ['as a link with something in it', 'tree-file-folder', line('a', `${HASH} 4 l `) + line('a/b')],
    ['with a bad escape', 'tree-path-escape', `${HASH} 0 f %41\n`],
    ['with a carriage return', 'tree-path-escape', `${HASH} 0 f a\r\n`],
    ['with bytes that are not UTF-8', 'tree-path-escape', `${HASH} 0 f \xff\n`],
    ['with an escaped NUL', 'tree-path', `${HASH} 0 f a%00b\n`],
    ['as an absolute path', 'tree-path', line('/etc/passwd')],
    ['outside the folder', 'tree-path', line('a/../../b')],
    ["in Git's own folder", 'tree-path', line('.git/hooks/post-checkout')],
    ["in Git's own folder by another name", 'tree-path', line('a/.gIt . ./config')],
    ["in mlv's own folder", 'tree-path', line('.mlv/config.yaml')],
    ['with a backslash', 'tree-path', line('..\\b')],
  ])('%s', (_, code, page) => {
    expect(codeOfPages(page)).toBe(code);
  });

  test('as a file and a folder on different pages', () => {
    const [end = ''] = boundaryNames(1, 'a-');
    const [last = ''] = boundaryNames(1, 'a/');
    expect(codeOfPages(line('a') + line(end), line('a/b'))).toBe('tree-file-folder');
    expect(codeOfPages(line('a') + line(end), line('a-z'.repeat(3)) + line('a.') + line(last), line('b'))).toBe(
      'tree-file-folder',
    );
  });

  test('out of order on different pages', () => {
    expect(codeOfPages(line(SECOND_END), line(END), line('q'))).toBe('tree-invalid');
    expect(codeOfPages(line(END), line('a') + line('q'))).toBe('tree-order');
  });

  test('in a page that comes after one that was passed over', () => {
    const objects = createObjects();
    const root = forgeTree(objects, [line(END), line('a') + line('q')]);
    const cursor = openTree(root, objects.load);
    cursor.peek();
    cursor.skip();
    cursor.peek();
    expect(codeThrown(() => cursor.open())).toBe('tree-order');

    const file = forgeNode(objects, line(END));
    const below = forgeNode(objects, line(`${END}/x`));
    const last = openTree(forgeRoot(objects, 0, [file, below]), objects.load);
    last.peek();
    last.skip();
    last.peek();
    expect(codeThrown(() => last.open())).toBe('tree-file-folder');
  });
});

test('a flipped bit anywhere is refused, or makes another tree', () => {
  const objects = createObjects();
  const names = [...BOUNDARIES.slice(0, 3), ...INNER.slice(0, 10), 'é%'];
  const tree = buildTree(
    names.map((name, index) => entryAt(name, index)),
    objects,
  );
  const before = entriesIn(openTree(tree.root, objects.load));
  const pages = [...objects.all.keys()].filter((digest) => digest !== tree.root);
  for (const digest of pages) {
    const bytes = objects.load(digest);
    for (let at = 0; at < bytes.length; at++) {
      for (const bit of [0, 3, 5, 7]) {
        const changed = Buffer.from(bytes);
        changed.writeUInt8(changed.readUInt8(at) ^ (1 << bit), at);
        const load = (wanted: Digest): Buffer => (wanted === digest ? changed : objects.load(wanted));
        const code = codeThrown(() => {
          expect(entriesIn(openTree(tree.root, load))).not.toEqual(before);
        });
        if (code !== 'accepted') expect(code).toMatch(/^tree-/);
      }
    }
  }
});

test('reading any bytes as a page throws nothing but its own errors', () => {
  const scrap = fc.oneof(
    fc.constantFrom(HASH, EMPTY_DIGEST, ' ', '\n', '0', '1', 'f', 'd', 'l', 'a', 'b', '/', '%', '%25', '..', '.git'),
    fc.string({ unit: 'binary-ascii', maxLength: 3 }),
  );
  const page = fc.array(scrap, { maxLength: 40 }).map((parts) => parts.join(''));
  fc.assert(
    fc.property(page, (text) => {
      const objects = createObjects();
      expect(codeOf(objects, objects.put(`mlv-tree 1 0\n${text}`))).toMatch(
        /^(?:accepted|tree-.*|Error: no object .*)$/,
      );
      const node = { digest: HASH, files: 1, bytes: 0, lastPath: 'a' as TreePath };
      expect(codeThrown(() => parsePage(Buffer.from(text, 'latin1'), { node, isLast: true }))).toMatch(
        /^(?:accepted|tree-.*)$/,
      );
    }),
  );
});

describe('reading what is below a path', () => {
  const segment = fc.constantFrom('a', 'b', 'a-b', 'a.b', 'a0', 'aa', ...BOUNDARIES.slice(0, 6), ...INNER.slice(0, 6));
  const path = fc.array(segment, { minLength: 1, maxLength: 3 }).map((parts) => parts.join('/'));
  /** Those that no other makes a folder. */
  const withoutFolders = (paths: readonly string[]): string[] =>
    paths.filter((each) => !paths.some((other) => other.startsWith(`${each}/`)));

  test('gives the entries that have it or begin with it and a slash', () => {
    fc.assert(
      fc.property(fc.uniqueArray(path, { maxLength: 60 }).map(withoutFolders), path, (paths, below) => {
        const objects = createObjects();
        const { root } = buildTree(
          paths.map((each) => entryAt(each)),
          objects,
        );
        const expected = paths.filter((each) => each === below || each.startsWith(`${below}/`)).sort();
        const found = Array.from(
          readEntries(root, objects.load, treePathFromText(below)),
          (entry: TreeEntry) => entry.path,
        );
        expect(found).toEqual(expected);
      }),
    );
  });

  test('reads the root and the pages that can hold it, no others', () => {
    const objects = createObjects();
    const names = [...BOUNDARIES, ...INNER].map((name) => `${name}/x`);
    const ends = BOUNDARIES.map((name) => `${name}/x`);
    const { root } = buildTree(
      [...names, ...boundaryNames(30, 'q/')].map((name) => entryAt(name)),
      objects,
    );
    objects.loaded.length = 0;
    expect([...readEntries(root, objects.load, ends[4] as TreePath)]).toEqual([entryAt(ends[4] ?? '')]);
    expect(objects.loaded.length).toBeLessThanOrEqual(3);
    objects.loaded.length = 0;
    expect([...readEntries(root, objects.load, 'zzz' as TreePath)]).toEqual([]);
    expect(objects.loaded).toEqual([root]);
  });
});

describe("a symlink's target", () => {
  test.each([
    ['a', 'x', 'accepted'],
    ['a/b/link', '../../x', 'accepted'],
    ['a/b/link', '../c/x', 'accepted'],
    ['link', '../x', 'tree-symlink'],
    ['a/b/link', '../../../x', 'tree-symlink'],
    ['link', '/etc/passwd', 'tree-symlink'],
    ['link', 'a/../../b', 'tree-symlink'],
    ['a/link', './x', 'tree-symlink'],
    ['a/link', '../.git/config', 'tree-symlink'],
    ['link', '', 'tree-symlink'],
    ['a/link', '..', 'tree-symlink'],
    ['link', 'a\\b', 'tree-symlink'],
    ['link', 'x\0', 'tree-symlink'],
  ])('of %s may be "%s": %s', (path, target, code) => {
    expect(codeThrown(() => requireSymlinkTarget(target, treePathFromText(path)))).toBe(code);
  });
});

test('an entry is written as it is read', () => {
  const entries = [entryAt('a'), entryAt('b\n%é', 3, 'x'), entryAt('c', 0, 'd'), entryAt('d', 1, 'l')].sort(byPath);
  const page = entries.map(formatEntry).join('');
  const objects = createObjects();
  expect(parsePage(Buffer.from(page, 'latin1'), { node: forgeNode(objects, page), isLast: true })).toEqual(entries);
});
