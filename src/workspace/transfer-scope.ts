import { MlvError } from '../domain/errors.ts';
import type { Pointer } from '../domain/pointer.ts';
import type { RepoPath } from '../domain/repo-path.ts';
import { isInside, parseRepoPath } from '../domain/repo-path.ts';
import { treePathFromText } from '../domain/tree-path.ts';
import type { CommitId, GitFileVersion, GitRepository } from '../git/git.ts';
import type { Selection } from './checkout-record.ts';
import { joinSelections } from './checkout-record.ts';
import type { Workspace } from './open.ts';
import type { VerbOptions } from './progress.ts';
import type { Targets } from './targets.ts';
import { resolveTarget, selectTracked } from './targets.ts';
import { isReference, maxReferenceBytes, readReference, REFERENCE_PATHSPECS } from './references.ts';
import type { MadeBy, Tracked } from './tracked.ts';
import { isPointer, pointedAt } from './tracked.ts';

export interface TransferOptions extends Targets, VerbOptions {
  readonly remote?: string | undefined;
  /** Transfers at once. */
  readonly jobs?: number | undefined;
  readonly rev?: string | undefined;
  readonly allBranches?: boolean | undefined;
  readonly allTags?: boolean | undefined;
  readonly allCommits?: boolean | undefined;
}

/** One version of a tracked path that is to be transferred, or the part of it that was asked for. */
export interface WantedVersion {
  readonly path: RepoPath;
  readonly pointer: Pointer;
  readonly selection: Selection;
  /** Where it is named, for messages: a short commit, or undefined for the workspace. */
  readonly revision: string | undefined;
  /** The stage that made it; undefined where a pointer tells of it. */
  readonly made?: MadeBy;
  /** True for what stays on the machine that made it: no remote is asked for it, or misses it. */
  readonly isLocal?: true;
}

/** A version as its reference tells it, for transfer as a whole. */
export function wholeVersion({ path, pointer, made, isLocal }: Tracked, revision: string | undefined): WantedVersion {
  return { path, pointer, selection: 'all', revision, ...(made && { made }), ...(isLocal && { isLocal }) };
}

/** The versions that the options mean; what the workspace's own pointers and locks name when they name no revision. */
export async function wantedVersions(workspace: Workspace, options: TransferOptions): Promise<WantedVersion[]> {
  const { rev, allBranches = false, allTags = false, allCommits = false } = options;
  if (rev === undefined && !allBranches && !allTags && !allCommits) {
    const selected = await selectTracked(workspace, options);
    return selected.map(({ tracked, selection }) => ({ ...wholeVersion(tracked, undefined), selection }));
  }
  const git = await requireGit(workspace);
  if (allCommits) {
    const head = await git.head();
    const tips = [...(head === undefined ? [] : [head]), ...(await refTips(git, ['refs/']))];
    return historyVersions(workspace, git, { tips: [...new Set(tips)], exclude: [], options });
  }
  const commits: CommitId[] = rev === undefined ? [] : [await git.resolve(rev)];
  if (allBranches) commits.push(...(await refTips(git, ['refs/heads/', 'refs/remotes/'])));
  if (allTags) commits.push(...(await refTips(git, ['refs/tags/'])));
  const files: GitFileVersion[] = [];
  for (const commit of new Set(commits))
    for (const file of await git.listFiles(commit, isReference)) files.push({ ...file, commit });
  return readVersions(workspace, git, { files, options });
}

/** Every version that pointers and locks name in the commits that these lead to, less what the excluded ones lead to. */
export async function historyVersions(
  workspace: Workspace,
  git: GitRepository,
  given: { readonly tips: readonly CommitId[]; readonly exclude: readonly CommitId[]; readonly options: Targets },
): Promise<WantedVersion[]> {
  const { tips, exclude, options } = given;
  if (tips.length === 0) return [];
  const files: GitFileVersion[] = [];
  for await (const file of git.fileVersions({ tips, exclude, accept: isReference, pathspecs: REFERENCE_PATHSPECS }))
    files.push(file);
  return readVersions(workspace, git, { files, options });
}

/** Each version once, the first one that names it. */
async function readVersions(
  workspace: Workspace,
  git: GitRepository,
  given: { readonly files: readonly GitFileVersion[]; readonly options: Targets },
): Promise<WantedVersion[]> {
  const { prefix } = workspace;
  const under = prefix === '' ? '' : `${prefix}/`;
  const { targets, cwd } = given.options;
  const asked = targets.map((target) => pointedAt(resolveTarget(workspace, cwd, target)));
  const seen = new Set<string>();
  const isNew = (key: string): boolean => seen.size < seen.add(key).size;
  const versions: WantedVersion[] = [];
  for (const { path: full, blob, commit } of given.files) {
    if (!full.startsWith(under) || !isNew(`${blob} ${full}`)) continue;
    const file = parseRepoPath(full.slice(under.length));
    if (isPointer(file) && selectionFor(asked, pointedAt(file)) === undefined) continue;
    const bytes = await git.readBlob(blob);
    if (bytes.length > maxReferenceBytes(file)) continue;
    const revision = commit.slice(0, 10);
    for (const tracked of await readReference(bytes.toString('utf8'), file, `${revision}:${full}`)) {
      const { path, pointer, isLocal = false } = tracked;
      const selection = selectionFor(asked, path);
      // A lock is written anew for each stage that ran: most of it is as it was.
      const key = `${pointer.type} ${pointer.hash} ${isLocal} ${pointer.remote ?? ''} ${path}`;
      if (selection === undefined || !isNew(key)) continue;
      versions.push({ ...wholeVersion(tracked, revision), selection });
    }
  }
  return versions;
}

/** Targets name paths of other revisions, too, so they are compared as text. */
function selectionFor(asked: readonly RepoPath[], path: RepoPath): Selection | undefined {
  if (asked.length === 0) return 'all';
  let selection: Selection | undefined;
  for (const target of asked) {
    if (target === path || isInside(path, target)) return 'all';
    if (isInside(target, path))
      selection = joinSelections(selection ?? [], [treePathFromText(target.slice(path.length + 1))]);
  }
  return selection;
}

async function refTips(git: GitRepository, prefixes: readonly string[]): Promise<CommitId[]> {
  const refs = await git.listRefs(prefixes);
  return refs.map(({ commit }) => commit);
}

/** The repository. Throws `no-git` for a project without. */
export async function requireGit(workspace: Workspace): Promise<GitRepository> {
  const git = await workspace.git();
  if (git !== undefined) return git;
  throw new MlvError({
    code: 'no-git',
    kind: 'refused',
    message: 'this project has no Git repository, so there are no revisions to choose from',
    hint: 'Leave out revisions: only what is here now can be named.',
  });
}
