import { existsSync, mkdirSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { addIgnoreLine, removeIgnoreLine } from '../domain/gitignore-line.ts';
import type { Pointer } from '../domain/pointer.ts';
import { formatPointer } from '../domain/pointer.ts';
import type { RepoPath } from '../domain/repo-path.ts';
import { joinRepoPath, repoBasename, repoDirname } from '../domain/repo-path.ts';
import { readTextFile, writeFileDurably } from '../platform/durable-write.ts';
import { withLock } from '../platform/lock.ts';
import type { Workspace } from './open.ts';
import { pointerPath } from './tracked.ts';

/** A pointer to be written, or (undefined) to be removed. */
export interface PointerChange {
  readonly path: RepoPath;
  readonly pointer: Pointer | undefined;
  /** The text it replaces, whose comments and unknown keys stay. */
  readonly text: string | undefined;
}

const MAX_IGNORE_BYTES = 16 << 20;

/**
 * Writes pointers and their lines in `.gitignore`, durably, and stages both in Git where `core.autostage` says so. What pointers
 * name must be durable before. Returns the staged paths, relative to the project.
 */
export async function writePointers(workspace: Workspace, changes: readonly PointerChange[]): Promise<string[]> {
  if (changes.length === 0) return [];
  const { root, ownFolder } = workspace;
  const touched = await withLock(join(ownFolder, 'locks'), 'pointers', { command: 'mlv' }, async (lock) => {
    const paths: RepoPath[] = [];
    for (const { path, pointer, text } of changes) {
      const file = pointerPath(path);
      const ignoreFile = joinRepoPath(repoDirname(path), '.gitignore');
      lock.assertHeld();
      // The line comes first and goes last: at no moment would "git add ." take the data itself.
      let isIgnoreFileEdited: boolean;
      if (pointer !== undefined) {
        mkdirSync(dirname(join(root, file)), { recursive: true });
        isIgnoreFileEdited = editIgnoreFile(join(root, ignoreFile), (lines) => addIgnoreLine(lines, repoBasename(path)));
        writeFileDurably(join(root, file), await pointerText(pointer, text, file));
      } else {
        rmSync(join(root, file), { force: true });
        isIgnoreFileEdited = editIgnoreFile(join(root, ignoreFile), (lines) => removeIgnoreLine(lines, repoBasename(path)));
      }
      // Somebody's own edits of a file that mlv left alone are not mlv's to stage.
      paths.push(file, ...(isIgnoreFileEdited ? [ignoreFile] : []));
    }
    return [...new Set(paths)];
  });
  return stage(workspace, touched);
}

async function pointerText(pointer: Pointer, text: string | undefined, file: string): Promise<string> {
  if (text === undefined) return formatPointer(pointer);
  const { updatePointer } = await import('../domain/pointer-document.ts');
  const { version: _, ...rest } = pointer;
  return updatePointer(text, { files: undefined, exec: undefined, ...rest }, file);
}

/** Returns whether there was anything to change. */
function editIgnoreFile(file: string, edit: (text: string) => string): boolean {
  const before = readTextFile(file, MAX_IGNORE_BYTES) ?? '';
  const after = edit(before);
  if (after === before) return false;
  writeFileDurably(file, after);
  return true;
}

/** Stages files in Git when the settings say so; gives back those it staged. */
async function stage(workspace: Workspace, paths: readonly RepoPath[]): Promise<string[]> {
  if (!workspace.settings.values['core.autostage']) return [];
  const git = await workspace.git();
  if (git === undefined) return [];
  const full = (path: RepoPath): string => (workspace.prefix === '' ? path : `${workspace.prefix}/${path}`);
  const tracked = new Set(await git.tracked(paths.map(full)));
  const known = paths.filter((path) => existsSync(join(workspace.root, path)) || tracked.has(full(path)));
  await git.stage(known.map(full));
  return known;
}
