import { join } from 'node:path';
import type { IgnoreRules } from '../domain/ignore-rules.ts';
import { ignoreRules } from '../domain/ignore-rules.ts';
import { readIgnoreText } from '../platform/ignore-file.ts';
import { statsAt } from '../platform/stats-at.ts';
import { isTrue, readGitConfigFile } from './config-file.ts';
import { folderOf } from './paths.ts';

export interface IgnoreSources {
  readonly workTree: string;
  /** Where `info/exclude` is; without it, only `.gitignore` files count. */
  readonly commonDir?: string;
  /** What `core.excludesFile` names: the user's own rules. */
  readonly excludesFile?: string | undefined;
}

/**
 * Git's rules for the top of a work tree, `.gitignore` there not yet read (`withGitignore('')` adds it). The index is not asked: a
 * tracked file is never ignored, which the caller knows.
 */
export function baseRules({ commonDir, excludesFile }: IgnoreSources): IgnoreRules {
  const ignoreCase =
    commonDir !== undefined && isTrue(readGitConfigFile(join(commonDir, 'config')).get('core.ignorecase'));
  // The user's own rules give way to the repository's, those to `.gitignore`.
  const exclude = commonDir === undefined ? undefined : join(commonDir, 'info', 'exclude');
  return [excludesFile, exclude].reduce(
    (rules, file) => (file === undefined ? rules : rules.with('', readIgnoreText(file), file)),
    ignoreRules({ ignoreCase }),
  );
}

/** The rules that hold in a folder of the work tree, given those above it. Throws `too-many-patterns`, and as `readIgnoreText` does. */
export function withGitignore(rules: IgnoreRules, workTree: string, folder: string): IgnoreRules {
  const path = join(workTree, folder, '.gitignore');
  // Git does not follow one that is a symbolic link.
  const isFile = statsAt(path)?.isFile() === true;
  return isFile ? rules.with(folder, readIgnoreText(path), path) : rules;
}

/** The rules inside a folder of the work tree, reading every `.gitignore` on the way down to it. */
export function rulesInside(sources: IgnoreSources): (folder: string) => IgnoreRules {
  const known = new Map<string, IgnoreRules>();
  const inside = (folder: string): IgnoreRules => {
    const before = known.get(folder);
    if (before !== undefined) return before;
    const above = folder === '' ? baseRules(sources) : inside(folderOf(folder));
    const rules = withGitignore(above, sources.workTree, folder);
    known.set(folder, rules);
    return rules;
  };
  return inside;
}
