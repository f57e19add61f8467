import { lstatSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import ignore, { type Ignore } from 'ignore';
import { hasErrorCode } from '../domain/errors.ts';
import { patternLines } from '../domain/gitignore-line.ts';
import { isTrue, readGitConfigFile } from './config-file.ts';
import { folderOf } from './paths.ts';

export interface IgnoreSources {
  readonly workTree: string;
  /** Where `info/exclude` is; without it, only `.gitignore` files count. */
  readonly commonDir?: string;
  /** What `core.excludesFile` names: the user's own rules. */
  readonly excludesFile?: string | undefined;
}

/** The rules in force for what is directly in one folder: its own `.gitignore` and those above it. */
export interface IgnoreRules {
  /**
   * Whether Git ignores this path (repo-relative), itself or a folder it is in. The index is not asked: a tracked file is
   * never ignored, which the caller knows.
   */
  excludes(path: string, isFolder: boolean): boolean;
  /** The rules inside a folder below, given the text of its `.gitignore`. */
  within(folder: string, gitignore: string): IgnoreRules;
}

/** The rules for the top of a work tree, `.gitignore` there not yet read (`within('', …)` adds it). */
export function baseRules(sources: IgnoreSources): IgnoreRules {
  const { commonDir, excludesFile } = sources;
  const ignoreCase =
    commonDir !== undefined && isTrue(readGitConfigFile(join(commonDir, 'config')).get('core.ignorecase'));
  const empty = (): Ignore => ignore({ ignorecase: ignoreCase });
  const base = empty();
  // The last matching pattern decides: the user's own rules give way to the repository's, those to `.gitignore`.
  if (excludesFile !== undefined) base.add(patternLines(readText(excludesFile)));
  if (commonDir !== undefined) base.add(patternLines(readText(join(commonDir, 'info', 'exclude'))));
  return wrap(base, empty);
}

/** The rules inside a folder of the work tree, reading every `.gitignore` on the way down to it. */
export function rulesInside(sources: IgnoreSources): (folder: string) => IgnoreRules {
  const known = new Map<string, IgnoreRules>();
  const inside = (folder: string): IgnoreRules => {
    const before = known.get(folder);
    if (before !== undefined) return before;
    const above = folder === '' ? baseRules(sources) : inside(folderOf(folder));
    const rules = above.within(folder, readGitignore(join(sources.workTree, folder)));
    known.set(folder, rules);
    return rules;
  };
  return inside;
}

/** Text of the `.gitignore` in a folder, empty where there is none. Git does not follow one that is a symbolic link. */
export function readGitignore(folder: string): string {
  const path = join(folder, '.gitignore');
  try {
    return lstatSync(path).isFile() ? readText(path) : '';
  } catch (error) {
    if (hasErrorCode(error, 'ENOENT', 'ENOTDIR')) return '';
    throw error;
  }
}

function wrap(rules: Ignore, empty: () => Ignore): IgnoreRules {
  return {
    excludes: (path, isFolder) => rules.ignores(isFolder ? `${path}/` : path),
    within: (folder, gitignore) => {
      const own = patternLines(gitignore).flatMap((line) => anchored(folder, line));
      return own.length === 0 ? wrap(rules, empty) : wrap(empty().add(rules).add(own), empty);
    },
  };
}

/**
 * A pattern of `FOLDER/.gitignore` written as one of the top folder. One list for the whole chain is what lets a deeper `!`
 * undo a rule from above, for the folder and so for what is in it.
 */
function anchored(folder: string, line: string): string[] {
  if (line.trim() === '' || line.startsWith('#')) return [];
  if (folder === '') return [line];
  const negated = line.startsWith('!');
  const pattern = negated ? line.slice(1) : line;
  const hasInnerSlash = /\/(?!\s*$)/.test(pattern);
  const relative = pattern.startsWith('/') ? pattern.slice(1) : pattern;
  if (relative.trim() === '') return [];
  const prefix = folder.replace(/[\\*?[\]!# ]/g, '\\$&');
  return [`${negated ? '!' : ''}/${prefix}/${hasInnerSlash ? '' : '**/'}${relative}`];
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8').replace(/^\uFEFF/, '');
  } catch (error) {
    if (hasErrorCode(error, 'ENOENT', 'ENOTDIR')) return '';
    throw error;
  }
}
