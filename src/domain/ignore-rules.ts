import { MlvError } from './errors.ts';
import { foldCase } from './glob.ts';
import type { IgnorePattern } from './ignore-pattern.ts';
import { parseIgnorePattern } from './ignore-pattern.ts';

/** The rules of several `.gitignore`s, or `.mlvignore`s: each holds below its own folder, and what is said last, or further down, counts. */
export interface IgnoreRules {
  /** True where nothing is ever ignored. */
  readonly areEmpty: boolean;
  /** Whether a path, or a folder that it is in, is ignored. */
  ignores(path: string, isFolder: boolean): boolean;
  /**
   * With those of one more file. Throws `too-many-patterns`, naming it.
   * @param folder that the file is in, '' at the top
   * @param name what messages call it
   */
  with(folder: string, text: string, name: string): IgnoreRules;
}

/** All other patterns are looked up by what they match: these are tried, one by one, with every path. */
const MAX_WILDCARDS = 10_000;

/** Rules that ignore nothing yet. */
export function ignoreRules({ ignoreCase }: { readonly ignoreCase: boolean }): IgnoreRules {
  return rulesOf([], ignoreCase);
}

/** The rules of one file. */
interface Layer {
  readonly folder: string;
  /** What is said last of a path relative to the folder; undefined where nothing is. */
  verdict(path: string, isFolder: boolean): boolean | undefined;
}

/** A folder on the way to what was asked for last. */
interface KnownFolder {
  readonly folder: string;
  readonly isIgnored: boolean;
}

/**
 * @param layers the innermost first
 * @param way folders, each in the one before: paths are asked for folder by folder
 */
function rulesOf(layers: readonly Layer[], ignoreCase: boolean, way: KnownFolder[] = []): IgnoreRules {
  const folded = (path: string): string => (ignoreCase ? foldCase(path) : path);

  function isFolderIgnored(folder: string): boolean {
    while (way.length > 0 && !isAtOrBelow(folder, way.at(-1)?.folder ?? '')) way.pop();
    let { folder: from, isIgnored } = way.at(-1) ?? { folder: '', isIgnored: false };
    while (from.length < folder.length) {
      const end = folder.indexOf('/', from.length + 1);
      from = folder.slice(0, end < 0 ? undefined : end);
      isIgnored ||= says(from, true);
      way.push({ folder: from, isIgnored });
    }
    return isIgnored;
  }

  function says(path: string, isFolder: boolean): boolean {
    for (const layer of layers) {
      const { length } = layer.folder;
      if (length > 0 && !(path[length] === '/' && path.startsWith(layer.folder))) continue;
      const verdict = layer.verdict(length === 0 ? path : path.slice(length + 1), isFolder);
      if (verdict !== undefined) return verdict;
    }
    return false;
  }

  return {
    areEmpty: layers.length === 0,
    ignores(path, isFolder) {
      if (layers.length === 0) return false;
      const asked = folded(path);
      return isFolderIgnored(asked.slice(0, Math.max(0, asked.lastIndexOf('/')))) || says(asked, isFolder);
    },
    with(folder, text, name) {
      const inside = folded(folder);
      const layer = parseLayer(text, { folder: inside, ignoreCase, name });
      // Of the folder itself, and those that it is in, the file says nothing.
      const above = way.filter((known) => isAtOrBelow(inside, known.folder));
      return layer === undefined ? this : rulesOf([layer, ...layers], ignoreCase, above);
    },
  };
}

function isAtOrBelow(path: string, folder: string): boolean {
  return path.startsWith(folder) && (path.length === folder.length || path[folder.length] === '/');
}

/** The last line that says something of a name or path. */
interface Saying {
  readonly line: number;
  readonly isNegated: boolean;
}

interface Wildcards extends Saying, Pick<IgnorePattern, 'isForFolders' | 'isForNames'> {
  readonly matches: (text: string) => boolean;
}

/** Undefined for a text without patterns. */
function parseLayer(
  text: string,
  { folder, ignoreCase, name }: { readonly folder: string; readonly ignoreCase: boolean; readonly name: string },
): Layer | undefined {
  const names = new Map<string, Saying>();
  const paths = new Map<string, Saying>();
  const wildcards: Wildcards[] = [];
  let longest = 0;
  for (const [line, written] of text
    .replace(/^\uFEFF/, '')
    .split('\n')
    .entries()) {
    const pattern = parseIgnorePattern(written.endsWith('\r') ? written.slice(0, -1) : written, ignoreCase);
    if (pattern === undefined) continue;
    const { matches, isNegated, isForFolders, isForNames } = pattern;
    const literals = isForNames ? names : paths;
    if (typeof matches === 'string') {
      literals.set(isForFolders ? `${matches}/` : matches, { line, isNegated });
      if (!isForNames) longest = Math.max(longest, matches.length);
    } else wildcards.push({ line, isNegated, isForFolders, isForNames, matches });
  }
  if (wildcards.length > MAX_WILDCARDS) throw tooMany(name, wildcards.length);
  if (names.size + paths.size + wildcards.length === 0) return undefined;
  wildcards.reverse();

  /** What is said last without wildcards. */
  function lookUp(path: string, base: string, isFolder: boolean): Saying | undefined {
    let last: Saying | undefined;
    for (const end of isFolder ? ['', '/'] : ['']) {
      // To look up a long path takes as long as to read it.
      for (const found of [names.get(base + end), path.length > longest ? undefined : paths.get(path + end)])
        if (found !== undefined && (last === undefined || found.line > last.line)) last = found;
    }
    return last;
  }

  return {
    folder,
    verdict(path, isFolder) {
      const base = path.slice(path.lastIndexOf('/') + 1);
      const found = lookUp(path, base, isFolder);
      for (const { line, isNegated, isForFolders, isForNames, matches } of wildcards) {
        if (found !== undefined && line < found.line) break;
        if ((isFolder || !isForFolders) && matches(isForNames ? base : path)) return !isNegated;
      }
      return found && !found.isNegated;
    },
  };
}

function tooMany(name: string, count: number): MlvError {
  return new MlvError({
    code: 'too-many-patterns',
    kind: 'refused',
    message: `${name} has ${count} patterns with wildcards, and at most ${MAX_WILDCARDS} are heeded`,
    hint: 'Ignore the folders that these files are in, or name the files without wildcards.',
  });
}
