import { foldCase, matchGlob, parseGlob, type Glob } from './glob.ts';

/** One line of a `.gitignore` or `.mlvignore`, as Git reads it (`parse_path_pattern` and `match_pathname` in its dir.c). */
export interface IgnorePattern {
  /** Takes back what an earlier pattern ignores. */
  readonly isNegated: boolean;
  readonly isForFolders: boolean;
  /** Matches a name in any folder, rather than a path. */
  readonly isForNames: boolean;
  /**
   * All that it matches or, with wildcards, whether it does: a name where it is for names, else a path relative to the file's folder;
   * where case is ignored, in lower case.
   */
  readonly matches: string | ((text: string) => boolean);
}

/** No path is longer. */
const MAX_PATTERN_LENGTH = 4096;
const SPECIAL = /[*?[\\]/;

/** Reads a line without its end; undefined for a comment, and for what matches nothing. */
export function parseIgnorePattern(line: string, ignoreCase: boolean): IgnorePattern | undefined {
  if (line.startsWith('#') || line.length > MAX_PATTERN_LENGTH) return undefined;
  const trimmed = withoutTrailingSpaces(line);
  const isNegated = trimmed.startsWith('!');
  const isForFolders = trimmed.endsWith('/');
  const text = trimmed.slice(isNegated ? 1 : 0, isForFolders ? -1 : undefined);
  const isForNames = !text.includes('/');
  const relative = text.startsWith('/') ? text.slice(1) : text;
  if (text === '') return undefined;
  const common = { isNegated, isForFolders, isForNames };
  if (!SPECIAL.test(relative)) return { ...common, matches: ignoreCase ? foldCase(relative) : relative };
  const globs: Glob[] = [];
  for (const each of isForNames ? [relative] : spelledOut(relative)) {
    const glob = parseGlob(each, ignoreCase);
    if (glob === undefined) return undefined;
    globs.push(glob);
  }
  const names = globs.length > 1 ? [undefined] : globs.flat().map((name) => (name === '**' ? undefined : name.literal));
  if (!names.includes(undefined)) return { ...common, matches: names.join('/') };
  return {
    ...common,
    matches(path) {
      const parts = isForNames ? [path] : path.split('/');
      return globs.some((glob) => matchGlob(glob, parts));
    },
  };
}

/**
 * Git compares what comes before the first wildcard by itself, and so takes what follows for the beginning of a pattern: `**` then stands
 * for folders, too, where a name comes before it. `a**` + `/b` is `ab`, or b in a folder that begins with a, at any depth.
 */
function spelledOut(pattern: string): string[] {
  const [, start, rest] = /^([^*?[\\]*[^*?[\\/])\*{2,}\/(.*)$/s.exec(pattern) ?? [];
  return start === undefined || rest === undefined ? [pattern] : [`${start}${rest}`, `${start}*/**/${rest}`];
}

/** Spaces at the end count only after a backslash. */
function withoutTrailingSpaces(line: string): string {
  if (!line.endsWith(' ')) return line;
  let end = 0;
  for (let at = 0; at < line.length; at++) {
    if (line[at] === ' ') continue;
    if (line[at] === '\\') at += 1;
    end = at + 1;
  }
  return line.slice(0, end);
}
