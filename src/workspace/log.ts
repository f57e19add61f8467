import type { Digest } from '../domain/digest.ts';
import { MlvError } from '../domain/errors.ts';
import { LOCK_FILE } from '../domain/pipeline.ts';
import type { Pointer } from '../domain/pointer.ts';
import { meet, parseRepoPath, relativeRepoPath, REPO_ROOT, type RepoPath } from '../domain/repo-path.ts';
import { selectiveCursor } from '../domain/three-way.ts';
import { diffTrees } from '../domain/tree-diff.ts';
import { treePathFromText } from '../domain/tree-path.ts';
import { EMPTY_CURSOR, openTree, type LoadObject, type TreeCursor } from '../domain/tree-reader.ts';
import type { CommitId, GitFileChange, GitHistoryEntry, GitRepository } from '../git/git.ts';
import { isSelected, mayHoldSelected, sameContent, type Selection } from './checkout-record.ts';
import type { Workspace } from './open.ts';
import { resolveTarget } from './targets.ts';
import { listTrackedPaths } from './list-tracked.ts';
import { isLock, isReference, maxReferenceBytes, readReference } from './references.ts';
import { contentOf, hasPointer, pointedAt, POINTER_SUFFIX, type Tracked } from './tracked.ts';
import { openLogNotes, type NotedVersion } from './log-notes.ts';
import { requireGit } from './transfer-scope.ts';
import { inRepository, notTrackedAt } from './version-at.ts';

export interface ChangeCounts {
  readonly added: number;
  readonly modified: number;
  readonly deleted: number;
}

/** A version of a tracked path: a commit that changed it, and to what. */
export interface LogVersion {
  readonly commit: CommitId;
  readonly author: { readonly name: string; readonly email: string };
  /** ISO 8601, in the author's time zone. */
  readonly date: string;
  readonly subject: string;
  readonly dataset: RepoPath;
  readonly change: 'added' | 'modified' | 'deleted';
  /** What it became; of one that was deleted, what it was. */
  readonly type: 'file' | 'dir';
  readonly hash: Digest;
  readonly size: number;
  readonly files: number;
  /** How many files came, changed and went, in the part that was asked for; undefined where its tree is not in the cache. */
  readonly changes: ChangeCounts | undefined;
}

export interface LogResult {
  readonly commits: number;
  readonly versions: number;
  /** Versions of which it is not known here what they changed. */
  readonly unknown: number;
}

export interface LogOptions {
  /** As it was typed; undefined for everything tracked. */
  readonly path: string | undefined;
  /** HEAD where undefined. */
  readonly rev: string | undefined;
  /** So many commits at most. */
  readonly maxCount: number | undefined;
  /** Absolute. */
  readonly cwd: string;
  readonly signal?: AbortSignal | undefined;
  /** Takes what one commit changed. */
  readonly emit: (versions: readonly LogVersion[]) => Promise<void>;
}

/** Commits whose pointers and locks are read at once. */
const AT_ONCE = 64;

/**
 * Tells the versions of tracked paths, newest first, with the commits that `git log -- PATH` shows for their pointers, and those in which
 * locks got other outputs. Of a path inside a tracked folder: those that changed it, as far as the cache knows. Uses no network. Throws
 * `not-tracked`, `revision-unknown`, `no-git`.
 */
export async function log(workspace: Workspace, options: LogOptions): Promise<LogResult> {
  const git = await requireGit(workspace);
  const tip = options.rev === undefined ? await git.head() : await git.resolve(options.rev);
  const path = options.path === undefined ? REPO_ROOT : pointedAt(resolveTarget(workspace, options.cwd, options.path));
  const totals = { commits: 0, versions: 0, unknown: 0 };
  const reader = createReader(workspace, git, path);
  let isKnown = false;
  const limit = options.maxCount ?? Infinity;

  /** True when that was enough. */
  async function tell(lot: readonly GitHistoryEntry[]): Promise<boolean> {
    const read = await Promise.all(lot.map((entry) => reader.changes(entry)));
    isKnown ||= read.some(({ length }) => length > 0);
    for (const [index, entry] of lot.entries()) {
      options.signal?.throwIfAborted();
      const versions = reader.versions(entry, read[index] ?? []);
      if (versions.length === 0) continue;
      await options.emit(versions);
      totals.commits += 1;
      totals.versions += versions.length;
      totals.unknown += versions.filter(({ changes }) => changes === undefined).length;
      if (totals.commits >= limit) return true;
    }
    return false;
  }

  let lot: GitHistoryEntry[] = [];
  let isEnough = false;
  if (tip !== undefined) {
    for await (const entry of git.history({ tip, ...scopeOf(workspace, path) })) {
      // The first ones at once: people wait for them.
      if (lot.push(entry) < Math.min(AT_ONCE, limit, totals.commits + 1)) continue;
      isEnough = await tell(lot);
      lot = [];
      if (isEnough) break;
    }
  }
  if (!isEnough) await tell(lot);
  reader.save();
  if (!isKnown && path !== '' && !(await listTrackedPaths(workspace)).some((each) => meet(path, each)))
    throw notTrackedAt(path, options.rev ?? 'HEAD');
  return totals;
}

