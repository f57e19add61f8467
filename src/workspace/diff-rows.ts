import type { Digest } from '../domain/digest.ts';
import type { MlvError } from '../domain/errors.ts';
import { findRenames, type Moved } from '../domain/renames.ts';
import type { RepoPath } from '../domain/repo-path.ts';
import type { EntryKind, TreeEntry } from '../domain/tree.ts';
import type { TreeChange } from '../domain/tree-diff.ts';
import { treePathToText } from '../domain/tree-path.ts';
import type { ContentComparison, createContentComparer, FileContent } from './diff-content.ts';
import type { DatasetPair, DiffVersion } from './diff-versions.ts';

export type ChangeKind = 'added' | 'modified' | 'deleted' | 'renamed' | 'type-changed';

export interface FileSide {
  readonly hash: Digest;
  readonly size: number;
  readonly kind: EntryKind;
}

/** A file that the two sides do not have alike. */
export interface FileDifference {
  readonly kind: 'file';
  readonly dataset: RepoPath;
  readonly path: string;
  readonly change: ChangeKind;
  /** Of what was renamed: where it was. */
  readonly from?: string;
  readonly before?: FileSide;
  readonly after?: FileSide;
  /** True where a folder with files took its place, or gave it. */
  readonly folder?: true;
  readonly content?: ContentComparison;
}

export interface DatasetSide {
  readonly type: 'file' | 'dir';
  readonly hash: Digest;
  readonly size: number;
  readonly files: number;
}

export interface DiffCounts {
  readonly added: number;
  readonly modified: number;
  readonly deleted: number;
  readonly renamed: number;
}

/** What differs in a tracked path; comes after its files. */
export interface DatasetDifference extends DiffCounts {
  readonly kind: 'dataset';
  readonly dataset: RepoPath;
  readonly change: ChangeKind;
  readonly from?: RepoPath;
  readonly before?: DatasetSide;
  readonly after?: DatasetSide;
  /** Why its files are not told. */
  readonly unread?: { readonly code: string; readonly message: string; readonly hint?: string };
  /** Paths in the workspace that could not be read, relative to it: whether they changed nobody knows. */
  readonly problems?: readonly { readonly path: string; readonly reason: string }[];
}

export type Difference = FileDifference | DatasetDifference;

interface PlacedChange extends Moved {
  readonly pair: DatasetPair;
}

export interface Renames {
  /** What stood where, by the path to which it went. */
  readonly to: ReadonlyMap<string, PlacedChange>;
  readonly from: ReadonlySet<string>;
}

export const NO_RENAMES: Renames = { to: new Map(), from: new Set() };

/** The files that moved, within tracked paths and between them. */
export function renamesIn(
  compared: readonly { readonly pair: DatasetPair; readonly changes: Iterable<TreeChange> }[],
): Renames {
  const gone: PlacedChange[] = [];
  const came: PlacedChange[] = [];
  for (const { pair, changes } of compared) {
    for (const { path, before, after } of changes) {
      const place = pathOf(pair, path);
      if (after === undefined && before !== undefined) gone.push({ path: place, entry: before, pair });
      if (before === undefined && after !== undefined) came.push({ path: place, entry: after, pair });
    }
  }
  const to = findRenames(gone, came);
  return { to, from: new Set([...to.values()].map(({ path }) => path)) };
}

function pathOf({ path, before, after }: DatasetPair, inner: TreeChange['path']): string {
  return (after ?? before)?.content.type === 'file' ? path : `${path}/${treePathToText(inner)}`;
}

