import { dirname, join } from 'node:path';
import { addIgnoreLine, removeIgnoreLine } from '../domain/gitignore-line.ts';
import { formatLock } from '../domain/lock-file.ts';
import type { LockedOutput, LockedStage, Stage, StageId } from '../domain/pipeline.ts';
import type { RepoPath } from '../domain/repo-path.ts';
import { repoBasename } from '../domain/repo-path.ts';
import { statsAt } from '../platform/stats-at.ts';
import type { CheckoutRecord, Content } from './checkout-record.ts';
import { announceCheckoutRecord, readCheckoutRecord, sameContent, writeCheckoutRecord } from './checkout-record.ts';
import { lockFileOf, noteLock, readLock } from './locks.ts';
import { MAX_LOCK_BYTES } from '../domain/lock-file.ts';
import type { Workspace } from './open.ts';
import { makeFolderDurably, readTextFile } from '../platform/durable-write.ts';
import { clearRunMark } from './run-marks.ts';
import type { Staging } from './staging.ts';
import { stageIdOf } from './tracked.ts';
import {
  editIgnoreFile,
  ignoreFileOf,
  needsEdit,
  requireOwnIgnoreFile,
  withPointersLock,
  writeText,
} from './write-pointers.ts';

/**
 * Writes what a stage used and made into its `mlv.lock`, durably, and has that staged in Git; entries of stages that its pipeline file no
 * longer has go. Outputs that are not Git's get their lines in `.gitignore`. What is at the outputs must
 * be what `locked` says, and durable in the cache. Throws as `readLock` does, and `gitignore-linked`.
 */
export async function recordStage(
  workspace: Workspace,
  stage: Stage,
  {
    locked,
    stages,
    outputs,
    staging,
    before,
  }: {
    readonly locked: LockedStage;
    /** Of the whole pipeline. */
    readonly stages: readonly Stage[];
    /** Whether they have just been made or brought, as `locked` says; else nothing in the workspace has changed. */
    readonly outputs: 'made' | 'restored' | 'as they were';
    /** Shared by the stages of a run. */
    readonly staging: Staging;
    /** What lock files said when the run began: what came since is not for it to remove. */
    readonly before: ReadonlyMap<StageId, LockedStage>;
  },
): Promise<void> {
  const { root } = workspace;
  const lock = lockFileOf(stage);
  const names = new Set(stages.filter(({ file }) => file === stage.file).map(({ name }) => name));
  for (const [path] of locked.outs) requireOwnIgnoreFile(root, ignoreFileOf(path));
  const files = new Set<RepoPath>([lock]);
  await withPointersLock(workspace, async (held) => {
    const isGone = (name: string): boolean =>
      !names.has(name) && before.has(stageIdOf({ lock, stage: name }) as StageId);
    const others = [...(await readLock(workspace, lock))].filter(([name]) => name !== stage.name && !isGone(name));
    // In the order of the file.
    const entries = new Map([...others, [stage.name, locked] as const].sort(([a], [b]) => (a < b ? -1 : 1)));
    const text = formatLock(entries, lock);
    const isRestored = outputs === 'restored';
    const there = outputs === 'as they were' ? [] : [...locked.outs];
    const changed = there.flatMap(([path, output]) => changedRecord(workspace, path, { output, isRestored }));
    for (const record of changed) announceCheckoutRecord(workspace, record);
    held.assertHeld();
    const edits = [...locked.outs].map(([path, { cache }]) => ({
      file: ignoreFileOf(path),
      edit: (lines: string) => (cache ? addIgnoreLine : removeIgnoreLine)(lines, repoBasename(path)),
    }));
    for (const { file, edit } of edits) if (needsEdit(join(root, file), edit)) files.add(file);
    staging.announce(files);
    // The lines come first: at no moment would "git add ." take data that the lock file names.
    for (const { file, edit } of edits) {
      // What was made on a cluster may be nowhere here, nor the folder that it belongs into.
      if (files.has(file)) makeFolderDurably(dirname(join(root, file)));
      editIgnoreFile(join(root, file), edit);
    }
    if (readTextFile(join(root, lock), MAX_LOCK_BYTES) !== text) writeText(join(root, lock), text);
    noteLock(workspace, lock, { text, stages: entries });
    for (const record of changed) writeCheckoutRecord(workspace, record);
  });
  if (outputs !== 'as they were') clearRunMark(workspace, stage.id);
  staging.add(files);
}

/** The record of an output that is there; none where it says so already. */
function changedRecord(
  workspace: Workspace,
  path: RepoPath,
  { output, isRestored }: { readonly output: LockedOutput; readonly isRestored: boolean },
): CheckoutRecord[] {
  if (statsAt(join(workspace.root, path)) === undefined) return [];
  const base: Content = { type: output.type, hash: output.hash, exec: output.exec === true };
  const before = readCheckoutRecord(workspace, path, base);
  // Of what the stage found as it left it, or was brought as a part, a part may never have been checked out.
  const isPart = (output.persist || isRestored) && output.type === 'dir' && before.base?.type === 'dir';
  const selected = isPart ? before.selected : 'all';
  if (before.target === undefined && sameContent(before.base, base) && String(before.selected) === String(selected))
    return [];
  return [{ path, base, selected }];
}
