import { MlvError } from '../domain/errors.ts';
import type { RepoPath } from '../domain/repo-path.ts';
import { isInside, parseRepoPath } from '../domain/repo-path.ts';
import { treePathToText } from '../domain/tree-path.ts';
import type { GitRepository } from '../git/git.ts';
import type { MergeConflict, PointerMerge } from './merge-pointers.ts';
import { mergePointers } from './merge-pointers.ts';
import type { ConflictedPath, MergeChoices } from './merge-choices.ts';
import { chosenSide, readMergeChoices } from './merge-choices.ts';
import type { Workspace } from './open.ts';
import type { VerbOptions } from './progress.ts';
import { isPointer, pointerPath, POINTER_SUFFIX } from './tracked.ts';

/** What of a tracked path is still to be resolved. */
export interface MergeState {
  readonly path: RepoPath;
  /** Those that nothing was chosen for yet. */
  readonly conflicts: readonly { readonly path: string; readonly reason: string }[];
  readonly total: number;
}

/** What people are told of a conflict: where, and what both sides did. */
export function mergeConflictLine(path: RepoPath, conflict: MergeConflict): string {
  return `${placeOf(path, conflict)}: ${conflict.reason}`;
}

function placeOf(path: RepoPath, conflict: MergeConflict): string {
  if (conflict.kind === 'file') return `${path}/${treePathToText(conflict.inner)}`;
  return conflict.kind === 'key' ? pointerPath(path) : path;
}

/** The tracked paths that a merge left unresolved, sorted. */
export async function listConflicted(workspace: Workspace, git: GitRepository): Promise<ConflictedPath[]> {
  const prefix = workspace.prefix === '' ? '' : `${workspace.prefix}/`;
  const found = await git.unmerged((path) => path.startsWith(prefix) && isPointer(path));
  return found.flatMap((stages) => {
    // Where one side renamed it, and the other side did otherwise, only the new names can be resolved.
    if (stages.ours === undefined && stages.theirs === undefined) return [];
    return [{ path: parseRepoPath(stages.path.slice(prefix.length, -POINTER_SUFFIX.length)), stages }];
  });
}

/**
 * What is to be resolved at and below these paths, from what this machine has. Paths whose conflict Git knows nothing of any more
 * (somebody has staged the conflict markers) are left out.
 */
export async function readMergeStates(workspace: Workspace, wanted: readonly RepoPath[]): Promise<MergeState[]> {
  const git = await workspace.git();
  if (git === undefined) return [];
  const states: MergeState[] = [];
  for (const conflicted of await listConflicted(workspace, git)) {
    const { path } = conflicted;
    if (!wanted.some((each) => each === path || isInside(path, each))) continue;
    const choices = readMergeChoices(workspace, conflicted);
    const { conflicts, total } = await mergeAgain(workspace, git, conflicted, { choices, isDryRun: true });
    states.push({
      path,
      conflicts: conflicts.map((conflict) => ({ path: placeOf(path, conflict), reason: conflict.reason })),
      total,
    });
  }
  return states;
}

/** A merge whose text is undefined where the chosen side has deleted the pointer. */
export type RepeatedMerge = Omit<PointerMerge, 'text'> & { readonly text: string | undefined };

/** Merges once more what Git left unresolved, with what was chosen since. */
export async function mergeAgain(
  workspace: Workspace,
  git: GitRepository,
  { path, stages }: ConflictedPath,
  options: VerbOptions & { readonly choices: MergeChoices; readonly isDryRun?: boolean },
): Promise<RepeatedMerge> {
  const read = async (blob: string | undefined): Promise<string | undefined> =>
    blob === undefined ? undefined : (await git.readBlob(blob)).toString('utf8');
  const [base, ours, theirs] = [await read(stages.base), await read(stages.ours), await read(stages.theirs)];
  const choose = (conflict: MergeConflict) => chosenSide(options.choices, conflict);
  if (ours !== undefined && theirs !== undefined)
    return mergePointers({ base, ours, theirs }, { ...options, open: () => Promise.resolve(workspace), path, choose });
  const [deleted, changed] = ours === undefined ? ['ours', 'theirs'] : ['theirs', 'ours'];
  const reason = `deleted in ${deleted}, ${base === undefined ? 'added' : 'changed'} in ${changed}`;
  const conflict = { kind: 'data', reason } as const;
  const side = choose(conflict);
  if (side === undefined) return { text: ours, conflicts: [conflict], total: 1 };
  return { text: side === 'ours' ? ours : theirs, conflicts: [], total: 1 };
}

/** The error for what is in no merge. */
export function noMergeConflict(path: string): MlvError {
  return new MlvError({
    code: 'no-merge-conflict',
    kind: 'missing',
    message: `${path} is in no conflict of a merge that is under way`,
    hint: '"mlv status" lists what is. Where it was staged already, "git checkout --merge -- FILE.mlv" brings the conflict back.',
  });
}
