import { closeSync, openSync } from 'node:fs';
import type { TreePath } from '../domain/tree-path.ts';
import { RECORD_BYTES, recordKind } from '../storage/file-record.ts';
import type { StatBlock, StatCache } from '../storage/stat-cache.ts';
import { readBlock } from '../storage/stat-cache.ts';

/** Gives the last scan's records of paths that are asked for in ascending order. */
export interface RecordSeeker {
  /** Copies the record of a path; leaves the target as it is where there is none. */
  copy(path: TreePath, target: Buffer, at: number): void;
  close(): void;
}

export const NO_RECORDS: RecordSeeker = { copy: () => {}, close: () => {} };

export function openRecordSeeker(statCache: StatCache): RecordSeeker {
  const blocks = readBlocks(statCache);
  const records = recordsOf(blocks);
  let current = records.next();
  return {
    copy(path, target, at) {
      while (current.done !== true && current.value.path < path) current = records.next();
      if (current.done === true || current.value.path !== path) return;
      current.value.records.copy(target, at, current.value.at, current.value.at + RECORD_BYTES);
    },
    close: () => {
      records.return(undefined);
      blocks.return(undefined);
    },
  };
}

/** The blocks of a stat cache, one at a time. A damaged one ends them: what is missing is looked at again by the next scan. */
export function* readBlocks(statCache: StatCache): Generator<StatBlock> {
  const file = openSync(statCache.path, 'r');
  try {
    for (const place of statCache.blocks) {
      const block = readBlock(file, place);
      if (block === undefined) return;
      yield block;
    }
  } finally {
    closeSync(file);
  }
}

interface PlacedRecord {
  readonly path: TreePath;
  readonly records: Buffer;
  readonly at: number;
}

function* recordsOf(blocks: Iterable<StatBlock>): Generator<PlacedRecord, undefined> {
  for (const { paths, records } of blocks) {
    if (records.length === 0) continue;
    let at = 0;
    for (const path of paths.split('\0')) {
      // Its hash may be right, and it not of mlv.
      if (at >= records.length) return undefined;
      yield { path: path as TreePath, records, at };
      at += RECORD_BYTES;
    }
  }
  return undefined;
}

/**
 * Puts several runs of records, each in order, into one: where two have a path the later run wins, and records of kind 0 take the
 * path out.
 */
export function* mergeRecords(runs: readonly Iterable<StatBlock>[], blockPaths: number): Generator<StatBlock> {
  const sources = runs.map((run) => recordsOf(run));
  const heads = sources.map((source) => source.next());
  let paths: string[] = [];
  let records = Buffer.allocUnsafe(blockPaths * RECORD_BYTES);
  for (;;) {
    let first: TreePath | undefined;
    for (const head of heads)
      if (head.done !== true && (first === undefined || head.value.path < first)) first = head.value.path;
    if (first === undefined) break;
    let winner: PlacedRecord | undefined;
    for (const [index, head] of heads.entries()) {
      if (head.done === true || head.value.path !== first) continue;
      winner = head.value;
      const next = sources[index]?.next();
      if (next !== undefined) heads[index] = next;
    }
    if (winner === undefined || recordKind(winner.records, winner.at) === undefined) continue;
    if (paths.length === blockPaths) {
      yield { paths: paths.join('\0'), records };
      paths = [];
      records = Buffer.allocUnsafe(blockPaths * RECORD_BYTES);
    }
    winner.records.copy(records, paths.length * RECORD_BYTES, winner.at, winner.at + RECORD_BYTES);
    paths.push(first);
  }
  if (paths.length > 0) yield { paths: paths.join('\0'), records: records.subarray(0, paths.length * RECORD_BYTES) };
}
