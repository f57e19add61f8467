import type { Digest } from '../domain/digest.ts';
import { isDigest } from '../domain/digest.ts';
import { MlvError } from '../domain/errors.ts';
import type { Pointer } from '../domain/pointer.ts';
import type { RepoPath } from '../domain/repo-path.ts';
import { parseRepoPath } from '../domain/repo-path.ts';
import { EMPTY_DIGEST } from '../domain/tree.ts';
import { treePathFromText } from '../domain/tree-path.ts';
import type { Reached } from '../storage/reach.ts';
import { reach } from '../storage/reach.ts';
import type { Workspace } from './open.ts';
import type { Targets } from './targets.ts';
import { resolveTarget } from './targets.ts';
import { listTracked } from './list-tracked.ts';
import { isLock, isReference, maxReferenceBytes, readReference, REFERENCE_PATHSPECS } from './references.ts';
import { notTracked, pointedAt } from './tracked.ts';

/** A version of a tracked path that something names. */
export interface NamedVersion {
  readonly path: RepoPath;
  readonly pointer: Pointer;
  /** For messages: a short commit, `the index`, or undefined for the workspace. */
  readonly revision: string | undefined;
}

/** What is to be purged, and where it is in the versions. */
export interface PurgeTargets {
  readonly digests: ReadonlySet<Digest>;
  /** By digest, the paths that have it in any version. */
  readonly paths: ReadonlyMap<Digest, readonly string[]>;
  /** Versions of which a part could not be looked into. */
  readonly unseen: readonly string[];
}

type ReadTree = (digest: Digest) => Buffer | undefined;

/** Every version that the workspace, Git's index, or a commit that any ref or reflog leads to names; each once. `unseen` receives pointers and locks that cannot be read. */
export async function namedVersions(workspace: Workspace, unseen: string[]): Promise<NamedVersion[]> {
  const versions = new Map<string, NamedVersion>();
  const note = (version: NamedVersion): void => {
    const key = `${version.pointer.hash} ${version.path}`;
    if (!versions.has(key)) versions.set(key, version);
  };
  for (const { path, pointer } of await listTracked(workspace)) note({ path, pointer, revision: undefined });
  const git = await workspace.git();
  if (git === undefined) return [...versions.values()];
  const under = workspace.prefix === '' ? '' : `${workspace.prefix}/`;
  const read = async (file: { readonly path: string; readonly blob: string }, revision: string): Promise<void> => {
    if (!file.path.startsWith(under)) return;
    const name = parseRepoPath(file.path.slice(under.length));
    try {
      const text = (await git.readBlob(file.blob)).subarray(0, maxReferenceBytes(name)).toString('utf8');
      for (const { path, pointer } of await readReference(text, name)) note({ path, pointer, revision });
    } catch (error) {
      if (!(error instanceof MlvError)) throw error;
      unseen.push(
        isLock(name)
          ? `${name} (as of ${revision}) cannot be read`
          : `${pointedAt(name)} (as of ${revision}): its pointer cannot be read`,
      );
    }
  };
  for (const file of await git.listIndex(isReference)) await read(file, 'the index');
  const head = await git.head();
  const refs = (await git.listRefs(['refs/'])).map(({ commit }) => commit);
  const tips = [...new Set([...(head === undefined ? [] : [head]), ...refs, ...(await git.reflogCommits())])];
  if (tips.length === 0) return [...versions.values()];
  const pathspecs = REFERENCE_PATHSPECS;
  for await (const file of git.fileVersions({ tips, exclude: [], accept: isReference, pathspecs }))
    await read(file, file.commit.slice(0, 10));
  return [...versions.values()];
}

/**
 * The content that targets mean: hashes, or paths of files, or of folders for all files in them, in every version. Throws
 * `not-tracked` for a path that no version has, `content-is-tree`, `content-empty`.
 */
