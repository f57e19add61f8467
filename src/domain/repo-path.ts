import { MlvError } from './errors.ts';
import { checkPath } from './path-rules.ts';

/** A path inside the repository: relative to its root, POSIX, normalised, a name that trees and pointers may hold. The root itself is ''. */
export type RepoPath = string & { readonly __brand: 'RepoPath' };

export const REPO_ROOT = '' as RepoPath;

/** Parses a path that is already relative to the repository's root; '' is the root. Throws `path-invalid`. */
export function parseRepoPath(text: string): RepoPath {
  const reason = text === '' ? undefined : checkPath(text);
  if (reason !== undefined) {
    throw new MlvError({
      code: 'path-invalid',
      kind: 'refused',
      message: `not a path that mlv can track: ${JSON.stringify(text.slice(0, 300))}: ${reason}`,
      hint: 'Paths lie inside the repository, and keep clear of names that Git, mlv or some file systems give a meaning of their own.',
    });
  }
  return text as RepoPath;
}

/** `parent/name`; the name may be a relative path of several segments. Throws `path-invalid`. */
export function joinRepoPath(parent: RepoPath, name: string): RepoPath {
  return parseRepoPath(parent === '' ? name : `${parent}/${name}`);
}

/** The folder that holds it; '' for what lies at the root, and for the root itself. */
export function repoDirname(path: RepoPath): RepoPath {
  return path.slice(0, Math.max(0, path.lastIndexOf('/'))) as RepoPath;
}

/** The last segment. */
export function repoBasename(path: RepoPath): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

/** True when `child` lies somewhere below `parent`; a path is not inside itself. */
export function isInside(child: RepoPath, parent: RepoPath): boolean {
  return parent === '' ? child !== '' : child.startsWith(`${parent}/`);
}

/** True when one of two paths is the other, or lies somewhere below it. */
export function meet(a: RepoPath, b: RepoPath): boolean {
  return a === b || isInside(a, b) || isInside(b, a);
}

/** `child` as seen from `parent`, '' when they are the same. Undefined when it lies elsewhere. */
export function relativeRepoPath(child: RepoPath, parent: RepoPath): RepoPath | undefined {
  if (child === parent) return REPO_ROOT;
  if (!isInside(child, parent)) return undefined;
  return (parent === '' ? child : child.slice(parent.length + 1)) as RepoPath;
}
