import { chmodSync, copyFileSync, existsSync, lstatSync, readlinkSync, renameSync, rmSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { MlvError } from '../domain/errors.ts';
import type { RepoPath } from '../domain/repo-path.ts';
import { treePathToText } from '../domain/tree-path.ts';
import { temporaryName } from '../platform/durable-write.ts';
import { ioError } from '../platform/io-error.ts';
import { statsAt } from '../platform/stats-at.ts';
import { walkTree } from '../platform/walk.ts';
import { managedDigest } from '../storage/scan-task.ts';
import type { Selection } from './checkout-record.ts';
import { isSelected } from './checkout-record.ts';
import { ignoreRulesFor } from './ignore-rules.ts';
import type { Workspace } from './open.ts';
import type { Targets } from './targets.ts';
import { selectTracked } from './targets.ts';

/** Puts copies in the place of links into the cache, so that files can be edited. Returns how many it replaced. */
export async function unprotect(workspace: Workspace, options: Targets): Promise<{ readonly files: number }> {
  let files = 0;
  for (const { tracked, selection } of await selectTracked(workspace, options)) {
    for (const file of filesOf(workspace, tracked.path, selection)) if (replaceLink(workspace, file)) files += 1;
  }
  return { files };
}

function* filesOf(workspace: Workspace, path: RepoPath, selection: Selection): Generator<string> {
  const root = join(workspace.root, path);
  const stats = statsAt(root);
  if (stats?.isDirectory() !== true) {
    if (stats !== undefined) yield root;
    return;
  }
  for (const walked of walkTree(root, { ...ignoreRulesFor(workspace, path), problem: () => {} })) {
    if (isSelected(selection, walked.path)) yield join(root, treePathToText(walked.path));
  }
}

function replaceLink(workspace: Workspace, file: string): boolean {
  if (!lstatSync(file).isSymbolicLink()) return false;
  const target = readlinkSync(file);
  if (managedDigest(target, workspace.cache().folder) === undefined) return false;
  if (!existsSync(target)) throw dangling(relative(workspace.root, file));
  const temporary = join(dirname(file), temporaryName());
  try {
    copyFileSync(target, temporary);
    chmodSync(temporary, 0o666 & ~process.umask());
    renameSync(temporary, file);
    return true;
  } catch (error) {
    rmSync(temporary, { force: true });
    throw ioError(error, 'write', file);
  }
}

function dangling(path: string): MlvError {
  return new MlvError({
    code: 'blob-missing',
    kind: 'missing',
    message: `${path} links to a file that is no longer in the cache`,
    hint: 'Run "mlv fetch" to get it from a remote.',
  });
}
