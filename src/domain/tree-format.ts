import type { Digest } from './digest.ts';
import { MlvError } from './errors.ts';
import { otherVersion } from './format-version.ts';
import type { EntryKind, TreeEntry, TreeNode } from './tree.ts';
import {
  EMPTY_DIGEST,
  endsPage,
  MAX_LEVEL,
  MAX_PAGE_BYTES,
  MAX_PAGE_LINES,
  MAX_ROOT_BYTES,
  MAX_ROOT_LINES,
  MAX_TREE_OBJECT_BYTES,
  ROOT_MAGIC,
  TREE_VERSION,
} from './tree.ts';
import type { TreePath } from './tree-path.ts';

/** By byte: 1 for digits of a digest. They are most of a tree, and a regular expression takes five times as long. */
const IS_HEX = Uint8Array.from({ length: 256 }, (_, byte) => Number(/[0-9a-f]/.test(String.fromCharCode(byte))));
const [DIGIT_0, DIGIT_9] = [0x30, 0x39];
const ROOT_HEADER = new RegExp(`^${ROOT_MAGIC} (0|[1-9][0-9]{0,8}) (0|[1-9][0-9]{0,8})$`);

export interface TreeRoot {
  /** 0: the nodes are pages of entries; above: lists of nodes one level lower. */
  readonly level: number;
  readonly nodes: TreeNode[];
}

/** What a node's parent says of it, and whether nothing follows it at its level (only then may it end without a boundary). */
export interface Expected {
  readonly node: TreeNode;
  readonly isLast: boolean;
}

/** Parses a page of entries and checks it against its parent's line. Paths are checked by the caller's order checker. */
export function parsePage(bytes: Buffer, { node, isLast }: Expected): TreeEntry[] {
  const entries = parseEntries(bytes, node.digest);
  let files = 0;
  let sum = 0;
  for (const { kind, size } of entries) {
    if (kind === 'd') continue;
    files += 1;
    sum += size;
  }
  checkSums(node, { files, bytes: sum, lastPath: entries.at(-1)?.path });
  checkSplit(entries, { level: 0, isLast, bytes, digest: node.digest });
  return entries;
}

/** Parses lines of the page that `digest` names, of which nothing else is checked. */
export function parseEntries(lines: Buffer, digest: Digest): TreeEntry[] {
  const entries: TreeEntry[] = [];
  readLines(lines, 0, digest, (text, start, end) => {
    const size = text.indexOf(' ', start + 65);
    const kind = text[size + 1];
    if (size < 0 || size + 3 >= end || text[size + 2] !== ' ' || !isEntryKind(kind))
      throw invalid(digest, 'a malformed line');
    const entry: TreeEntry = {
      digest: text.slice(start, start + 64) as Digest,
      size: readNumber(lines, { start: start + 65, end: size }, digest),
      kind,
      path: text.slice(size + 3, end) as TreePath,
    };
    if (kind === 'd' && (entry.size !== 0 || entry.digest !== EMPTY_DIGEST))
      throw invalid(digest, 'an empty directory with content');
    entries.push(entry);
  });
  return entries;
}

/** Parses a list of nodes of `level - 1` and checks it against its parent's line. */
export function parseList(bytes: Buffer, level: number, { node, isLast }: Expected): TreeNode[] {
  const nodes = parseNodes(bytes, 0, node.digest);
  checkSums(node, { ...sumNodes(nodes), lastPath: nodes.at(-1)?.lastPath });
  checkSplit(
    nodes.map((child) => ({ path: child.lastPath })),
    { level, isLast, bytes, digest: node.digest },
  );
  return nodes;
}

/** Parses a root. Throws `tree-version` for a later format, `tree-invalid` for anything malformed. */
export function parseRoot(bytes: Buffer, digest: Digest): TreeRoot {
  const end = bytes.indexOf(0x0a);
  const header = ROOT_HEADER.exec(end < 0 || end > 64 ? '' : bytes.toString('latin1', 0, end));
  if (header === null) throw invalid(digest, 'no header: it is not the root of a tree');
  if (Number(header[1]) !== TREE_VERSION) {
    throw otherVersion('tree', `tree ${digest}`, { version: Number(header[1]), reads: TREE_VERSION });
  }
  const level = Number(header[2]);
  const nodes = parseNodes(bytes, end + 1, digest);
  const isEmptyList = level > 0 && nodes.length === 0;
  if (level > MAX_LEVEL || isEmptyList || !fitsRoot(nodes.length, bytes.length - end - 1)) {
    throw invalid(digest, 'its levels');
  }
  return { level, nodes };
}

/** True when the lines of so many nodes stand in a root; more are put into lists. */
export function fitsRoot(lines: number, byteLength: number): boolean {
  return lines <= MAX_ROOT_LINES && byteLength <= MAX_ROOT_BYTES;
}

