import type { TreeEntry } from './tree.ts';
import { sameEntry } from './tree-diff.ts';
import type { TreePath } from './tree-path.ts';
import type { TreeCursor, TreeItem } from './tree-reader.ts';

/** What a checkout does at a path where something is to be said; paths that stay as they are have no step. */
export type CheckoutStep =
  /** Make `want`; `found` (undefined for nothing) is replaced, and known to be in the cache. */
  | {
      readonly action: 'write';
      readonly path: TreePath;
      readonly want: TreeEntry;
      readonly found: TreeEntry | undefined;
    }
  /** Take away `found`, which is known to be in the cache. */
  | { readonly action: 'remove'; readonly path: TreePath; readonly found: TreeEntry }
  /** A local edit that the target does not touch: it stays. */
  | { readonly action: 'keep'; readonly path: TreePath; readonly found: TreeEntry | undefined }
  /** Changed here and in the target. */
  | {
      readonly action: 'conflict';
      readonly path: TreePath;
      readonly want: TreeEntry | undefined;
      readonly found: TreeEntry | undefined;
    };

export interface CheckoutPlan {
  /** What was last materialised, what is wanted, what is there; each without what is not selected. */
  readonly base: TreeCursor;
  readonly target: TreeCursor;
  readonly workspace: TreeCursor;
  /** Whether the path was selected when the base was materialised; elsewhere, what the workspace seems to have is inherited. */
  readonly wasSelected: (path: TreePath) => boolean;
  /** Whether an interrupted checkout may have left gaps where it was replacing files. */
  readonly isUnfinished: boolean;
  /** Whether something that is neither base nor target is a leftover of an interrupted checkout. */
  readonly isLeftover: (found: TreeEntry, want: TreeEntry | undefined) => boolean;
  /** Whether an interrupted checkout may have taken away what the base has at a path. */
  readonly wasTaken: (path: TreePath, before: TreeEntry | undefined) => boolean;
  /** Local edits of what is tracked are overwritten; files that neither side knows stay. */
  readonly force: boolean;
  /** What is right already is made anew. */
  readonly relink: boolean;
  /** Whether nodes that all three have can be passed over: not while more than before is selected, or all is made anew. */
  readonly maySkip: boolean;
  /** Whether content must not exist any more: it is not brought, and where it is not there nobody has deleted it. */
  readonly isPurged: (entry: TreeEntry) => boolean;
  /** Whether something stands at a path of which the snapshot shows what was purged. */
  readonly isThere: (path: TreePath) => boolean;
  /** Files deleted by hand come back even where the target did not change them. */
  readonly restoreDeleted: (path: TreePath) => boolean;
}

/** Compares base, target and workspace, in order; nodes that all three have are passed over unread. */
export function* planCheckout(plan: CheckoutPlan): Generator<CheckoutStep> {
  const { base, target, workspace } = plan;
  const blocked = createBlockade();
  for (;;) {
    const [baseItem, targetItem, workspaceItem] = [base.peek(), target.peek(), workspace.peek()];
    const level = Math.max(levelOf(baseItem), levelOf(targetItem), levelOf(workspaceItem));
    if (level >= 0) {
      if (plan.maySkip && isSameNode(baseItem, targetItem) && isSameNode(targetItem, workspaceItem)) {
        base.skip();
        target.skip();
        workspace.skip();
        continue;
      }
      if (levelOf(baseItem) === level) base.open();
      if (levelOf(targetItem) === level) target.open();
      if (levelOf(workspaceItem) === level) workspace.open();
      continue;
    }
    const path = firstOf(pathOf(baseItem), firstOf(pathOf(targetItem), pathOf(workspaceItem)));
    if (path === undefined) return;
    const inBase = takeAt(base, baseItem, path);
    const named = takeAt(target, targetItem, path);
    const want = named !== undefined && plan.isPurged(named) ? undefined : named;
    const inWorkspace = takeAt(workspace, workspaceItem, path);
    // Of what was never checked out the workspace has nothing; a snapshot shows the base's entry there.
    const wasSelected = plan.wasSelected(path);
    const isGone = inWorkspace !== undefined && plan.isPurged(inWorkspace) && !plan.isThere(path);
    const found = (!wasSelected && same(inWorkspace, inBase)) || isGone ? undefined : inWorkspace;
    const wasTakenAway = inBase !== undefined && plan.isPurged(inBase) && !same(found, inBase);
    const before = wasSelected && !wasTakenAway ? inBase : undefined;
    const step = decide(plan, { path, before, want, found });
    const left =
      step === undefined
        ? found
        : step.action === 'write'
          ? step.want
          : step.action === 'keep'
            ? step.found
            : undefined;
    if (left !== undefined && blocked(left)) yield { action: 'conflict', path, want, found };
    else if (step !== undefined) yield step;
  }
}

