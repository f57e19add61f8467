import { lstatSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { MlvError } from '../domain/errors.ts';
import type { CommitId, GitRepository } from '../git/git.ts';
import type { Workspace } from './open.ts';
import { hasPointer } from './tracked.ts';

/** What one side of a comparison is. */
export type DiffSide =
  | { readonly kind: 'commit'; readonly commit: CommitId; readonly name: string }
  | { readonly kind: 'workspace' }
  /** A branch that has no commit yet. */
  | { readonly kind: 'nothing' };

export interface DiffQuestion {
  readonly before: DiffSide;
  readonly after: DiffSide;
  /** As they were typed; none: everything. */
  readonly paths: readonly string[];
}

/** What a person typed: words, and what follows `--`, if that was there. */
export interface DiffWords {
  readonly words: readonly string[];
  readonly paths: readonly string[] | undefined;
  /** Absolute. */
  readonly cwd: string;
  /** Typed before them, for messages; `mlv diff` where nothing is said. */
  readonly command?: string | undefined;
}

/**
 * Tells revisions from paths as Git does: the first word that is no revision, and all that follow it, are paths, and have to be there.
 * Throws `revision-unknown`, `revision-ambiguous`, `word-ambiguous` for what is both, `no-git`, `no-merge-base`, and for a third revision
 * `usage`.
 */
export async function readDiffWords(
  workspace: Workspace,
  { words, paths, cwd, command = 'mlv diff' }: DiffWords,
): Promise<DiffQuestion> {
  const git = await workspace.git();
  if (git === undefined) throw noGit();
  const revisions: Revision[] = [];
  let rest = 0;
  // Two are looked up at once: each asks another process. What is wrong with the second is told when it is its turn.
  const first = words.slice(0, 2).map((word) => settled(readRevision(git, word)));
  for (const [index, word] of words.entries()) {
    const revision = await (first[index]?.then((take) => take()) ?? readRevision(git, word));
    if (revision === undefined) break;
    if (paths === undefined && isPath(word, cwd)) throw isBoth(word, command);
    revisions.push(revision);
    rest += 1;
  }
  const pathWords = words.slice(rest);
  for (const word of pathWords)
    if (paths !== undefined || !isPathOrInside(word, cwd, workspace.root)) throw isNeither(word, command);
  return { ...(await sidesOf(git, revisions, command)), paths: [...pathWords, ...(paths ?? [])] };
}

/** What a promise came to, to be taken later. */
function settled<T>(promise: Promise<T>): Promise<() => T> {
  return promise.then(
    (value) => () => value,
    (error: unknown) => () => {
      throw error;
    },
  );
}

type Revision =
  | { readonly kind: 'commit'; readonly commit: CommitId; readonly name: string }
  | { readonly kind: 'range'; readonly before: CommitId; readonly after: CommitId; readonly names: readonly string[] };

/** Undefined for what is no revision. */
async function readRevision(git: GitRepository, word: string): Promise<Revision | undefined> {
  const [, from, dots, to] = /^(.*?)(\.{2,3})(.*)$/s.exec(word) ?? [];
  // `..` is a folder.
  if (dots !== undefined && from !== undefined && to !== undefined && word !== '..') {
    const names = [from === '' ? 'HEAD' : from, to === '' ? 'HEAD' : to];
    const [before, after] = await Promise.all(names.map((name) => commitOf(git, name)));
    if (before === undefined || after === undefined) return undefined;
    if (dots === '..') return { kind: 'range', before, after, names };
    const base = await git.mergeBase(before, after);
    if (base === undefined) throw noMergeBase(word);
    return { kind: 'range', before: base, after, names: [base.slice(0, 10), names[1] ?? ''] };
  }
  const commit = await commitOf(git, word);
  return commit === undefined ? undefined : { kind: 'commit', commit, name: word };
}

async function commitOf(git: GitRepository, name: string): Promise<CommitId | undefined> {
  try {
    return await git.resolve(name);
  } catch (error) {
    const isOther = error instanceof MlvError && ['revision-unknown', 'revision-unsupported'].includes(error.code);
    // What only the git program can resolve is told as that, unless it is a path.
    if (!isOther || (error.code === 'revision-unsupported' && /@\{|^:\//.test(name))) throw error;
    return undefined;
  }
}

async function sidesOf(
  git: GitRepository,
  revisions: readonly Revision[],
  command: string,
): Promise<Pick<DiffQuestion, 'before' | 'after'>> {
  const [one, two] = revisions;
  if (revisions.length > 2 || (two !== undefined && (one?.kind === 'range' || two.kind === 'range')))
    throw tooMany(revisions.length, command);
  if (one === undefined) {
    const head = await git.head();
    const before: DiffSide = head === undefined ? { kind: 'nothing' } : { kind: 'commit', commit: head, name: 'HEAD' };
    return { before, after: { kind: 'workspace' } };
  }
  if (one.kind === 'range') {
    const [from = '', to = ''] = one.names;
    return {
      before: { kind: 'commit', commit: one.before, name: from },
      after: { kind: 'commit', commit: one.after, name: to },
    };
  }
  return { before: one, after: two?.kind === 'commit' ? two : { kind: 'workspace' } };
}

/** True for what is there, or tracked and not checked out. */
function isPath(word: string, cwd: string): boolean {
  const absolute = resolve(cwd, word);
  return lstatSync(absolute, { throwIfNoEntry: false }) !== undefined || hasPointer(absolute);
}

/** The same, and what lies in a tracked folder, checked out or not. */
function isPathOrInside(word: string, cwd: string, root: string): boolean {
  if (isPath(word, cwd)) return true;
  for (let path = resolve(cwd, word); path.startsWith(`${root}/`); path = dirname(path))
    if (hasPointer(path)) return true;
  return false;
}

function isBoth(word: string, command: string): MlvError {
  return new MlvError({
    code: 'word-ambiguous',
    kind: 'usage',
    message: `'${word}' is both a revision and a path`,
    hint: `"${command} ${word} --" for the revision, "${command} -- ${word}" for the path`,
  });
}

function isNeither(word: string, command: string): MlvError {
  return new MlvError({
    code: 'revision-unknown',
    kind: 'missing',
    message: `'${word}' is neither a revision nor a path that is there`,
    hint: `git log --all --oneline shows the commits; "${command} -- ${word}" takes it for a path that was there`,
  });
}

function tooMany(count: number, command: string): MlvError {
  return new MlvError({
    code: 'usage',
    kind: 'usage',
    message:
      count > 2 ? `${command} compares two revisions at most` : `${command} takes a range or two revisions, not both`,
    hint: `${command} A B, ${command} A..B, or ${command} A...B, which begins where the two parted`,
  });
}

function noGit(): MlvError {
  return new MlvError({
    code: 'no-git',
    kind: 'refused',
    message: 'this project has no Git repository, so there are no revisions to compare',
    hint: '"mlv status" tells what changed since it was recorded',
  });
}

function noMergeBase(word: string): MlvError {
  return new MlvError({
    code: 'no-merge-base',
    kind: 'missing',
    message: `the two sides of '${word}' have no commit in common`,
    hint: 'Two dots instead of three compare the two as they are; in a shallow clone: git fetch --unshallow',
  });
}
