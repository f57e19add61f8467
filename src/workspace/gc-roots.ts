import { join } from 'node:path';
import type { Digest } from '../domain/digest.ts';
import { isDigest } from '../domain/digest.ts';
import { MlvError } from '../domain/errors.ts';
import type { RepoPath } from '../domain/repo-path.ts';
import { findFiles } from '../git/find-files.ts';
import type { CommitId, GitFile, GitRepository } from '../git/git.ts';
import type { GitLayout } from '../git/layout.ts';
import { listWorkTrees } from '../git/work-trees.ts';
import { readTextFile } from '../platform/durable-write.ts';
import { listNames } from '../platform/list-names.ts';
import { statsAt } from '../platform/stats-at.ts';
import type { GcRoot } from '../storage/mark-needed.ts';
import { cloneUnreachable, listClones } from './cache-clones.ts';
import type { Workspace } from './open.ts';
import { openRepository, openWorkspace } from './open.ts';
import { isReference, maxReferenceBytes, readReference, REFERENCE_PATHSPECS } from './references.ts';
import { runRoots } from './run-cache.ts';
import { hasPointer } from './tracked.ts';
import type { TransferOptions } from './transfer-scope.ts';

/** What is kept beside what always is. */
export interface GcScope extends Pick<TransferOptions, 'rev' | 'allBranches' | 'allTags' | 'allCommits'> {
  /** Milliseconds: the data of all commits that are younger. */
  readonly keepWithin?: number | undefined;
}

/** Data that these refs name is kept, whatever was asked for. */
const KEPT_REFS = ['refs/tags/', 'refs/mlv/', 'refs/stash', 'refs/bisect/', 'refs/worktree/', 'refs/rewritten/'];
/** Commits that Git is in the middle of something with. */
const PENDING = [
  'MERGE_HEAD',
  'MERGE_AUTOSTASH',
  'ORIG_HEAD',
  'CHERRY_PICK_HEAD',
  'REVERT_HEAD',
  'REBASE_HEAD',
  'BISECT_HEAD',
  'rebase-merge/orig-head',
  'rebase-merge/autostash',
  'rebase-apply/orig-head',
  'rebase-apply/autostash',
];
const MAX_RECORD_BYTES = 64 << 20;

/** What `readCloneRoots` gives of every other clone that shares the cache. Throws `clone-unreachable` as well. */
export async function* readOtherRoots(workspace: Workspace, scope: GcScope): AsyncGenerator<GcRoot> {
  for (const clone of listClones(workspace.cacheFolder)) {
    if (clone.sharedFolder === workspace.sharedFolder) continue;
    const other = await openWorkspace({ cwd: clone.root, environment: workspace.environment }).catch(
      (error: unknown) => {
        throw cloneUnreachable(clone, error);
      },
    );
    try {
      if (other.sharedFolder !== clone.sharedFolder) throw cloneUnreachable(clone, undefined);
      // A revision is one of the clone that was asked.
      yield* readCloneRoots(other, { ...scope, rev: undefined });
    } finally {
      await other.close();
    }
  }
}

/**
 * Everything that a collection keeps of one clone: what pointers and locks name in every work tree of the repository, in Git's index, in stashes,
 * reflogs and tags, what is checked out, and what the scope says; and what further commits name, with `allCommits` also what led to
 * these. Throws `work-tree-unreachable`.
 */
export async function* readCloneRoots(
  workspace: Workspace,
  scope: GcScope,
  more: readonly CommitId[] = [],
): AsyncGenerator<GcRoot> {
  const { layout, environment } = workspace;
  yield* runRoots(workspace);
  if (layout === undefined) {
    yield* workingRoots(workspace.root, { layout: undefined, staged: [] });
    yield* recordedRoots(workspace.ownFolder);
    return;
  }
  const seen = new Set<string>();
  const commits = new Set(more);
  for (const tree of listWorkTrees(layout)) {
    if (tree.layout === undefined) throw unreachable(tree);
    const git = await openRepository(tree.layout, environment);
    if (git === undefined) continue;
    try {
      const staged = await git.listIndex(isReference);
      const { workTree } = tree.layout;
      yield* workingRoots(workTree, { layout: tree.layout, staged: staged.map(({ path }) => path) });
      yield* recordedRoots(join(tree.layout.gitDir, 'mlv'));
      for (const file of staged) yield* namedBy(git, file, seen);
      const head = await git.head();
      if (head !== undefined) commits.add(head);
      for (const commit of await pendingCommits(git, tree.layout)) commits.add(commit);
    } finally {
      await git.close();
    }
  }
  const git = await workspace.git();
  if (git === undefined) return;
  for (const commit of await git.reflogCommits()) commits.add(commit);
  for (const { commit } of await git.listRefs(KEPT_REFS)) commits.add(commit);
  for (const commit of await scopeCommits(git, scope)) commits.add(commit);
  for await (const file of git.filesOf({ commits: [...commits], accept: isReference })) yield* namedBy(git, file, seen);
  if (scope.allCommits !== true) return;
  const tips = [...new Set([...commits, ...(await tipsOf(git, ['refs/']))])];
  const pathspecs = REFERENCE_PATHSPECS;
  for await (const file of git.fileVersions({ tips, exclude: [], accept: isReference, pathspecs }))
    yield* namedBy(git, file, seen);
}

