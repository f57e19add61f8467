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

/** How many pointers are asked for before the first answer is waited for. */
const AT_ONCE = 256;

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
async function versionAt(workspace: Workspace, commit: CommitId, path: RepoPath): Promise<WantedVersion | undefined> {
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
  const pointers = await pointersAt(workspace, commit, (path) => isInside(path, folder));
  return readPointers(workspace, commit, pointers);
}

/** A pointer as a commit has it. */
export interface PointerAt {
  /** What it tracks. */
  readonly path: RepoPath;
  /** Object id of its text. */
  readonly blob: string;
}

/** The pointers of those tracked paths of a commit that the predicate accepts, unread, sorted by path. */
export async function pointersAt(
  workspace: Workspace,
  commit: CommitId,
  accept: (path: RepoPath) => boolean,
): Promise<PointerAt[]> {
  const git = await requireGit(workspace);
  const under = inRepository(workspace, '');
  const files = await git.listFiles(commit, (path) => path.startsWith(under) && isPointer(path));
  return files.map(({ path, blob }) => ({ path: trackedBy(workspace, path), blob })).filter(({ path }) => accept(path));
}

/** What pointers of a commit say, in their order. Throws what parsing a pointer does. */
export async function readPointers(
  workspace: Workspace,
  commit: CommitId,
  pointers: readonly PointerAt[],
): Promise<WantedVersion[]> {
  const git = await requireGit(workspace);
  const versions: WantedVersion[] = [];
  for (let at = 0; at < pointers.length; at += AT_ONCE) {
    const lot = pointers.slice(at, at + AT_ONCE).map(async ({ path, blob }) => {
      const full = inRepository(workspace, pointerPath(path));
      return readVersion(path, await git.readBlob(blob), { commit, full });
    });
    versions.push(...(await Promise.all(lot)));
  }
  return versions;
}

/** The path of the project that a pointer, as Git calls it, tracks. */
export function trackedBy(workspace: Workspace, pointer: string): RepoPath {
  return parseRepoPath(pointer.slice(inRepository(workspace, '').length, -POINTER_SUFFIX.length));
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
export function inRepository({ prefix }: Workspace, path: string): string {
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
