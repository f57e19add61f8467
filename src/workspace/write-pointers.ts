import { existsSync, lstatSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { MlvError } from '../domain/errors.ts';
import { addIgnoreLine, removeIgnoreLine } from '../domain/gitignore-line.ts';
import type { Pointer } from '../domain/pointer.ts';
import { formatPointer } from '../domain/pointer.ts';
import type { RepoPath } from '../domain/repo-path.ts';
import { joinRepoPath, repoBasename, repoDirname } from '../domain/repo-path.ts';
import { makeFolderDurably, readTextFile, removeFileDurably, writeFileDurably } from '../platform/durable-write.ts';
import { statsAt } from '../platform/stats-at.ts';
import { MAX_IGNORE_BYTES } from '../platform/ignore-file.ts';
import { findTemporaries } from '../platform/walk.ts';
import type { Lock } from '../platform/lock.ts';
import { withLock } from '../platform/lock.ts';
import type { CheckoutRecord } from './checkout-record.ts';
import { announceCheckoutRecord, writeCheckoutRecord } from './checkout-record.ts';
import { oneAtATime } from './one-at-a-time.ts';
import type { Workspace } from './open.ts';
import { pointerPath } from './tracked.ts';

/** A pointer to be written, or (undefined) to be removed. */
export interface PointerChange {
  readonly path: RepoPath;
  readonly pointer: Pointer | undefined;
  /** The text it replaces, whose comments and unknown keys stay. */
  readonly text: string | undefined;
}

/**
 * Runs `work` while no command writes pointers, or the records that follow them. Not to be nested. Stages that end beside each other come
 * in turn: nobody waits for a lock of its own process.
 */
export function withPointersLock<T>(workspace: Workspace, work: (lock: Lock) => Promise<T>): Promise<T> {
  const folder = join(workspace.ownFolder, 'locks');
  return oneAtATime(workspace, folder, () =>
    withLock(folder, 'pointers', { ...workspace.locks, command: 'mlv' }, work),
  );
}

/**
 * Writes pointers and their lines in `.gitignore`, durably, and stages both in Git where `core.autostage` says so; then `records` of
 * what of these versions is in the workspace. What pointers name must be durable before. What belongs to `unchanged` paths is
 * staged, too, where Git does not know it yet, and of `interrupted` ones in any case: a command that was killed may have come as
 * far as writing it. Returns the staged paths, relative to the project.
 */
export async function writePointers(
  workspace: Workspace,
  changes: readonly PointerChange[],
  {
    unchanged = [],
    interrupted = [],
    records = [],
  }: {
    readonly unchanged?: readonly RepoPath[];
    readonly interrupted?: readonly RepoPath[];
    readonly records?: readonly CheckoutRecord[];
  } = {},
): Promise<string[]> {
  const { root } = workspace;
  const paths = interrupted.flatMap((path) => [pointerPath(path), ignoreFileOf(path)]);
  const written = changes.filter(({ pointer }) => pointer !== undefined).map(({ path }) => path);
  const finish = async (): Promise<string[]> => {
    const staged = await stage(workspace, paths, [...unchanged, ...written]);
    for (const record of records) writeCheckoutRecord(workspace, record);
    return staged;
  };
  if (changes.length === 0) return finish();
  for (const { path } of changes) requireOwnIgnoreFile(root, ignoreFileOf(path));
  return withPointersLock(workspace, async (lock) => {
    for (const record of records) announceCheckoutRecord(workspace, record);
    for (const { path, pointer, text } of changes) {
      const file = pointerPath(path);
      const ignoreFile = ignoreFileOf(path);
      lock.assertHeld();
      // The line comes first and goes last: at no moment would "git add ." take the data itself.
      let isIgnoreFileEdited: boolean;
      if (pointer !== undefined) {
        makeFolderDurably(dirname(join(root, file)));
        isIgnoreFileEdited = editIgnoreFile(join(root, ignoreFile), (lines) =>
          addIgnoreLine(lines, repoBasename(path)),
        );
        writeText(join(root, file), await pointerText(pointer, text, file));
      } else {
        removeFileDurably(join(root, file));
        isIgnoreFileEdited = editIgnoreFile(join(root, ignoreFile), (lines) =>
          removeIgnoreLine(lines, repoBasename(path)),
        );
      }
      // Somebody's own edits of a file that mlv left alone are not mlv's to stage.
      paths.push(file, ...(isIgnoreFileEdited ? [ignoreFile] : []));
    }
    // Still locked: Git refuses to stage for two at once.
    return finish();
  });
}

export function ignoreFileOf(path: RepoPath): RepoPath {
  return joinRepoPath(repoDirname(path), '.gitignore');
}

async function pointerText(pointer: Pointer, text: string | undefined, file: string): Promise<string> {
  if (text === undefined) return formatPointer(pointer);
  const { updatePointer } = await import('../domain/pointer-document.ts');
  const { version: _, ...rest } = pointer;
  return updatePointer(text, { files: undefined, exec: undefined, ...rest }, file);
}

/** What a link leads to would come into the repository with the line; and Git does not heed such a file. */
export function requireOwnIgnoreFile(root: string, file: RepoPath): void {
  if (statsAt(join(root, file))?.isSymbolicLink() !== true) return;
  throw new MlvError({
    code: 'gitignore-linked',
    kind: 'refused',
    message: `${file} is a symlink, where mlv has to write a line`,
    hint: 'Remove it, or replace it by what it leads to: Git heeds no .gitignore that is a symlink.',
  });
}

/** Whether an edit would change the file. */
export function needsEdit(file: string, edit: (text: string) => string): boolean {
  const before = readTextFile(file, MAX_IGNORE_BYTES) ?? '';
  return edit(before) !== before;
}

/** Returns whether there was anything to change. */
export function editIgnoreFile(file: string, edit: (text: string) => string): boolean {
  const before = readTextFile(file, MAX_IGNORE_BYTES) ?? '';
  const after = edit(before);
  if (after === before) return false;
  if (after === '') removeFileDurably(file);
  else writeText(file, after);
  return true;
}

/** Writes a file, and takes away what killed commands were about to write there; the lock keeps others from writing pointers. */
export function writeText(file: string, text: string): void {
  writeFileDurably(file, text);
  const bytes = Buffer.from(text);
  for (const leftover of findTemporaries(dirname(file), false)) {
    const stats = lstatSync(leftover, { throwIfNoEntry: false });
    if (stats?.isFile() !== true || stats.size > bytes.length) continue;
    const begun = readTextFile(leftover, bytes.length);
    if (begun !== undefined && text.startsWith(begun)) rmSync(leftover, { force: true });
  }
}

/**
 * Stages files in Git when the settings say so; and of some tracked paths what belongs to them, where Git does not know the pointer,
 * or the ignore file. Gives back what it staged.
 */
async function stage(
  workspace: Workspace,
  paths: readonly RepoPath[],
  ifUnknown: readonly RepoPath[],
): Promise<string[]> {
  if (!workspace.settings.values['core.autostage']) return [];
  const git = await workspace.git();
  if (git === undefined) return [];
  const full = (path: RepoPath): string => (workspace.prefix === '' ? path : `${workspace.prefix}/${path}`);
  const perhaps = ifUnknown.flatMap((path) => [pointerPath(path), ignoreFileOf(path)]);
  const all = [...new Set([...paths, ...perhaps])];
  const tracked = new Set(await git.tracked(all.map(full)));
  const isKnown = (path: RepoPath): boolean => tracked.has(full(path));
  const added = ifUnknown.filter((path) => !isKnown(pointerPath(path))).map(ignoreFileOf);
  const staged = all.filter((path) => {
    const isThere = existsSync(join(workspace.root, path));
    return paths.includes(path) ? isThere || isKnown(path) : isThere && (!isKnown(path) || added.includes(path));
  });
  if (staged.length > 0) await git.stage(staged.map(full));
  return staged;
}
