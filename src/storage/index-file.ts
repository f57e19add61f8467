import { closeSync, fstatSync, openSync } from 'node:fs';
import type { PushedRoot, StorageKey } from '../domain/blob-index.ts';
import { CELL_BYTES, invalidIndex, readKey, readRoot } from '../domain/blob-index.ts';
import type { Digest } from '../domain/digest.ts';
import type { IndexHead, ReadPart } from '../domain/index-head.ts';
import {
  cellPosition,
  checkPart,
  INDEX_HEAD_BYTES,
  indexHeadLength,
  pageOfPart,
  parseIndexHead,
  partRange,
} from '../domain/index-head.ts';
import { countRowsBelow, findRows } from '../domain/index-search.ts';
import { hashEngine } from '../platform/hash.ts';
import { ioError } from '../platform/io-error.ts';
import { readAt, writeFully } from '../platform/read-write.ts';

/** Where an index says a blob is. */
export interface LocatedRow {
  readonly key: StorageKey;
  readonly offset: number;
  readonly length: number;
}

/** An index in a local file, read by short reads at offsets. Everything throws `index-invalid` where the file is damaged. */
export interface IndexFile {
  readonly head: IndexHead;
  /** Every place of the digest; none when the index does not have it. */
  find(digest: Uint8Array): LocatedRow[];
  keys(): StorageKey[];
  roots(): PushedRoot[];
  /** How many rows have a smaller digest. */
  rowsBelow(digest: Uint8Array): number;
  /** Rows, or with `first` beyond them keys and roots, as cells: `count` from cell number `first` on. */
  readCells(first: number, count: number): Buffer;
  /** Reads everything and compares it with the index's name. */
  verify(): void;
  close(): void;
}

/** An index's file that may have holes: what is not at hand comes back as undefined, and is noted. */
export interface SparseIndexFile {
  readonly head: IndexHead;
  find(digest: Uint8Array): LocatedRow[] | undefined;
  /** Fills in bytes at `offset`; they are compared with the index when they are used. */
  write(bytes: Buffer, offset: number): void;
  /** The parts that `find` wanted and did not have since the last call. */
  takeWanted(): Set<number>;
  close(): void;
}

/** Indexes up to this size are kept in memory, so that many small ones need no file descriptors. */
const MEMORY_BYTES = 256 << 10;

/** Opens a whole index. Its head is compared with its name, the rest when it is read, or by `verify`. */
export function openIndexFile(path: string, name: Digest): IndexFile {
  const source = openSource(path, 'r');
  try {
    const head = readHead(source, name);
    if (source.size !== head.fileLength) throw invalidIndex(name, 'its size');
    return createIndexFile(source, head);
  } catch (error) {
    source.close();
    throw error;
  }
}

/** Opens an index of which the head and some parts are in the file; each part is compared with its hash before it is used. */
export function openSparseIndexFile(path: string, name: Digest): SparseIndexFile {
  const source = openSource(path, 'r+');
  try {
    const head = readHead(source, name);
    const good = new Set<number>();
    let wanted = new Set<number>();
    const read: ReadPart = (part) => {
      const { offset, length } = partRange(head, part);
      const bytes = Buffer.from(source.read(offset, length));
      if (good.has(part)) return bytes;
      if (bytes.length === length && checkPart(head, part, bytes, read, hashEngine().hash) === true) {
        good.add(part);
        return bytes;
      }
      wanted.add(part);
      return undefined;
    };
    return {
      head,
      find: createFinder(head, read),
      write: source.write,
      takeWanted() {
        const taken = wanted;
        wanted = new Set();
        return taken;
      },
      close: source.close,
    };
  } catch (error) {
    source.close();
    throw error;
  }
}

