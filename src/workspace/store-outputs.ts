import { join } from 'node:path';
import { MlvError } from '../domain/errors.ts';
import type { LockedOutput, LockedStage, Stage, StageOutput } from '../domain/pipeline.ts';
import type { RepoPath } from '../domain/repo-path.ts';
import { statsAt } from '../platform/stats-at.ts';
import type { CheckoutRecord } from './checkout-record.ts';
import { readCheckoutRecord } from './checkout-record.ts';
import { takeSnapshotWithPages } from './ensure-pages.ts';
import { lockFileOf } from './locks.ts';
import { unreadable } from './look-at-files.ts';
import { oneAtATime } from './one-at-a-time.ts';
import type { Workspace } from './open.ts';
import type { VerbOptions } from './progress.ts';
import { requireAddable } from './require-addable.ts';
import { adoptPointer, progressOptions } from './status.ts';
import type { StorageTasks } from './task-runner.ts';
import { contentOf, trackedOutput } from './tracked.ts';

/**
 * Takes what a stage has made into the cache, durably, and says what it is. Also what Git keeps: so a known result can be brought back
 * as a whole. Throws `output-not-made`, `path-is-symlink`, `path-is-special`, `path-ignored`, `path-unreadable`, `content-purged`.
 */
export async function storeOutputs(
  workspace: Workspace,
  options: VerbOptions & {
    readonly stage: Stage;
    /** What the lock says of it so far. */
    readonly recorded: LockedStage | undefined;
    readonly tasks: StorageTasks;
  },
): Promise<ReadonlyMap<RepoPath, LockedOutput>> {
  const { stage, recorded, tasks } = options;
  const lacking = stage.outs.filter(({ path }) => statsAt(join(workspace.root, path)) === undefined);
  if (lacking.length > 0) throw notMade(stage, lacking);
  for (const { path } of stage.outs) requireAddable(workspace, path);
  const stored = new Map<RepoPath, LockedOutput>();
  for (const out of stage.outs) {
    const { path } = out;
    const before = recorded?.outs.get(path);
    const tracked = before && trackedOutput(path, before, { lock: lockFileOf(stage), stage: stage.name });
    const snapshot = await oneAtATime(workspace, path, () =>
      takeSnapshotWithPages({
        ...progressOptions(options),
        workspace,
        path,
        tracked,
        record: recordBefore(workspace, out, before),
        tasks,
        store: true,
        // The command has ended, and all that it started.
        isFinished: true,
        refusesPurged: true,
      }),
    );
    if (snapshot.problems.length > 0)
      throw unreadable(...snapshot.problems.map((each) => ({ ...each, path: `${path}/${each.path}` })));
    if (snapshot.content === undefined) throw notMade(stage, [out]);
    const { type, hash, exec } = snapshot.content;
    stored.set(path, {
      type,
      hash,
      size: snapshot.bytes,
      ...(type === 'dir' && { files: snapshot.files }),
      ...(exec && { exec: true }),
      cache: out.cache,
      persist: out.persist,
      push: out.push,
      ...(out.remote !== undefined && { remote: out.remote }),
    });
  }
  return stored;
}

/** Of what the command found as it left it, a part may never have been checked out; everything else it made as a whole. */
function recordBefore(
  workspace: Workspace,
  { path, persist }: StageOutput,
  before: LockedOutput | undefined,
): CheckoutRecord {
  if (before === undefined) return { path, base: undefined, selected: 'all' };
  const content = contentOf(trackedOutput(path, before, { lock: path, stage: '' }).pointer);
  if (!persist) return { path, base: content, selected: 'all' };
  return adoptPointer(readCheckoutRecord(workspace, path, content), content);
}

function notMade({ id, file, line }: Stage, outs: readonly StageOutput[]): MlvError {
  const paths = outs.map(({ path }) => path);
  return new MlvError({
    code: 'output-not-made',
    kind: 'missing',
    message: `stage ${id} did not make ${paths.join(', ')}`,
    hint: `Its command succeeded all the same: let it write there, or correct "outs" in ${file}, line ${line}.`,
  });
}
