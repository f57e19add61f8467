import type { GitFile } from './git.ts';

/** Files by path (code units); the order of files with one path is kept. */
export function sortByPath<File extends Pick<GitFile, 'path'>>(files: File[]): File[] {
  return files.sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0));
}

/** Whether a mode, as Git writes it, is that of a file: neither a symbolic link nor a submodule. */
export function isRegularFile(mode: string): boolean {
  return mode.startsWith('100');
}

/** Whether a mode is that of a submodule. */
export function isSubmodule(mode: string): boolean {
  return mode === '160000';
}

/** A test whether a path is one of these, or in one of these folders. */
export function isAtOrBelow(paths: readonly string[]): (path: string) => boolean {
  const wanted = new Set(paths);
  return (path) => {
    if (wanted.has(path) || wanted.has('')) return true;
    for (let at = path.indexOf('/'); at !== -1; at = path.indexOf('/', at + 1)) {
      if (wanted.has(path.slice(0, at))) return true;
    }
    return false;
  };
}

/** The folder a path is in, '' at the top. */
export function folderOf(path: string): string {
  return path.slice(0, Math.max(0, path.lastIndexOf('/')));
}

/** The folders that a path is in, innermost first, without the top. */
export function ancestorsOf(path: string): string[] {
  const found: string[] = [];
  for (let folder = folderOf(path); folder !== ''; folder = folderOf(folder)) found.push(folder);
  return found;
}

/** These paths and all folders they are in. */
export function withAncestors(paths: Iterable<string>): Set<string> {
  const all = new Set<string>();
  for (const path of paths) {
    for (let part = path; part !== '' && !all.has(part); part = folderOf(part)) all.add(part);
  }
  return all;
}
