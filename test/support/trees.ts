/** Trees in memory, and names that put page boundaries where a test wants them. */
import type { Digest } from '../../src/domain/digest.ts';
import { digestFromBytes } from '../../src/domain/digest.ts';
import type { EntryKind, TreeEntry, TreeNode, TreeSummary } from '../../src/domain/tree.ts';
import { EMPTY_DIGEST, endsPage, formatNode, formatRootHeader } from '../../src/domain/tree.ts';
import type { TreeObject } from '../../src/domain/tree-builder.ts';
import { createTreeBuilder } from '../../src/domain/tree-builder.ts';
import type { TreePath } from '../../src/domain/tree-path.ts';
import { treePathFromText } from '../../src/domain/tree-path.ts';
import type { TreeCursor } from '../../src/domain/tree-reader.ts';
import { hashEngine } from '../../src/platform/hash.ts';

export const { hash } = hashEngine();

export function digestOf(content: string | Buffer): Digest {
  return digestFromBytes(hash(Buffer.from(content as string, 'latin1')));
}

export interface Objects {
  readonly all: Map<Digest, Buffer>;
  /** Digests that were loaded, in order. */
  readonly loaded: Digest[];
  readonly load: (digest: Digest) => Buffer;
  readonly emit: (object: TreeObject) => void;
  /** Stores text, one byte a character. */
  put(text: string): Digest;
}

export function createObjects(): Objects {
  const all = new Map<Digest, Buffer>();
  const loaded: Digest[] = [];
  return {
    all,
    loaded,
    load(digest) {
      const bytes = all.get(digest);
      if (bytes === undefined) throw new Error(`no object ${digest}`);
      loaded.push(digest);
      return bytes;
    },
    emit({ digest, bytes }) {
      all.set(digest, bytes);
    },
    put(text) {
      const bytes = Buffer.from(text, 'latin1');
      const digest = digestFromBytes(hash(bytes));
      all.set(digest, bytes);
      return digest;
    },
  };
}

/** An entry with content that `version` tells from others. */
export function entryAt(path: string, version = 0, kind: EntryKind = 'f'): TreeEntry {
  const treePath = treePathFromText(path);
  if (kind === 'd') return { path: treePath, kind, size: 0, digest: EMPTY_DIGEST };
  return { path: treePath, kind, size: version * 10, digest: digestOf(String(version)) };
}

export function byPath(a: { path: TreePath }, b: { path: TreePath }): number {
  return a.path < b.path ? -1 : a.path > b.path ? 1 : 0;
}

/** Builds from nothing; the entries may be in any order. */
export function buildTree(entries: Iterable<TreeEntry>, objects: Objects = createObjects()): TreeSummary {
  const builder = createTreeBuilder({ hash, emit: objects.emit });
  for (const entry of [...entries].sort(byPath)) builder.entry(entry);
  return builder.finish();
}

/** All entries that a cursor goes over, its nodes opened. */
export function entriesIn(cursor: TreeCursor): TreeEntry[] {
  const entries: TreeEntry[] = [];
  for (let item = cursor.peek(); item !== undefined; item = cursor.peek()) {
    if (item.type === 'node') cursor.open();
    else {
      entries.push(item.entry);
      cursor.skip();
    }
  }
  return entries;
}

/** So many names that end a page, and with `level` 1 a list too; sorted as trees are. */
export function boundaryNames(count: number, prefix: string, level: 0 | 1 = 0): string[] {
  return takeNames(count, prefix, (path) => endsPage(path, 0) && (level === 0 || endsPage(path, 1)));
}

/** So many names that end no page at any level, sorted in between those that do. */
export function innerNames(count: number, prefix: string): string[] {
  return takeNames(count, prefix, (path) => ![0, 1, 2].some((level) => endsPage(path, level)));
}

function takeNames(count: number, prefix: string, isWanted: (path: TreePath) => boolean): string[] {
  const names: string[] = [];
  for (let number = 1; names.length < count; number++) {
    const name = prefix + (Math.imul(number, 0x9e3779b1) >>> 0).toString(16).padStart(8, '0');
    if (isWanted(treePathFromText(name))) names.push(name);
  }
  return names.sort();
}

/** Writes pages as they are given, right or wrong, and a root over them that says what they hold. */
export function forgeTree(objects: Objects, pages: readonly string[]): Digest {
  return forgeRoot(
    objects,
    0,
    pages.map((page) => forgeNode(objects, page)),
  );
}

export function forgeRoot(objects: Objects, level: number, nodes: readonly TreeNode[]): Digest {
  return objects.put(formatRootHeader(level) + nodes.map(formatNode).join(''));
}

export function forgeNode(objects: Objects, page: string): TreeNode {
  const lines = page.split('\n').slice(0, -1);
  let files = 0;
  let bytes = 0;
  let lastPath = '';
  for (const line of lines) {
    const [, size, kind, path] = /^\S* (\S*) (.) (.*)$/s.exec(line) ?? [];
    lastPath = path ?? '';
    if (kind === 'd') continue;
    files += 1;
    bytes += Number(size);
  }
  return { digest: objects.put(page), files, bytes, lastPath: lastPath as TreePath };
}

/** A list (level 1 or above) of nodes, and the node that names it. */
export function forgeList(objects: Objects, nodes: readonly TreeNode[]): TreeNode {
  return {
    digest: objects.put(nodes.map(formatNode).join('')),
    files: nodes.reduce((sum, node) => sum + node.files, 0),
    bytes: nodes.reduce((sum, node) => sum + node.bytes, 0),
    lastPath: nodes.at(-1)?.lastPath ?? ('' as TreePath),
  };
}
