import { join } from 'node:path';
import type { Digest } from '../domain/digest.ts';
import type { RepoPath } from '../domain/repo-path.ts';
import type { TreeEntry } from '../domain/tree.ts';
import { treePathToText } from '../domain/tree-path.ts';
import type { TreeCursor } from '../domain/tree-reader.ts';
import { fits, noRoom, roomAt } from '../platform/room.ts';
import { statsAt } from '../platform/stats-at.ts';
import { NO_RULES, walkTree } from '../platform/walk.ts';
import { LARGE_FILE_BYTES } from '../storage/ingest.ts';
import { ignoreRulesFor } from './ignore-rules.ts';
import type { Workspace } from './open.ts';
import { canReflink } from './open.ts';

/** Looking at sizes may take so long; where that does not do, the work begins without knowing. */
const PATIENCE_MS = 30;

/**
 * Stops before anything is stored where the cache's disk has no room for what it lacks. Only where what is to be added may be too
 * much for it are files read, without being stored, to find out what of them is new. Throws `no-space`.
 */
export async function requireRoomToAdd(
  workspace: Workspace,
  /** Absolute paths, and what of the project they are or become. */
  sources: readonly { readonly absolute: string; readonly path: RepoPath; readonly isOutside?: boolean }[],
  /** Reads what is there, without storing it. */
  examine: (path: RepoPath) => Promise<{ cursor(): TreeCursor }>,
): Promise<void> {
  const { cacheFolder, root } = workspace;
  const room = roomAt(cacheFolder);
  if (room === undefined) return;
  // No more can be added than there is.
  const isInside = sources.every(({ isOutside }) => isOutside !== true);
  const used = roomAt(root)?.usedBytes;
  if (isInside && used !== undefined && fits(room, used)) return;
  const sum = sumSizes(workspace, sources);
  if (sum === undefined || fits(room, sum)) return;
  const isShared = canReflink(cacheFolder, root);
  const counted = new Set<Digest>();
  let bytes = 0;
  for (const { path } of sources) {
    for (const { digest, size } of newEntries(workspace, (await examine(path)).cursor())) {
      if (counted.has(digest) || (isShared && size >= LARGE_FILE_BYTES)) continue;
      counted.add(digest);
      bytes += size;
    }
  }
  if (fits(room, bytes)) return;
  throw noRoom({
    what: 'are to be copied into the cache',
    folder: cacheFolder,
    room,
    bytes,
    hint: 'Nothing was changed. Make room there, or move the cache with "mlv config --local cache.dir FOLDER".',
  });
}

/** Entries that the cache lacks. Of a page that it has it has the files, or a checkout has left them out. */
function* newEntries(workspace: Workspace, cursor: TreeCursor): Generator<TreeEntry> {
  const cache = workspace.cache();
  for (let item = cursor.peek(); item !== undefined; item = cursor.peek()) {
    if (item.type === 'node' && !cache.has(item.node.digest)) {
      cursor.open();
      continue;
    }
    if (item.type === 'entry' && item.entry.kind !== 'd' && !cache.has(item.entry.digest)) yield item.entry;
    cursor.skip();
  }
}

/** Bytes of all files; undefined where finding out takes too long. */
function sumSizes(workspace: Workspace, sources: Parameters<typeof requireRoomToAdd>[1]): number | undefined {
  const end = performance.now() + PATIENCE_MS;
  let sum = 0;
  for (const { absolute, path, isOutside } of sources) {
    const stats = statsAt(absolute);
    if (stats?.isDirectory() !== true) {
      sum += stats?.size ?? 0;
      continue;
    }
    const rules = isOutside === true ? { rules: NO_RULES, base: '' } : ignoreRulesFor(workspace, path);
    for (const found of walkTree(absolute, { ...rules, problem: () => {} })) {
      if (performance.now() > end) return undefined;
      if (found.kind === 'file') sum += statsAt(join(absolute, treePathToText(found.path)))?.size ?? 0;
    }
  }
  return sum;
}
