import { lstatSync, type Stats } from 'node:fs';
import { join } from 'node:path';
import { formatBytes } from '../domain/amount-text.ts';
import type { Digest } from '../domain/digest.ts';
import { hasErrorCode, MlvError } from '../domain/errors.ts';
import type { IgnoreRules } from '../domain/ignore-rules.ts';
import { checkPath } from '../domain/path-rules.ts';
import type { RepoPath } from '../domain/repo-path.ts';
import { repoDirname, REPO_ROOT } from '../domain/repo-path.ts';
import { treePathFromText, treePathToText } from '../domain/tree-path.ts';
import type { WalkedPath, WalkProblem } from '../platform/walk.ts';
import { NO_RULES, walkTree, withMlvignore } from '../platform/walk.ts';
import { ignoreRulesFor } from './ignore-rules.ts';
import { listTracked } from './list-tracked.ts';
import { oneAtATime } from './one-at-a-time.ts';
import type { Workspace } from './open.ts';
import { findLayout, openRepository } from './open.ts';
import type { VerbOptions } from './progress.ts';
import { isLock } from './references.ts';
import { takeSnapshot } from './snapshot.ts';
import { progressOptions } from './status.ts';
import type { StorageTasks } from './task-runner.ts';
import { isPointer } from './tracked.ts';

/** The code of the project, as a tree that the cache has. */
export interface CodeTree {
  readonly root: Digest;
  readonly files: number;
  readonly bytes: number;
}

/** More is hardly code. */
const MAX_CODE_BYTES = 100_000_000;
/** Named where that is too much. */
const LARGEST = 5;

interface CodeFile extends WalkedPath {
  readonly text: string;
  readonly size: number;
}

/**
 * Takes into the cache what of the project is code: the files that Git tracks or would track, as they are in the workspace, less what
 * `.mlvignore` excludes, what mlv tracks, pointers, lock files, `.mlv` and these outputs of stages. Submodules, and other repositories inside,
 * come along by the same rules, as plain folders. Without Git it is everything else that is there. Files that did not change since the
 * last time cost two `lstat` each. Throws `code-too-large` before anything is stored, `code-unreadable`, `content-purged`.
 */
export async function storeCode(
  workspace: Workspace,
  options: VerbOptions & { readonly outs: Iterable<RepoPath>; readonly tasks: StorageTasks },
): Promise<CodeTree> {
  const { tasks } = options;
  const files = await listCode(workspace, options.outs);
  const size = files.reduce((sum, file) => sum + file.size, 0);
  if (size > MAX_CODE_BYTES) throw tooLarge(files, size);
  const snapshot = await oneAtATime(workspace, 'the code', () =>
    takeSnapshot({
      ...progressOptions(options),
      workspace,
      path: REPO_ROOT,
      record: { path: REPO_ROOT, base: undefined, selected: 'all' },
      tasks,
      store: true,
      refusesPurged: true,
      paths: files,
    }),
  );
  if (snapshot.problems.length > 0) throw unreadable(snapshot.problems);
  if (snapshot.content === undefined) throw new Error(`there is no project at ${workspace.root}`);
  return { root: snapshot.content.hash, files: snapshot.files, bytes: snapshot.bytes };
}

/** Sorted as in a tree. */
async function listCode(workspace: Workspace, outs: Iterable<RepoPath>): Promise<CodeFile[]> {
  const { root } = workspace;
  const isElsewhere = insideOf([...(await listTracked(workspace)).map(({ path }) => path), ...outs]);
  const isIgnored = ignoredIn(root);
  const problems: WalkProblem[] = [];
  const files: CodeFile[] = [];
  for (const text of new Set(await candidates(workspace, problems))) {
    const path = text as RepoPath;
    if (/(?:^|\/)\.mlv(?:\/|$)/i.test(path) || isPointer(path) || isLock(path)) continue;
    if (isElsewhere(path) || isIgnored(path)) continue;
    const stats = statsOf(join(root, path));
    if (stats === undefined && path.includes('\uFFFD')) problems.push({ path, reason: 'its name is not UTF-8' });
    // Deleted, and not from Git's index; or a folder that Git takes for a repository without commits.
    if (stats === undefined || stats.isDirectory()) continue;
    const refusal = checkPath(path);
    if (refusal !== undefined) problems.push({ path, reason: `its name cannot be versioned: ${refusal}` });
    else files.push({ path: treePathFromText(path), text, kind: stats.isFile() ? 'file' : 'other', size: stats.size });
  }
  if (problems.length > 0) throw unreadable(problems);
  return files.sort((a, b) => (a.path < b.path ? -1 : 1));
}

