/**
 * The index format (docs/formats.md, "Index"): which blobs exist and where, sorted, for look-ups by a few short reads;
 * the same for the local cache's packs and for remotes.
 *
 *   head       64 bytes, the names of the indexes it replaces (32 bytes each, sorted), then a fence for each directory page
 *   directory  a fence for each block of the body, in pages of 128
 *   body       cells of 48 bytes, in blocks of 128
 *     rows     digest 32, key number u32, offset u48, length u48
 *     keys     hash 32, nonce 8, kind u8 (0 pack of data, 1 object, 2 list of chunks, 3 pack of tree objects), 7 zero
 *     roots    digest 32, day u32 (since 1970-01-01), 12 zero: roots that were pushed
 *
 * A fence is 40 bytes: the first 8 bytes of what it stands for, and its BLAKE3. The index's name is BLAKE3(head), which so
 * covers every byte. Rows, keys and roots are sorted by their bytes, each once, and only keys that a row names are there:
 * the same content is the same index. Numbers are little-endian. An index may be a shard, which has only the digests that
 * begin with certain bits; it replaces another index together with the shards for all other bits.
 */
import type { Digest, HashFunction } from './digest.ts';
import { DIGEST_BYTES, digestFromBytes, digestToBytes } from './digest.ts';
import { MlvError } from './errors.ts';

export const CELL_BYTES = 48;
export const BLOCK_CELLS = 128;
export const INDEX_HEAD_BYTES = 64;
export const MAX_PREFIX_BITS = 16;
const BLOCK_BYTES = CELL_BYTES * BLOCK_CELLS;
const INDEX_VERSION = 0;
const FENCE_BYTES = 40;
const FENCE_KEY_BYTES = 8;
const PAGE_FENCES = 128;
const MAX_REPLACES = 65_536;
const MAGIC = 'mlvindex';

/** `pack` and `tree-pack` are files of many blobs, data or tree objects; the other two hold one blob each. */
export type KeyKind = 'pack' | 'object' | 'list' | 'tree-pack';
const KEY_KINDS: readonly KeyKind[] = ['pack', 'object', 'list', 'tree-pack'];
const NO_NONCE = '0000000000000000';

/** Names one immutable thing that holds blobs. */
export interface StorageKey {
  readonly kind: KeyKind;
  readonly hash: Digest;
  /** 16 hex digits; only on objects that were stored again after their key had died. */
  readonly nonce?: string;
}

export interface IndexRow {
  /** Number of the key in the index's key table. */
  readonly key: number;
  readonly offset: number;
  readonly length: number;
}

/** A root that was pushed, and the day (since 1970-01-01) on which it was. */
export interface PushedRoot {
  readonly root: Digest;
  readonly day: number;
}

/** The digests that begin with these bits. */
export interface IndexPrefix {
  readonly bits: number;
  readonly value: number;
}

