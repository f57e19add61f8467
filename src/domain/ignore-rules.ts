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

/** @param layers the innermost first */
function rulesOf(layers: readonly Layer[], ignoreCase: boolean): IgnoreRules {
  /** Paths are asked for folder by folder. */
  let known = { folder: '', isIgnored: false };

  function ignores(path: string, isFolder: boolean): boolean {
    const folder = path.slice(0, Math.max(0, path.lastIndexOf('/')));
    if (folder !== known.folder) known = { folder, isIgnored: folder !== '' && ignores(folder, true) };
    if (known.isIgnored) return true;
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
    ignores: (path, isFolder) => layers.length > 0 && ignores(ignoreCase ? foldCase(path) : path, isFolder),
    with(folder, text, name) {
      const layer = parseLayer(text, { folder: ignoreCase ? foldCase(folder) : folder, ignoreCase, name });
      return layer === undefined ? this : rulesOf([layer, ...layers], ignoreCase);
    },
  };
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
  for (const [line, written] of text
    .replace(/^\uFEFF/, '')
    .split('\n')
    .entries()) {
    const pattern = parseIgnorePattern(written.endsWith('\r') ? written.slice(0, -1) : written, ignoreCase);
    if (pattern === undefined) continue;
    const { matches, isNegated, isForFolders, isForNames } = pattern;
    const literals = isForNames ? names : paths;
    if (typeof matches === 'string') literals.set(isForFolders ? `${matches}/` : matches, { line, isNegated });
    else wildcards.push({ line, isNegated, isForFolders, isForNames, matches });
  }
  if (wildcards.length > MAX_WILDCARDS) throw tooMany(name, wildcards.length);
  if (names.size + paths.size + wildcards.length === 0) return undefined;
  wildcards.reverse();

  /** What is said last without wildcards. */
  function lookUp(path: string, base: string, isFolder: boolean): Saying | undefined {
    let last: Saying | undefined;
    for (const end of isFolder ? ['', '/'] : ['']) {
      for (const found of [names.get(base + end), paths.get(path + end)])
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