/** Paths of the project that may be code. */
async function candidates(workspace: Workspace, problems: WalkProblem[]): Promise<string[]> {
  const { root, prefix } = workspace;
  const git = await workspace.git();
  if (git !== undefined) return repositoryFiles(workspace, { folder: '', git, below: prefix });
  const told = (problem: WalkProblem): void => {
    if (!/(?:^|\/)\.mlv$/i.test(problem.path)) problems.push(problem);
  };
  const walked = walkTree(root, { ...ignoreRulesFor(workspace, REPO_ROOT), base: '', problem: told });
  return Array.from(walked, ({ path, kind }) => (kind === 'empty-folder' ? [] : treePathToText(path))).flat();
}

/** What a repository that lies in `folder` of the project, or around the project, has below a folder of its own; and those inside of it. */
async function repositoryFiles(
  workspace: Workspace,
  given: {
    readonly folder: string;
    readonly git: { workFiles(folder: string): Promise<string[]> };
    readonly below: string;
  },
): Promise<string[]> {
  const { folder, git, below } = given;
  const skipped = below === '' ? 0 : below.length + 1;
  const found: string[] = [];
  for (const full of await git.workFiles(below)) {
    const path = join(folder, full.slice(skipped));
    if (!path.endsWith('/')) {
      found.push(path);
      continue;
    }
    const inner = path.slice(0, -1);
    const absolute = join(workspace.root, inner);
    if (statsOf(absolute)?.isDirectory() !== true) continue;
    const { environment } = workspace;
    const layout = findLayout(absolute, { ...environment, GIT_DIR: undefined, GIT_WORK_TREE: undefined });
    // A submodule that was never brought has nothing in it.
    if (layout?.workTree !== absolute) continue;
    const repository = await openRepository(layout, environment);
    if (repository === undefined) continue;
    try {
      for (const each of await repositoryFiles(workspace, { folder: inner, git: repository, below: '' }))
        found.push(each);
    } finally {
      await repository.close();
    }
  }
  return found;
}

/** Whether `.mlvignore` excludes a path. */
function ignoredIn(root: string): (path: RepoPath) => boolean {
  const known = new Map<RepoPath, IgnoreRules>();
  const inside = (folder: RepoPath): IgnoreRules => {
    const before = known.get(folder);
    if (before !== undefined) return before;
    const rules = withMlvignore(folder === '' ? NO_RULES : inside(repoDirname(folder)), folder, join(root, folder));
    known.set(folder, rules);
    return rules;
  };
  return (path) => inside(repoDirname(path)).ignores(path, false);
}

function insideOf(paths: readonly RepoPath[]): (path: RepoPath) => boolean {
  const all = new Set(paths);
  return (path) => {
    for (let at = path; at !== ''; at = repoDirname(at)) if (all.has(at)) return true;
    return false;
  };
}

/** Undefined where nothing is, or what is there cannot be reached. */
function statsOf(path: string): Stats | undefined {
  try {
    return lstatSync(path);
  } catch (error) {
    if (hasErrorCode(error, 'ENOENT', 'ENOTDIR', 'EACCES', 'ENAMETOOLONG')) return undefined;
    throw error;
  }
}

function unreadable(problems: readonly WalkProblem[]): MlvError {
  return new MlvError({
    code: 'code-unreadable',
    kind: 'refused',
    message: `${problems.length === 1 ? 'a file' : `${problems.length} files`} of the code cannot be sent to a cluster`,
    items: problems.map(({ path, reason }) => `${path}: ${reason}`),
    hint: 'Exclude what the stage does not need with lines in .mlvignore.',
  });
}

function tooLarge(files: readonly CodeFile[], size: number): MlvError {
  const items = largest(files).map(([path, bytes]) => `${path}  ${formatBytes(bytes)}`);
  return new MlvError({
    code: 'code-too-large',
    kind: 'refused',
    message: `the code has ${formatBytes(size)} in ${files.length} files, and at most ${formatBytes(MAX_CODE_BYTES)} go to a cluster`,
    items,
    hint: 'Exclude what no stage needs with lines in .mlvignore, or track data with "mlv add".',
  });
}

/** The folders and files that make up most of it, none inside of another, in order. */
function largest(files: readonly CodeFile[]): [string, number][] {
  const sums = new Map<string, number>();
  for (const { text, size } of files) {
    sums.set(text, size);
    for (let folder = repoDirname(text as RepoPath); folder !== ''; folder = repoDirname(folder))
      sums.set(`${folder}/`, (sums.get(`${folder}/`) ?? 0) + size);
  }
  const bySize = [...sums].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? 1 : -1));
  const named: [string, number][] = [];
  for (const [path, bytes] of bySize) {
    if (named.some(([other]) => path.startsWith(other) || other.startsWith(path))) continue;
    // A folder of which nearly all is in one below it tells less than that one.
    if (bySize.some(([other, inner]) => other !== path && other.startsWith(path) && inner > bytes * 0.9)) continue;
    if (named.push([path, bytes]) === LARGEST) break;
  }
  return named;
}
