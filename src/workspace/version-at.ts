import { MlvError } from '../domain/errors.ts';
import type { RepoPath } from '../domain/repo-path.ts';
import { isInside, parseRepoPath, relativeRepoPath } from '../domain/repo-path.ts';
import type { TreePath } from '../domain/tree-path.ts';
import { treePathFromText } from '../domain/tree-path.ts';
import type { CommitId } from '../git/git.ts';
import type { Workspace } from './open.ts';
import { trackedAround } from './targets.ts';
import { listTracked } from './list-tracked.ts';
import { isLock, isReference, maxReferenceBytes, readReference } from './references.ts';
import { pointedAt, pointerPath } from './tracked.ts';
import type { WantedVersion } from './transfer-scope.ts';
import { requireGit, wholeVersion } from './transfer-scope.ts';

/** How many pointers and locks are asked for before the first answer is waited for. */
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
 * The tracked path that `path` is, or is inside of, as a commit has it, or the workspace's pointers and locks. Undefined where nothing tracks
 * it there. One pointer is read for each folder on the way, and the locks where none of these tracks it.
 */
export async function versionAround(
  workspace: Workspace,
  commit: CommitId | undefined,
  path: RepoPath,
): Promise<VersionAround | undefined> {
  const around = (version: WantedVersion): VersionAround => ({
    version,
    inner: path === version.path ? undefined : treePathFromText(relativeRepoPath(path, version.path) ?? ''),
  });
  if (commit === undefined) {
    const tracked = await trackedAround(workspace, path);
    return tracked && around(wholeVersion(tracked, undefined));
  }
  const git = await requireGit(workspace);
  const segments = path.split('/');
  for (let depth = segments.length; depth > 0; depth--) {
    const file = pointerPath(parseRepoPath(segments.slice(0, depth).join('/')));
    const bytes = await git.readFile(commit, inRepository(workspace, file));
    if (bytes === undefined) continue;
    const [version] = await readVersions(workspace, bytes, { commit, file });
    if (version !== undefined) return around(version);
  }
  const isAround = (output: RepoPath): boolean => output === path || isInside(path, output);
  const locks = await referencesAt(workspace, commit, () => false);
  const [version] = await readReferencesAt(workspace, commit, locks, isAround);
  return version && around(version);
}

async function readVersions(
  workspace: Workspace,
  bytes: Buffer,
  { commit, file }: { readonly commit: CommitId; readonly file: RepoPath },
): Promise<WantedVersion[]> {
  const revision = commit.slice(0, 10);
  const name = `${revision}:${inRepository(workspace, file)}`;
  if (bytes.length > maxReferenceBytes(file)) throw referenceTooLarge(name, file);
  return (await readReference(bytes.toString('utf8'), file, name)).map((tracked) => wholeVersion(tracked, revision));
}

/** Everything tracked at a commit, or in the workspace, at a folder and below it ('' for all), sorted by path. */
export async function versionsBelow(
  workspace: Workspace,
  commit: CommitId | undefined,
  folder: RepoPath,
): Promise<WantedVersion[]> {
  const accept = (path: RepoPath): boolean => isInside(path, folder);
  if (commit === undefined) {
    const tracked = (await listTracked(workspace)).filter(({ path }) => accept(path));
    return tracked.map((each) => wholeVersion(each, undefined));
  }
  return readReferencesAt(workspace, commit, await referencesAt(workspace, commit, accept), accept);
}

/** A pointer or a lock as a commit has it. */
export interface ReferenceAt {
  /** Path in the project. */
  readonly file: RepoPath;
  /** Object id of its text. */
  readonly blob: string;
}

/** The pointers of those tracked paths of a commit that the predicate accepts, and all of its locks; unread, sorted. */
export async function referencesAt(
  workspace: Workspace,
  commit: CommitId,
  accept: (path: RepoPath) => boolean,
): Promise<ReferenceAt[]> {
  const git = await requireGit(workspace);
  const under = inRepository(workspace, '');
  const files = await git.listFiles(commit, (path) => path.startsWith(under) && isReference(path));
  return files
    .map(({ path, blob }) => ({ file: parseRepoPath(path.slice(under.length)), blob }))
    .filter(({ file }) => isLock(file) || accept(pointedAt(file)));
}

/** What references of a commit say of the paths that the predicate accepts, sorted by path. Throws what parsing them does. */
export async function readReferencesAt(
  workspace: Workspace,
  commit: CommitId,
  references: readonly ReferenceAt[],
  accept: (path: RepoPath) => boolean,
): Promise<WantedVersion[]> {
  const git = await requireGit(workspace);
  const versions: WantedVersion[] = [];
  for (let at = 0; at < references.length; at += AT_ONCE) {
    const lot = references
      .slice(at, at + AT_ONCE)
      .map(async ({ file, blob }) => readVersions(workspace, await git.readBlob(blob), { commit, file }));
    for (const read of await Promise.all(lot))
      for (const version of read) if (accept(version.path)) versions.push(version);
  }
  return versions.sort((a, b) => (a.path < b.path ? -1 : 1));
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

function referenceTooLarge(name: string, file: RepoPath): MlvError {
  const what = isLock(file) ? 'lock' : 'pointer';
  return new MlvError({
    code: `${what}-invalid`,
    kind: 'corrupt',
    message: `${name} is larger than ${maxReferenceBytes(file)} bytes: it is no ${what}`,
    hint: `Look at it with git show, and take the ${what} from another commit.`,
  });
}
