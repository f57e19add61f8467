import type { RepoPath } from '../domain/repo-path.ts';
import { repoBasename } from '../domain/repo-path.ts';
import { entryCursor } from '../domain/tree-cursors.ts';
import { treePathFromText } from '../domain/tree-path.ts';
import type { TreeCursor } from '../domain/tree-reader.ts';
import { EMPTY_CURSOR, openTree } from '../domain/tree-reader.ts';
import type { Content } from './checkout-record.ts';
import type { Workspace } from './open.ts';

/**
 * A version of a tracked path as a tree cursor, tree objects read from the cache: a tracked file is a tree with the one entry
 * of its name. Undefined content is an empty tree. Throws `blob-missing` where the cache lacks a tree object.
 */
export function openContent(workspace: Workspace, path: RepoPath, content: Content | undefined): TreeCursor {
  if (content === undefined) return EMPTY_CURSOR;
  const cache = workspace.cache();
  if (content.type === 'dir') return openTree(content.hash, cache.read);
  // Sizes are not compared: the digest stands for them.
  return entryCursor({
    path: treePathFromText(repoBasename(path)),
    kind: content.exec ? 'x' : 'f',
    size: cache.locate(content.hash)?.length ?? 0,
    digest: content.hash,
  });
}
