import { existsSync, readFileSync, realpathSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { hasErrorCode, MlvError } from '../domain/errors.ts';
import { isTrue, readGitConfigFile } from './config-file.ts';

/** Where a repository's parts are; every path absolute, with symbolic links resolved. */
export interface GitLayout {
  /** Root of this work tree. */
  readonly workTree: string;
  /** This work tree's own Git folder (`.git`, or `.git/worktrees/NAME`, or a submodule's). */
  readonly gitDir: string;
  /** The folder that linked work trees share (`.git`). */
  readonly commonDir: string;
}

export interface LayoutOverrides {
  /** Value of GIT_DIR, relative to `start`. */
  readonly gitDir?: string | undefined;
  /** Value of GIT_WORK_TREE, relative to `start`. */
  readonly workTree?: string | undefined;
}

/**
 * Finds the repository that the existing folder `start` is in, as Git does (gitrepository-layout(5)), by looking at files
 * alone: no process is started. Undefined outside any repository. Throws `git-file-invalid` (a `.git` file or GIT_DIR that
 * leads nowhere), `git-bare` (no work tree), `git-work-tree-missing`.
 */
export function discoverLayout(start: string, overrides: LayoutOverrides = {}): GitLayout | undefined {
  const from = realpathSync.native(start);
  const found = overrides.gitDir === undefined ? walkUp(from) : givenGitDir(from, overrides.gitDir);
  if (found === undefined) return undefined;
  const gitDir = realpathSync.native(found.gitDir);
  const commonDir = realpathSync.native(commonDirOf(gitDir));
  const workTree =
    overrides.workTree === undefined
      ? ((commonDir === gitDir ? configuredWorkTree(gitDir) : undefined) ?? found.workTree)
      : resolve(from, overrides.workTree);
  if (workTree === undefined) throw bare(gitDir);
  try {
    return { workTree: realpathSync.native(workTree), gitDir, commonDir };
  } catch (error) {
    // A path with NUL, that no file has, comes from a damaged file.
    if (!hasErrorCode(error, 'ENOENT', 'ENOTDIR', 'ERR_INVALID_ARG_VALUE')) throw error;
    throw new MlvError({
      code: 'git-work-tree-missing',
      kind: 'missing',
      message: `The work tree ${workTree} of the repository ${gitDir} does not exist`,
      hint: 'Check GIT_WORK_TREE and core.worktree',
      cause: error,
    });
  }
}

interface Found {
  readonly gitDir: string;
  /** The work tree unless something else is configured; undefined inside a Git folder. */
  readonly workTree: string | undefined;
}

function walkUp(from: string): Found | undefined {
  for (let folder = from; ; folder = dirname(folder)) {
    const dotGit = join(folder, '.git');
    const kind = kindOf(dotGit);
    if (kind === 'file') return { gitDir: readGitFile(dotGit), workTree: folder };
    if (kind === 'folder' && isGitDir(dotGit)) return { gitDir: dotGit, workTree: folder };
    if (isGitDir(folder)) return { gitDir: folder, workTree: undefined };
    if (folder === dirname(folder)) return undefined;
  }
}

function givenGitDir(from: string, value: string): Found {
  const path = resolve(from, value);
  const gitDir = kindOf(path) === 'file' ? readGitFile(path) : path;
  if (!isGitDir(gitDir)) throw invalidGitFile('GIT_DIR', `${path} is not a Git folder`, 'Unset GIT_DIR, or correct it');
  return { gitDir, workTree: from };
}

function readGitFile(path: string): string {
  const hint = 'Repair it (git worktree repair, git submodule update --init), or remove the file';
  const target = /^gitdir: ([^\0]*[^\0\r\n])[\r\n]*$/.exec(readFileSync(path, 'utf8'))?.[1];
  if (target === undefined) throw invalidGitFile(path, "it does not say 'gitdir: FOLDER'", hint);
  const gitDir = resolve(dirname(path), target);
  if (!isGitDir(gitDir)) throw invalidGitFile(path, `it leads to ${gitDir}, which is not a Git folder`, hint);
  return gitDir;
}

/** Git's own test: HEAD here, and `objects` and `refs` here or in the shared folder. */
function isGitDir(path: string): boolean {
  if (kindOf(join(path, 'HEAD')) !== 'file') return false;
  const common = commonDirOf(path);
  return kindOf(join(common, 'objects')) === 'folder' && kindOf(join(common, 'refs')) === 'folder';
}

function commonDirOf(gitDir: string): string {
  try {
    return resolve(gitDir, readFileSync(join(gitDir, 'commondir'), 'utf8').replace(/(?<![\r\n])[\r\n]+$/, ''));
  } catch (error) {
    if (hasErrorCode(error, 'ENOENT', 'ENOTDIR', 'EISDIR')) return gitDir;
    throw error;
  }
}

/** What core.worktree says; throws `git-bare` where core.bare is set. */
function configuredWorkTree(gitDir: string): string | undefined {
  const { workTree, isBare } = workTreeSettings(gitDir);
  if (workTree === undefined && isBare) throw bare(gitDir);
  return workTree;
}

/** What core.worktree and core.bare say of the main work tree, the first of which counts. Linked ones know neither setting. */
export function workTreeSettings(gitDir: string): { readonly workTree: string | undefined; readonly isBare: boolean } {
  const setting = workTreeSetting({ gitDir, commonDir: gitDir });
  const workTree = setting('core.worktree');
  return {
    workTree: workTree === undefined ? undefined : resolve(gitDir, workTree),
    isBare: isTrue(setting('core.bare')),
  };
}

/** True where only a part of what Git has is on disk (git sparse-checkout). */
export function isSparse(layout: GitLayout): boolean {
  return isTrue(workTreeSetting(layout)('core.sparsecheckout'));
}

/** Settings of the repository, over which each work tree may lay its own. */
function workTreeSetting({ gitDir, commonDir }: Omit<GitLayout, 'workTree'>): (name: string) => string | undefined {
  const config = readGitConfigFile(join(commonDir, 'config'));
  const own = isTrue(config.get('extensions.worktreeconfig'))
    ? readGitConfigFile(join(gitDir, 'config.worktree'))
    : undefined;
  return (name) => own?.get(name) ?? config.get(name);
}

/** What core.fileMode says: false for a repository on a disk without executable bits. */
export function keepsFileModes({ commonDir }: GitLayout): boolean {
  const value = readGitConfigFile(join(commonDir, 'config')).get('core.filemode');
  return value === undefined || isTrue(value);
}

/** True for a clone whose history is cut: some commits have parents that are not there. */
export function isShallow({ commonDir }: GitLayout): boolean {
  return (statSync(join(commonDir, 'shallow'), { throwIfNoEntry: false })?.size ?? 0) > 0;
}

/** Whether Git is in the middle of something that leaves conflicts: a few looks at the disk. */
export function isMergeUnderWay({ gitDir }: GitLayout): boolean {
  const traces = ['MERGE_HEAD', 'CHERRY_PICK_HEAD', 'REVERT_HEAD', 'rebase-merge', 'rebase-apply'];
  return traces.some((name) => existsSync(join(gitDir, name)));
}

/** What is at a path, symbolic links followed; undefined for nothing, or something else. */
export function kindOf(path: string): 'file' | 'folder' | undefined {
  try {
    const stat = statSync(path, { throwIfNoEntry: false });
    return stat?.isDirectory() ? 'folder' : stat?.isFile() ? 'file' : undefined;
  } catch (error) {
    if (hasErrorCode(error, 'ENOTDIR', 'ERR_INVALID_ARG_VALUE')) return undefined;
    throw error;
  }
}

function bare(gitDir: string): MlvError {
  return new MlvError({
    code: 'git-bare',
    kind: 'refused',
    message: `${gitDir} is a Git folder without a work tree`,
    hint: `Run mlv in a work tree: where the repository is checked out, or made by git clone or git worktree add. To read from it: mlv ls --repo ${gitDir}`,
  });
}

function invalidGitFile(path: string, reason: string, hint: string): MlvError {
  return new MlvError({
    code: 'git-file-invalid',
    kind: 'missing',
    message: `${path} does not lead to a repository: ${reason}`,
    hint,
  });
}
