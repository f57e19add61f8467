import { MlvError } from '../domain/errors.ts';
import { MAX_POINTER_BYTES } from '../domain/pointer.ts';
import type { RepoPath } from '../domain/repo-path.ts';
import { isInside, parseRepoPath, relativeRepoPath } from '../domain/repo-path.ts';
import type { TreePath } from '../domain/tree-path.ts';
import { treePathFromText } from '../domain/tree-path.ts';
import type { CommitId } from '../git/git.ts';
import type { Workspace } from './open.ts';
import { trackedAround } from './targets.ts';
import { isPointer, listTracked, parsePointerText, pointerPath, POINTER_SUFFIX } from './tracked.ts';
import type { WantedVersion } from './transfer-scope.ts';
import { requireGit } from './transfer-scope.ts';

/** A tracked path as it is, or was, and the place inside it that was asked for. */
export interface VersionAround {
  readonly version: WantedVersion;
  /** Undefined for the tracked path itself. */
  readonly inner: TreePath | undefined;
}

/** The commit that a revision means. Throws `revision-unknown`, `revision-ambiguous`, `revision-unsupported`, `no-git`. */
export async function resolveCommit(workspace: Workspace, revision: string): Promise<CommitId> {
  return (await requireGit(workspace)).resolve(revision);
}

/**
 * The tracked path that `path` is, or is inside of, as a commit has it, or the pointers in the workspace. Undefined where nothing
 * tracks it there. One pointer is read for each folder on the way.
 */
export async function versionAround(
  workspace: Workspace,
  commit: CommitId | undefined,
  path: RepoPath,
): Promise<VersionAround | undefined> {
  const innerOf = (tracked: RepoPath): TreePath | undefined =>
    path === tracked ? undefined : treePathFromText(relativeRepoPath(path, tracked) ?? '');
  if (commit === undefined) {
    const tracked = await trackedAround(workspace, path);
    if (tracked === undefined) return undefined;
    const version = { path: tracked.path, pointer: tracked.pointer, selection: 'all', revision: undefined } as const;
    return { version, inner: innerOf(tracked.path) };
  }
  const segments = path.split('/');
  for (let depth = segments.length; depth > 0; depth--) {
    const tracked = parseRepoPath(segments.slice(0, depth).join('/'));
    const version = await versionAt(workspace, commit, tracked);
    if (version !== undefined) return { version, inner: innerOf(tracked) };
  }
  return undefined;
}

/** What a commit's pointer of a tracked path says; undefined where it has none. Throws what parsing a pointer does. */
export async function versionAt(
  workspace: Workspace,
  commit: CommitId,
  path: RepoPath,
): Promise<WantedVersion | undefined> {
  const git = await requireGit(workspace);
  const full = inRepository(workspace, pointerPath(path));
  const bytes = await git.readFile(commit, full);
  return bytes === undefined ? undefined : readVersion(path, bytes, { commit, full });
}

async function readVersion(
  path: RepoPath,
  bytes: Buffer,
  { commit, full }: { readonly commit: CommitId; readonly full: string },
): Promise<WantedVersion> {
  const revision = commit.slice(0, 10);
  const name = `${revision}:${full}`;
  if (bytes.length > MAX_POINTER_BYTES) throw pointerTooLarge(name);
  return { path, pointer: await parsePointerText(bytes.toString('utf8'), name), selection: 'all', revision };
}

/** Everything tracked at a commit, or in the workspace, at a folder and below it ('' for all), sorted by path. */
export async function versionsBelow(
  workspace: Workspace,
  commit: CommitId | undefined,
  folder: RepoPath,
): Promise<WantedVersion[]> {
  if (commit === undefined) {
    const tracked = (await listTracked(workspace)).filter(({ path }) => isInside(path, folder));
    return tracked.map(({ path, pointer }) => ({ path, pointer, selection: 'all', revision: undefined }));
  }
  const git = await requireGit(workspace);
  const under = inRepository(workspace, '');
  const files = await git.listFiles(commit, (path) => path.startsWith(under) && isPointer(path));
  const versions: WantedVersion[] = [];
  for (const { path: full, blob } of files) {
    const path = parseRepoPath(full.slice(under.length, -POINTER_SUFFIX.length));
    if (isInside(path, folder)) versions.push(await readVersion(path, await git.readBlob(blob), { commit, full }));
  }
  return versions;
}

/** The error for a path that a revision does not track. */
export function notTrackedAt(path: string, revision: string): MlvError {
  return new MlvError({
    code: 'not-tracked',
    kind: 'missing',
    message: `${path} is not tracked by mlv at ${revision}`,
    hint: `"mlv ls --rev ${revision}" lists what is.`,
  });
}

/** A path of the project as Git calls it; '' gives what every such path starts with. */
function inRepository({ prefix }: Workspace, path: string): string {
  return prefix === '' ? path : `${prefix}/${path}`;
}

function pointerTooLarge(name: string): MlvError {
  return new MlvError({
    code: 'pointer-invalid',
    kind: 'corrupt',
    message: `${name} is larger than ${MAX_POINTER_BYTES} bytes: it is no pointer`,
    hint: 'Look at it with git show, and take the pointer from another commit.',
  });
}
