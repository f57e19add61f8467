import type { Digest, HashFunction } from './digest.ts';
import type { TreeEntry, TreeSummary } from './tree.ts';
import type { TreeObject } from './tree-builder.ts';
import { createSeeker } from './tree-cursors.ts';
import { diffTrees, sameEntry } from './tree-diff.ts';
import { editTree } from './tree-edit.ts';
import type { TreePath } from './tree-path.ts';
import type { LoadObject } from './tree-reader.ts';
import { EMPTY_CURSOR, openTree } from './tree-reader.ts';

/** Whose version of a file is taken; `base` is what both sides come from. */
export type MergeSide = 'ours' | 'theirs' | 'base';

/** A path that both sides changed, and not in the same way. An entry is undefined where a version does not have the path. */
export interface TreeConflict {
  readonly path: TreePath;
  readonly base: TreeEntry | undefined;
  readonly ours: TreeEntry | undefined;
  readonly theirs: TreeEntry | undefined;
  /** The side that has a folder with something in it where the other has a file; all of the folder is in the conflict. */
  readonly folder?: 'ours' | 'theirs';
  /** Where the side that deleted it has what was in it, if at one path alone. */
  readonly movedTo?: TreePath;
}

export interface TreeMerge {
  /** The merged tree; of conflicts that nothing was chosen for it has our side. */
  readonly tree: TreeSummary;
  /** All of them, in order, those that something was chosen for too. */
  readonly conflicts: readonly TreeConflict[];
}

/** A path on which the two sides differ, and what comes of it. */
interface Decision extends Omit<TreeConflict, 'folder' | 'movedTo'> {
  readonly isConflict: boolean;
  /** What is taken where it is no conflict. */
  readonly merged: TreeEntry | undefined;
}

/**
 * Merges two versions of a directory by what each changed since `base`; without one, everything counts as added. Where only
 * one side changed a path, or both alike, that is taken; `choose` decides the others. Pages that both sides have are passed
 * over unread, and so are those of the base in which the sides do not differ. The result is the tree that building from nothing
 * gives. An empty folder gives way to what is put into it.
 */
export function mergeTrees(options: {
  readonly base: Digest | undefined;
  readonly ours: Digest;
  readonly theirs: Digest;
  readonly choose?: (conflict: TreeConflict) => MergeSide | undefined;
  readonly load: LoadObject;
  readonly hash: HashFunction;
  readonly emit: (object: TreeObject) => void;
}): TreeMerge {
  const { choose = () => undefined } = options;
  const decisions = decide(options);
  const groups = groupClashes(decisions);
  const moves = createMoves(decisions);
  const conflicts: TreeConflict[] = [];
  const results: { readonly decision: Decision; readonly entry: TreeEntry | undefined }[] = [];
  for (const { decisions: grouped, folder } of groups) {
    const [first] = grouped;
    if (first === undefined) continue;
    let side: MergeSide | undefined;
    if (folder !== undefined || first.isConflict) {
      const { path, base, ours, theirs } = first;
      const movedTo = moves(first);
      const conflict = { path, base, ours, theirs, ...(folder && { folder }), ...(movedTo && { movedTo }) };
      conflicts.push(conflict);
      side = choose(conflict) ?? 'ours';
    }
    for (const decision of grouped)
      results.push({ decision, entry: side === undefined ? decision.merged : decision[side] });
  }
  return { tree: editTree({ ...options, root: options.ours, edits: editsOf(results) }), conflicts };
}

/**
 * What both made of one path since the base; undefined when that cannot be told. What a file holds, and whether it is executable,
 * are changed independently.
 */
export function mergeEntries(
  base: TreeEntry | undefined,
  ours: TreeEntry | undefined,
  theirs: TreeEntry | undefined,
): { readonly merged: TreeEntry | undefined } | undefined {
  if (isSame(ours, theirs) || isSame(base, theirs)) return { merged: ours };
  if (isSame(base, ours)) return { merged: theirs };
  if (!isFile(base) || !isFile(ours) || !isFile(theirs)) return undefined;
  const content = base.digest === ours.digest ? theirs : ours;
  if (content.digest !== theirs.digest && base.digest !== theirs.digest) return undefined;
  return { merged: { ...content, kind: base.kind === ours.kind ? theirs.kind : ours.kind } };
}

