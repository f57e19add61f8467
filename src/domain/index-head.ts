import type { IndexPrefix } from './blob-index.ts';
import { CELL_BYTES, invalidIndex, MAX_PREFIX_BITS } from './blob-index.ts';
import type { Digest, HashFunction } from './digest.ts';
import { DIGEST_BYTES, digestFromBytes, digestToBytes } from './digest.ts';
import { otherVersion } from './format-version.ts';
import { VOUCHING_MS } from './remote-times.ts';

export const BLOCK_CELLS = 128;
export const INDEX_HEAD_BYTES = 64;
export const FENCE_BYTES = 40;
export const FENCE_KEY_BYTES = 8;
/** Fences in a page of the directory. */
export const PAGE_FENCES = 128;
const BLOCK_BYTES = CELL_BYTES * BLOCK_CELLS;
const INDEX_VERSION = 1;
const MAX_REPLACES = 65_536;
const MAGIC = 'mlvindex';
/** Of an index whose rows are true whenever it is stored: one that holds what others say. */
export const ALWAYS = 2 ** 48 - 1;

/** The parsed head: what is needed to find everything else. */
export interface IndexHead {
  readonly name: Digest;
  readonly prefix: IndexPrefix;
  readonly rows: number;
  readonly keys: number;
  readonly roots: number;
  readonly replaces: readonly Digest[];
  /** When what it relies on was looked at, in milliseconds since 1970 by the store's clock. */
  readonly asOf: number;
  readonly headLength: number;
  readonly fileLength: number;
  /** Blocks of the body, and those among them that hold rows. */
  readonly blocks: number;
  readonly rowBlocks: number;
  readonly directoryPages: number;
  /** A fence for each directory page. */
  readonly top: Buffer;
}

/**
 * Gives a part of an index file: directory pages are numbered from 0, blocks follow them. Undefined where the part is not
 * at hand.
 */
export type ReadPart = (part: number) => Buffer | undefined;

/** Head and directory of a body whose cells are in order, and the index's name. */
export function frameIndex(options: {
  readonly prefix: IndexPrefix;
  readonly counts: { readonly rows: number; readonly keys: number; readonly roots: number };
  readonly replaces: readonly Digest[];
  readonly asOf: number;
  readonly body: Buffer;
  readonly hash: HashFunction;
}): { readonly name: Digest; readonly head: Buffer; readonly directory: Buffer } {
  const { prefix, counts, asOf, body, hash } = options;
  const replaces = [...new Set(options.replaces)].sort();
  const directory = fences(body, BLOCK_BYTES, hash);
  const start = Buffer.alloc(INDEX_HEAD_BYTES);
  start.write(MAGIC, 0, 'latin1');
  start.writeUInt32LE(INDEX_VERSION, 8);
  start.writeUInt16LE(prefix.bits, 12);
  start.writeUInt32LE(prefix.value, 16);
  start.writeUInt32LE(counts.rows, 20);
  start.writeUInt32LE(counts.keys, 24);
  start.writeUInt32LE(counts.roots, 28);
  start.writeUInt32LE(replaces.length, 32);
  start.writeUIntLE(asOf, 36, 6);
  const head = Buffer.concat([
    start,
    ...replaces.map(digestToBytes),
    fences(directory, FENCE_BYTES * PAGE_FENCES, hash),
  ]);
  return { name: digestFromBytes(hash(head)), head, directory };
}

function fences(bytes: Buffer, size: number, hash: HashFunction): Buffer {
  const result = Buffer.alloc(Math.ceil(bytes.length / size) * FENCE_BYTES);
  for (let start = 0, at = 0; start < bytes.length; start += size, at += FENCE_BYTES) {
    bytes.copy(result, at, start, start + FENCE_KEY_BYTES);
    hash(bytes.subarray(start, start + size)).copy(result, at + FENCE_KEY_BYTES);
  }
  return result;
}

/**
 * Whether the rows of tree objects in an index that the store dates `modified` promise that all is there that these name. What it
 * relies on may have died since it was looked at, and be deleted a week later; whoever deletes has seen an index that came before.
 */
export function vouches({ asOf }: Pick<IndexHead, 'asOf'>, modified: number): boolean {
  return modified - asOf < VOUCHING_MS;
}