/** The pointers of a path, of the folders it is in, and of all below it; where no pointer tracks it, the locks, too. */
function scopeOf(
  workspace: Workspace,
  path: RepoPath,
): { readonly accept: (file: string) => boolean; readonly pathspecs: readonly string[] } {
  const under = inRepository(workspace, '');
  const segments = path === '' ? [] : path.split('/');
  const around = segments.map((_, index) => segments.slice(0, index + 1).join('/'));
  const hasLocks = !around.some((each) => hasPointer(`${workspace.root}/${each}`));
  const accept = (file: string): boolean => {
    if (!file.startsWith(under) || !isReference(file)) return false;
    return isLock(file) ? hasLocks : meet(path, pointedAt(parseRepoPath(file.slice(under.length))));
  };
  const below = path === '' ? under : `${inRepository(workspace, path)}/`;
  return {
    accept,
    pathspecs: [
      ...around.map((each) => `:(top,literal)${inRepository(workspace, each)}${POINTER_SUFFIX}`),
      `:(top,glob)${escapeGlob(below)}**/*${POINTER_SUFFIX}`,
      ...(hasLocks ? [`:(top,glob)${escapeGlob(under)}**/${LOCK_FILE}`] : []),
    ],
  };
}

function escapeGlob(text: string): string {
  return text.replace(/[\\*?[\]]/g, '\\$&');
}

interface ReadChange {
  readonly dataset: RepoPath;
  readonly before?: Pointer | undefined;
  readonly after?: Pointer | undefined;
  /** The pointer's versions in Git, where one pointer alone tells of the dataset, and all of that is asked for. */
  readonly blobs?: GitFileChange | undefined;
  readonly noted?: NotedVersion;
}

function changeBetween(before: unknown, after: unknown): LogVersion['change'] {
  return before === undefined ? 'added' : after === undefined ? 'deleted' : 'modified';
}

function createReader(workspace: Workspace, git: GitRepository, path: RepoPath) {
  /** Each is asked for twice, by the commit that brought it and by the one that replaced it. */
  const references = recent<Promise<readonly Tracked[]>>(4 * AT_ONCE);
  const load = recentObjects(workspace.cache().read);
  const under = inRepository(workspace, '');

  function read(full: string, blob: string | undefined): Promise<readonly Tracked[]> {
    if (blob === undefined) return Promise.resolve([]);
    const file = parseRepoPath(full.slice(under.length));
    return references(`${blob} ${file}`, async () => {
      const bytes = await git.readBlob(blob);
      if (bytes.length > maxReferenceBytes(file)) return [];
      try {
        return (await readReference(bytes.toString('utf8'), file)).filter((tracked) => meet(path, tracked.path));
      } catch (error) {
        // A commit with marks of a conflict, or by a later mlv: the others can be told.
        if (error instanceof MlvError) return [];
        throw error;
      }
    });
  }

  const notes = openLogNotes(workspace);
  /** What is noted is of the whole: of a part, trees must tell. */
  const selectionIn = (dataset: RepoPath): Selection => {
    const inner = relativeRepoPath(path, dataset) ?? '';
    return path === '' || inner === '' ? 'all' : [treePathFromText(inner)];
  };

  /** The pointer's versions, where it alone tells of its dataset (a lock file may, too), and all of that is asked for. */
  function notable(change: GitFileChange, changes: readonly GitFileChange[]): GitFileChange | undefined {
    if (changes.some((each) => isLock(each.path))) return undefined;
    return selectionIn(datasetOf(change.path)) === 'all' ? change : undefined;
  }

  function datasetOf(full: string): RepoPath {
    return pointedAt(parseRepoPath(full.slice(under.length)));
  }

  function versionOf(found: ReadChange): Pick<LogVersion, 'change' | keyof NotedVersion> | undefined {
    const { dataset, before, after, blobs, noted } = found;
    if (blobs !== undefined && noted !== undefined)
      return { change: changeBetween(blobs.before, blobs.after), ...noted };
    const side = after ?? before;
    // Its remote or description may have changed alone; it is a version of its data only where that did.
    if (side === undefined || sameContent(before && contentOf(before), after && contentOf(after))) return undefined;
    const selection = selectionIn(dataset);
    const changes = changesOf({ before, after, selection, load });
    if (changes !== undefined && changes.added + changes.modified + changes.deleted === 0) return undefined;
    const change = changeBetween(before, after);
    const { type, hash, size, files = 1 } = side;
    // Where one of the two could not be read, another mlv may read it.
    const isWhole = blobs !== undefined && change === changeBetween(blobs.before, blobs.after);
    if (isWhole && changes !== undefined) notes.note(blobs.before, blobs.after, { type, hash, size, files, changes });
    return { change, type, hash, size, files, changes };
  }

  return {
    /** What a commit made of each tracked path, which may have gone from one reference to another. */
    async changes({ changes }: GitHistoryEntry): Promise<ReadChange[]> {
      const found = new Map<RepoPath, ReadChange>();
      const note = (dataset: RepoPath, side: Partial<ReadChange>): void => {
        found.set(dataset, { ...found.get(dataset), ...side, dataset });
      };
      await Promise.all(
        changes.map(async (change) => {
          const blobs = notable(change, changes);
          const noted = blobs && notes.find(blobs.before, blobs.after);
          // In the order of the changes, whichever is read first.
          if (!isLock(change.path)) note(datasetOf(change.path), { blobs, ...(noted !== undefined && { noted }) });
          if (noted !== undefined) return;
          const [before, after] = await Promise.all([
            read(change.path, change.before),
            read(change.path, change.after),
          ]);
          for (const { path: dataset, pointer } of before) note(dataset, { before: pointer });
          for (const { path: dataset, pointer } of after) note(dataset, { after: pointer });
        }),
      );
      return [...found.values()];
    },
    versions({ commit, author, date, subject }: GitHistoryEntry, changed: readonly ReadChange[]): LogVersion[] {
      return changed.flatMap((found) => {
        const version = versionOf(found);
        return version === undefined ? [] : [{ commit, author, date, subject, dataset: found.dataset, ...version }];
      });
    },
    save: notes.save,
  };
}

