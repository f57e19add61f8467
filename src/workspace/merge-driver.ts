import { existsSync, writeFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { MlvError } from '../domain/errors.ts';
import { MAX_POINTER_BYTES } from '../domain/pointer.ts';
import { parseRepoPath } from '../domain/repo-path.ts';
import { readTextFile } from '../platform/durable-write.ts';
import { mergeConflictLine } from './merge-conflicts.ts';
import type { PointerTexts } from './merge-pointers.ts';
import { mergePointers } from './merge-pointers.ts';
import type { Environment, OpenOptions, Workspace } from './open.ts';
import { findLayout, openWorkspace } from './open.ts';
import type { VerbOptions } from './progress.ts';
import { isPointer, POINTER_SUFFIX } from './tracked.ts';

/** What Git gives to a merge driver (gitattributes(5)): files with three versions, the second of which takes the result. */
export interface DriverFiles {
  readonly base: string;
  readonly ours: string;
  readonly theirs: string;
  /** What is merged, from the top of the work tree. */
  readonly path: string;
}

export interface DriverOptions extends VerbOptions, Pick<OpenOptions, 'environment' | 'locks'> {
  /** Where Git runs its drivers: the top of the work tree. */
  readonly cwd: string;
  /**
   * Whether ancestors are merged with each other, to be the base of the merge itself: then nothing may be left open, and what they
   * themselves come from stands for what they do not agree on.
   */
  readonly isAncestor: boolean;
}

export type DriverOutcome =
  /** What is to be told beside: a line each. */
  | { readonly type: 'merged'; readonly lines: readonly string[] }
  /** What both sides changed: a line each. The result holds both versions between conflict markers. */
  | { readonly type: 'conflict'; readonly lines: readonly string[] }
  /** One of the versions is no pointer, or none that can be read; nothing was written. */
  | { readonly type: 'unreadable'; readonly error: MlvError };

/** Merges three versions of a pointer, as Git's merge driver for `*.mlv`; trees made by it are durable when it returns. */
export async function mergePointerFiles(files: DriverFiles, options: DriverOptions): Promise<DriverOutcome> {
  const { cwd, isAncestor } = options;
  const [base = '', ours = '', theirs = ''] = [files.base, files.ours, files.theirs].map((file) =>
    readTextFile(resolve(cwd, file), MAX_POINTER_BYTES),
  );
  // Without an ancestor Git gives an empty file.
  const texts: PointerTexts = { base: base === '' ? undefined : base, ours, theirs };
  let workspace: Workspace | undefined;
  try {
    if (!isPointer(files.path)) throw notAPointer(files.path);
    const path = parseRepoPath(files.path.slice(0, -POINTER_SUFFIX.length));
    const { text, conflicts } = await mergePointers(texts, {
      ...options,
      open: async () => (workspace ??= await openForGit({ ...options, path: files.path })),
      path,
      choose: () => (isAncestor ? 'base' : undefined),
    });
    if (conflicts.length === 0) {
      writeFileSync(resolve(cwd, files.ours), text);
      return { type: 'merged', lines: [] };
    }
    const markers = `<<<<<<< ours\n${ended(ours)}=======\n${ended(theirs)}>>>>>>> theirs\n`;
    writeFileSync(resolve(cwd, files.ours), markers);
    return { type: 'conflict', lines: conflicts.map((conflict) => mergeConflictLine(path, conflict)) };
  } catch (error) {
    if (!(error instanceof MlvError) || error.kind === 'interrupted') throw error;
    return { type: 'unreadable', error };
  } finally {
    await workspace?.close();
  }
}

/** Opens the project that holds a path, for a program that Git has started at the top of the work tree. */
async function openForGit({
  cwd,
  environment,
  locks,
  path,
}: Pick<DriverOptions, 'cwd' | 'environment' | 'locks'> & { readonly path: string }): Promise<Workspace> {
  // A folder of one side need not be in the work tree yet.
  let folder = resolve(cwd, dirname(path));
  while (folder !== cwd && !existsSync(folder)) folder = dirname(folder);
  return openWorkspace({ cwd: folder, environment: atTop(cwd, environment), ...(locks && { locks }) });
}

/** Where Git says in variables which repository it works on, it does so for its own folder. */
export function atTop(cwd: string, environment: Environment): Environment {
  const gitDir = environment['GIT_DIR'];
  if (gitDir === undefined || gitDir === '') return environment;
  const layout = findLayout(cwd, environment);
  return { ...environment, GIT_DIR: resolve(cwd, gitDir), GIT_WORK_TREE: layout?.workTree ?? cwd };
}

function ended(text: string): string {
  return text === '' || text.endsWith('\n') ? text : `${text}\n`;
}

function notAPointer(path: string): MlvError {
  return new MlvError({
    code: 'pointer-invalid',
    kind: 'corrupt',
    message: `${path} is no pointer by its name`,
    hint: 'Only *.mlv is to have merge=mlv in .gitattributes.',
  });
}
