import { readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { MlvError } from '../domain/errors.ts';
import type { RepoPath } from '../domain/repo-path.ts';
import { statsAt } from '../platform/stats-at.ts';
import { managedDigest } from '../storage/scan-task.ts';
import { ignoreRulesFor } from './ignore-rules.ts';
import type { Workspace } from './open.ts';

/** Refuses what cannot be recorded, or is excluded. Throws `path-missing`, `path-is-symlink`, `path-is-special`, `path-ignored`. */
export function requireAddable(workspace: Workspace, path: RepoPath): void {
  const absolute = join(workspace.root, path);
  const stats = statsAt(absolute);
  if (stats === undefined)
    throw refused('path-missing', `${path} does not exist`, 'Check the spelling; paths are relative to where you are.');
  if (stats.isSymbolicLink()) {
    const target = readlinkSync(absolute);
    if (managedDigest(target, workspace.cache().folder) !== undefined) return;
    throw refused(
      'path-is-symlink',
      `${path} is a symlink to ${target}`,
      'Add what it leads to, or replace it by a copy.',
    );
  }
  if (!stats.isFile() && !stats.isDirectory()) {
    throw refused(
      'path-is-special',
      `${path} is neither a file nor a folder`,
      'Sockets, pipes and devices cannot be versioned.',
    );
  }
  const { rules } = ignoreRulesFor(workspace, path);
  if (rules.ignores(path, stats.isDirectory())) {
    throw refused('path-ignored', `${path} is excluded by .mlvignore`, 'Change the line there to track it.');
  }
}

function refused(code: string, message: string, hint: string): MlvError {
  return new MlvError({ code, kind: 'refused', message, hint });
}
