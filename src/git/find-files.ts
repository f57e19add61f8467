import { readdirSync, type Dirent } from 'node:fs';
import { join } from 'node:path';
import { hasErrorCode, MlvError } from '../domain/errors.ts';
import type { IgnoreRules } from '../domain/ignore-rules.ts';
import { baseRules, withGitignore, type IgnoreSources } from './ignore-rules.ts';

export interface FindFilesOptions {
  /** Whether files with this base name are wanted. */
  readonly accept: (name: string) => boolean;
  /** Whether not to look into this folder (repo-relative path). */
  readonly prune?: (folder: string) => boolean;
  /** Whether symbolic links are wanted, too. */
  readonly withLinks?: boolean;
  /** Receives the folders of other repositories. */
  readonly onRepository?: (folder: string) => void;
}

/**
 * Files of the work tree with an accepted base name, as repo-relative POSIX paths sorted by code units, found in one walk.
 * Not looked into: `.git`, other repositories inside this one, what Git's ignore rules exclude, symbolic links. The index is
 * not read: a file that was added in spite of being ignored is not found. Throws `folder-unreadable`.
 */
export function findFiles(sources: IgnoreSources, options: FindFilesOptions): string[] {
  const { accept, prune, withLinks = false, onRepository } = options;
  const found: string[] = [];
  const pending: { folder: string; above: IgnoreRules }[] = [{ folder: '', above: baseRules(sources) }];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    const { folder, above } = next;
    const entries = readFolder(join(sources.workTree, folder));
    if (folder !== '' && entries.some((entry) => entry.name === '.git')) {
      onRepository?.(folder);
      continue;
    }
    const hasOwnRules = entries.some((entry) => entry.name === '.gitignore');
    const rules = hasOwnRules ? withGitignore(above, sources.workTree, folder) : above;
    for (const entry of entries) {
      const path = folder === '' ? entry.name : `${folder}/${entry.name}`;
      if (entry.isDirectory()) {
        if (entry.name === '.git' || prune?.(path) === true || rules.ignores(path, true)) continue;
        pending.push({ folder: path, above: rules });
      } else if (entry.isFile() || (withLinks && entry.isSymbolicLink())) {
        if (accept(entry.name) && !rules.ignores(path, false)) found.push(path);
      }
    }
  }
  // The default order of sort() is by code units.
  return found.sort();
}

function readFolder(path: string): Dirent[] {
  try {
    return readdirSync(path, { withFileTypes: true });
  } catch (error) {
    // Gone, or replaced by a file, since its parent was read.
    if (hasErrorCode(error, 'ENOENT', 'ENOTDIR')) return [];
    if (!hasErrorCode(error, 'EACCES', 'EPERM')) throw error;
    // Passing over it could hide a pointer, and garbage collection would take its data for unused.
    throw new MlvError({
      code: 'folder-unreadable',
      kind: 'io',
      message: `The folder ${path} cannot be read`,
      hint: 'Make it readable, or exclude it in .gitignore',
      cause: error,
    });
  }
}
