import { realpathSync } from 'node:fs';
import { hasErrorCode } from '../domain/errors.ts';
import { ignoreLineFor } from '../domain/gitignore-line.ts';
import type { IgnoreRules } from '../domain/ignore-rules.ts';
import type { DataVersion, LockedStage, Stage, StageId } from '../domain/pipeline.ts';
import type { Pointer } from '../domain/pointer.ts';
import type { RepoPath } from '../domain/repo-path.ts';
import { ignoreRulesFor } from './ignore-rules.ts';
import { lockFileOf } from './locks.ts';
import type { Workspace } from './open.ts';
import type { Tracked } from './tracked.ts';
import { trackedOutput } from './tracked.ts';

/** What stands beside code without being of it. */
const NO_DEPENDENCY =
  '*.mlv\n.mlv/\n.git\n.gitignore\nmlv.lock\n__pycache__/\n*.pyc\n.ipynb_checkpoints/\n.DS_Store\nThumbs.db\n';

/** What counts of a folder that nothing tracks, when a stage reads it: all but these paths, and what stands there without being of it. */
export function folderRules(workspace: Workspace, path: RepoPath, without: readonly RepoPath[]): IgnoreRules {
  const { rules } = ignoreRulesFor(workspace, path);
  const lines = without.map(ignoreLineForPath);
  return rules.with('', `${NO_DEPENDENCY}${lines.join('\n')}\n`, 'what is no dependency');
}

/** Outputs of these stages that are data of mlv's, as they are on record. */
export function lockedOutputs(
  stages: readonly Stage[],
  locked: ReadonlyMap<StageId, LockedStage>,
): ReadonlyMap<RepoPath, Tracked> {
  const outputs = new Map<RepoPath, Tracked>();
  for (const stage of stages) {
    for (const [path, output] of locked.get(stage.id)?.outs ?? []) {
      // What Git keeps is a file like any other.
      if (output.cache) outputs.set(path, trackedOutput(path, output, { lock: lockFileOf(stage), stage: stage.name }));
    }
  }
  return outputs;
}

/** The version that a pointer tells of. */
export function pointerVersion({ type, hash, size, files, exec }: Pointer): DataVersion {
  return { type, hash, size, ...(files !== undefined && { files }), ...(exec === true && { exec: true }) };
}

/** Where an absolute path leads; undefined for nowhere. */
export function realPath(path: string): string | undefined {
  try {
    return realpathSync.native(path);
  } catch (error) {
    if (hasErrorCode(error, 'ENOENT', 'ENOTDIR', 'ELOOP')) return undefined;
    throw error;
  }
}

function ignoreLineForPath(path: RepoPath): string {
  return path.split('/').map(ignoreLineFor).join('');
}
