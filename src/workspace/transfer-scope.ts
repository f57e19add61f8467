import { MlvError } from '../domain/errors.ts';
import type { Pointer } from '../domain/pointer.ts';
import { MAX_POINTER_BYTES } from '../domain/pointer.ts';
import type { RepoPath } from '../domain/repo-path.ts';
import { parseRepoPath } from '../domain/repo-path.ts';
import { treePathFromText } from '../domain/tree-path.ts';
import type { CommitId, GitFile, GitRepository } from '../git/git.ts';
import type { Selection } from './checkout-record.ts';
import { joinSelections } from './checkout-record.ts';
import type { Workspace } from './open.ts';
import type { VerbOptions } from './progress.ts';
import type { Targets } from './targets.ts';
import { resolveTarget, selectTracked } from './targets.ts';
import { isPointer, parsePointerText, POINTER_SUFFIX } from './tracked.ts';

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
}

/** The versions that the options mean; of the workspace's own pointers when they name no revision. */
export async function wantedVersions(workspace: Workspace, options: TransferOptions): Promise<WantedVersion[]> {
  const { rev, allBranches = false, allTags = false, allCommits = false } = options;
  if (rev === undefined && !allBranches && !allTags && !allCommits) {
    const selected = await selectTracked(workspace, options);
    return selected.map(({ tracked: { path, pointer }, selection }) => ({
      path,
      pointer,
      selection,
      revision: undefined,
    }));
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
  const versions: WantedVersion[] = [];
  for (const commit of new Set(commits)) {
    const files = await git.listFiles(commit, isPointer);
    versions.push(
      ...(await readVersions(workspace, git, { files: files.map((file) => ({ ...file, commit })), options })),
    );
  }
  return versions;
}

/** Every version of every pointer that the commits lead to, less what the excluded ones lead to. */
export async function historyVersions(
  workspace: Workspace,
  git: GitRepository,
  given: { readonly tips: readonly CommitId[]; readonly exclude: readonly CommitId[]; readonly options: Targets },
): Promise<WantedVersion[]> {
  const { tips, exclude, options } = given;
  if (tips.length === 0) return [];
  const files: (GitFile & { commit: CommitId })[] = [];
  for await (const file of git.fileVersions({ tips, exclude, accept: isPointer, pathspecs: [`*${POINTER_SUFFIX}`] }))
    files.push(file);
  return readVersions(workspace, git, { files, options });
}

async function readVersions(
  workspace: Workspace,
  git: GitRepository,
  given: { readonly files: readonly (GitFile & { readonly commit: CommitId })[]; readonly options: Targets },
): Promise<WantedVersion[]> {
  const { prefix } = workspace;
  const under = prefix === '' ? '' : `${prefix}/`;
  const versions: WantedVersion[] = [];
  for (const { path: full, blob, commit } of given.files) {
    if (!full.startsWith(under)) continue;
    const path = parseRepoPath(full.slice(under.length, -POINTER_SUFFIX.length));
    const selection = selectionFor(workspace, given.options, path);
    if (selection === undefined) continue;
    const bytes = await git.readBlob(blob);
    if (bytes.length > MAX_POINTER_BYTES) continue;
    const revision = commit.slice(0, 10);
    versions.push({
      path,
      pointer: await parsePointerText(bytes.toString('utf8'), `${revision}:${full}`),
      selection,
      revision,
    });
  }
  return versions;
}

/** Targets name paths of other revisions, too, so they are compared as text. */
function selectionFor(workspace: Workspace, { targets, cwd }: Targets, path: RepoPath): Selection | undefined {
  if (targets.length === 0) return 'all';
  let selection: Selection | undefined;
  for (const target of targets) {
    const asked = resolveTarget(
      workspace,
      cwd,
      target.endsWith(POINTER_SUFFIX) ? target.slice(0, -POINTER_SUFFIX.length) : target,
    );
    if (asked === path || asked === '' || path.startsWith(`${asked}/`)) return 'all';
    if (asked.startsWith(`${path}/`))
      selection = joinSelections(selection ?? [], [treePathFromText(asked.slice(path.length + 1))]);
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