/** -1 for an entry, and for the end. */
function levelOf(item: TreeItem | undefined): number {
  return item?.type === 'node' ? item.level : -1;
}

function isSameNode(a: TreeItem | undefined, b: TreeItem | undefined): boolean {
  return a?.type === 'node' && b?.type === 'node' && a.level === b.level && a.node.digest === b.node.digest;
}

function pathOf(item: TreeItem | undefined): TreePath | undefined {
  return item?.type === 'entry' ? item.entry.path : undefined;
}

function firstOf(a: TreePath | undefined, b: TreePath | undefined): TreePath | undefined {
  return a === undefined || (b !== undefined && b < a) ? b : a;
}

/** The entry a cursor stands at, which it then passes over, if it is the one of this path. */
function takeAt(cursor: TreeCursor, item: TreeItem | undefined, path: TreePath): TreeEntry | undefined {
  if (item?.type !== 'entry' || item.entry.path !== path) return undefined;
  cursor.skip();
  return item.entry;
}

function decide(
  plan: CheckoutPlan,
  at: { path: TreePath; before: TreeEntry | undefined; want: TreeEntry | undefined; found: TreeEntry | undefined },
): CheckoutStep | undefined {
  const { path, before, want, found } = at;
  const apply = (): CheckoutStep | undefined => {
    if (want !== undefined) return { action: 'write', path, want, found };
    return found === undefined ? undefined : { action: 'remove', path, found };
  };
  if (same(found, want))
    return plan.relink && want !== undefined && want.kind !== 'd' ? { action: 'write', path, want, found } : undefined;
  const isExtra = before === undefined && want === undefined;
  if (same(found, before) || (plan.force && !isExtra)) return apply();
  if (found !== undefined && plan.isLeftover(found, want)) return apply();
  if (found === undefined && (plan.restoreDeleted(path) || plan.wasTaken(path, before))) return apply();
  if (same(before, want)) return { action: 'keep', path, found };
  if (found === undefined && plan.isUnfinished) return apply();
  return { action: 'conflict', path, want, found };
}

function same(a: TreeEntry | undefined, b: TreeEntry | undefined): boolean {
  return a === undefined || b === undefined ? a === b : sameEntry(a, b);
}

/**
 * Takes what stays or comes, in order, and tells what would be below a file or link that stays or comes. An empty folder is in
 * nobody's way. (`a`, `a-b` and `a/b` are not neighbours, so all files that begin the last path are kept.)
 */
function createBlockade(): (entry: TreeEntry) => boolean {
  const files: TreePath[] = [];
  return ({ path, kind }) => {
    while (files.length > 0 && !path.startsWith(files.at(-1) ?? '')) files.pop();
    if (files.some((file) => path[file.length] === '/')) return true;
    if (kind !== 'd') files.push(path);
    return false;
  };
}

/** The cursor without nodes and entries outside a selection. `mayHold` judges the run of paths after one path and up to another. */
export function selectiveCursor(
  cursor: TreeCursor,
  selection: {
    readonly has: (path: TreePath) => boolean;
    readonly mayHold: (after: string, last: TreePath) => boolean;
  },
): TreeCursor {
  let after = '';
  return {
    peek() {
      for (let item = cursor.peek(); item !== undefined; item = cursor.peek()) {
        const isWanted =
          item.type === 'node' ? selection.mayHold(after, item.node.lastPath) : selection.has(item.entry.path);
        if (isWanted) return item;
        after = item.type === 'node' ? item.node.lastPath : item.entry.path;
        cursor.skip();
      }
      return undefined;
    },
    skip() {
      const item = cursor.peek();
      if (item !== undefined) after = item.type === 'node' ? item.node.lastPath : item.entry.path;
      cursor.skip();
    },
    read: cursor.read,
    open: cursor.open,
  };
}