function createIndexFile(source: Source, head: IndexHead): IndexFile {
  const pages: Buffer[] = [];
  /** The directory stays in memory (1% of the file); the last block is kept because sorted look-ups ask for it again. */
  let last: { readonly part: number; readonly bytes: Buffer } | undefined;
  const good = new Uint8Array(head.directoryPages + head.blocks);
  /** Each part is compared with its hash when it is first read. */
  const read = (part: number): Buffer => {
    const page = pages[part] ?? (last?.part === part ? last.bytes : undefined);
    if (page !== undefined) return page;
    // The page that has its hash first: what is read is good until the next reading.
    if (part >= head.directoryPages) read(pageOfPart(head, part));
    const { offset, length } = partRange(head, part);
    last = undefined;
    const bytes = source.read(offset, length);
    if (bytes.length !== length) throw invalidIndex(head.name, 'its size');
    if (good[part] === 0) {
      if (checkPart(head, part, bytes, read, hashEngine().hash) !== true) throw invalidIndex(head.name, `part ${part}`);
      good[part] = 1;
    }
    if (part < head.directoryPages) return (pages[part] = Buffer.from(bytes));
    last = { part, bytes };
    return bytes;
  };
  const find = createFinder(head, read);
  const readCells = (first: number, count: number): Buffer => {
    const { part, at } = cellPosition(head, first);
    const target = Buffer.allocUnsafe(count * CELL_BYTES);
    const bytes = source.read(partRange(head, part).offset + at, target.length, target);
    if (bytes.length !== target.length) throw invalidIndex(head.name, 'its size');
    return bytes;
  };
  function* cells(first: number, count: number): Generator<[Buffer, number]> {
    const bytes = readCells(first, count);
    for (let at = 0; at < bytes.length; at += CELL_BYTES) yield [bytes, at];
  }
  return {
    head,
    find: (digest) => find(digest) ?? [],
    keys: () => Array.from(cells(head.rows, head.keys), ([bytes, at]) => readKey(bytes, at, head.name)),
    roots: () => Array.from(cells(head.rows + head.keys, head.roots), ([bytes, at]) => readRoot(bytes, at)),
    rowsBelow: (digest) => countRowsBelow(head, digest, read) ?? 0,
    readCells,
    verify() {
      pages.length = 0;
      last = undefined;
      good.fill(0);
      for (let part = 0; part < good.length; part++) read(part);
    },
    close: source.close,
  };
}

/** Looks rows up together with their keys. */
function createFinder(head: IndexHead, read: ReadPart): (digest: Uint8Array) => LocatedRow[] | undefined {
  const keys = new Map<number, StorageKey>();
  const findKey = (number: number): StorageKey | undefined => {
    const known = keys.get(number);
    if (known !== undefined) return known;
    if (number >= head.keys) throw invalidIndex(head.name, 'a row names no key');
    const { part, at } = cellPosition(head, head.rows + number);
    const cells = read(part);
    if (cells === undefined) return undefined;
    const key = readKey(cells, at, head.name);
    keys.set(number, key);
    return key;
  };
  return (digest) => {
    const rows = findRows(head, digest, read);
    if (rows === undefined) return undefined;
    const located: LocatedRow[] = [];
    for (const { key: number, offset, length } of rows) {
      const key = findKey(number);
      if (key === undefined) return undefined;
      located.push({ key, offset, length });
    }
    return located;
  };
}

function readHead(source: Source, name: Digest): IndexHead {
  const length = indexHeadLength(source.read(0, INDEX_HEAD_BYTES), name);
  if (length > source.size) throw invalidIndex(name, 'its size');
  return parseIndexHead(Buffer.from(source.read(0, length)), name, hashEngine().hash);
}

interface Source {
  readonly size: number;
  /** Up to `length` bytes at `offset`, in `target`, or without it good until the next call. */
  read(offset: number, length: number, target?: Buffer): Buffer;
  write(bytes: Buffer, offset: number): void;
  close(): void;
}

function openSource(path: string, flags: 'r' | 'r+'): Source {
  const file = openSync(path, flags);
  const { size } = fstatSync(file);
  let scratch = Buffer.alloc(0);
  const read = (offset: number, length: number, target?: Buffer): Buffer => {
    if (target === undefined && scratch.length < length) scratch = Buffer.allocUnsafeSlow(length);
    const bytes = target ?? scratch;
    return bytes.subarray(0, readAt(file, bytes, offset, length));
  };
  const write = (bytes: Buffer, offset: number): void => {
    try {
      writeFully(file, bytes, offset);
    } catch (error) {
      throw ioError(error, 'write', path);
    }
  };
  if (flags === 'r+' || size > MEMORY_BYTES) return { size, read, write, close: () => closeSync(file) };
  const all = read(0, size);
  closeSync(file);
  return { size: all.length, read: (offset, length) => all.subarray(offset, offset + length), write, close: () => {} };
}
