import type { RepoPath } from '../domain/repo-path.ts';
import { diffTrees } from '../domain/tree-diff.ts';
import { MlvError } from '../domain/errors.ts';
import type { Content } from './checkout-record.ts';
import { openContent } from './content.ts';
import type { Workspace } from './open.ts';

/** How many entries of a tracked path two versions differ in. Zeros where the cache lacks the tree of the earlier version. */
export function countChanges(
  workspace: Workspace,
  { path, before, after }: { readonly path: RepoPath; readonly before: Content; readonly after: Content },
): { added: number; changed: number; removed: number } {
  const counts = { added: 0, changed: 0, removed: 0 };
  try {
    for (const change of diffTrees(openContent(workspace, path, before), openContent(workspace, path, after))) {
      counts[change.before === undefined ? 'added' : change.after === undefined ? 'removed' : 'changed'] += 1;
    }
  } catch (error) {
    if (!(error instanceof MlvError) || error.code !== 'blob-missing') throw error;
  }
  return counts;
}