/** The parsed head: what is needed to find everything else. */
export interface IndexHead {
  readonly name: Digest;
  readonly prefix: IndexPrefix;
  readonly rows: number;
  readonly keys: number;
  readonly roots: number;
  readonly replaces: readonly Digest[];
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

/** Writes a row into a cell. */
export function writeRow(cells: Buffer, at: number, row: IndexRow & { readonly digest: Uint8Array }): void {
  cells.set(row.digest, at);
  cells.writeUInt32LE(row.key, at + 32);
  cells.writeUIntLE(row.offset, at + 36, 6);
  cells.writeUIntLE(row.length, at + 42, 6);
}

export function readRow(cells: Buffer, at: number): IndexRow {
  return {
    key: cells.readUInt32LE(at + 32),
    offset: cells.readUIntLE(at + 36, 6),
    length: cells.readUIntLE(at + 42, 6),
  };
}

export function writeKey(cells: Buffer, at: number, key: StorageKey): void {
  cells.write(key.hash, at, 'hex');
  cells.write(key.nonce ?? NO_NONCE, at + 32, 'hex');
  cells.writeUInt8(KEY_KINDS.indexOf(key.kind), at + 40);
}

/** Throws `index-key-kind` for a kind that this mlv does not know. */
export function readKey(cells: Buffer, at: number, name: Digest): StorageKey {
  const kind = KEY_KINDS[cells.readUInt8(at + 40)];
  if (kind === undefined) {
    throw new MlvError({
      code: 'index-key-kind',
      kind: 'unsupported',
      message: `index ${name} names a kind of storage that this mlv does not know`,
      hint: 'Install a later mlv.',
    });
  }
  const nonce = cells.toString('hex', at + 32, at + 40);
  const hash = digestFromBytes(cells, at);
  return nonce === NO_NONCE ? { kind, hash } : { kind, hash, nonce };
}

export function writeRoot(cells: Buffer, at: number, { root, day }: PushedRoot): void {
  cells.write(root, at, 'hex');
  cells.writeUInt32LE(day, at + 32);
}

export function readRoot(cells: Buffer, at: number): PushedRoot {
  return { root: digestFromBytes(cells, at), day: cells.readUInt32LE(at + 32) };
}

/** Head and directory of a body whose cells are in order, and the index's name. */
export function frameIndex(options: {
  readonly prefix: IndexPrefix;
  readonly counts: { readonly rows: number; readonly keys: number; readonly roots: number };
  readonly replaces: readonly Digest[];
  readonly body: Buffer;
  readonly hash: HashFunction;
}): { readonly name: Digest; readonly head: Buffer; readonly directory: Buffer } {
  const { prefix, counts, body, hash } = options;
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
    throw new MlvError({
      code: 'index-version',
      kind: 'unsupported',
      message: `index ${name} has format ${version}, this mlv reads ${INDEX_VERSION}`,
      hint: 'Install a later mlv.',
    });
  }
  const prefix = { bits: start.readUInt16LE(12), value: start.readUInt32LE(16) };
  const rows = start.readUInt32LE(20);
  const keys = start.readUInt32LE(24);
  const roots = start.readUInt32LE(28);
  const replacesCount = start.readUInt32LE(32);
  const reserved = start.readUInt16LE(14) !== 0 || start.subarray(36, INDEX_HEAD_BYTES).some((byte) => byte !== 0);
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

/** True when the bytes are this part; undefined when the directory page that tells is not at hand. */
export function checkPart(
  head: IndexHead,
  part: number,
  bytes: Buffer,
  read: ReadPart,
  hash: HashFunction,
): boolean | undefined {
  const block = part - head.directoryPages;
  const page = block < 0 ? head.top : read(Math.floor(block / PAGE_FENCES));
  if (page === undefined) return undefined;
  const at = (block < 0 ? part : block % PAGE_FENCES) * FENCE_BYTES + FENCE_KEY_BYTES;
  return page.compare(hash(bytes), 0, DIGEST_BYTES, at, at + DIGEST_BYTES) === 0;
}

/** True when the index could have this digest. */
export function coversDigest(prefix: IndexPrefix, digest: Uint8Array): boolean {
  return prefix.bits === 0 || leadingBits(digest, prefix.bits) === prefix.value;
}

/** The first bits (at most 16) of a digest, as a number. */
export function leadingBits(digest: Uint8Array, bits: number): number {
  return (((digest[0] ?? 0) << 8) | (digest[1] ?? 0)) >>> (16 - bits);
}

/** All rows of a digest; undefined when a part that is needed is not at hand. */
export function findRows(head: IndexHead, digest: Uint8Array, read: ReadPart): IndexRow[] | undefined {
  const found: IndexRow[] = [];
  if (!coversDigest(head.prefix, digest)) return found;
  const pages = fenceRange(head.top, Math.ceil(head.rowBlocks / PAGE_FENCES), digest);
  for (let page = pages.from; page < pages.to; page++) {
    const directory = read(page);
    if (directory === undefined) return undefined;
    const firstBlock = page * PAGE_FENCES;
    const blocks = fenceRange(directory, Math.min(PAGE_FENCES, head.rowBlocks - firstBlock), digest);
    for (let block = firstBlock + blocks.from; block < firstBlock + blocks.to; block++) {
      const cells = read(head.directoryPages + block);
      if (cells === undefined) return undefined;
      const rows = rowsIn(head, block, cells);
      for (let row = firstRow(cells, rows, digest); row < rows; row++) {
        if (compareBytes(cells, row * CELL_BYTES, digest, DIGEST_BYTES) !== 0) break;
        found.push(readRow(cells, row * CELL_BYTES));
      }
    }
  }
  return found;
}

/** How many rows have a smaller digest; undefined when a part that is needed is not at hand. */
export function countRowsBelow(head: IndexHead, digest: Uint8Array, read: ReadPart): number | undefined {
  const page = fenceRange(head.top, Math.ceil(head.rowBlocks / PAGE_FENCES), digest).from;
  const directory = head.rowBlocks === 0 ? undefined : read(page);
  if (directory === undefined) return head.rowBlocks === 0 ? 0 : undefined;
  const firstBlock = page * PAGE_FENCES;
  const block = firstBlock + fenceRange(directory, Math.min(PAGE_FENCES, head.rowBlocks - firstBlock), digest).from;
  const cells = read(head.directoryPages + block);
  return cells === undefined ? undefined : block * BLOCK_CELLS + firstRow(cells, rowsIn(head, block, cells), digest);
}

/** Rows in a block; the last one goes on with keys. */
function rowsIn(head: IndexHead, block: number, cells: Buffer): number {
  return Math.min(cells.length / CELL_BYTES, head.rows - block * BLOCK_CELLS);
}

function firstRow(cells: Buffer, count: number, digest: Uint8Array): number {
  return lowerBound({ cells, size: CELL_BYTES, count, bytes: DIGEST_BYTES }, digest);
}

/** Which of the things behind `count` fences can hold the digest: nearly always one. Rows of a digest may begin in one and go on in the next. */
function fenceRange(
  entries: Buffer,
  count: number,
  digest: Uint8Array,
): { readonly from: number; readonly to: number } {
  const first = lowerBound({ cells: entries, size: FENCE_BYTES, count, bytes: FENCE_KEY_BYTES }, digest);
  let to = first;
  while (to < count && compareBytes(entries, to * FENCE_BYTES, digest, FENCE_KEY_BYTES) === 0) to += 1;
  return { from: Math.max(0, first - 1), to };
}

/** The first of `count` sorted cells whose leading bytes are not smaller than the digest's. */
function lowerBound(sorted: { cells: Buffer; size: number; count: number; bytes: number }, digest: Uint8Array): number {
  const { cells, size, count, bytes } = sorted;
  let low = 0;
  let high = count;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (compareBytes(cells, middle * size, digest, bytes) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Negative, zero or positive, as the bytes at `at` are before, equal to or after the digest's. Digests differ early, so this beats `Buffer.compare`. */
function compareBytes(cells: Buffer, at: number, digest: Uint8Array, bytes: number): number {
  for (let index = 0; index < bytes; index++) {
    const difference = (cells[at + index] ?? 0) - (digest[index] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

export function invalidIndex(name: string, what: string): MlvError {
  return new MlvError({
    code: 'index-invalid',
    kind: 'corrupt',
    message: `index ${name} is damaged: ${what}`,
    hint: 'Restore it from a copy of the remote or cache.',
  });
}