/** Files and bytes of some nodes together. */
export function sumNodes(nodes: readonly TreeNode[]): { files: number; bytes: number } {
  let files = 0;
  let bytes = 0;
  for (const node of nodes) {
    files += node.files;
    bytes += node.bytes;
  }
  return { files, bytes };
}

function parseNodes(bytes: Buffer, offset: number, digest: Digest): TreeNode[] {
  const nodes: TreeNode[] = [];
  readLines(bytes, offset, digest, (text, start, end) => {
    const afterFiles = text.indexOf(' ', start + 65);
    const afterBytes = text.indexOf(' ', afterFiles + 1);
    if (afterFiles < 0 || afterBytes < 0 || afterBytes + 1 >= end) throw invalid(digest, 'a malformed line');
    const lastPath = text.slice(afterBytes + 1, end) as TreePath;
    const previous = nodes.at(-1);
    if (previous !== undefined && lastPath <= previous.lastPath) throw invalid(digest, 'nodes out of order');
    nodes.push({
      digest: text.slice(start, start + 64) as Digest,
      files: readNumber(bytes, { start: offset + start + 65, end: offset + afterFiles }, digest),
      bytes: readNumber(bytes, { start: offset + afterFiles + 1, end: offset + afterBytes }, digest),
      lastPath,
    });
  });
  return nodes;
}

function readLines(
  bytes: Buffer,
  offset: number,
  digest: Digest,
  line: (text: string, start: number, end: number) => void,
): void {
  if (bytes.length > MAX_TREE_OBJECT_BYTES) throw invalid(digest, 'an object larger than any page');
  const text = bytes.toString('latin1', offset);
  if (text.length > 0 && !text.endsWith('\n')) throw invalid(digest, 'no end of line');
  for (let start = 0; start < text.length;) {
    const end = text.indexOf('\n', start);
    if (end - start < 70 || text[start + 64] !== ' ') throw invalid(digest, 'a malformed line');
    if (!isDigestAt(bytes, offset + start)) throw invalid(digest, 'a malformed digest');
    line(text, start, end);
    start = end + 1;
  }
}

function isDigestAt(bytes: Buffer, start: number): boolean {
  for (let at = start; at < start + 64; at++) if (IS_HEX[bytes[at] ?? 0] !== 1) return false;
  return true;
}

/** Digits without leading zeros. */
function readNumber(bytes: Buffer, { start, end }: { start: number; end: number }, page: Digest): number {
  let value = 0;
  let isNumber = end > start && end - start <= 16 && (bytes[start] !== DIGIT_0 || end - start === 1);
  for (let at = start; isNumber && at < end; at++) {
    const digit = bytes[at] ?? 0;
    isNumber = digit >= DIGIT_0 && digit <= DIGIT_9;
    value = value * 10 + digit - DIGIT_0;
  }
  if (!isNumber || !Number.isSafeInteger(value)) {
    const text = bytes.toString('latin1', start, Math.min(end, start + 40));
    throw invalid(page, `the number ${JSON.stringify(text)}`);
  }
  return value;
}

function isEntryKind(text: string | undefined): text is EntryKind {
  return text === 'f' || text === 'x' || text === 'l' || text === 'd';
}

function checkSums(node: TreeNode, found: { files: number; bytes: number; lastPath: TreePath | undefined }): void {
  if (found.files !== node.files || found.bytes !== node.bytes || found.lastPath !== node.lastPath) {
    throw invalid(node.digest, 'sums that are not what its parent says');
  }
}

function checkSplit(
  lines: readonly { readonly path: TreePath }[],
  page: { level: number; isLast: boolean; bytes: Buffer; digest: Digest },
): void {
  const { level, bytes } = page;
  for (let index = 0; index < lines.length - 1; index++) {
    const line = lines[index];
    if (line !== undefined && endsPage(line.path, level))
      throw invalid(page.digest, 'a page that goes on after its boundary');
  }
  const last = lines.at(-1);
  const isFull = lines.length >= MAX_PAGE_LINES || bytes.length >= MAX_PAGE_BYTES;
  if (last === undefined || (!page.isLast && !isFull && !endsPage(last.path, level))) {
    throw invalid(page.digest, 'a page that ends before its boundary');
  }
  const lastLine = bytes.lastIndexOf(0x0a, -2) + 1;
  if (lines.length > MAX_PAGE_LINES || lastLine >= MAX_PAGE_BYTES)
    throw invalid(page.digest, 'a page that goes on when it is full');
}

/** The error for a tree object that breaks the format. */
export function invalid(digest: Digest, what: string): MlvError {
  return new MlvError({
    code: 'tree-invalid',
    kind: 'corrupt',
    message: `tree object ${digest} is malformed: ${what}`,
    hint: 'It was not written by mlv. Do not trust the repository or remote it came from.',
  });
}
