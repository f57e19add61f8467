import { rmdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { DIGEST_BYTES, writeDigest } from '../domain/digest.ts';
import { hasErrorCode } from '../domain/errors.ts';
import type { LinkType } from '../domain/setting-table.ts';
import { EMPTY_DIGEST } from '../domain/tree.ts';
import type { CheckoutStep } from '../domain/three-way.ts';
import type { TreePath } from '../domain/tree-path.ts';
import { treePathToText } from '../domain/tree-path.ts';
import { RECORD_BYTES, writeRecord } from '../storage/file-record.ts';
import type { MaterialiseProblem } from '../storage/materialise-task.ts';
import type { StatBlock } from '../storage/stat-cache.ts';
import type { Workspace } from './open.ts';
import type { VerbOptions } from './progress.ts';
import type { RecordSeeker } from './record-seeker.ts';
import type { StorageTasks } from './task-runner.ts';

/** Paths handed to one task. */
const TASK_PATHS = 1_024;

export interface MaterialiseOptions extends VerbOptions {
  readonly workspace: Workspace;
  /** Absolute path that the steps' paths are relative to. */
  readonly root: string;
  /** The real folder below which no symlink is followed; the project's root unless told otherwise. */
  readonly boundary?: string;
  /** How files get their bytes; as the settings say unless told otherwise. */
  readonly links?: readonly LinkType[];
  /** Gives the steps, in order, each time it is asked. */
  readonly steps: () => Iterable<CheckoutStep>;
  /** Opens the scan's records of what is there, for paths in order. */
  readonly records: () => RecordSeeker;
  readonly tasks: StorageTasks;
  readonly totalFiles: number | undefined;
  /** True where nothing stands yet, so that nothing is to be removed. */
  readonly isEmpty: boolean;
  /** Receives the records of what was made or removed (kind 0), each phase in order. */
  readonly onBlock: (block: StatBlock, phase: Phase) => void;
}

/** Room is made first, links come last: no link is there to be followed while files are written. */
export type Phase = 'remove' | 'write' | 'link';

export interface MaterialiseSummary {
  readonly written: number;
  readonly removed: number;
  readonly bytes: number;
  readonly problems: readonly {
    readonly path: TreePath;
    readonly kind: MaterialiseProblem['kind'];
    readonly reason: string;
  }[];
}

/** Carries out a plan, in threads where it is long. What cannot be done is told, and the rest is done all the same. */
export async function materialise(options: MaterialiseOptions): Promise<MaterialiseSummary> {
  const { workspace, root, tasks, onProgress, signal, totalFiles } = options;
  const { boundary = workspace.root, links = workspace.settings.values['cache.links'] } = options;
  const umask = process.umask();
  const sum = { written: 0, removed: 0, bytes: 0 };
  const problems: MaterialiseSummary['problems'][number][] = [];
  const emptied = new Set<string>();
  let hasLinks = false;

  async function runChunk(phase: Phase, steps: readonly CheckoutStep[], expected: Buffer): Promise<StatBlock> {
    const digests = Buffer.alloc(steps.length * DIGEST_BYTES);
    let kinds = '';
    for (const [index, step] of steps.entries()) {
      const entry = step.action === 'write' ? step.want : undefined;
      kinds += entry?.kind ?? '-';
      writeDigest(entry?.digest ?? EMPTY_DIGEST, digests, index * DIGEST_BYTES);
    }
    const paths = steps.map((step) => step.path).join('\0');
    const result = await tasks.run({
      type: 'materialise',
      boundary,
      root,
      paths,
      kinds,
      digests,
      expected,
      links,
      umask,
      keepsModes: workspace.keepsModes(),
    });
    for (const { position, kind, reason } of result.problems) {
      const step = steps[position];
      if (step !== undefined) problems.push({ path: step.path, kind, reason });
    }
    const done = steps.length - result.problems.length;
    sum.bytes += result.bytes;
    if (phase === 'remove') sum.removed += done;
    else sum.written += done;
    return { paths, records: Buffer.from(result.records.buffer, result.records.byteOffset, result.records.byteLength) };
  }

  async function runPhase(phase: Phase): Promise<void> {
    const seek = options.records();
    const pending: Promise<StatBlock>[] = [];
    const takeFirst = async (): Promise<void> => {
      const block = await pending.shift();
      if (block !== undefined) options.onBlock(block, phase);
      const phaseName = phase === 'remove' ? 'removing old files' : 'checking out';
      onProgress?.({
        phase: phaseName,
        files: sum.written,
        bytes: sum.bytes,
        ...(totalFiles !== undefined && { totalFiles }),
      });
    };
    try {
      for (const { steps, isLast } of chunks(options.steps(), (step) => isIn(step, phase))) {
        signal?.throwIfAborted();
        if (!isLast) await tasks.useThreads();
        const expected = Buffer.alloc(steps.length * RECORD_BYTES);
        for (const [index, step] of steps.entries()) expect(step, expected, index * RECORD_BYTES, seek);
        const done = runChunk(phase, steps, expected);
        done.catch(() => {}); // awaited in its turn
        pending.push(done);
        while (pending.length > tasks.capacity()) await takeFirst();
      }
      while (pending.length > 0) await takeFirst();
    } finally {
      seek.close();
      await Promise.allSettled(pending);
    }
  }

  function isIn(step: CheckoutStep, phase: Phase): boolean {
    if (step.action === 'remove') {
      if (phase === 'remove') emptied.add(dirname(treePathToText(step.path)));
      return phase === 'remove';
    }
    if (step.action !== 'write') return false;
    if (step.want.kind !== 'l') return phase === 'write';
    hasLinks = true;
    return phase === 'link';
  }

  if (!options.isEmpty) await runPhase('remove');
  removeEmptyFolders(root, emptied);
  await runPhase('write');
  if (hasLinks) await runPhase('link');
  return { ...sum, problems };
}

/** Fills in what the plan saw at a path. */
function expect(step: CheckoutStep, expected: Buffer, at: number, seek: RecordSeeker): void {
  const found = step.action === 'write' || step.action === 'remove' ? step.found : undefined;
  if (found === undefined) return;
  if (found.kind === 'd') writeRecord(expected, at, 'd', undefined);
  else seek.copy(step.path, expected, at);
}

function* chunks(
  steps: Iterable<CheckoutStep>,
  accept: (step: CheckoutStep) => boolean,
): Generator<{ steps: CheckoutStep[]; isLast: boolean }> {
  let chunk: CheckoutStep[] = [];
  for (const step of steps) {
    if (!accept(step)) continue;
    if (chunk.length === TASK_PATHS) {
      yield { steps: chunk, isLast: false };
      chunk = [];
    }
    chunk.push(step);
  }
  if (chunk.length > 0) yield { steps: chunk, isLast: true };
}

/** Removes folders that are empty now, and those above them, but not the root. */
function removeEmptyFolders(root: string, folders: Iterable<string>): void {
  for (const folder of [...folders].sort().toReversed()) {
    for (let path = folder; path !== '.' && path !== '/'; path = dirname(path)) {
      try {
        rmdirSync(join(root, path));
      } catch (error) {
        if (hasErrorCode(error, 'ENOENT')) continue;
        if (!hasErrorCode(error, 'ENOTEMPTY', 'EEXIST', 'ENOTDIR', 'EACCES', 'EPERM', 'EBUSY')) throw error;
        break;
      }
    }
  }
}
