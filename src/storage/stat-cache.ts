/**
 * The stat cache of one tracked path: what the last scan saw, so that the next one reads only what changed. Always
 * discardable: a file that is damaged or of another version is thrown away.
 *
 *   "mlvstat1", blocks (records of 72 bytes, then their paths joined by NUL), directory (JSON), u48 where it begins,
 *   u48 its length, 4 zero, BLAKE3 of the directory
 */
import { closeSync, fstatSync, openSync, renameSync, rmSync } from 'node:fs';
import { makeFolderDurably } from '../platform/durable-write.ts';
import { dirname } from 'node:path';
import type { Digest } from '../domain/digest.ts';
import { isDigest } from '../domain/digest.ts';
import { hasErrorCode } from '../domain/errors.ts';
import type { TreePath } from '../domain/tree-path.ts';
import { digestOfBytes, hashEngine } from '../platform/hash.ts';
import { bootId } from '../platform/process-identity.ts';
import { RECORD_BYTES } from './file-record.ts';
import { readAt, writeFully } from '../platform/read-write.ts';

const MAGIC = Buffer.from('mlvstat1', 'latin1');
const TRAILER_BYTES = 48;

/** A run of paths in order, with their records. */
export interface StatBlock {
  readonly paths: string;
  readonly records: Buffer;
}

/** Where a block lies, and what it covers. */
export interface BlockPlace {
  readonly first: TreePath;
  readonly last: TreePath;
  readonly offset: number;
  readonly length: number;
  readonly count: number;
  readonly hash: Digest;
}

export interface StatCache {
  readonly path: string;
  /** Generation of the cache when the records' `STORED` flags were true. */
  readonly generation: string;
  /** In which it was written: `bootId`. */
  readonly boot: string;
  /** What, beside the files, `root` depends on. */
  readonly context: string;
  /** The tree (or, for a single file, the blob) that these records make in that context. */
  readonly root: Digest;
  readonly files: number;
  readonly bytes: number;
  /** Files of the tree that were not there because they had not been checked out. */
  readonly notCheckedOut: number;
  readonly blocks: readonly BlockPlace[];
}

interface Directory extends Omit<StatCache, 'path'> {}

/** Reads the directory of a stat cache; undefined where there is none that can be used. */
export function openStatCache(path: string): StatCache | undefined {
  let file: number;
  try {
    file = openSync(path, 'r');
  } catch (error) {
    if (hasErrorCode(error, 'ENOENT', 'EACCES', 'ENOTDIR')) return undefined;
    throw error;
  }
  try {
    const size = fstatSync(file).size;
    if (size < MAGIC.length + TRAILER_BYTES) return undefined;
    const magic = read(file, 0, MAGIC.length);
    const trailer = read(file, size - TRAILER_BYTES, TRAILER_BYTES);
    const offset = trailer.readUIntLE(0, 6);
    const length = trailer.readUIntLE(6, 6);
    if (!magic.equals(MAGIC) || offset + length + TRAILER_BYTES !== size) return undefined;
    const text = read(file, offset, length);
    if (!hashEngine().hash(text).equals(trailer.subarray(16))) return undefined;
    const directory = parseDirectory(text.toString('utf8'), offset);
    return directory && { path, ...directory };
  } finally {
    closeSync(file);
  }
}

/** The hash tells of damage, not of who wrote it: undefined for what `finish` never writes. */
function parseDirectory(text: string, end: number): Directory | undefined {
  try {
    const directory = JSON.parse(text) as Directory;
    const { generation, boot, context, root, files, bytes, notCheckedOut, blocks } = directory;
    const isRight =
      typeof generation === 'string' &&
      typeof boot === 'string' &&
      typeof context === 'string' &&
      isDigest(root) &&
      [files, bytes, notCheckedOut].every(isCount) &&
      blocks.every((block) => isPlace(block, end));
    return isRight ? directory : undefined;
  } catch {
    return undefined;
  }
}

function isPlace({ first, last, offset, length, count, hash }: BlockPlace, end: number): boolean {
  return (
    typeof first === 'string' &&
    typeof last === 'string' &&
    isDigest(hash) &&
    [offset, length, count].every(isCount) &&
    offset + length <= end &&
    count * RECORD_BYTES <= length
  );
}

function isCount(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0;
}

