import { readdirSync, readFileSync, realpathSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { hasErrorCode } from '../domain/errors.ts';
import { discoverLayout, workTreeSettings, type GitLayout } from './layout.ts';

export interface WorkTree {
  /** Undefined where the folder cannot be reached: removed, moved, not mounted, or another work tree's by now. */
  readonly layout: GitLayout | undefined;
  /** Its own Git folder, which has its HEAD and its index. */
  readonly gitDir: string;
  /** Its folder, as far as the repository knows; `gitDir` where nothing tells. */
  readonly path: string;
}

/**
 * The main work tree, unless the repository is bare, then all linked ones by the names of their Git folders
 * (gitrepository-layout(5)), from files alone.
 */
export function listWorkTrees(layout: GitLayout): WorkTree[] {
  const { commonDir } = layout;
  // Found otherwise, the one we are in could lack what GIT_WORK_TREE said, or be where it was before it was moved.
  const own = { layout, gitDir: layout.gitDir, path: layout.workTree };
  const main = layout.gitDir === commonDir ? own : mainWorkTree(commonDir);
  const linked = foldersIn(join(commonDir, 'worktrees')).map((gitDir) =>
    gitDir === layout.gitDir ? own : linkedWorkTree(gitDir, commonDir),
  );
  return main === undefined ? linked : [main, ...linked];
}

function mainWorkTree(commonDir: string): WorkTree | undefined {
  const { workTree, isBare } = workTreeSettings(commonDir);
  if (workTree === undefined && isBare) return undefined;
  const path = workTree ?? (basename(commonDir) === '.git' ? dirname(commonDir) : undefined);
  // A Git folder made apart (git init --separate-git-dir) is known to its work tree, and does not know it.
  if (path === undefined) return { layout: undefined, gitDir: commonDir, path: commonDir };
  try {
    const found = realpathSync.native(path);
    return { layout: { workTree: found, gitDir: commonDir, commonDir }, gitDir: commonDir, path: found };
  } catch {
    return { layout: undefined, gitDir: commonDir, path };
  }
}

function linkedWorkTree(gitDir: string, commonDir: string): WorkTree {
  const path = recordedPath(gitDir);
  try {
    const layout = discoverLayout(path);
    const isIt = layout?.gitDir === gitDir && layout.commonDir === commonDir;
    if (isIt) return { layout, gitDir, path: layout.workTree };
  } catch {
    // Whatever keeps us from it, it cannot be reached.
  }
  return { layout: undefined, gitDir, path };
}

/** The folder of the `.git` file that `gitdir` names, relative to itself since Git 2.48 if so configured. */
function recordedPath(gitDir: string): string {
  try {
    const text = readFileSync(join(gitDir, 'gitdir'), 'utf8').trimEnd();
    return text === '' ? gitDir : dirname(resolve(gitDir, text));
  } catch (error) {
    if (hasErrorCode(error, 'ENOENT', 'ENOTDIR', 'EISDIR')) return gitDir;
    throw error;
  }
}

function foldersIn(path: string): string[] {
  try {
    const folders = readdirSync(path, { withFileTypes: true }).filter((entry) => entry.isDirectory());
    return folders.map(({ name }) => join(path, name)).sort();
  } catch (error) {
    if (hasErrorCode(error, 'ENOENT', 'ENOTDIR')) return [];
    throw error;
  }
}
