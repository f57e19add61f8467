import { checkPath } from './path-rules.ts';
import type { RepoPath } from './repo-path.ts';

/** A path of the project as it is written in a file that lies in `folder`: `../data`, `.` for the folder itself. */
export function relativeTo(path: RepoPath, folder: RepoPath): string {
  const from = folder === '' ? [] : folder.split('/');
  const to = path === '' ? [] : path.split('/');
  let shared = 0;
  while (shared < from.length && shared < to.length && from[shared] === to[shared]) shared += 1;
  return [...from.slice(shared).map(() => '..'), ...to.slice(shared)].join('/') || '.';
}

/**
 * What a path that is written in a file in `folder` means: `.` and `..` are followed, a slash at the end is passed over. Undefined for what is
 * outside the project, absolute, or has a name that is not allowed.
 */
export function fromFolder(folder: RepoPath, written: string): RepoPath | undefined {
  const segments = folder === '' ? [] : folder.split('/');
  const names = written.split('/');
  if (names.length > 1 && names.at(-1) === '') names.pop();
  for (const name of names) {
    if (name === '.') continue;
    if (name === '..') {
      if (segments.pop() === undefined) return undefined;
    } else if (name === '') return undefined;
    else segments.push(name);
  }
  const path = segments.join('/');
  return path === '' || checkPath(path) === undefined ? (path as RepoPath) : undefined;
}
