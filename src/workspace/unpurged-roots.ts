import { join } from 'node:path';
import type { Digest } from '../domain/digest.ts';
import type { PurgeRecord } from '../domain/purge-record.ts';
import type { LoadObject } from '../domain/tree-reader.ts';
import { readEntries } from '../domain/tree-reader.ts';
import { hashEngine } from '../platform/hash.ts';
import type { Workspace } from './open.ts';
import { openRootNotes } from './root-notes.ts';

/** Names all that was purged: what holds because of one record holds while this stays the same. */
export function keyOfPurges(purged: PurgeRecord): string {
  return hashEngine()
    .hash(Buffer.from([...purged.keys()].join('')))
    .toString('hex', 0, 16);
}

/**
 * Whether a tree names something that was purged. All of it is read for that, so trees without are remembered. Throws
 * `blob-missing` where `load` lacks an object.
 */
export function holdsPurged(workspace: Workspace, root: Digest, load: LoadObject): boolean {
  const purged = workspace.purged();
  if (purged.size === 0) return false;
  const notes = openRootNotes(join(workspace.sharedFolder, 'unpurged-roots'), keyOfPurges(purged));
  if (notes.read().has(root)) return false;
  for (const { digest } of readEntries(root, load)) if (purged.has(digest)) return true;
  notes.note([root]);
  return false;
}
