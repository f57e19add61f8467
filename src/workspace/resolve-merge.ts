import type { RepoPath } from '../domain/repo-path.ts';
import { isInside, relativeRepoPath } from '../domain/repo-path.ts';
import type { TreePath } from '../domain/tree-path.ts';
import { treePathFromText } from '../domain/tree-path.ts';
import type { ChosenSide, ConflictedPath, MergeChoices } from './merge-choices.ts';
import { choiceKey, readMergeChoices, writeMergeChoices } from './merge-choices.ts';
import type { MergeState } from './merge-conflicts.ts';
import { listConflicted, mergeAgain, noMergeConflict, readMergeStates } from './merge-conflicts.ts';
import type { MergeConflict } from './merge-pointers.ts';
import type { Workspace } from './open.ts';
import type { VerbOptions } from './progress.ts';
import type { Targets } from './targets.ts';
import { resolveTarget } from './targets.ts';
import { parsePointerText, pointerPath } from './tracked.ts';
import { requireGit } from './transfer-scope.ts';
import { writePointers } from './write-pointers.ts';

export interface ResolveResult {
  /** Tracked paths without conflicts now: their pointers are written and staged. */
  readonly resolved: readonly { readonly path: RepoPath; readonly isRemoved: boolean }[];
  /** What is left of those that were named. */
  readonly remaining: readonly MergeState[];
}

interface Wanted {
  readonly conflicted: ConflictedPath;
  /** Paths inside it; undefined for all that is not chosen yet. */
  readonly inner: readonly TreePath[] | undefined;
}

/**
 * Takes one side for conflicts that a merge left in tracked data: those of a file, or all of a path that nothing was chosen for
 * before. What is chosen is noted; a path with nothing left is merged, its pointer written and staged. Throws `no-merge-conflict`.
 */
export async function resolveMerge(
  workspace: Workspace,
  options: Targets & VerbOptions & { readonly side: ChosenSide },
): Promise<ResolveResult> {
  const git = await requireGit(workspace);
  const all = await listConflicted(workspace, git);
  const resolved: { path: RepoPath; isRemoved: boolean }[] = [];
  const open: { conflicted: ConflictedPath; choices: MergeChoices }[] = [];
  const merged: { path: RepoPath; text: string | undefined; before: string }[] = [];
  for (const { conflicted, inner } of selectConflicted(workspace, all, options)) {
    const before = readMergeChoices(workspace, conflicted);
    const choices = new Map(before);
    const left = await mergeAgain(workspace, git, conflicted, { ...options, choices: new Map() });
    let count = 0;
    for (const conflict of left.conflicts) {
      const key = choiceKey(conflict);
      if (inner === undefined ? before.has(key) : !isAt(conflict, inner)) continue;
      choices.set(key, options.side);
      count += 1;
    }
    const { path } = conflicted;
    if (count === 0 && left.total > 0)
      throw noMergeConflict(inner === undefined ? path : `${path}/${inner.join(', ')}`);
    const outcome = await mergeAgain(workspace, git, conflicted, { ...options, choices });
    if (outcome.conflicts.length > 0) open.push({ conflicted, choices });
    else {
      const known = conflicted.stages.ours ?? conflicted.stages.theirs ?? '';
      merged.push({ path, text: outcome.text, before: (await git.readBlob(known)).toString('utf8') });
    }
  }
  for (const { path, text, before } of merged) {
    const pointer = text === undefined ? undefined : await parsePointerText(text, pointerPath(path));
    await writePointers(workspace, [{ path, pointer, text: text ?? before }]);
    await git.stage([workspace.prefix === '' ? pointerPath(path) : `${workspace.prefix}/${pointerPath(path)}`]);
    resolved.push({ path, isRemoved: pointer === undefined });
  }
  const unresolved = all.map(({ path }) => path).filter((path) => !merged.some((each) => each.path === path));
  writeMergeChoices(workspace, open, unresolved);
  const remaining = await readMergeStates(
    workspace,
    open.map(({ conflicted }) => conflicted.path),
  );
  return { resolved, remaining };
}

function isAt(conflict: MergeConflict, inner: readonly TreePath[]): boolean {
  if (conflict.kind !== 'file') return false;
  return inner.some((path) => conflict.inner === path || conflict.inner.startsWith(`${path}/`));
}

/** What of the unresolved paths the targets mean. Throws `no-merge-conflict` for one that means nothing. */
function selectConflicted(workspace: Workspace, all: readonly ConflictedPath[], { targets, cwd }: Targets): Wanted[] {
  const found = new Map<RepoPath, Wanted>();
  for (const target of targets) {
    const typed = resolveTarget(workspace, cwd, target);
    const matches = all.filter(
      ({ path }) => typed === path || typed === pointerPath(path) || isInside(path, typed) || isInside(typed, path),
    );
    if (matches.length === 0) throw noMergeConflict(target);
    for (const conflicted of matches) {
      const { path } = conflicted;
      const isPart = isInside(typed, path) && typed !== pointerPath(path);
      const before = found.get(path);
      const part = treePathFromText(relativeRepoPath(typed, path) ?? '');
      const inner = !isPart || (before !== undefined && before.inner === undefined) ? undefined : [part];
      found.set(path, { conflicted, inner: inner && [...(before?.inner ?? []), ...inner] });
    }
  }
  return [...found.values()];
}
