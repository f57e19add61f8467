import { join } from 'node:path';
import type { Workspace } from './open.ts';
import type { RootNotes } from './root-notes.ts';
import { openRootNotes } from './root-notes.ts';

/**
 * Roots of which the cache is known to have everything, so that a fetch with nothing to do need not look every blob up. Holds as
 * long as the cache's generation stays. Whoever finds that something is missing after all makes it forget.
 */
export function completeRoots(workspace: Workspace): RootNotes {
  return openRootNotes(join(workspace.sharedFolder, 'complete-roots'), workspace.cache().generation());
}