/** Undefined where the trees are not in the cache. Of what came or went as a whole no tree is read. */
function changesOf(given: {
  readonly before: Pointer | undefined;
  readonly after: Pointer | undefined;
  readonly selection: Selection;
  readonly load: LoadObject;
}): LogVersion['changes'] {
  const { before, after, selection, load } = given;
  const counts = { added: 0, modified: 0, deleted: 0 };
  if (selection === 'all' && before === undefined) return { ...counts, added: after?.files ?? 1 };
  if (selection === 'all' && after === undefined) return { ...counts, deleted: before?.files ?? 1 };
  if (before?.type === 'file' && after?.type === 'file') return { ...counts, modified: 1 };
  try {
    const cursor = (pointer: Pointer | undefined): TreeCursor =>
      pointer?.type === 'dir' ? selected(openTree(pointer.hash, load), selection) : EMPTY_CURSOR;
    for (const change of diffTrees(cursor(before), cursor(after))) {
      counts[change.before === undefined ? 'added' : change.after === undefined ? 'deleted' : 'modified'] += 1;
    }
    if (selection === 'all' && before?.type === 'file') counts.deleted += 1;
    if (selection === 'all' && after?.type === 'file') counts.added += 1;
    return counts;
  } catch (error) {
    if (error instanceof MlvError && error.code === 'blob-missing') return undefined;
    throw error;
  }
}

function selected(cursor: TreeCursor, selection: Selection): TreeCursor {
  if (selection === 'all') return cursor;
  return selectiveCursor(cursor, {
    has: (path) => isSelected(selection, path),
    mayHold: (after, last) => mayHoldSelected(selection, after, last),
  });
}

/** Keeps what was asked for last. */
function recent<T>(most: number): (key: string, make: () => T) => T {
  const kept = new Map<string, T>();
  return (key, make) => {
    const found = kept.get(key);
    if (found !== undefined) return found;
    const made = make();
    kept.set(key, made);
    const [oldest] = kept.keys();
    if (kept.size > most && oldest !== undefined) kept.delete(oldest);
    return made;
  };
}

const KEPT_BYTES = 16 << 20;

/** Tree objects, those read last from memory: each version is compared with the one before and the one after it. */
function recentObjects(read: LoadObject): LoadObject {
  const kept = new Map<Digest, Buffer>();
  let bytes = 0;
  return (digest) => {
    const found = kept.get(digest);
    if (found !== undefined) return found;
    const object = read(digest);
    kept.set(digest, object);
    bytes += object.length;
    for (const [oldest, { length }] of kept) {
      if (bytes <= KEPT_BYTES) break;
      kept.delete(oldest);
      bytes -= length;
    }
    return object;
  };
}
