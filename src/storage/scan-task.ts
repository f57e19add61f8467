import type { Stats } from 'node:fs';
import { closeSync, lstatSync, openSync, readlinkSync, statSync } from 'node:fs';
import { digestFromBytes, isDigest, writeDigest } from '../domain/digest.ts';
import { hasErrorCode, MlvError } from '../domain/errors.ts';
import { EMPTY_DIGEST } from '../domain/tree.ts';
import { requireSymlinkTarget } from '../domain/tree-order.ts';
import type { TreePath } from '../domain/tree-path.ts';
import { treePathToText } from '../domain/tree-path.ts';
import { hashEngine } from '../platform/hash.ts';
import { statsAt } from '../platform/stats-at.ts';
import type { CacheWriter } from './cache-writer.ts';
import { DIGEST_OFFSET, isSameFile, kindOf, RECORD_BYTES, STORED, WRITTEN, writeRecord } from './file-record.ts';
import type { IngestOptions } from './ingest.ts';
import { DENIED, ingestFile, ingestSettled, LARGE_FILE_BYTES } from './ingest.ts';
import type { LocalCache } from './local-cache.ts';
import type { BlockPlace } from './stat-cache.ts';
import { readBlock } from './stat-cache.ts';

/** Ends the path of an empty folder. */
export const FOLDER_MARK = '/';
/** Ends a path of which nothing is known, or which is known to be a symlink or something stranger. No written path holds it. */
export const UNKNOWN_MARK = '\x01';

/** Looks at a run of paths: what they are, and the digest of those that changed since the last scan. */
export interface ScanTask {
  readonly type: 'scan';
  /** Absolute path of the folder that paths are relative to. */
  readonly root: string;
  /** Written paths in order, joined by NUL, what is not a regular file with its mark. */
  readonly paths: string;
  /** What last changed before this moment (ms, by the disk's clock) cannot have changed since the scan began. */
  readonly settledBefore: number;
  /** The blocks of the last scan's stat cache that may hold these paths. */
  readonly previous:
    | {
        readonly path: string;
        readonly blocks: readonly BlockPlace[];
        readonly trustStored: boolean;
        /** False after a boot: what a checkout wrote before it is hashed again. */
        readonly trustWritten: boolean;
      }
    | undefined;
  /** Whether what is not in the cache is put there. */
  readonly store: boolean;
  /** False where executable bits say nothing: files then have the kind 'f'. */
  readonly keepsModes: boolean;
}

export interface ScanResult {
  readonly type: 'scan';
  readonly records: Uint8Array;
  /** Positions of large files whose digest is still to be computed, by a task each. */
  readonly large: readonly number[];
  readonly problems: readonly { readonly position: number; readonly reason: string }[];
  /** Files read. */
  readonly read: number;
}

/** Hashes, and stores where asked, one large file. */
export interface IngestTask {
  readonly type: 'ingest';
  readonly root: string;
  readonly path: TreePath;
  /** As of a scan. */
  readonly settledBefore: number;
  readonly store: boolean;
  readonly keepsModes: boolean;
}

export interface IngestResult {
  readonly type: 'ingest';
  /** The file's record; all zero when there is a problem. */
  readonly record: Uint8Array;
  readonly problem: string | undefined;
}

interface Store {
  readonly cache: LocalCache;
  /** Opened when something is to be stored. */
  readonly writer: () => CacheWriter;
}