/** Reads a block; undefined when it is damaged. */
export function readBlock(file: number, place: BlockPlace): StatBlock | undefined {
  const bytes = read(file, place.offset, place.length);
  if (digestOfBytes(bytes) !== place.hash) return undefined;
  const records = bytes.subarray(0, place.count * RECORD_BYTES);
  return { records, paths: bytes.toString('latin1', records.length) };
}

/** The blocks that may hold paths from `first` to `last`. */
export function blocksBetween(blocks: readonly BlockPlace[], first: TreePath, last: TreePath): BlockPlace[] {
  let low = 0;
  let high = blocks.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const block = blocks[middle];
    if (block !== undefined && block.last < first) low = middle + 1;
    else high = middle;
  }
  let end = low;
  while (end < blocks.length && (blocks[end]?.first ?? last) <= last) end += 1;
  return blocks.slice(low, end);
}

export interface StatCacheWriter {
  /** Adds the next paths, in order. */
  add(block: StatBlock): void;
  /** Returns what kept it from being written, no room or no permission; undefined when it was. */
  finish(summary: Omit<StatCache, 'path' | 'boot' | 'blocks'>): unknown;
  abandon(): void;
}

/** Takes everything and keeps nothing. */
export const NO_STAT_CACHE: StatCacheWriter = { add: () => {}, finish: () => undefined, abandon: () => {} };

/**
 * Writes a new stat cache beside the old one and replaces that at the end. Not flushed: it may be lost, never wrong. Where there is
 * no room or no permission the old one stays: whoever only looks must not fail over it.
 */
export function writeStatCache(path: string, boot = bootId()): StatCacheWriter {
  const temporary = `${path}.${process.pid}.tmp`;
  let failure: unknown;
  const unlessFull = <T>(work: () => T): T | undefined => {
    try {
      return failure === undefined ? work() : undefined;
    } catch (error) {
      if (!hasErrorCode(error, 'EACCES', 'EPERM', 'EROFS', 'ENOSPC', 'EDQUOT')) throw error;
      failure = error;
      return undefined;
    }
  };
  const opened = unlessFull(() => {
    makeFolderDurably(dirname(path));
    return openSync(temporary, 'w');
  });
  if (opened === undefined) return { ...NO_STAT_CACHE, finish: () => failure };
  const descriptor = opened;
  const blocks: BlockPlace[] = [];
  let offset = 0;

  function write(bytes: Buffer): void {
    unlessFull(() => writeFully(descriptor, bytes));
    offset += bytes.length;
  }

  function abandon(): void {
    closeSync(descriptor);
    rmSync(temporary, { force: true });
  }

  write(MAGIC);
  return {
    add(block) {
      if (block.records.length === 0) return;
      const bytes = blockBytes(block);
      const { paths, records } = block;
      const firstEnd = paths.indexOf('\0');
      blocks.push({
        first: paths.slice(0, firstEnd < 0 ? undefined : firstEnd) as TreePath,
        last: paths.slice(paths.lastIndexOf('\0') + 1) as TreePath,
        offset,
        length: bytes.length,
        count: records.length / RECORD_BYTES,
        hash: digestOfBytes(bytes),
      });
      write(bytes);
    },
    finish(summary) {
      const { generation, context, root, files, bytes, notCheckedOut } = summary;
      const directory: Directory = { generation, boot, context, root, files, bytes, notCheckedOut, blocks };
      const text = Buffer.from(JSON.stringify(directory), 'utf8');
      const trailer = Buffer.alloc(TRAILER_BYTES);
      trailer.writeUIntLE(offset, 0, 6);
      trailer.writeUIntLE(text.length, 6, 6);
      hashEngine().hash(text).copy(trailer, 16);
      write(Buffer.concat([text, trailer]));
      if (failure !== undefined) {
        abandon();
        return failure;
      }
      closeSync(descriptor);
      renameSync(temporary, path);
      return undefined;
    },
    abandon,
  };
}

/** Undefined where the disk is full or may not be written to. */

function blockBytes({ paths, records }: StatBlock): Buffer {
  return Buffer.concat([records, Buffer.from(paths, 'latin1')]);
}

/** The hash that a block has, or would have, in a stat cache. */
export function blockHash(block: StatBlock): Digest {
  return digestOfBytes(blockBytes(block));
}

function read(file: number, offset: number, length: number): Buffer {
  const bytes = Buffer.allocUnsafe(length);
  return bytes.subarray(0, readAt(file, bytes, offset, length));
}