function decide({
  base,
  ours,
  theirs,
  load,
}: {
  readonly base: Digest | undefined;
  readonly ours: Digest;
  readonly theirs: Digest;
  readonly load: LoadObject;
}): Decision[] {
  const seek = createSeeker(base === undefined ? EMPTY_CURSOR : openTree(base, load));
  const decisions: Decision[] = [];
  for (const { path, before, after } of diffTrees(openTree(ours, load), openTree(theirs, load))) {
    const inBase = seek(path);
    const outcome = mergeEntries(inBase, before, after);
    decisions.push({
      path,
      base: inBase,
      ours: before,
      theirs: after,
      isConflict: outcome === undefined,
      merged: outcome?.merged,
    });
  }
  return decisions;
}

interface Group {
  readonly decisions: readonly Decision[];
  /** Who has the folder where a file and a folder stand against each other. */
  readonly folder: 'ours' | 'theirs' | undefined;
}

/**
 * Puts together what must be decided together: a file that stays or comes, and all in the folder of the same name on the other
 * side, if anything of that stays or comes. (Both are among the paths on which the sides differ, since no tree has both.)
 */
function groupClashes(decisions: readonly Decision[]): Group[] {
  const files: Decision[] = [];
  const clashes = new Map<Decision, 'ours' | 'theirs'>();
  for (const decision of decisions) {
    const { path } = decision;
    while (files.length > 0 && !path.startsWith(files.at(-1)?.path ?? '')) files.pop();
    if (!mayStay(decision)) continue;
    const above = files.find((file) => path[file.path.length] === '/');
    if (above !== undefined) clashes.set(above, above.ours === undefined ? 'ours' : 'theirs');
    const isFileOrLink = [decision.ours, decision.theirs].some((entry) => entry !== undefined && entry.kind !== 'd');
    if (isFileOrLink) files.push(decision);
  }
  if (clashes.size === 0) return decisions.map((decision) => ({ decisions: [decision], folder: undefined }));
  const groups: Group[] = [];
  const open: { readonly path: TreePath; readonly decisions: Decision[] }[] = [];
  for (const decision of decisions) {
    while (open.length > 0 && !decision.path.startsWith(open.at(-1)?.path ?? '')) open.pop();
    const above = open.find((file) => decision.path[file.path.length] === '/');
    if (above !== undefined) {
      above.decisions.push(decision);
      continue;
    }
    const grouped = [decision];
    const folder = clashes.get(decision);
    groups.push({ decisions: grouped, folder });
    if (folder !== undefined) open.push({ path: decision.path, decisions: grouped });
  }
  return groups;
}

/** Whether some choice, or none that is needed, leaves something at the path. */
function mayStay({ isConflict, merged }: Decision): boolean {
  return isConflict || merged !== undefined;
}

/** Finds where the side that deleted a file has put what was in it. */
function createMoves(decisions: readonly Decision[]): (conflict: Decision) => TreePath | undefined {
  type Added = Map<Digest, TreePath | undefined>;
  let added: Record<'ours' | 'theirs', Added> | undefined;
  return ({ base, ours, theirs }) => {
    if (base === undefined || base.kind === 'd' || (ours !== undefined && theirs !== undefined)) return undefined;
    if (added === undefined) {
      added = { ours: new Map(), theirs: new Map() };
      for (const decision of decisions) {
        if (decision.base !== undefined) continue;
        for (const side of ['ours', 'theirs'] as const) {
          const digest = decision[side]?.digest;
          if (digest !== undefined) added[side].set(digest, added[side].has(digest) ? undefined : decision.path);
        }
      }
    }
    return added[ours === undefined ? 'ours' : 'theirs'].get(base.digest);
  };
}

/** What is to be changed of our tree. An empty folder comes only where nothing is in it. */
function* editsOf(results: readonly { readonly decision: Decision; readonly entry: TreeEntry | undefined }[]) {
  const ordered = [...results].sort((a, b) => (a.decision.path < b.decision.path ? -1 : 1));
  for (const [index, { decision, entry }] of ordered.entries()) {
    if (isSame(entry, decision.ours)) continue;
    const edit = { path: decision.path, entry };
    if (entry?.kind === 'd') {
      const inside = `${decision.path}/`;
      let isFilled = false;
      // '0' follows '/': everything inside has gone by.
      for (let next = index + 1; !isFilled; next++) {
        const other = ordered[next];
        if (other === undefined || other.decision.path > `${decision.path}0`) break;
        isFilled = other.entry !== undefined && other.decision.path.startsWith(inside);
      }
      if (isFilled) continue;
    }
    yield edit;
  }
}

function isFile(entry: TreeEntry | undefined): entry is TreeEntry {
  return entry?.kind === 'f' || entry?.kind === 'x';
}

function isSame(a: TreeEntry | undefined, b: TreeEntry | undefined): boolean {
  return a === undefined || b === undefined ? a === b : sameEntry(a, b);
}