export function runScanTask(task: ScanTask, { cache, writer }: Store): ScanResult {
  const paths = task.paths.split('\0');
  const records = Buffer.alloc(paths.length * RECORD_BYTES);
  const large: number[] = [];
  const problems: { position: number; reason: string }[] = [];
  const known = openPrevious(task);
  let read = 0;

  for (const [position, written] of paths.entries()) {
    const at = position * RECORD_BYTES;
    if (written.endsWith(FOLDER_MARK)) {
      writeRecord(records, at, 'd', undefined);
      writeDigest(EMPTY_DIGEST, records, at + DIGEST_OFFSET);
      continue;
    }
    const isUnknown = written.endsWith(UNKNOWN_MARK);
    const path = (isUnknown ? written.slice(0, -1) : written) as TreePath;
    const absolute = `${task.root}/${treePathToText(path)}`;
    const hit = known.find(path);
    if (hit === undefined && !isUnknown) {
      const settled = ingestSettled(absolute, task.settledBefore, task.store ? writer() : undefined);
      if (settled !== undefined) {
        read += 1;
        writeIngested(records, at, settled, task);
        continue;
      }
    }
    const stats = look(absolute);
    const kind = stats === undefined || stats === 'denied' ? undefined : kindOf(stats, task.keepsModes);
    if (stats === 'denied') {
      problems.push({ position, reason: DENIED });
      continue;
    }
    if (stats === undefined || kind === undefined) {
      problems.push({
        position,
        reason: stats === undefined ? 'it vanished while it was read' : 'it is not a file, folder or symlink',
      });
      continue;
    }
    if (kind === 'l') {
      const problem = recordSymlink({ records, at, path, absolute, cache, writer: task.store ? writer() : undefined });
      if (problem !== undefined) problems.push({ position, reason: problem });
      continue;
    }
    if (hit !== undefined && isSameFile(hit.records, hit.at, kind, stats)) {
      hit.records.copy(records, at, hit.at, hit.at + RECORD_BYTES);
      const flags = records[at + 1] ?? 0;
      const isStored = known.trustStored && (flags & STORED) !== 0;
      if (!isStored) records[at + 1] = flags & WRITTEN;
      if (!task.store || isStored) continue;
      if (cache.has(digestFromBytes(records, at + DIGEST_OFFSET))) {
        records[at + 1] = STORED | (flags & WRITTEN);
        continue;
      }
    }
    writeRecord(records, at, kind, stats);
    // Read again because it is so new: that tells nothing of the disk.
    const mark = hit !== undefined && isMarkedFor(hit, records, at) ? WRITTEN : 0;
    if (stats.size >= LARGE_FILE_BYTES) {
      records[at + 1] = mark;
      large.push(position);
      continue;
    }
    read += 1;
    const ingested = ingestFile(absolute, stats, ingestOptions(task, writer));
    if ('problem' in ingested) {
      problems.push({ position, reason: ingested.problem });
      records.fill(0, at, at + RECORD_BYTES);
    } else {
      writeIngested(records, at, ingested, task);
      records[at + 1] = (records[at + 1] ?? 0) | mark;
    }
  }
  known.close();
  return { type: 'scan', records, large, problems, read };
}

/** Whether a checkout wrote the very file that the new record is of. */
function isMarkedFor(hit: { readonly records: Buffer; readonly at: number }, records: Buffer, at: number): boolean {
  const isMarked = ((hit.records[hit.at + 1] ?? 0) & WRITTEN) !== 0;
  return isMarked && records.compare(hit.records, hit.at + 8, hit.at + DIGEST_OFFSET, at + 8, at + DIGEST_OFFSET) === 0;
}

/** A folder that may be listed, and no more, gives names of which nothing can be learnt. */
function look(absolute: string): Stats | 'denied' | undefined {
  try {
    return statsAt(absolute);
  } catch (error) {
    if (hasErrorCode(error, 'EACCES', 'EPERM')) return 'denied';
    throw error;
  }
}

export function runIngestTask(task: IngestTask, { writer }: Store): IngestResult {
  const absolute = `${task.root}/${treePathToText(task.path)}`;
  const record = Buffer.alloc(RECORD_BYTES);
  const stats = statsAt(absolute);
  if (stats?.isFile() !== true) return { type: 'ingest', record, problem: 'it vanished while it was read' };
  const ingested = ingestFile(absolute, stats, ingestOptions(task, writer));
  if ('problem' in ingested) return { type: 'ingest', record, problem: ingested.problem };
  writeIngested(record, 0, ingested, task);
  return { type: 'ingest', record, problem: undefined };
}

