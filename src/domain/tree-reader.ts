import type { Digest } from './digest.ts';
import type { TreeEntry, TreeNode, TreeSummary } from './tree.ts';
import type { TreeRoot } from './tree-format.ts';
import { fitsRoot, invalid, parseList, parsePage, parseRoot, sumNodes } from './tree-format.ts';
import { entriesUnlike } from './tree-lines.ts';
import { createOrderChecker } from './tree-order.ts';
import type { TreePath } from './tree-path.ts';

/** Gives the bytes of a tree object, already compared with the digest; throws where it is not at hand. */
export type LoadObject = (digest: Digest) => Buffer;

/** What a cursor stands at. Level 0 is a page of entries, above it lists. */
export type TreeItem =
  | { readonly type: 'node'; readonly level: number; readonly node: TreeNode; readonly isLast: boolean }
  | { readonly type: 'entry'; readonly entry: TreeEntry };

/** Goes through a tree in order; a node can be passed over unread or opened. */
export interface TreeCursor {
  /** Undefined at the end. */
  peek(): TreeItem | undefined;
  /** Passes over the entry or the whole node. */
  skip(): void;
  /** The bytes of the node. */
  read(): Buffer;
  /**
   * Replaces the node by what it holds; with another page, this page by the entries that do not stand in that one alike. Throws where it is
   * malformed, as far as it was read.
   */
  open(unlike?: Buffer): void;
}

/** A cursor over no tree at all. */
export const EMPTY_CURSOR: TreeCursor = {
  peek: () => undefined,
  skip: () => {},
  read: notANode,
  open: notANode,
};

interface Frame {
  readonly items: readonly TreeItem[];
  index: number;
}

/** Opens a tree at its root; objects are loaded as they are opened. */
export function openTree(root: Digest, load: LoadObject): TreeCursor {
  const { level, nodes } = parseRoot(load(root), root);
  const order = createOrderChecker();
  const frames: Frame[] = [{ items: nodeItems(nodes, level, true), index: 0 }];
  /** What the root's lists hold together; undefined once one was passed over. */
  let inLists: { lines: number; bytes: number } | undefined = { lines: 0, bytes: 0 };

  let last: { readonly digest: Digest; readonly bytes: Buffer } | undefined;

  /** What was read last is mostly opened next. */
  function read(digest: Digest): Buffer {
    if (last?.digest !== digest) last = { digest, bytes: load(digest) };
    return last.bytes;
  }

  function peek(): TreeItem | undefined {
    for (;;) {
      const frame = frames.at(-1);
      if (frame === undefined) return undefined;
      const item = frame.items[frame.index];
      if (item !== undefined) return item;
      frames.pop();
      if (frames.length === 0) checkLevel();
    }
  }

  /** A root has lists only when the lines in them did not fit into it. */
  function checkLevel(): void {
    if (level > 0 && inLists !== undefined && fitsRoot(inLists.lines, inLists.bytes))
      throw invalid(root, 'a level too many');
  }

  return {
    peek,
    skip() {
      const item = peek();
      const frame = frames.at(-1);
      if (item === undefined || frame === undefined) return;
      if (item.type === 'node') {
        if (item.level === level) inLists = undefined;
        order.skipTo(item.node.lastPath);
      }
      frame.index += 1;
    },
    read() {
      const item = peek();
      return item?.type === 'node' ? read(item.node.digest) : notANode();
    },
    open(unlike) {
      const item = peek();
      const frame = frames.at(-1);
      if (item?.type !== 'node' || frame === undefined) notANode();
      frame.index += 1;
      const { digest, lastPath } = item.node;
      const bytes = read(digest);
      if (item.level === 0) {
        const entries = unlike === undefined ? parsePage(bytes, item) : entriesUnlike(bytes, unlike, digest);
        for (const entry of entries) order.next(entry.path);
        if (entries.at(-1)?.path !== lastPath) order.skipTo(lastPath);
        frames.push({ items: entries.map((entry) => ({ type: 'entry', entry })), index: 0 });
      } else {
        const children = parseList(bytes, item.level, item);
        if (item.level === level && inLists !== undefined) {
          inLists = { lines: inLists.lines + children.length, bytes: inLists.bytes + bytes.length };
        }
        frames.push({ items: nodeItems(children, item.level - 1, item.isLast), index: 0 });
      }
    },
  };
}

/** Throws: what was asked of a node was asked of something else. */
export function notANode(): never {
  throw new Error('only a node can be read and opened');
}

/** Files and bytes that a root sums up. */
export function summarise(root: Digest, load: LoadObject): TreeSummary {
  return { root, ...sumNodes(readRoot(root, load).nodes) };
}

export function readRoot(root: Digest, load: LoadObject): TreeRoot {
  return parseRoot(load(root), root);
}

/**
 * The entries in order; with `below`, only that path and what is inside it, reading no page that cannot hold it.
 */
export function* readEntries(root: Digest, load: LoadObject, below?: TreePath): Generator<TreeEntry> {
  const cursor = openTree(root, load);
  for (let item = cursor.peek(); item !== undefined; item = cursor.peek()) {
    if (item.type === 'node') {
      if (below !== undefined && item.node.lastPath < below) cursor.skip();
      else cursor.open();
      continue;
    }
    const { path } = item.entry;
    if (below === undefined || path === below || path.startsWith(`${below}/`)) yield item.entry;
    else if (path > `${below}0`) return; // '0' follows '/': everything inside `below` has gone by
    cursor.skip();
  }
}

function nodeItems(nodes: readonly TreeNode[], level: number, isLastList: boolean): TreeItem[] {
  return nodes.map((node, index) => ({ type: 'node', level, node, isLast: isLastList && index === nodes.length - 1 }));
}
