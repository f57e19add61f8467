import type { Digest } from '../domain/digest.ts';
import { MlvError } from '../domain/errors.ts';
import type { RepoPath } from '../domain/repo-path.ts';
import type { TreePath } from '../domain/tree-path.ts';
import { treePathToText } from '../domain/tree-path.ts';
import { readEntries } from '../domain/tree-reader.ts';
import type { Selection } from './checkout-record.ts';
import type { Workspace } from './open.ts';

/**
 * Throws `not-tracked` for a selected path where none of these versions of a dataset (tree roots) has anything. Where the cache lacks
 * the pages that would tell, it is taken for granted.
 */
export function requireHeld(
  workspace: Workspace,
  path: RepoPath,
  roots: readonly Digest[],
  selection: Selection,
): void {
  if (selection === 'all') return;
  const wrong = selection.find((inner) => !roots.some((root) => mayHold(workspace, root, inner)));
  if (wrong !== undefined) throw holdsNo(path, wrong);
}

function mayHold(workspace: Workspace, root: Digest, inner: TreePath): boolean {
  try {
    return readEntries(root, workspace.cache().read, inner).next().done !== true;
  } catch (error) {
    if (error instanceof MlvError && (error.code === 'blob-missing' || error.kind === 'corrupt')) return true;
    throw error;
  }
}

/** The error for a path that a dataset does not have. */
export function holdsNo(path: string, inner: TreePath): MlvError {
  return new MlvError({
    code: 'not-tracked',
    kind: 'missing',
    message: `${path} holds no ${treePathToText(inner)}`,
    hint: 'Check the spelling; nothing was changed.',
  });
}
