import type { TreeEntry } from '../domain/tree.ts';
import { createSeeker } from '../domain/tree-cursors.ts';
import type { TreePath } from '../domain/tree-path.ts';
import type { TreeCursor } from '../domain/tree-reader.ts';
import type { Workspace } from './open.ts';

/**
 * Gives entries of a scan, in order, the kind they have. Where the disk keeps no executable bits a file is executable if it was
 * so in the version that `openBase` gives, as with Git.
 */
export function modesOf(workspace: Workspace, openBase: () => TreeCursor): (entry: TreeEntry) => TreeEntry {
  if (workspace.keepsModes()) return (entry) => entry;
  let seek: ((path: TreePath) => TreeEntry | undefined) | undefined;
  return (entry) => {
    if (entry.kind !== 'f') return entry;
    seek ??= createSeeker(openBase());
    return seek(entry.path)?.kind === 'x' ? { ...entry, kind: 'x' } : entry;
  };
}
