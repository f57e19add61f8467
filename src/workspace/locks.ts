import { join } from 'node:path';
import { MlvError } from '../domain/errors.ts';
import type { LockedStages } from '../domain/lock-file.ts';
import type { LockedStage, Stage, StageId } from '../domain/pipeline.ts';
import { LOCK_FILE } from '../domain/pipeline.ts';
import type { RepoPath } from '../domain/repo-path.ts';
import { joinRepoPath, repoDirname } from '../domain/repo-path.ts';
import { readTextFile } from '../platform/durable-write.ts';
import { statsAt } from '../platform/stats-at.ts';
import { findReferences } from './list-tracked.ts';
import type { Workspace } from './open.ts';
import { isLock, maxReferenceBytes, parseLockText } from './references.ts';
import { stageIdOf } from './tracked.ts';

interface SeenLock {
  readonly text: string;
  readonly stages: LockedStages;
}

const lastSeen = new WeakMap<Workspace, Map<RepoPath, SeenLock>>();

/**
 * What all lock files of the project say, those too whose pipeline file is gone. Throws `lock-conflict`, `lock-invalid`, `lock-version`,
 * `lock-linked`.
 */
export async function readLocks(workspace: Workspace): Promise<ReadonlyMap<StageId, LockedStage>> {
  const locks = new Map<StageId, LockedStage>();
  for (const lock of findReferences(workspace, isLock))
    for (const [stage, locked] of await readLock(workspace, lock))
      locks.set(stageIdOf({ lock, stage }) as StageId, locked);
  return locks;
}

/** What one lock file says; nothing where there is none. Throws as `readLocks` does. */
export async function readLock(workspace: Workspace, path: RepoPath): Promise<LockedStages> {
  const absolute = join(workspace.root, path);
  if (statsAt(absolute)?.isSymbolicLink() === true) throw linkedLock(path);
  const text = readTextFile(absolute, maxReferenceBytes(path));
  if (text === undefined) return new Map();
  const last = lastSeen.get(workspace)?.get(path);
  if (last?.text === text) return last.stages;
  const stages = await parseLockText(text, path);
  noteLock(workspace, path, { text, stages });
  return stages;
}

/** Notes what a lock file says that was just written: each stage of a run reads what those before it left. */
export function noteLock(workspace: Workspace, path: RepoPath, lock: SeenLock): void {
  const locks = lastSeen.get(workspace) ?? new Map<RepoPath, SeenLock>();
  lastSeen.set(workspace, locks.set(path, lock));
}

/** The lock file that a stage is recorded in. */
export function lockFileOf({ file }: Pick<Stage, 'file'>): RepoPath {
  return joinRepoPath(repoDirname(file), LOCK_FILE);
}

function linkedLock(path: RepoPath): MlvError {
  return new MlvError({
    code: 'lock-linked',
    kind: 'refused',
    message: `${path} is a symlink, and no lock file is one`,
    hint: 'Remove it, or replace it by what it leads to.',
  });
}