export function findPurgeTargets(
  workspace: Workspace,
  options: Targets & {
    readonly recorded: Iterable<Digest>;
    readonly versions: readonly NamedVersion[];
    readonly read: ReadTree;
    readonly unseen: readonly string[];
  },
): PurgeTargets {
  const { targets, cwd, recorded, versions, read } = options;
  const unseen = new Set(options.unseen);
  const digests = new Set<Digest>(targets.length === 0 ? recorded : []);
  for (const target of targets) {
    const hash = target.replace(/^b3:/, '').toLowerCase();
    if (isDigest(hash)) {
      digests.add(hash);
      continue;
    }
    const named = resolveTarget(workspace, cwd, target);
    if (named === '') throw wholeProject(target);
    const found = new Set<Digest>();
    for (const { version, item } of reachVersions(versions, { read, around: named })) {
      if (item.kind === 'tree') {
        if (read(item.digest) === undefined) unseen.add(nameOf(version));
        continue;
      }
      if (item.path !== named && !item.path.startsWith(`${named}/`)) continue;
      found.add(item.digest);
    }
    if (found.size === 0) throw unseen.size > 0 ? notSeen(named, [...unseen]) : notTracked(named);
    if (found.delete(EMPTY_DIGEST) && found.size === 0) throw empty(named);
    for (const digest of found) digests.add(digest);
  }
  if (digests.has(EMPTY_DIGEST)) throw empty(`b3:${EMPTY_DIGEST}`);
  const paths = new Map<Digest, string[]>();
  for (const { version, item } of digests.size === 0 ? [] : reachVersions(versions, { read })) {
    if (item.kind === 'tree') {
      if (digests.has(item.digest)) throw isTree(item.digest);
      if (read(item.digest) === undefined) unseen.add(nameOf(version));
      continue;
    }
    if (!digests.has(item.digest)) continue;
    const known = paths.get(item.digest) ?? [];
    paths.set(item.digest, known);
    if (!known.includes(item.path)) known.push(item.path);
  }
  return { digests, paths, unseen: [...unseen] };
}

/** What versions name, that which versions of one path share once; with `around`, only what is at or below that path. */
function* reachVersions(
  versions: readonly NamedVersion[],
  { read, around }: { readonly read: ReadTree; readonly around?: string },
): Generator<{ readonly version: NamedVersion; readonly item: Reached }> {
  const seenOf = new Map<string, Set<Digest>>();
  for (const version of versions) {
    const { path, pointer } = version;
    const isBelow = around?.startsWith(`${path}/`) === true;
    if (around !== undefined && !isBelow && path !== around && !path.startsWith(`${around}/`)) continue;
    const seen = seenOf.get(path) ?? new Set();
    seenOf.set(path, seen);
    const below = isBelow ? [treePathFromText(around.slice(path.length + 1))] : undefined;
    const { hash: digest, type, size, files = 1 } = pointer;
    for (const item of reach({ digest, type, size, files, name: path, below }, { read, onInvalid: () => {}, seen }))
      yield { version, item };
  }
}

function nameOf({ path, revision }: NamedVersion): string {
  return revision === undefined ? path : `${path} (as of ${revision})`;
}

function wholeProject(target: string): MlvError {
  return new MlvError({
    code: 'path-is-project',
    kind: 'refused',
    message: `${target} is the project itself`,
    hint: 'Name the files that must not exist any more.',
  });
}

function notSeen(path: string, items: readonly string[]): MlvError {
  return new MlvError({
    code: 'tree-unavailable',
    kind: 'missing',
    message: `${path} is in no version that could be looked into; of others the list of files is neither here nor on a remote that answers`,
    items,
    hint: 'Run it where these are, or when the remote answers; or name the content: mlv purge b3:HASH',
  });
}

function empty(name: string): MlvError {
  return new MlvError({
    code: 'content-empty',
    kind: 'refused',
    message: `${name} is empty, and tells nothing of anybody`,
    hint: 'Remove the file itself: mlv remove PATH',
  });
}

function isTree(digest: Digest): MlvError {
  return new MlvError({
    code: 'content-is-tree',
    kind: 'refused',
    message: `b3:${digest} is the list of what a directory holds, not the content of a file`,
    hint: 'Name the files in it: mlv purge PATH',
  });
}
