import { lstatSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { MlvError } from '../domain/errors.ts';
import type { TreePath } from '../domain/tree-path.ts';
import { treePathToText } from '../domain/tree-path.ts';
import { bootId } from '../platform/process-identity.ts';
import { temporaryName } from '../platform/durable-write.ts';
import type { WalkedPath, WalkProblem } from '../platform/walk.ts';
import { markRacy, RECORD_BYTES, recordKind, recordSize } from '../storage/file-record.ts';
import { FOLDER_MARK, UNKNOWN_MARK } from '../storage/scan-task.ts';
import type { BlockPlace, StatBlock, StatCache } from '../storage/stat-cache.ts';
import { blocksBetween } from '../storage/stat-cache.ts';
import type { VerbOptions } from './progress.ts';
import type { StorageTasks } from './task-runner.ts';

/** Paths looked at by one task. */
const TASK_PATHS = 1_024;
/** Starting threads takes about as long as looking at the files of so many tasks where they are known, */
const THREADS_FROM_TASKS = 8;
/** where they are to be read, */
const THREADS_FROM_NEW_TASKS = 2;
/** or as this, where some were. */
const THREADS_AFTER_MS = 120;
/** After so many new files what is known of them goes from memory into an index. */
const FLUSH_FILES = 1 << 18;
/** Large files together worth starting threads for. */
const THREADS_FROM_BYTES = 64 << 20;

export interface ScanOptions extends VerbOptions {
  /** Absolute path that the walked paths are relative to. */
  readonly root: string;
  readonly paths: Iterable<WalkedPath>;
  readonly previous: StatCache | undefined;
  /** True while the cache's generation is the one that `previous` was made under. */
  readonly trustStored: boolean;
  /** Whether content that the cache lacks is put there. */
  readonly store: boolean;
  /** True where nobody writes any more: new files need no second look. */
  readonly isFinished?: boolean;
  /** False where executable bits say nothing: files then have the kind 'f'. */
  readonly keepsModes: boolean;
  readonly tasks: StorageTasks;
  /** A folder on this machine where a probe file can be made, where the scanned disk takes none. */
  readonly probeFolder: string;
  /** Receives the paths in order, complete with digests. */
  readonly onBlock: (block: StatBlock) => void;
}

export interface ScanSummary {
  readonly paths: number;
  /** Files whose content was read. */
  readonly read: number;
  readonly problems: readonly WalkProblem[];
}

interface PendingBlock {
  readonly paths: string;
  readonly done: Promise<StatBlock & { read: number; problems: WalkProblem[] }>;
}

/**
 * Looks at every path: what did not change since the last scan costs one `lstat`, the rest is hashed, in threads where there is
 * much of it. Blocks arrive in order; only as many are under way as threads can work on.
 */
export async function scan(options: ScanOptions): Promise<ScanSummary> {
  const { tasks, onBlock, signal, onProgress } = options;
  const racySince = probeClock(options.root, options.probeFolder);
  const pending: PendingBlock[] = [];
  const problems: WalkProblem[] = [];
  let paths = 0;
  let read = 0;
  let flushed = 0;
  let bytes = 0;

  async function takeFirst(): Promise<void> {
    const first = pending.shift();
    if (first === undefined) return;
    const block = await first.done;
    markRacy(block.records, racySince);
    problems.push(...block.problems);
    read += block.read;
    const whole = block.problems.length === 0 ? block : withoutProblems(block);
    const count = whole.records.length / RECORD_BYTES;
    paths += count;
    for (let at = 0; at < whole.records.length; at += RECORD_BYTES) bytes += recordSize(whole.records, at);
    onBlock(whole);
    if (options.store && read - flushed >= FLUSH_FILES) {
      flushed = read;
      await tasks.flush();
    }
    onProgress?.({ phase: options.store ? 'adding' : 'checking', files: paths, bytes });
  }

  try {
    const start = performance.now();
    const enough = options.previous === undefined ? THREADS_FROM_NEW_TASKS : THREADS_FROM_TASKS;
    for (const { chunk, more } of lookAhead(chunks(options.paths), enough)) {
      signal?.throwIfAborted();
      if (more >= enough || (more > 0 && performance.now() - start > THREADS_AFTER_MS)) await tasks.useThreads();
      const done = scanChunk(chunk, options.isFinished ? Infinity : racySince, options);
      done.catch(() => {}); // awaited in its turn
      pending.push({ paths: chunk, done });
      while (pending.length > tasks.capacity()) await takeFirst();
    }
    while (pending.length > 0) await takeFirst();
  } finally {
    await Promise.allSettled(pending.map((block) => block.done));
  }
  return { paths, read, problems };
}

async function scanChunk(
  chunk: string,
  settledBefore: number,
  options: ScanOptions,
): Promise<StatBlock & { read: number; problems: WalkProblem[] }> {
  const { root, previous, trustStored, store, keepsModes, tasks, signal } = options;
  const paths = chunk.replace(MARKED, '');
  const result = await tasks.run({
    type: 'scan',
    root,
    paths: chunk,
    settledBefore,
    previous:
      previous === undefined
        ? undefined
        : {
            path: previous.path,
            blocks: previousBlocks(previous, paths),
            trustStored,
            trustWritten: previous.boot === bootId(),
          },
    store,
    keepsModes,
  });
  const records = Buffer.from(result.records.buffer, result.records.byteOffset, result.records.byteLength);
  const names = paths.split('\0');
  const nameAt = (position: number): TreePath => (names[position] ?? '') as TreePath;
  const problems = result.problems.map(({ position, reason }) => ({ path: treePathToText(nameAt(position)), reason }));
  const largeBytes = result.large.reduce((sum, position) => sum + recordSize(records, position * RECORD_BYTES), 0);
  if (largeBytes >= THREADS_FROM_BYTES) await tasks.useThreads();
  await Promise.all(
    result.large.map(async (position) => {
      signal?.throwIfAborted();
      const task = { type: 'ingest', root, path: nameAt(position), settledBefore, store, keepsModes } as const;
      const { record, problem } = await tasks.run(task);
      const at = position * RECORD_BYTES;
      const mark = records[at + 1] ?? 0;
      records.set(record, at);
      if (problem === undefined) records[at + 1] = (records[at + 1] ?? 0) | mark;
      if (problem !== undefined) problems.push({ path: treePathToText(nameAt(position)), reason: problem });
    }),
  );
  return { paths, records, read: result.read + result.large.length, problems };
}

function previousBlocks(previous: StatCache, chunk: string): BlockPlace[] {
  const end = chunk.indexOf('\0');
  const first = chunk.slice(0, end < 0 ? undefined : end) as TreePath;
  return blocksBetween(previous.blocks, first, chunk.slice(chunk.lastIndexOf('\0') + 1) as TreePath);
}

const MARKS = { file: '', 'empty-folder': FOLDER_MARK, other: UNKNOWN_MARK } as const;
const MARKED = new RegExp(`[${FOLDER_MARK}${UNKNOWN_MARK}](?=\\0|$)`, 'g');

/** Paths in lots for one task each. */
function* chunks(paths: Iterable<WalkedPath>): Generator<string> {
  let names: string[] = [];
  for (const { path, kind } of paths) {
    if (names.length === TASK_PATHS) {
      yield names.join('\0');
      names = [];
    }
    names.push(path + MARKS[kind]);
  }
  if (names.length > 0) yield names.join('\0');
}

/** Tells with each chunk how many more there are, at most `count`. */
function* lookAhead(all: Iterable<string>, count: number): Generator<{ chunk: string; more: number }> {
  const ahead: string[] = [];
  for (const chunk of all) {
    ahead.push(chunk);
    const first = ahead.length > count ? ahead.shift() : undefined;
    if (first !== undefined) yield { chunk: first, more: ahead.length };
  }
  for (let first = ahead.shift(); first !== undefined; first = ahead.shift())
    yield { chunk: first, more: ahead.length };
}

/** Paths that could not be read have records of kind 0. */
function withoutProblems(block: StatBlock): StatBlock {
  const names = block.paths.split('\0');
  const kept = names
    .map((_, index) => index)
    .filter((index) => recordKind(block.records, index * RECORD_BYTES) !== undefined);
  return {
    paths: kept.map((index) => names[index]).join('\0'),
    records: Buffer.concat(
      kept.map((index) => block.records.subarray(index * RECORD_BYTES, (index + 1) * RECORD_BYTES)),
    ),
  };
}

/**
 * The time (ms, by the scanned disk's own clock) from which a change may have the same time stamp as a later one. Disks that keep
 * whole seconds get two of them; others have grains of a few milliseconds, and get a tenth of a second.
 */
export function probeClock(folder: string, probeFolder: string): number {
  const own = statSync(folder, { throwIfNoEntry: false });
  const other = statSync(probeFolder, { throwIfNoEntry: false });
  const candidates = own !== undefined && own.dev === other?.dev ? [probeFolder] : [folder];
  for (const candidate of candidates) {
    const probe = join(candidate, temporaryName());
    try {
      writeFileSync(probe, '', { flag: 'wx' });
      const { mtimeMs } = lstatSync(probe);
      rmSync(probe);
      return mtimeMs - (mtimeMs % 1_000 === 0 ? 2_000 : 100);
    } catch {
      // a disk that cannot be written to, or a path that is a file: judged by this machine's clock
    }
  }
  return Date.now() - 2_000;
}

/** The error that lists paths which cannot be versioned. */
export function unscannable(where: string, problems: readonly WalkProblem[]): MlvError {
  return new MlvError({
    code: 'unreadable-paths',
    kind: 'refused',
    message: `${problems.length === 1 ? 'a path' : `${problems.length} paths`} in ${where} cannot be added`,
    items: problems.map(({ path, reason }) => `${path}: ${reason}`),
    hint: 'Nothing was changed. Mend them, or exclude them with lines in .mlvignore, and run the command again.',
  });
}