/** Tells each file that differs, and counts them. */
export async function emitFiles(
  pair: DatasetPair,
  changes: Iterable<TreeChange>,
  given: {
    readonly renames: Renames;
    readonly compareContent: ReturnType<typeof createContentComparer> | undefined;
    readonly emit: (difference: Difference) => Promise<void>;
  },
): Promise<DiffCounts> {
  const { renames, compareContent, emit } = given;
  const counts = { added: 0, modified: 0, deleted: 0, renamed: 0 };
  const folders = Array.isArray(changes) ? foldersTaken(changes as readonly TreeChange[]) : new Set<string>();
  for (const { path: inner, before, after } of changes) {
    const path = pathOf(pair, inner);
    if (renames.from.has(path) && after === undefined) continue;
    const from = before === undefined ? renames.to.get(path) : undefined;
    const change = from === undefined ? changeOf(before, after) : 'renamed';
    counts[change === 'type-changed' ? 'modified' : change] += 1;
    const old = from?.entry ?? before;
    const isTable =
      change === 'modified' && before !== undefined && after !== undefined && before.digest !== after.digest;
    const content =
      isTable && pair.before !== undefined && pair.after !== undefined
        ? await compareContent?.(path, contentAt(pair.before, before, path), contentAt(pair.after, after, path))
        : undefined;
    await emit({
      kind: 'file',
      dataset: pair.path,
      path,
      change,
      ...(from && { from: from.path }),
      ...(old && { before: sideOf(old) }),
      ...(after && { after: sideOf(after) }),
      ...(folders.has(inner) && { folder: true as const }),
      ...(content && { content }),
    });
  }
  return counts;
}

/** Files that went where a folder came, and the reverse. */
function foldersTaken(changes: readonly TreeChange[]): Set<string> {
  const gone = new Set(changes.filter(({ after }) => after === undefined).map(({ path }) => String(path)));
  const came = new Set(changes.filter(({ before }) => before === undefined).map(({ path }) => String(path)));
  const found = new Set<string>();
  const look = (paths: ReadonlySet<string>, others: ReadonlySet<string>): void => {
    for (const path of paths)
      for (let end = path.indexOf('/'); end > 0; end = path.indexOf('/', end + 1)) {
        const folder = path.slice(0, end);
        if (others.has(folder)) found.add(folder);
      }
  };
  look(came, gone);
  look(gone, came);
  return found;
}

function changeOf(before: TreeEntry | undefined, after: TreeEntry | undefined): ChangeKind {
  if (before === undefined) return 'added';
  if (after === undefined) return 'deleted';
  const isPlain = ({ kind }: TreeEntry): boolean => kind === 'f' || kind === 'x';
  const isSameType = before.kind === after.kind || (isPlain(before) && isPlain(after));
  return isSameType ? 'modified' : 'type-changed';
}

function sideOf({ digest: hash, size, kind }: TreeEntry): FileSide {
  return { hash, size, kind };
}

function contentAt(version: DiffVersion, { digest, size }: TreeEntry, path: string): FileContent {
  return { digest, size, pointer: version.pointer, workspacePath: version.isWorkspace ? path : undefined };
}

/** What differs in a tracked path as a whole. */
export function datasetRow(pair: DatasetPair, counts: DiffCounts, unread: MlvError | undefined): DatasetDifference {
  const { path, before, after } = pair;
  const isMoved = before !== undefined && after !== undefined && before.path !== after.path;
  const isOther = before !== undefined && after !== undefined && before.content.type !== after.content.type;
  const change = isMoved
    ? 'renamed'
    : isOther
      ? 'type-changed'
      : before === undefined
        ? 'added'
        : after === undefined
          ? 'deleted'
          : 'modified';
  return {
    kind: 'dataset',
    dataset: path,
    change,
    ...(isMoved && { from: before.path }),
    ...(before && { before: datasetSide(before) }),
    ...(after && { after: datasetSide(after) }),
    ...counts,
    ...(unread && {
      unread: { code: unread.code, message: unread.message, ...(unread.hint && { hint: unread.hint }) },
    }),
    ...(after && after.problems.length > 0 && { problems: after.problems }),
  };
}

function datasetSide({ content, size, files }: DiffVersion): DatasetSide {
  return { type: content.type, hash: content.hash, size, files };
}
