import { rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Digest } from '../domain/digest.ts';
import { isDigest } from '../domain/digest.ts';
import { makeFolderDurably, readTextFile, writeFileDurably } from '../platform/durable-write.ts';
import type { Workspace } from './open.ts';

/** As many versions are remembered; one more pushes the oldest out. */
const MAX_ROOTS = 1_000;
const MAX_BYTES = 1 << 20;

/**
 * Roots of which the cache is known to have everything, so that a fetch with nothing to do need not look every blob up. Holds as
 * long as the cache's generation stays; discardable.
 */
export function readCompleteRoots(workspace: Workspace): ReadonlySet<Digest> {
  const [generation, ...roots] = (readTextFile(file(workspace), MAX_BYTES) ?? '').split('\n');
  return new Set(generation === workspace.cache().generation() ? roots.filter(isDigest) : []);
}

export function noteCompleteRoots(workspace: Workspace, roots: readonly Digest[]): void {
  const known = readCompleteRoots(workspace);
  const fresh = roots.filter((root) => !known.has(root));
  const generation = workspace.cache().generation();
  if (fresh.length === 0 || generation === '') return;
  const lines = [generation, ...[...fresh, ...known].slice(0, MAX_ROOTS), ''];
  makeFolderDurably(workspace.sharedFolder);
  writeFileDurably(file(workspace), lines.join('\n'));
}

/** Called when something turned out to be missing after all. */
export function forgetCompleteRoots(workspace: Workspace): void {
  rmSync(file(workspace), { force: true });
}

function file(workspace: Workspace): string {
  return join(workspace.sharedFolder, 'complete-roots');
}