function ingestOptions({ store, settledBefore }: ScanTask | IngestTask, writer: () => CacheWriter): IngestOptions {
  return { writer: store ? writer() : undefined, settledBefore };
}

function writeIngested(
  records: Buffer,
  at: number,
  ingested: { readonly digest: Buffer; readonly stats: Stats },
  { store, keepsModes }: Pick<ScanTask, 'store' | 'keepsModes'>,
): void {
  writeRecord(records, at, kindOf(ingested.stats, keepsModes) ?? 'f', ingested.stats);
  if (store) records[at + 1] = STORED;
  ingested.digest.copy(records, at + DIGEST_OFFSET);
}

/** A symlink into the cache is the file it was made for; any other is its target text. */
function recordSymlink(options: {
  records: Buffer;
  at: number;
  path: TreePath;
  absolute: string;
  cache: LocalCache;
  writer: CacheWriter | undefined;
}): string | undefined {
  const { records, at, path, absolute, cache, writer } = options;
  const stats = lstatSync(absolute);
  const target = Buffer.from(readlinkSync(absolute, 'latin1'), 'latin1');
  const text = target.toString('utf8');
  const digest = managedDigest(text, cache.folder);
  if (digest !== undefined) {
    const blob = statSync(text, { throwIfNoEntry: false });
    if (blob === undefined) return 'it links to a file that is no longer in the cache';
    writeRecord(records, at, 'f', stats);
    records.writeDoubleLE(blob.size, at + 8);
    records[at + 1] = STORED;
    writeDigest(digest, records, at + DIGEST_OFFSET);
    return undefined;
  }
  try {
    requireSymlinkTarget(text, path);
  } catch (error) {
    if (!(error instanceof MlvError)) throw error;
    return `it is ${error.message.slice(error.message.indexOf('a symlink'))}`;
  }
  writeRecord(records, at, 'l', stats);
  records.writeDoubleLE(target.length, at + 8);
  const hash = hashEngine().hash(target);
  hash.copy(records, at + DIGEST_OFFSET);
  if (writer !== undefined) {
    writer.put(hash, target, 'data');
    records[at + 1] = STORED;
  }
  return undefined;
}

/** The digest that a link into this cache's loose files stands for. */
export function managedDigest(target: string, cacheFolder: string) {
  const prefix = `${cacheFolder}/b3/`;
  if (!target.startsWith(prefix)) return undefined;
  const digest = target.slice(prefix.length).replace('/', '');
  return isDigest(digest) ? digest : undefined;
}

/** Finds the last scan's record of paths that are asked for in ascending order. */
function openPrevious(task: ScanTask) {
  const { previous } = task;
  let file: number | undefined;
  try {
    if (previous !== undefined) file = openSync(previous.path, 'r');
  } catch (error) {
    if (!hasErrorCode(error, 'ENOENT', 'EACCES')) throw error;
  }
  const blocks = file === undefined ? [] : (previous?.blocks ?? []);
  let next = 0;
  let paths: string[] = [];
  let records: Buffer = Buffer.alloc(0);
  let position = 0;
  return {
    trustStored: previous?.trustStored ?? false,
    /** Undefined where there is none to go by. */
    find(path: TreePath): { records: Buffer; at: number } | undefined {
      for (;;) {
        while (position < paths.length && (paths[position] ?? '') < path) position += 1;
        if (position < paths.length) {
          const at = position * RECORD_BYTES;
          const isUnsure = previous?.trustWritten === false && ((records[at + 1] ?? 0) & WRITTEN) !== 0;
          return paths[position] === path && !isUnsure ? { records, at } : undefined;
        }
        const place = blocks[next++];
        if (place === undefined || file === undefined) return undefined;
        const block = place.last < path ? undefined : readBlock(file, place);
        paths = block === undefined ? [] : block.paths.split('\0');
        records = block?.records ?? records;
        position = 0;
      }
    },
    close() {
      if (file !== undefined) closeSync(file);
    },
  };
}
