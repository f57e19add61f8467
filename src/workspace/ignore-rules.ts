import { join } from 'node:path';
import type { RepoPath } from '../domain/repo-path.ts';
import type { IgnoreRules } from '../domain/ignore-rules.ts';
import { NO_RULES, withMlvignore } from '../platform/walk.ts';
import type { Workspace } from './open.ts';

/** The `.mlvignore` rules that hold at a tracked path: those of the project's root and of every folder on the way. */
export function ignoreRulesFor(
  workspace: Workspace,
  path: RepoPath,
): { readonly rules: IgnoreRules; readonly base: string } {
  let rules = NO_RULES;
  const segments = path.split('/');
  for (let depth = 0; depth < segments.length; depth++) {
    const folder = segments.slice(0, depth).join('/');
    rules = withMlvignore(rules, folder, join(workspace.root, folder));
  }
  return { rules, base: path };
}
