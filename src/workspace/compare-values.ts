import type { MlvError } from '../domain/errors.ts';
import type { RepoPath } from '../domain/repo-path.ts';
import type { Leaves, ValueChange } from '../domain/value-diff.ts';
import { compareLeaves } from '../domain/value-diff.ts';
import type { DiffSide, DiffWords } from './diff-revisions.ts';
import { readDiffWords } from './diff-revisions.ts';
import type { Workspace } from './open.ts';
import type { VerbOptions } from './progress.ts';
import type { FileValues, ValueKind } from './value-files.ts';
import { readValues, requireDeclared, valuePaths } from './value-files.ts';
import { resolveCommit } from './version-at.ts';

export interface ValueDiff {
  /** What the sides are called. */
  readonly before: string;
  readonly after: string;
  /** How many files at least one side declares. */
  readonly declared: number;
  /** Those with something to tell, sorted. */
  readonly files: readonly { readonly path: RepoPath; readonly changes: readonly ValueChange[] }[];
  readonly unreadable: readonly UnreadableValues[];
  /** How many values differ. */
  readonly differing: number;
}

export interface UnreadableValues {
  readonly path: RepoPath;
  /** What the side is called. */
  readonly side: string;
  readonly error: MlvError;
}

interface ValueDiffOptions extends DiffWords, VerbOptions {
  readonly kind: ValueKind;
  /** Also what is the same on both sides. */
  readonly all: boolean;
}

const NOTHING: Leaves = new Map();

/**
 * Compares what two sides declare as metrics or parameters. A file that cannot be read is told, and not compared. Throws what
 * `readDiffWords`, `readValues` and `requireDeclared` do.
 */
export async function diffValues(workspace: Workspace, options: ValueDiffOptions): Promise<ValueDiff> {
  const { kind, all, words, paths: pathWords, cwd, ...verb } = options;
  const {
    before,
    after,
    paths: typed,
  } = await readDiffWords(workspace, {
    words,
    paths: pathWords,
    cwd,
    command: `mlv ${kind} diff`,
  });
  const paths = valuePaths(workspace, cwd, typed);
  const old = await readValues(workspace, before, { kind, paths, ...verb });
  const now = await readValues(workspace, after, { kind, paths, ...verb });
  const names = [...new Set([...old, ...now].map(({ path }) => path))].sort();
  requireDeclared(kind, paths, names);
  const unreadable = [...unreadableOf(old, sideName(before)), ...unreadableOf(now, sideName(after))];
  const compared = names.filter((path) => !unreadable.some((each) => each.path === path));
  const changesOf = (path: RepoPath, withSame: boolean): ValueChange[] =>
    compareLeaves(leavesOf(old, path), leavesOf(now, path), { all: withSame });
  const files = compared.map((path) => ({ path, changes: changesOf(path, all) }));
  return {
    before: sideName(before),
    after: sideName(after),
    declared: names.length,
    files: files.filter(({ changes }) => changes.length > 0),
    unreadable,
    differing: compared.reduce((sum, path) => sum + changesOf(path, false).length, 0),
  };
}

/** What is declared as metrics in the workspace, or at a revision, by file. Throws what `readValues` and `requireDeclared` do. */
export async function showValues(
  workspace: Workspace,
  options: VerbOptions & {
    readonly kind: ValueKind;
    readonly targets: readonly string[];
    readonly cwd: string;
    readonly rev: string | undefined;
  },
): Promise<FileValues[]> {
  const { kind, targets, cwd, rev, ...verb } = options;
  const side: DiffSide =
    rev === undefined
      ? { kind: 'workspace' }
      : { kind: 'commit', commit: await resolveCommit(workspace, rev), name: rev };
  const paths = valuePaths(workspace, cwd, targets);
  const files = await readValues(workspace, side, { kind, paths, ...verb });
  requireDeclared(
    kind,
    paths,
    files.map(({ path }) => path),
  );
  return files;
}

function leavesOf(files: readonly FileValues[], path: RepoPath): Leaves {
  const file = files.find((each) => each.path === path);
  return file?.state === 'read' ? file.values : NOTHING;
}

function unreadableOf(files: readonly FileValues[], side: string): UnreadableValues[] {
  return files.flatMap((file) => (file.state === 'unreadable' ? [{ path: file.path, side, error: file.error }] : []));
}

function sideName(side: DiffSide): string {
  if (side.kind === 'commit') return side.name;
  return side.kind === 'workspace' ? 'workspace' : 'no commit';
}
