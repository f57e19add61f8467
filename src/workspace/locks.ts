import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { MlvError } from '../domain/errors.ts';
import type { LockedStages } from '../domain/lock-file.ts';
import { MAX_LOCK_BYTES, parsePlainLock } from '../domain/lock-file.ts';
import type { LockedStage, Stage, StageId } from '../domain/pipeline.ts';
import { LOCK_FILE, PIPELINE_FILE } from '../domain/pipeline.ts';
import type { RepoPath } from '../domain/repo-path.ts';
import { joinRepoPath, parseRepoPath, repoDirname } from '../domain/repo-path.ts';
import { findFiles } from '../git/find-files.ts';
import { readTextFile } from '../platform/durable-write.ts';
import { statsAt } from '../platform/stats-at.ts';
import type { Workspace } from './open.ts';
import { hasPointer } from './tracked.ts';

/**
 * What all lock files of the project say, those too whose pipeline file is gone. Throws `lock-conflict`, `lock-invalid`, `lock-version`,
 * `lock-linked`.
 */
export async function readLocks(workspace: Workspace): Promise<ReadonlyMap<StageId, LockedStage>> {
  const locks = new Map<StageId, LockedStage>();
  for (const path of listLocks(workspace))
    for (const [name, stage] of await readLock(workspace, path)) locks.set(lockedStageId(path, name), stage);
  return locks;
}

/** What one lock file says; nothing where there is none. Throws as `readLocks` does. */
export async function readLock(workspace: Workspace, path: RepoPath): Promise<LockedStages> {
  const absolute = join(workspace.root, path);
  if (statsAt(absolute)?.isSymbolicLink() === true) throw linkedLock(path);
  const text = readTextFile(absolute, MAX_LOCK_BYTES);
  if (text === undefined) return new Map();
  // The YAML parser is loaded only for what somebody else than mlv wrote.
  return parsePlainLock(text, path) ?? (await import('../domain/lock-document.ts')).parseLock(text, path);
}

/** The lock file that a stage is recorded in. */
export function lockFileOf({ file }: Pick<Stage, 'file'>): RepoPath {
  return joinRepoPath(repoDirname(file), LOCK_FILE);
}

/** What a stage of a lock file is called in the project. */
function lockedStageId(lock: RepoPath, name: string): StageId {
  const folder = repoDirname(lock);
  return (folder === '' ? name : `${folder}/${PIPELINE_FILE}:${name}`) as StageId;
}

function listLocks({ root, layout }: Workspace): RepoPath[] {
  const found = findFiles(
    { workTree: root, ...(layout !== undefined && { commonDir: layout.commonDir }) },
    {
      accept: (name) => name === LOCK_FILE,
      prune: (folder) => hasPointer(`${root}/${folder}`) || existsSync(`${root}/${folder}/.mlv/config.yaml`),
    },
  );
  return found.map((path) => parseRepoPath(path));
}

function linkedLock(path: RepoPath): MlvError {
  return new MlvError({
    code: 'lock-linked',
    kind: 'refused',
    message: `${path} is a symlink, and no lock file is one`,
    hint: 'Remove it, or replace it by what it leads to.',
  });
}
