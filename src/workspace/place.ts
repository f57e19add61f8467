import { MlvError } from '../domain/errors.ts';
import type { RepoPath } from '../domain/repo-path.ts';
import type { TreePath } from '../domain/tree-path.ts';
import { treePathToText } from '../domain/tree-path.ts';
import type { CommitId } from '../git/git.ts';
import type { Workspace } from './open.ts';
import { resolveTarget } from './targets.ts';
import { notTracked, pointedAt } from './tracked.ts';
import type { WantedVersion } from './transfer-scope.ts';
import type { VersionAround } from './version-at.ts';
import { notTrackedAt, resolveCommit, versionAround } from './version-at.ts';

/** A path of a project, this one or another, as its pointers in the workspace or at a commit have it. */
export interface Place {
  readonly workspace: Workspace;
  /** Undefined for the pointers in the workspace. */
  readonly commit: CommitId | undefined;
  readonly path: RepoPath;
  /** The revision, and the other repository, as they were typed: for messages. */
  readonly rev: string | undefined;
  readonly repo: string | undefined;
}

/** The options that name a place's version, for commands in hints: ` --rev v1`. */
export function flagsOf({ rev, repo }: Place): string {
  return (rev === undefined ? '' : ` --rev ${rev}`) + (repo === undefined ? '' : ` --repo ${repo}`);
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
    path: pointedAt(resolveTarget(workspace, cwd, path)),
    rev,
    repo: undefined,
  };
}

/** The tracked path that a place is, or is inside of; undefined where nothing tracks it. */
export async function trackedAt({ workspace, commit, path }: Place): Promise<VersionAround | undefined> {
  return path === '' ? undefined : versionAround(workspace, commit, path);
}

/** The error for a place that nothing tracks. */
export function nothingAt(place: Place): MlvError {
  const { path, rev, repo } = place;
  if (repo === undefined) return rev === undefined ? notTracked(path) : notTrackedAt(path, rev);
  return new MlvError({
    code: 'not-tracked',
    kind: 'missing',
    message: `${path} is not tracked by mlv in ${repo} at ${rev ?? 'its HEAD'}`,
    hint: `"mlv ls${flagsOf(place)}" lists what is.`,
  });
}

/** The error for a path that a version of a tracked path does not hold. */
export function nothingInside({ path, revision }: WantedVersion, inner: TreePath, place: Place): MlvError {
  return new MlvError({
    code: 'not-tracked',
    kind: 'missing',
    message: `${path} holds no ${treePathToText(inner)}${revision === undefined ? '' : ` as of ${revision}`}`,
    hint: `"mlv ls ${path}${flagsOf(place)}" lists what it holds.`,
  });
}
