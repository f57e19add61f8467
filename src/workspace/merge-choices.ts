import { join } from 'node:path';
import type { RepoPath } from '../domain/repo-path.ts';
import type { MergeSide } from '../domain/tree-merge.ts';
import type { GitUnmerged } from '../git/git.ts';
import { makeFolderDurably, readTextFile, removeFileDurably, writeFileDurably } from '../platform/durable-write.ts';
import type { MergeConflict } from './merge-pointers.ts';
import type { Workspace } from './open.ts';

/** A tracked path whose pointer a merge left unresolved. */
export interface ConflictedPath {
  readonly path: RepoPath;
  readonly stages: GitUnmerged;
}

export type ChosenSide = Exclude<MergeSide, 'base'>;

/** What was chosen so far for the conflicts of one tracked path, by `choiceKey`. */
export type MergeChoices = ReadonlyMap<string, ChosenSide>;

/** What was chosen in this work tree, for conflicts that are not resolved yet. */
interface StoredChoices {
  readonly version: 1;
  readonly paths: Readonly<
    Record<RepoPath, { readonly stages: string; readonly choices: Readonly<Record<string, ChosenSide>> }>
  >;
}

const MAX_BYTES = 256 * 1024 * 1024;

/** A name for a conflict, among those of one tracked path. */
export function choiceKey(conflict: MergeConflict): string {
  if (conflict.kind === 'file') return `file ${conflict.inner}`;
  return conflict.kind === 'key' ? `key ${conflict.key}` : 'data';
}

export function chosenSide(choices: MergeChoices, conflict: MergeConflict): ChosenSide | undefined {
  return choices.get(choiceKey(conflict));
}

/** What was chosen for a path since this very conflict came up. */
export function readMergeChoices(workspace: Workspace, { path, stages }: ConflictedPath): MergeChoices {
  const known = readAll(workspace).paths[path];
  return new Map(known?.stages === nameOf(stages) ? Object.entries(known.choices) : []);
}

/** Notes, durably, what was chosen for some paths; all that was noted of others which are `unresolved` no more is forgotten. */
export function writeMergeChoices(
  workspace: Workspace,
  chosen: readonly { readonly conflicted: ConflictedPath; readonly choices: MergeChoices }[],
  unresolved: readonly RepoPath[],
): void {
  const before = readAll(workspace).paths;
  const paths: Record<RepoPath, StoredChoices['paths'][RepoPath]> = {};
  for (const path of unresolved) {
    const known = before[path];
    if (known !== undefined) paths[path] = known;
  }
  for (const { conflicted, choices } of chosen)
    paths[conflicted.path] = { stages: nameOf(conflicted.stages), choices: Object.fromEntries(choices) };
  const file = fileOf(workspace);
  if (Object.keys(paths).length === 0) {
    if (Object.keys(before).length > 0) removeFileDurably(file);
    return;
  }
  makeFolderDurably(workspace.ownFolder);
  writeFileDurably(file, JSON.stringify({ version: 1, paths } satisfies StoredChoices));
}

/** What cannot be read counts as nothing: it can be chosen again. */
function readAll(workspace: Workspace): StoredChoices {
  const nothing: StoredChoices = { version: 1, paths: {} };
  const text = readTextFile(fileOf(workspace), MAX_BYTES);
  if (text === undefined) return nothing;
  try {
    const stored: unknown = JSON.parse(text);
    return isStored(stored) ? stored : nothing;
  } catch (error) {
    if (error instanceof SyntaxError) return nothing;
    throw error;
  }
}

function isStored(value: unknown): value is StoredChoices {
  return (
    typeof value === 'object' &&
    value !== null &&
    'version' in value &&
    value.version === 1 &&
    'paths' in value &&
    typeof value.paths === 'object' &&
    value.paths !== null
  );
}

function fileOf(workspace: Workspace): string {
  return join(workspace.ownFolder, 'merge-choices.json');
}

function nameOf({ base, ours, theirs }: ConflictedPath['stages']): string {
  return [base, ours, theirs].join(' ');
}
