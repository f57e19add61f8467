import { createHash } from 'node:crypto';
import { join } from 'node:path';
import type { Pointer } from '../domain/pointer.ts';
import type { RepoPath } from '../domain/repo-path.ts';
import { isInside, relativeRepoPath, repoBasename } from '../domain/repo-path.ts';
import { selectiveCursor } from '../domain/three-way.ts';
import { entryCursor } from '../domain/tree-cursors.ts';
import { treePathFromText } from '../domain/tree-path.ts';
import type { TreeCursor } from '../domain/tree-reader.ts';
import { openTree } from '../domain/tree-reader.ts';
import { readTextFile } from '../platform/durable-write.ts';
import { statsAt } from '../platform/stats-at.ts';
import type { Content, Selection } from './checkout-record.ts';
import { isSelected, mayHoldSelected, readCheckoutRecord, sameContent } from './checkout-record.ts';
import type { DiffSide } from './diff-revisions.ts';
import { takeSnapshotWithPages } from './ensure-pages.ts';
import type { Workspace } from './open.ts';
import type { VerbOptions } from './progress.ts';
import { adoptPointer, progressOptions } from './status.ts';
import type { StorageTasks } from './task-runner.ts';
import { listTracked } from './list-tracked.ts';
import { isLock, maxReferenceBytes, referenceOf } from './references.ts';
import { contentOf, type Tracked } from './tracked.ts';
import type { WantedVersion } from './transfer-scope.ts';
import { readReferencesAt, type ReferenceAt, referencesAt } from './version-at.ts';

/** A tracked path as one side of a comparison has it. */
export interface DiffVersion {
  readonly path: RepoPath;
  readonly content: Content;
  /** Bytes in all. */
  readonly size: number;
  /** 1 for a file. */
  readonly files: number;
  /** What to fetch, should the cache lack its tree. */
  readonly pointer: Pointer;
  /** True where its files are in the workspace. */
  readonly isWorkspace: boolean;
  /** Paths that could not be read, relative to the tracked one. */
  readonly problems: readonly { readonly path: string; readonly reason: string }[];
  /** Throws `blob-missing`. */
  cursor(): TreeCursor;
}

/** A tracked path that the two sides do not have alike; one of them has it. */
export interface DatasetPair {
  readonly path: RepoPath;
  readonly before: DiffVersion | undefined;
  readonly after: DiffVersion | undefined;
  /** The part that was asked for. */
  readonly selection: Selection;
}

interface Given extends VerbOptions {
  readonly before: DiffSide;
  readonly after: DiffSide;
  readonly paths: readonly RepoPath[];
  readonly tasks: StorageTasks;
}

/** The tracked paths in which two sides differ, by path. Only those pointers and locks of a commit are read that are not the same text on the other side. */
export async function* differingDatasets(workspace: Workspace, given: Given): AsyncGenerator<DatasetPair> {
  const { before, after, paths } = given;
  const accept = (path: RepoPath): boolean => selectionOf(path, paths).length > 0;
  const refs = async (side: DiffSide): Promise<ReferenceAt[]> =>
    side.kind === 'commit' ? referencesAt(workspace, side.commit, accept) : [];
  const read = async (side: DiffSide, references: readonly ReferenceAt[]): Promise<WantedVersion[]> =>
    side.kind === 'commit' ? readReferencesAt(workspace, side.commit, references, accept) : [];
  // Each asks another process.
  const [old, now] = await Promise.all([refs(before), refs(after)]);
  if (after.kind === 'commit') {
    const keyOf = ({ file, blob }: ReferenceAt): string => `${blob} ${file}`;
    const [oldKeys, nowKeys] = [new Set(old.map(keyOf)), new Set(now.map(keyOf))];
    const befores = await read(
      before,
      old.filter((each) => !nowKeys.has(keyOf(each))),
    );
    const afters = await read(
      after,
      now.filter((each) => !oldKeys.has(keyOf(each))),
    );
    const one = new Map(befores.map(({ path, pointer }) => [path, recorded(workspace, path, pointer)]));
    const two = new Map(afters.map(({ path, pointer }) => [path, recorded(workspace, path, pointer)]));
    for (const path of sorted([...one.keys(), ...two.keys()])) {
      const pair = { path, before: one.get(path), after: two.get(path), selection: selectionOf(path, paths) };
      if (!sameContent(pair.before?.content, pair.after?.content)) yield pair;
    }
    return;
  }
  const listed = (await listTracked(workspace)).filter(({ path }) => accept(path));
  const texts = new Map(listed.map((each) => [referenceOf(each), each.text]));
  const textOf = (file: RepoPath): string | undefined =>
    isLock(file) ? readTextFile(join(workspace.root, file), maxReferenceBytes(file)) : texts.get(file);
  const isSame = ({ file, blob }: ReferenceAt): boolean => {
    const text = textOf(file);
    return text !== undefined && blobId(text, blob.length) === blob;
  };
  const [same, differing] = [new Set<RepoPath>(), [] as ReferenceAt[]];
  for (const each of old)
    if (isSame(each)) same.add(each.file);
    else differing.push(each);
  const befores = new Map((await read(before, differing)).map(({ path, pointer }) => [path, pointer]));
  for (const each of listed) if (same.has(referenceOf(each))) befores.set(each.path, each.pointer);
  const here = new Map(listed.map((each) => [each.path, each]));
  for (const path of sorted([...befores.keys(), ...here.keys()])) {
    const pointer = befores.get(path);
    const one = pointer === undefined ? undefined : recorded(workspace, path, pointer);
    const tracked = here.get(path);
    const two = tracked === undefined ? undefined : await inWorkspace(workspace, tracked, given);
    if (sameContent(one?.content, two?.content) && (two?.problems.length ?? 0) === 0) continue;
    yield { path, before: one, after: two, selection: selectionOf(path, paths) };
  }
}

