import type { Digest, HashFunction } from './digest.ts';
import { digestFromBytes } from './digest.ts';
import { MlvError } from './errors.ts';
import type { TreeEntry, TreeNode, TreeSummary } from './tree.ts';
import {
  endsPage,
  formatEntry,
  formatNode,
  formatRootHeader,
  MAX_LEVEL,
  MAX_PAGE_BYTES,
  MAX_PAGE_LINES,
} from './tree.ts';
import { fitsRoot } from './tree-format.ts';
import { createOrderChecker } from './tree-order.ts';
import type { TreePath } from './tree-path.ts';

/** One object of a tree, as it is stored. */
export interface TreeObject {
  readonly digest: Digest;
  readonly bytes: Buffer;
  /** The line that names a page or list in its parent; undefined for the root. */
  readonly node?: TreeNode;
}

export interface TreeBuilder {
  /** Adds the next entry; paths ascend. Throws as `createOrderChecker` does. */
  entry(entry: TreeEntry): void;
  /** Adds a page of entries that exists already; allowed when `atPageStart()`. */
  page(node: TreeNode): void;
  /** True when no entry waits for its page to be complete. */
  atPageStart(): boolean;
  finish(): TreeSummary;
}

/**
 * Builds the one tree that a sorted sequence of entries has. `emit` receives each object once it is complete, children
 * before parents; memory is one page, and one line for each page.
 */
export function createTreeBuilder(options: {
  readonly hash: HashFunction;
  readonly emit: (object: TreeObject) => void;
}): TreeBuilder {
  const { hash, emit } = options;
  const order = createOrderChecker();
  const pages: TreeNode[] = [];
  const page = createPageWriter(0);

  function store(bytes: Buffer, node: Omit<TreeNode, 'digest'>): TreeNode {
    const named: TreeNode = { digest: digestFromBytes(hash(bytes)), ...node };
    emit({ digest: named.digest, bytes, node: named });
    return named;
  }

  /** Puts nodes into lists by the rule of their level. */
  function group(nodes: readonly TreeNode[], level: number): TreeNode[] {
    const lists: TreeNode[] = [];
    const list = createPageWriter(level);
    for (const node of nodes) {
      list.add(formatNode(node), node.lastPath, node.files, node.bytes);
      if (list.ends()) lists.push(store(...list.take()));
    }
    if (!list.isEmpty()) lists.push(store(...list.take()));
    return lists;
  }

  return {
    entry(entry) {
      order.next(entry.path);
      const isFile = entry.kind !== 'd';
      page.add(formatEntry(entry), entry.path, isFile ? 1 : 0, isFile ? entry.size : 0);
      if (page.ends()) pages.push(store(...page.take()));
    },
    page(node) {
      if (!page.isEmpty()) throw new Error('a finished page cannot follow a page that has not ended');
      order.skipTo(node.lastPath);
      pages.push(node);
    },
    atPageStart: () => page.isEmpty(),
    finish() {
      if (!page.isEmpty()) pages.push(store(...page.take()));
      let nodes = pages;
      let level = 0;
      let lines = nodes.map(formatNode).join('');
      while (!fitsRoot(nodes.length, lines.length)) {
        if (level === MAX_LEVEL) throw tooLarge();
        level += 1;
        nodes = group(nodes, level);
        lines = nodes.map(formatNode).join('');
      }
      const bytes = Buffer.from(formatRootHeader(level) + lines, 'latin1');
      const root = digestFromBytes(hash(bytes));
      emit({ digest: root, bytes });
      return {
        root,
        files: nodes.reduce((sum, node) => sum + node.files, 0),
        bytes: nodes.reduce((sum, node) => sum + node.bytes, 0),
      };
    },
  };
}

/** Collects lines until the boundary rule ends them. */
function createPageWriter(level: number) {
  let lines = '';
  let count = 0;
  let files = 0;
  let bytes = 0;
  let lastPath = '' as TreePath;
  return {
    add(line: string, path: TreePath, lineFiles: number, lineBytes: number): void {
      lines += line;
      count += 1;
      files += lineFiles;
      bytes += lineBytes;
      lastPath = path;
    },
    isEmpty: () => count === 0,
    ends: () => count >= MAX_PAGE_LINES || lines.length >= MAX_PAGE_BYTES || endsPage(lastPath, level),
    take(): [Buffer, Omit<TreeNode, 'digest'>] {
      const taken: [Buffer, Omit<TreeNode, 'digest'>] = [Buffer.from(lines, 'latin1'), { files, bytes, lastPath }];
      lines = '';
      count = files = bytes = 0;
      return taken;
    },
  };
}

function tooLarge(): MlvError {
  return new MlvError({
    code: 'tree-too-large',
    kind: 'unsupported',
    message: 'the directory has more entries than a tree can hold',
    hint: 'Split it into several tracked directories.',
  });
}
