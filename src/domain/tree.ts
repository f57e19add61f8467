/**
 * The tree format (docs/formats.md, "Tree"): how a directory is written as pages of entries, lists of pages, and a root.
 * This file holds the words of the format; `tree-builder.ts` writes trees, `tree-reader.ts` reads and checks them.
 */
import type { Digest } from './digest.ts';
import type { TreePath } from './tree-path.ts';

/** `f` file, `x` executable file, `l` symlink (its blob is the target), `d` empty directory. */
export type EntryKind = 'f' | 'x' | 'l' | 'd';

export interface TreeEntry {
  readonly path: TreePath;
  readonly kind: EntryKind;
  /** Bytes; 0 for `d`. */
  readonly size: number;
  /** Of the bytes; for `d` of nothing. */
  readonly digest: Digest;
}

/** A line of a list: a page of entries (level 0) or a list of the level below. */
export interface TreeNode {
  readonly digest: Digest;
  /** `f`, `x` and `l` entries below. */
  readonly files: number;
  /** Their bytes together. */
  readonly bytes: number;
  readonly lastPath: TreePath;
}

/** What a pointer says of a directory. */
export interface TreeSummary {
  readonly root: Digest;
  readonly files: number;
  readonly bytes: number;
}

/** BLAKE3 of nothing: the digest that `d` entries carry. */
export const EMPTY_DIGEST = 'af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262' as Digest;

export const ROOT_MAGIC = 'mlv-tree';
export const TREE_VERSION = 1;
/** A page or list ends here at the latest. */
export const MAX_PAGE_LINES = 16_384;
export const MAX_PAGE_BYTES = 4 << 20;
/** No page, list or root is larger, its last line included. */
export const MAX_TREE_OBJECT_BYTES = 2 * MAX_PAGE_BYTES;
/** A root lists this many nodes, in this many bytes; with more, they are put into lists one level higher. */
export const MAX_ROOT_LINES = 4_096;
export const MAX_ROOT_BYTES = 4 << 20;
/** Boundaries at level L look at bits 10·L … 10·L+9 of the hash, so three levels have fresh bits. */
export const MAX_LEVEL = 2;

/** 32-bit FNV-1a over the bytes of a written path, mixed by MurmurHash3's finaliser (FNV alone leaves numbered names in step). */
export function pathHash(path: TreePath): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < path.length; index++) {
    hash = Math.imul(hash ^ path.charCodeAt(index), 0x01000193);
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

/** True when a page (level 0) or a list (level 1, 2) ends after the line with this path. */
export function endsPage(path: TreePath, level: number): boolean {
  return ((pathHash(path) >>> (10 * level)) & 1023) === 0;
}

/** `HASH SIZE MODE PATH\n` */
export function formatEntry(entry: TreeEntry): string {
  return `${entry.digest} ${entry.size} ${entry.kind} ${entry.path}\n`;
}

/** `HASH FILES BYTES LAST-PATH\n` */
export function formatNode(node: TreeNode): string {
  return `${node.digest} ${node.files} ${node.bytes} ${node.lastPath}\n`;
}

export function formatRootHeader(level: number): string {
  return `${ROOT_MAGIC} ${TREE_VERSION} ${level}\n`;
}