/** Which part of a tracked path the paths mean that were asked for; nothing: []. */
function selectionOf(tracked: RepoPath, paths: readonly RepoPath[]): Selection {
  if (paths.length === 0 || paths.some((path) => path === tracked || isInside(tracked, path))) return 'all';
  return paths
    .filter((path) => isInside(path, tracked))
    .map((path) => treePathFromText(relativeRepoPath(path, tracked) ?? ''));
}

function recorded(workspace: Workspace, path: RepoPath, pointer: Pointer): DiffVersion {
  const content = contentOf(pointer);
  const { size } = pointer;
  return {
    path,
    content,
    size,
    files: pointer.files ?? 1,
    pointer,
    isWorkspace: false,
    problems: [],
    cursor: () =>
      content.type === 'dir'
        ? openTree(content.hash, workspace.cache().read)
        : entryCursor({
            path: treePathFromText(repoBasename(path)),
            kind: content.exec ? 'x' : 'f',
            size,
            digest: content.hash,
          }),
  };
}

/** What is on the disk, with all that was never checked out. What is not there at all is as its pointer says. */
async function inWorkspace(workspace: Workspace, tracked: Tracked, given: Given): Promise<DiffVersion> {
  const { path, pointer } = tracked;
  if (statsAt(join(workspace.root, path)) === undefined) return recorded(workspace, path, pointer);
  const content = contentOf(pointer);
  const record = adoptPointer(readCheckoutRecord(workspace, path, content), content);
  const { tasks } = given;
  const snapshot = await takeSnapshotWithPages({
    workspace,
    path,
    record,
    tasks,
    tracked,
    store: false,
    ...progressOptions(given),
  });
  if (snapshot.content === undefined) return { ...recorded(workspace, path, pointer), problems: snapshot.problems };
  const { base } = record;
  return {
    path,
    content: snapshot.content,
    size: snapshot.bytes,
    files: snapshot.files,
    // Pages that are unchanged here may be missing in the cache: those are its base's.
    pointer: base?.type === 'dir' ? { ...pointer, type: 'dir', hash: base.hash } : pointer,
    isWorkspace: true,
    problems: snapshot.problems,
    cursor: snapshot.cursor,
  };
}

/** A version without what was not asked for. */
export function selectedCursor(version: DiffVersion, selection: Selection): TreeCursor {
  if (selection === 'all' || version.content.type === 'file') return version.cursor();
  return selectiveCursor(version.cursor(), {
    has: (path) => isSelected(selection, path),
    mayHold: (after, last) => mayHoldSelected(selection, after, last),
  });
}

/** The id that Git gives to a file with this text, by the hash that ids of this length are made with. */
function blobId(text: string, length: number): string {
  const bytes = Buffer.from(text, 'utf8');
  const hash = createHash(length === 64 ? 'sha256' : 'sha1');
  return hash.update(`blob ${bytes.length}\0`).update(bytes).digest('hex');
}

function sorted(paths: readonly RepoPath[]): RepoPath[] {
  return [...new Set(paths)].sort();
}
