import { existsSync, rmdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { hasErrorCode } from '../domain/errors.ts';
import type { RepoPath } from '../domain/repo-path.ts';
import { treePathToText } from '../domain/tree-path.ts';
import { ioError } from '../platform/io-error.ts';
import { bootId } from '../platform/process-identity.ts';
import { findTemporaries } from '../platform/walk.ts';
import { distrustWritten, markRacy } from '../storage/file-record.ts';
import type { StatBlock, StatCache } from '../storage/stat-cache.ts';
import { openStatCache, writeStatCache } from '../storage/stat-cache.ts';
import type { CheckoutItem } from './checkout.ts';
import type { CheckoutSituation } from './checkout-plan.ts';
import { changesType, entryRoot, openPlan } from './checkout-plan.ts';
import type { Content } from './checkout-record.ts';
import { sameContent, stateFiles, unfinished, writeCheckoutRecord } from './checkout-record.ts';
import { digestOf } from './digest-of.ts';
import type { MaterialiseSummary, Phase } from './materialise.ts';
import { materialise } from './materialise.ts';
import type { Workspace } from './open.ts';
import type { VerbOptions } from './progress.ts';
import { mergeRecords, NO_RECORDS, openRecordSeeker, readBlocks } from './record-seeker.ts';
import { probeClock } from './scan.ts';
import { contextOf } from './snapshot-tree.ts';
import type { StorageTasks } from './task-runner.ts';

/** As many paths as one task of a scan has, so that the next scan finds its blocks unchanged. */
const BLOCK_PATHS = 1_024;

/**
 * Carries out one checkout. The target is on record, durably, before the first change; only when everything is in place does it
 * become the base. Whatever happens in between, the next checkout knows edits from what this one wrote.
 */
export async function applyPlan(
  workspace: Workspace,
  situation: CheckoutSituation,
  options: VerbOptions & {
    readonly tasks: StorageTasks;
    /** For what is taken away and does not count as given up: the record stays as it is. */
    readonly keepsRecord?: boolean;
  },
): Promise<{ readonly item: CheckoutItem; readonly problems: readonly string[] }> {
  const { path, record, content, selected, snapshot } = situation;
  // What is about to be replaced is compared with what was noted of it.
  if (snapshot.unnoted !== undefined) throw ioError(snapshot.unnoted, 'write', stateFiles(workspace, path).statCache);
  if (record.target !== undefined || content === undefined)
    removeLeftovers(workspace, path, record.base?.type ?? 'dir');
  // What is made anew is missing for a moment, too.
  const restore = situation.relink || situation.force ? 'all' : situation.restore;
  const earlier = unfinished(record).filter((each) => !sameContent(each, content));
  const target = content && {
    content,
    selected,
    ...(earlier.length > 0 && { earlier }),
    ...(restore.length > 0 && { restore }),
  };
  if (options.keepsRecord !== true)
    writeCheckoutRecord(workspace, target === undefined ? record : { ...record, target });

  if (changesType(situation)) {
    const cleared = await carryOut(workspace, { ...situation, content: undefined }, options);
    if (cleared.problems.length > 0) return report(situation, cleared, 0);
    removeFolder(join(workspace.root, path));
    const fresh = {
      ...situation,
      record: { ...record, base: undefined },
      snapshot: { ...situation.snapshot, content: undefined },
    };
    return finish(workspace, fresh, options);
  }
  return finish(workspace, situation, options);
}

async function finish(
  workspace: Workspace,
  situation: CheckoutSituation,
  options: VerbOptions & { readonly tasks: StorageTasks; readonly keepsRecord?: boolean },
) {
  const { path, content, selected } = situation;
  const done = await carryOut(workspace, situation, options);
  if (done.problems.length === 0 && options.keepsRecord !== true)
    writeCheckoutRecord(workspace, { path, base: content, selected });
  return report(situation, done, done.kept);
}

function report({ path, content }: CheckoutSituation, done: MaterialiseSummary, kept: number) {
  const problems = done.problems.map((problem) => {
    const full = content?.type === 'file' ? path : `${path}/${treePathToText(problem.path)}`;
    return `${full}: ${problem.reason}`;
  });
  const item: CheckoutItem = { path, written: done.written, removed: done.removed, bytes: done.bytes, kept };
  return { item, problems };
}

async function carryOut(
  workspace: Workspace,
  situation: CheckoutSituation,
  options: VerbOptions & { readonly tasks: StorageTasks },
): Promise<MaterialiseSummary & { readonly kept: number }> {
  const { path, snapshot, selected, content } = situation;
  const plan = openPlan(workspace, situation);
  const statFile = stateFiles(workspace, path).statCache;
  const before = snapshot.content === undefined ? undefined : openStatCache(statFile);
  const runs: Record<Phase, StatBlock[]> = { remove: [], write: [], link: [] };
  let kept = 0;

  const summary = await materialise({
    workspace,
    root: plan.root,
    tasks: options.tasks,
    isEmpty: snapshot.content === undefined,
    totalFiles: snapshot.content === undefined && selected === 'all' ? situation.size.files : undefined,
    ...(options.onProgress && { onProgress: options.onProgress }),
    ...(options.signal && { signal: options.signal }),
    records: () => (before === undefined ? NO_RECORDS : openRecordSeeker(before)),
    steps: () => {
      kept = 0;
      return countKept(plan.steps(), () => {
        kept += 1;
      });
    },
    onBlock: (block, phase) => runs[phase].push(block),
  });

  if (content !== undefined && existsSync(plan.root)) {
    const racySince = probeClock(plan.root, workspace.ownFolder);
    const writer = writeStatCache(statFile);
    for (const block of mergeRecords(
      [before === undefined ? [] : blocksBefore(before), runs.remove, runs.write, runs.link],
      BLOCK_PATHS,
    )) {
      markRacy(block.records, racySince);
      writer.add(block);
    }
    const isWhole = kept === 0 && summary.problems.length === 0 && selected === 'all';
    writer.finish({
      generation: workspace.cache().generation(),
      // With edits, or only a part of it, the workspace is not what the pointer names: the next scan adds it up.
      context: isWhole ? contextOf(workspace, { path, base: content, selected }) : 'unknown',
      root: content.hash,
      files: situation.size.files,
      bytes: situation.size.bytes,
      notCheckedOut: 0,
    });
  }
  return { ...summary, kept };
}

/** Where the scan before could not write what it learnt, records may be those of another boot. */
function* blocksBefore(before: StatCache): Generator<StatBlock> {
  for (const block of readBlocks(before)) {
    if (before.boot !== bootId()) distrustWritten(block.records);
    yield block;
  }
}

function* countKept<T extends { readonly action: string }>(steps: Iterable<T>, keep: () => void): Generator<T> {
  for (const step of steps) {
    if (step.action === 'keep') keep();
    yield step;
  }
}

/** Removes what an interrupted checkout had set aside, where the cache has it; of a file all that is beside it. */
export function removeLeftovers(workspace: Workspace, path: RepoPath, type: Content['type']): void {
  for (const leftover of findTemporaries(entryRoot(workspace, path, type), type === 'dir')) {
    if (workspace.cache().has(digestOf(workspace, leftover))) rmSync(leftover);
  }
}

function removeFolder(folder: string): void {
  try {
    rmdirSync(folder);
  } catch (error) {
    if (!hasErrorCode(error, 'ENOENT', 'ENOTDIR')) throw error;
  }
}