/** Those that Git still has: it removes what ORIG_HEAD alone names. */
async function pendingCommits(git: GitRepository, { gitDir }: GitLayout): Promise<CommitId[]> {
  const commits: CommitId[] = [];
  for (const name of PENDING) {
    for (const id of readTextFile(join(gitDir, name), MAX_RECORD_BYTES)?.match(/^[0-9a-f]{40,64}$/gm) ?? []) {
      try {
        commits.push(await git.resolve(id));
      } catch (error) {
        if (!(error instanceof MlvError) || error.kind !== 'missing') throw error;
      }
    }
  }
  return commits;
}

async function scopeCommits(git: GitRepository, scope: GcScope): Promise<CommitId[]> {
  const commits: CommitId[] = [];
  if (scope.rev !== undefined) commits.push(await git.resolve(scope.rev));
  if (scope.allBranches === true) commits.push(...(await tipsOf(git, ['refs/heads/', 'refs/remotes/'])));
  if (scope.keepWithin === undefined) return commits;
  return [...commits, ...(await git.commitsSince(await tipsOf(git, ['refs/']), Date.now() - scope.keepWithin))];
}

async function tipsOf(git: GitRepository, prefixes: readonly string[]): Promise<CommitId[]> {
  return (await git.listRefs(prefixes)).map(({ commit }) => commit);
}

/** Each reference is read once, and gives what none before it gave: most of a lock is as it was in its last version. */
async function* namedBy(git: GitRepository, { path, blob }: GitFile, seen: Set<string>): AsyncGenerator<GcRoot> {
  const isNew = (key: string): boolean => seen.size < seen.add(key).size;
  if (!isNew(blob)) return;
  const text = (await git.readBlob(blob)).subarray(0, maxReferenceBytes(path)).toString('utf8');
  for await (const root of rootsIn(text, path)) if (isNew(`${root.type} ${root.digest}`)) yield root;
}

/** What pointers and locks name on the disk of one work tree, of all its projects; also those that Git has in spite of ignoring them. */
async function* workingRoots(
  workTree: string,
  { layout, staged }: { readonly layout: GitLayout | undefined; readonly staged: readonly string[] },
): AsyncGenerator<GcRoot> {
  const references = findFiles(
    { workTree, ...(layout !== undefined && { commonDir: layout.commonDir }) },
    { accept: isReference, prune: (folder) => hasPointer(join(workTree, folder)) },
  );
  for (const reference of new Set([...references, ...staged])) {
    const path = join(workTree, reference);
    const text = statsAt(path)?.isFile() === true ? readTextFile(path, maxReferenceBytes(reference)) : undefined;
    if (text !== undefined) yield* rootsIn(text, reference);
  }
}

/** What was last materialised: its trees are needed to tell edits from what was never checked out. */
function* recordedRoots(ownFolder: string): Generator<GcRoot> {
  const folder = join(ownFolder, 'checkout');
  for (const name of listNames(folder)) {
    const text = name.endsWith('.json') ? readTextFile(join(folder, name), MAX_RECORD_BYTES) : undefined;
    for (const digest of digestsIn(text ?? '')) yield { digest, type: 'unknown' };
  }
}

/** What a reference names; of one that nobody can read (a merge left its marks in it), all that it could mean. */
async function* rootsIn(text: string, path: string): AsyncGenerator<GcRoot> {
  try {
    // Of Git's work tree, not of the project: that changes nothing in what a lock says of content.
    const tracked = await readReference(text, path as RepoPath);
    for (const { pointer } of tracked) yield { digest: pointer.hash, type: pointer.type };
  } catch (error) {
    if (!(error instanceof MlvError)) throw error;
    for (const digest of digestsIn(text)) yield { digest, type: 'unknown' };
  }
}

function digestsIn(text: string): Digest[] {
  return [...text.matchAll(/(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])/g)].map(([digest]) => digest).filter(isDigest);
}

function unreachable({ path, gitDir }: { readonly path: string; readonly gitDir: string }): MlvError {
  return new MlvError({
    code: 'work-tree-unreachable',
    kind: 'refused',
    message: `the linked work tree ${path} cannot be reached, so it is not known what data it needs`,
    hint: `Mount it; or, if it is gone for good, "git worktree prune" (or "git worktree unlock" first) forgets it: ${gitDir}`,
  });
}
