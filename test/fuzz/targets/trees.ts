import type { Digest } from '../../../src/domain/digest.ts';
import type { TreeNode } from '../../../src/domain/tree.ts';
import { formatEntry, formatNode, formatRootHeader } from '../../../src/domain/tree.ts';
import { childrenOf } from '../../../src/domain/tree-children.ts';
import { parseList, parsePage, parseRoot } from '../../../src/domain/tree-format.ts';
import { treePathToText } from '../../../src/domain/tree-path.ts';
import { readEntries, summarise } from '../../../src/domain/tree-reader.ts';
import {
  boundaryNames,
  buildTree,
  createObjects,
  entryAt,
  forgeList,
  forgeNode,
  forgeRoot,
} from '../../support/trees.ts';
import type { Surroundings, Target } from '../target.ts';
import { accepted, check, checkSafePath } from '../target.ts';

const PAGES = '--\n';
const LISTS = '==\n';
const HASH = 'ab'.repeat(32) as Digest;

export function treeTargets({ fixture }: Surroundings): Target[] {
  const words = [HASH, ` 0 d `, ' 6 f ', ' 7 l ', ' 1 x ', '/', 'a', 'a/b', 'a-b', '%25', PAGES, LISTS];
  const pages = pagesOfTree();
  return [
    {
      name: 'tree',
      seeds: [fixture('tree-page.txt'), pages.join(PAGES), pages.join(LISTS), ''],
      words,
      run: runTree,
    },
    {
      name: 'root of a tree',
      seeds: [fixture('tree-root.txt'), fixture('tree-root-of-lists.txt'), formatRootHeader(0)],
      words: ['mlv-tree 1 ', 'mlv-tree 2 0\n', ...words],
      run(input) {
        const { level, nodes } = parseRoot(input, HASH);
        check(
          formatRootHeader(level) + nodes.map(formatNode).join('') === input.toString('latin1'),
          'a root is written in one way',
        );
        checkNames(input, nodes);
      },
    },
    { name: 'page of a tree', seeds: [fixture('tree-page.txt'), ...pages], words, run: runPage },
    {
      name: 'list of a tree',
      seeds: [fixture('tree-list.txt')],
      words,
      run: runList,
    },
    {
      name: 'what a tree object names',
      seeds: ['page', 'list', 'root', 'root-of-lists'].map((name) => fixture(`tree-${name}.txt`)),
      words: ['mlv-tree 2 0\n', ...words],
      run: (input) => childrenOf(input, HASH),
    },
  ];
}

/** The pages of a tree of three, as text. */
function pagesOfTree(): string[] {
  const ends = boundaryNames(2, 'n');
  const objects = createObjects();
  const entries = [...ends, 'm/a', `${ends[0]}-`, `${ends[1]}/b`.replace(/^n/, 'o'), 'z'].map((path) =>
    entryAt(path, 1),
  );
  const { root } = buildTree(entries, objects);
  return parseRoot(objects.load(root), root).nodes.map(({ digest }) => objects.load(digest).toString('latin1'));
}

/** Makes a tree of the pages that the input has, with sums that fit: only what is in them can be wrong. */
function runTree(input: Buffer): void {
  const objects = createObjects();
  const lists = input
    .toString('latin1')
    .split(LISTS)
    .map((list) =>
      list
        .split(PAGES)
        .filter((page) => page !== '')
        .map((page) => forgeNode(objects, page)),
    );
  const root =
    lists.length === 1
      ? forgeRoot(objects, 0, lists[0] ?? [])
      : forgeRoot(
          objects,
          1,
          lists.map((nodes) => forgeList(objects, nodes)),
        );
  const entries = [...readEntries(root, objects.load)];
  for (const { path } of entries) checkSafePath(treePathToText(path));
  const { files, bytes } = summarise(root, objects.load);
  const again = accepted('the builder', () => buildTree(entries, createObjects()));
  check(again.root === root && again.files === files && again.bytes === bytes, 'the same entries are the same tree');
  for (const [digest, object] of objects.all) accepted('a walk over objects', () => childrenOf(object, digest));
}

function runPage(input: Buffer): void {
  const node = forgeNode(createObjects(), input.toString('latin1'));
  const entries = parsePage(input, { node, isLast: true });
  check(entries.map(formatEntry).join('') === input.toString('latin1'), 'a page is written in one way');
  const { blobs } = accepted('a walk over objects', () => childrenOf(input, HASH));
  const named = entries.filter(({ kind }) => kind !== 'd').map(({ digest }) => digest);
  check(blobs.join() === named.join(), 'a walk finds what a page names');
}

function runList(input: Buffer): void {
  const lines = input.toString('latin1').split('\n').slice(0, -1);
  const sums = lines.map((line) => line.split(' ')).map(([, files, bytes, ...path]) => ({ files, bytes, path }));
  const node = {
    digest: HASH,
    files: sums.reduce((sum, { files }) => sum + Number(files), 0),
    bytes: sums.reduce((sum, { bytes }) => sum + Number(bytes), 0),
    lastPath: sums.at(-1)?.path.join(' ') ?? '',
  } as TreeNode;
  const nodes = parseList(input, 1, { node, isLast: true });
  check(nodes.map(formatNode).join('') === input.toString('latin1'), 'a list is written in one way');
  checkNames(input, nodes);
}

function checkNames(input: Buffer, nodes: readonly TreeNode[]): void {
  const { trees } = accepted('a walk over objects', () => childrenOf(input, HASH));
  check(trees.join() === nodes.map(({ digest }) => digest).join(), 'a walk finds what a list names');
}
