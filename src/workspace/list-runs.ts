import type { StageId } from '../domain/pipeline.ts';
import type { Workspace } from './open.ts';
import { canRestore } from './restore-outputs.ts';
import type { CachedRun } from './run-cache.ts';
import { openRunCache } from './run-cache.ts';

/** A result in the run cache, as it is listed. */
export interface ListedRun {
  readonly stage: string;
  readonly fingerprint: string;
  /** In UTC, by the clock of the machine that ran it. */
  readonly finished: string;
  readonly seconds: number;
  readonly producer: { readonly name: string; readonly email: string } | undefined;
  readonly commit: string | undefined;
  readonly platform: string;
  readonly outs: readonly string[];
  /** Bytes in all. */
  readonly size: number;
  /** Whether the cache has all that it made. */
  readonly isHere: boolean;
}

/** The results that this machine knows, of one stage where it is named; the newest first. */
export async function listRuns(
  workspace: Workspace,
  { stage }: { readonly stage: StageId | undefined },
): Promise<ListedRun[]> {
  const listed: ListedRun[] = [];
  for (const run of runsToName(workspace, { stage, olderThan: undefined })) listed.push(await describe(workspace, run));
  return listed;
}

/**
 * Forgets results, of one stage where it is named, and those only that are older than so many milliseconds; their data stays until a
 * collection. `confirm` is asked before, unless there is nothing to forget. Returns those that went.
 */
export async function forgetRuns(
  workspace: Workspace,
  options: {
    readonly stage: StageId | undefined;
    readonly olderThan: number | undefined;
    readonly isDry: boolean;
    readonly confirm: (runs: readonly ListedRun[]) => Promise<boolean>;
  },
): Promise<{ readonly runs: readonly ListedRun[]; readonly done: boolean }> {
  const found = runsToName(workspace, options);
  const runs: ListedRun[] = [];
  for (const run of found) runs.push(await describe(workspace, run));
  if (options.isDry || (found.length > 0 && !(await options.confirm(runs)))) return { runs, done: false };
  openRunCache(workspace).forget(found);
  return { runs, done: true };
}

function runsToName(
  workspace: Workspace,
  { stage, olderThan }: { readonly stage: StageId | undefined; readonly olderThan: number | undefined },
): CachedRun[] {
  const before = olderThan === undefined ? Infinity : Date.now() - olderThan;
  return openRunCache(workspace)
    .list()
    .filter(({ record, time }) => (stage === undefined || record.stage === stage) && time < before);
}

async function describe(workspace: Workspace, { record }: CachedRun): Promise<ListedRun> {
  const { fingerprint, stage, finished, seconds, producer, commit, platform, outs } = record;
  const outputs = [...outs.values()];
  return {
    stage,
    fingerprint,
    finished,
    seconds,
    producer,
    commit,
    platform,
    outs: [...outs.keys()],
    size: outputs.reduce((sum, { size }) => sum + size, 0),
    isHere: await canRestore(workspace, { outs: outputs, pull: false }),
  };
}
