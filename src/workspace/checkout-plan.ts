import { closeSync, constants, openSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { hasErrorCode } from '../domain/errors.ts';
import type { RepoPath } from '../domain/repo-path.ts';
import type { CheckoutPlan, CheckoutStep } from '../domain/three-way.ts';
import { planCheckout, selectiveCursor } from '../domain/three-way.ts';
import type { TreeEntry } from '../domain/tree.ts';
import { createSeeker } from '../domain/tree-cursors.ts';
import { sameEntry } from '../domain/tree-diff.ts';
import type { TreePath } from '../domain/tree-path.ts';
import { treePathToText } from '../domain/tree-path.ts';
import type { TreeCursor } from '../domain/tree-reader.ts';
import { EMPTY_CURSOR, readEntries } from '../domain/tree-reader.ts';
import { readAt } from '../platform/read-write.ts';
import { statsAt } from '../platform/stats-at.ts';
import type { CheckoutRecord, Content, Selection } from './checkout-record.ts';
import { isSelected, mayHoldSelected, unfinished } from './checkout-record.ts';
import { openContent } from './content.ts';
import type { Workspace } from './open.ts';
import type { Snapshot } from './snapshot.ts';

/** All that decides what a checkout does at one tracked path. */
export interface CheckoutSituation {
  readonly path: RepoPath;
  readonly record: CheckoutRecord;
  /** What is to be there; undefined to take all of the base away. */
  readonly content: Content | undefined;
  readonly selected: Selection;
  readonly snapshot: Snapshot;
  /** What the whole content counts. */
  readonly size: { readonly files: number; readonly bytes: number };
  readonly force: boolean;
  readonly relink: boolean;
  /** Where files deleted by hand come back even if the target did not change them. */
  readonly restore: Selection;
}

export interface OpenPlan {
  /** Absolute path that the steps' paths are relative to. */
  readonly root: string;
  steps(): Generator<CheckoutStep>;
  /** True for a step that overwrites an edit (it does so only when forced). */
  losesEdit(step: CheckoutStep): boolean;
}

/** The folder that the entries of a tracked path are relative to; a file is an entry of the folder it is in. */
export function entryRoot(workspace: Workspace, path: RepoPath, type: 'file' | 'dir'): string {
  const absolute = join(workspace.root, path);
  return type === 'dir' ? absolute : dirname(absolute);
}

/** True when a file is to become a directory or the other way round: the old is taken away before the new is brought. */
export function changesType({ record, content }: CheckoutSituation): boolean {
  return record.base !== undefined && content !== undefined && record.base.type !== content.type;
}

export function openPlan(workspace: Workspace, situation: CheckoutSituation): OpenPlan {
  const { path, record, selected, snapshot } = situation;
  const isClearing = changesType(situation);
  const content = isClearing ? undefined : situation.content;
  const type = content?.type ?? record.base?.type ?? 'dir';
  const root = entryRoot(workspace, path, type);
  const purged = workspace.purged();
  const isSame = String(selected) === String(record.selected);

  function restrict(cursor: TreeCursor): TreeCursor {
    if (selected === 'all' || type === 'file') return cursor;
    return selectiveCursor(cursor, {
      has: (entry) => isSelected(selected, entry),
      mayHold: (after, last) => mayHoldSelected(selected, after, last),
    });
  }
  const openBase = (): TreeCursor => restrict(openContent(workspace, path, record.base));

  return {
    root,
    steps: () =>
      planCheckout({
        base: openBase(),
        target: restrict(openContent(workspace, path, content)),
        workspace: snapshot.content?.type === type ? restrict(snapshot.cursor()) : EMPTY_CURSOR,
        wasSelected: (entry) => isSelected(record.selected, entry),
        isUnfinished: record.target !== undefined,
        ...createTraceTests(workspace, { situation, root }),
        maySkip: isSame && !situation.relink,
        force: situation.force,
        relink: situation.relink,
        isPurged: ({ digest }) => purged.has(digest),
        isThere: (at) => statsAt(`${root}/${treePathToText(at)}`) !== undefined,
        restoreDeleted: (entry) => isSelected(situation.restore, entry),
      }),
    losesEdit: situation.force ? createLossTest(openBase) : () => false,
  };
}

/** Steps come in order, so the base is read once along with them. */
function createLossTest(openBase: () => TreeCursor): (step: CheckoutStep) => boolean {
  let seek: ((path: TreePath) => TreeEntry | undefined) | undefined;
  return (step) => {
    if ((step.action !== 'write' && step.action !== 'remove') || step.found === undefined) return false;
    seek ??= createSeeker(openBase());
    const before = seek(step.path);
    const isRight = step.action === 'write' && sameEntry(step.found, step.want);
    return !isRight && (before === undefined || !sameEntry(step.found, before));
  };
}

/**
 * Interrupted checkouts leave entries of what they were bringing, at most one file a thread that ends early, and folders that were
 * just made or emptied; and what they were to replace or remove may be gone.
 */
function createTraceTests(
  workspace: Workspace,
  { situation, root }: { readonly situation: CheckoutSituation; readonly root: string },
): Pick<CheckoutPlan, 'isLeftover' | 'wasTaken'> {
  const { path, record } = situation;
  const folders = [record.base, ...unfinished(record)].flatMap((content) =>
    content?.type === 'dir' ? content.hash : [],
  );
  const seekers = unfinished(record).map((content) => createSeeker(openContent(workspace, path, content)));
  return {
    isLeftover(found, want) {
      if (seekers.length === 0) return false;
      if (found.kind === 'd') {
        return folders.some((tree) => readEntries(tree, workspace.cache().read, found.path).next().done !== true);
      }
      const file = `${root}/${treePathToText(found.path)}`;
      return [...seekers.map((seek) => seek(found.path)), want].some(
        (entry) => entry !== undefined && (sameEntry(found, entry) || isPrefix(workspace, file, entry)),
      );
    },
    wasTaken: (at, before) =>
      before !== undefined &&
      seekers.some((seek) => {
        const brought = seek(at);
        return brought === undefined || !sameEntry(brought, before);
      }),
  };
}

const COMPARE_BYTES = 1 << 20;

/**
 * True when the file holds the beginning of the blob, or, after a power loss, zeros where that had not come to the disk: overwriting
 * it then loses nothing.
 */
function isPrefix(workspace: Workspace, file: string, { kind, digest }: TreeEntry): boolean {
  const location = workspace.cache().locate(digest);
  if (location === undefined || (kind !== 'f' && kind !== 'x')) return false;
  const mine = openForReading(file);
  // A plan is gone through again for each of its phases, and the first may have taken the file away.
  if (mine === 'gone') return true;
  if (mine === 'link') return false;
  const blob = openSync(location.path, 'r');
  try {
    const [left, right] = [Buffer.allocUnsafe(COMPARE_BYTES), Buffer.allocUnsafe(COMPARE_BYTES)];
    for (let offset = 0; ; offset += COMPARE_BYTES) {
      const length = readAt(mine, left, offset, COMPARE_BYTES);
      if (offset + length > location.length) return false;
      if (readAt(blob, right, location.offset + offset, length) !== length) return false;
      if (left.compare(right, 0, length, 0, length) !== 0 && !isTorn(left, right, length)) return false;
      if (length < COMPARE_BYTES) return true;
    }
  } finally {
    closeSync(mine);
    closeSync(blob);
  }
}

/** Whether the first bytes are the same, but for zeros. */
function isTorn(left: Buffer, right: Buffer, length: number): boolean {
  return left.subarray(0, length).every((byte, at) => byte === 0 || byte === right[at]);
}

function openForReading(file: string): number | 'gone' | 'link' {
  try {
    return openSync(file, constants.O_RDONLY | constants.O_NOFOLLOW);
  } catch (error) {
    if (hasErrorCode(error, 'ENOENT', 'ENOTDIR')) return 'gone';
    if (hasErrorCode(error, 'ELOOP')) return 'link';
    throw error;
  }
}
