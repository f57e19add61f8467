import { join } from 'node:path';
import { MlvError } from '../domain/errors.ts';
import type { Stage } from '../domain/pipeline.ts';
import type { RepoPath } from '../domain/repo-path.ts';
import { treePathToText } from '../domain/tree-path.ts';
import { statsAt } from '../platform/stats-at.ts';
import { checkout } from './checkout.ts';
import { isSelected, readCheckoutRecord } from './checkout-record.ts';
import { oneAtATime } from './one-at-a-time.ts';
import type { Workspace } from './open.ts';
import type { VerbOptions } from './progress.ts';
import { pull } from './pull.ts';
import type { Selected } from './targets.ts';
import { selectTracked } from './targets.ts';
import { contentOf } from './tracked.ts';

/**
 * Brings what a stage reads into the workspace, as far as it is tracked and not there: from the cache, else from remotes. What is there
 * stays as it is. Throws what `checkout` and `pull` do.
 */
export async function bringInputs(
  workspace: Workspace,
  { stage, ...options }: VerbOptions & { readonly stage: Stage },
): Promise<void> {
  // Stages that run beside each other mostly read the same.
  await oneAtATime(workspace, 'inputs', async () => {
    const lacking = [...(await lackingInputs(workspace, stage)).keys()];
    if (lacking.length === 0) return;
    const wanted = { ...options, targets: lacking, cwd: workspace.root };
    try {
      await checkout(workspace, wanted);
    } catch (error) {
      // What the cache has needs no remote.
      const isLacking = error instanceof MlvError && error.kind === 'missing';
      if (!isLacking || workspace.settings.remotes.size === 0) throw error;
      await pull(workspace, wanted);
    }
  });
}

/** What a stage reads that is tracked and not wholly in the workspace: bytes of it, by dependency. */
export async function lackingInputs(workspace: Workspace, { deps }: Stage): Promise<ReadonlyMap<RepoPath, number>> {
  const lacking = new Map<RepoPath, number>();
  for (const path of deps) {
    // A file is there or not; of a folder parts may be missing.
    if (statsAt(join(workspace.root, path))?.isFile() === true) continue;
    const away = (await trackedAt(workspace, path)).filter((each) => !isHere(workspace, each));
    if (away.length === 0) continue;
    lacking.set(
      path,
      away.reduce((sum, { tracked }) => sum + tracked.pointer.size, 0),
    );
  }
  return lacking;
}

async function trackedAt(workspace: Workspace, path: RepoPath): Promise<readonly Selected[]> {
  try {
    return await selectTracked(workspace, { targets: [path], cwd: workspace.root });
  } catch (error) {
    if (error instanceof MlvError && error.code === 'not-tracked') return [];
    throw error;
  }
}

function isHere(workspace: Workspace, { tracked, selection }: Selected): boolean {
  const { path, pointer } = tracked;
  const { selected } = readCheckoutRecord(workspace, path, contentOf(pointer));
  const root = join(workspace.root, path);
  if (statsAt(root) === undefined) return false;
  if (selection === 'all') return selected === 'all';
  // What was deleted by hand counts as recorded to a stage that names it, and so has to be there.
  return selection.every(
    (inner) => isSelected(selected, inner) && statsAt(`${root}/${treePathToText(inner)}`) !== undefined,
  );
}
