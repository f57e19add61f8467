import { MlvError } from '../domain/errors.ts';
import type { RepoPath } from '../domain/repo-path.ts';
import { parseRepoPath } from '../domain/repo-path.ts';
import type { TreePath } from '../domain/tree-path.ts';
import { treePathToText } from '../domain/tree-path.ts';
import type { CommitId } from '../git/git.ts';
import type { Workspace } from './open.ts';
import { resolveTarget } from './targets.ts';
import { notTracked, POINTER_SUFFIX } from './tracked.ts';
import type { WantedVersion } from './transfer-scope.ts';
import type { VersionAround } from './version-at.ts';
import { resolveCommit, versionAround } from './version-at.ts';

/** A path of a project, this one or another, as its pointers in the workspace or at a commit have it. */
export interface Place {
  readonly workspace: Workspace;
  /** Undefined for the pointers in the workspace. */
  readonly commit: CommitId | undefined;
  readonly path: RepoPath;
  /** The options that name this version, for commands in hints: ` --rev v1`. */
  readonly flags: string;
}

/** What a person means by a path, and maybe a revision, of the project they stand in. Throws as `resolveTarget` and `resolveCommit`. */
export async function placeIn(
  workspace: Workspace,
  {
    cwd,
    path = '.',
    rev,
  }: { readonly cwd: string; readonly path?: string | undefined; readonly rev?: string | undefined },
): Promise<Place> {
  return {
    workspace,
    commit: rev === undefined ? undefined : await resolveCommit(workspace, rev),
    path: withoutSuffix(resolveTarget(workspace, cwd, path)),
    flags: rev === undefined ? '' : ` --rev ${rev}`,
  };
}

/** The path that a pointer, named in place of what it tracks, stands for. */
export function withoutSuffix(path: RepoPath): RepoPath {
  return path.endsWith(POINTER_SUFFIX) ? parseRepoPath(path.slice(0, -POINTER_SUFFIX.length)) : path;
}

/** The tracked path that a place is, or is inside of; undefined where nothing tracks it. */
export async function trackedAt({ workspace, commit, path }: Place): Promise<VersionAround | undefined> {
  return path === '' ? undefined : versionAround(workspace, commit, path);
}

/** The error for a place that nothing tracks. */
export function nothingAt({ path, flags }: Place): MlvError {
  if (flags === '') return notTracked(path);
  return new MlvError({
    code: 'not-tracked',
    kind: 'missing',
    message: `${path} is not tracked by mlv there (${flags.trim()})`,
    hint: `"mlv ls${flags}" lists what is.`,
  });
}

/** The error for a path that a version of a tracked path does not hold. */
export function nothingInside({ path, revision }: WantedVersion, inner: TreePath, { flags }: Place): MlvError {
  return new MlvError({
    code: 'not-tracked',
    kind: 'missing',
    message: `${path} holds no ${treePathToText(inner)}${revision === undefined ? '' : ` as of ${revision}`}`,
    hint: `"mlv ls ${path}${flags}" lists what it holds.`,
  });
}
