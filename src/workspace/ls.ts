import type { Digest } from '../domain/digest.ts';
import type { RepoPath } from '../domain/repo-path.ts';
import { repoBasename } from '../domain/repo-path.ts';
import { readLevel } from '../domain/tree-level.ts';
import type { TreePath } from '../domain/tree-path.ts';
import { treePathToText } from '../domain/tree-path.ts';
import { readEntries } from '../domain/tree-reader.ts';
import type { EntryKind, TreeEntry } from '../domain/tree.ts';
import type { Place } from './place.ts';
import { nothingAt, nothingInside, trackedAt } from './place.ts';
import type { VerbOptions } from './progress.ts';
import { openVersion } from './read-version.ts';
import type { WantedVersion } from './transfer-scope.ts';
import { versionsBelow } from './version-at.ts';

/** Something tracked, or in what is tracked. */
export interface ListedEntry {
  /** Path in the project. */
  readonly path: string;
  /** The same as seen from the folder that is listed. */
  readonly name: string;
  readonly type: 'file' | 'folder' | 'symlink';
  readonly isExecutable: boolean;
  /** True for what has a pointer of its own. */
  readonly isTracked: boolean;
  /** Bytes; of a folder those of all below it, of a symlink those of its target's name. */
  readonly size: number;
  /** Of a folder: files and symlinks below it. */
  readonly files: number | undefined;
  /** Of a file or symlink its bytes, of a tracked folder its tree; other folders have none. */
  readonly hash: Digest | undefined;
}

export interface LsOptions extends VerbOptions {
  /** Everything below, not one level: all but folders, empty ones excepted. */
  readonly isRecursive?: boolean | undefined;
}

const TYPES: Readonly<Record<EntryKind, ListedEntry['type']>> = { f: 'file', x: 'file', l: 'symlink', d: 'folder' };

/**
 * What is tracked at a place, in order, from pointers and trees: never from the data in the workspace. Tree objects that are not in
 * the cache are fetched, for one level only those that tell it: pages inside its folders are neither fetched nor read, as what
 * names them tells their sums. Throws `not-tracked`, `tree-unavailable`, and what reading pointers throws.
 */
export async function* ls(place: Place, options: LsOptions = {}): AsyncGenerator<ListedEntry> {
  const around = await trackedAt(place);
  if (around !== undefined) {
    yield* listVersion(place, around.version, { ...options, inner: around.inner });
    return;
  }
  const { workspace, commit, path: folder } = place;
  const versions = await versionsBelow(workspace, commit, folder);
  if (versions.length === 0 && folder !== '') throw nothingAt(place);
  if (!options.isRecursive) yield* oneLevel(versions, folder);
  else for (const version of versions) yield* listVersion(place, version, { ...options, inner: undefined });
}

/** Tracked paths directly in a folder, and the folders that lead to others. */
function oneLevel(versions: readonly WantedVersion[], folder: RepoPath): Iterable<ListedEntry> {
  const inside = folder === '' ? '' : `${folder}/`;
  const entries = new Map<string, ListedEntry>();
  for (const { path, pointer } of versions) {
    const slash = path.indexOf('/', inside.length);
    const isTracked = slash === -1;
    const at = isTracked ? path : path.slice(0, slash);
    const isFolder = !isTracked || pointer.type === 'dir';
    const before = entries.get(at);
    entries.set(at, {
      path: at,
      name: at.slice(inside.length),
      type: isFolder ? 'folder' : 'file',
      isExecutable: isTracked && pointer.exec === true,
      isTracked,
      size: (before?.size ?? 0) + pointer.size,
      files: isFolder ? (before?.files ?? 0) + (pointer.files ?? 1) : undefined,
      hash: isTracked ? pointer.hash : undefined,
    });
  }
  return entries.values();
}

async function* listVersion(
  place: Place,
  version: WantedVersion,
  options: LsOptions & { readonly inner: TreePath | undefined },
): AsyncGenerator<ListedEntry> {
  const { workspace, path: listed } = place;
  const { path, pointer } = version;
  const { inner, isRecursive = false } = options;
  const inside = listed === '' ? '' : `${listed}/`;
  const nameOf = (full: string): string => (full === listed ? repoBasename(listed) : full.slice(inside.length));
  if (pointer.type === 'file') {
    if (inner !== undefined) throw nothingInside(version, inner, place);
    const { size, hash, exec = false } = pointer;
    yield { path, name: nameOf(path), type: 'file', isExecutable: exec, isTracked: true, size, files: undefined, hash };
    return;
  }
  const listedEntry = ({ path: at, kind, size, digest }: TreeEntry): ListedEntry => {
    const full = `${path}/${treePathToText(at)}`;
    const isFolder = kind === 'd';
    return {
      path: full,
      name: nameOf(full),
      type: TYPES[kind],
      isExecutable: kind === 'x',
      isTracked: false,
      size,
      files: isFolder ? 0 : undefined,
      hash: isFolder ? undefined : digest,
    };
  };
  const reader = openVersion(workspace, version, options);
  try {
    await reader.ensureTree({ below: inner, isLevel: !isRecursive });
    let isThere = inner === undefined;
    if (isRecursive) {
      for (const entry of readEntries(pointer.hash, reader.cache.read, inner)) {
        isThere = true;
        yield listedEntry(entry);
      }
    } else {
      for (const item of readLevel(pointer.hash, reader.cache.read, inner)) {
        isThere = true;
        if (item.type === 'entry') yield listedEntry(item.entry);
        else {
          const full = `${path}/${treePathToText(item.path)}`;
          const { files, bytes } = item;
          yield {
            path: full,
            name: nameOf(full),
            type: 'folder',
            isExecutable: false,
            isTracked: false,
            size: bytes,
            files,
            hash: undefined,
          };
        }
      }
    }
    if (!isThere && inner !== undefined) throw nothingInside(version, inner, place);
  } finally {
    reader.close();
  }
}