/** How long the head is, from its first 64 bytes. Throws `index-version`, `index-invalid`. */
export function indexHeadLength(start: Buffer, name: Digest): number {
  return layout(start, name).headLength;
}

/** Parses a head (of exactly `indexHeadLength` bytes). Throws `index-invalid` where it is not what its name says. */
export function parseIndexHead(head: Buffer, name: Digest, hash: HashFunction): IndexHead {
  const parsed = layout(head, name);
  if (head.length !== parsed.headLength || digestFromBytes(hash(head)) !== name) throw invalidIndex(name, 'its head');
  const names = INDEX_HEAD_BYTES + parsed.replacesCount * DIGEST_BYTES;
  const replaces: Digest[] = [];
  for (let at = INDEX_HEAD_BYTES; at < names; at += DIGEST_BYTES) replaces.push(digestFromBytes(head, at));
  return { ...parsed, name, replaces, top: head.subarray(names) };
}

function layout(start: Buffer, name: Digest) {
  if (start.length < INDEX_HEAD_BYTES || start.toString('latin1', 0, 8) !== MAGIC)
    throw invalidIndex(name, 'it does not begin like an index');
  const version = start.readUInt32LE(8);
  if (version !== INDEX_VERSION) {
    throw otherVersion('index', `index ${name}`, { version, reads: INDEX_VERSION });
  }
  const prefix = { bits: start.readUInt16LE(12), value: start.readUInt32LE(16) };
  const rows = start.readUInt32LE(20);
  const keys = start.readUInt32LE(24);
  const roots = start.readUInt32LE(28);
  const replacesCount = start.readUInt32LE(32);
  const asOf = start.readUIntLE(36, 6);
  const reserved = start.readUInt16LE(14) !== 0 || start.subarray(42, INDEX_HEAD_BYTES).some((byte) => byte !== 0);
  if (reserved || prefix.bits > MAX_PREFIX_BITS || prefix.value >= 2 ** prefix.bits || replacesCount > MAX_REPLACES) {
    throw invalidIndex(name, 'its head');
  }
  const cells = rows + keys + roots;
  const blocks = Math.ceil(cells / BLOCK_CELLS);
  const directoryPages = Math.ceil(blocks / PAGE_FENCES);
  const headLength = INDEX_HEAD_BYTES + replacesCount * DIGEST_BYTES + directoryPages * FENCE_BYTES;
  return {
    prefix,
    rows,
    keys,
    roots,
    replacesCount,
    asOf,
    blocks,
    rowBlocks: Math.ceil(rows / BLOCK_CELLS),
    directoryPages,
    headLength,
    fileLength: headLength + blocks * FENCE_BYTES + cells * CELL_BYTES,
  };
}

/** Where a part lies in the file. */
export function partRange(head: IndexHead, part: number): { readonly offset: number; readonly length: number } {
  const directory = head.headLength;
  const body = directory + head.blocks * FENCE_BYTES;
  const isPage = part < head.directoryPages;
  const size = isPage ? FENCE_BYTES * PAGE_FENCES : BLOCK_BYTES;
  const offset = isPage ? directory + part * size : body + (part - head.directoryPages) * size;
  return { offset, length: Math.min(size, (isPage ? body : head.fileLength) - offset) };
}

/** Number of the part that holds a cell, and where in it. */
export function cellPosition(head: IndexHead, cell: number): { readonly part: number; readonly at: number } {
  return { part: head.directoryPages + Math.floor(cell / BLOCK_CELLS), at: (cell % BLOCK_CELLS) * CELL_BYTES };
}

/** The page of the directory that has the hash of a block. */
export function pageOfPart(head: IndexHead, part: number): number {
  return Math.floor((part - head.directoryPages) / PAGE_FENCES);
}

/** True when the bytes are this part; undefined when the directory page that tells is not at hand. */
export function checkPart(
  head: IndexHead,
  part: number,
  bytes: Buffer,
  read: ReadPart,
  hash: HashFunction,
): boolean | undefined {
  const block = part - head.directoryPages;
  const page = block < 0 ? head.top : read(pageOfPart(head, part));
  if (page === undefined) return undefined;
  const at = (block < 0 ? part : block % PAGE_FENCES) * FENCE_BYTES + FENCE_KEY_BYTES;
  return page.compare(hash(bytes), 0, DIGEST_BYTES, at, at + DIGEST_BYTES) === 0;
}
