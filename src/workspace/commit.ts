import { join } from 'node:path';
import { MlvError } from '../domain/errors.ts';
import { isInside, joinRepoPath } from '../domain/repo-path.ts';
import { treePathToText } from '../domain/tree-path.ts';
import { statsAt } from '../platform/stats-at.ts';
import type { AddResult } from './add.ts';
import { recordTargets } from './add.ts';
import type { AddTarget } from './add-target.ts';
import { targetOfTracked } from './add-target.ts';
import { requireAddable } from './require-addable.ts';
import type { Workspace } from './open.ts';
import type { VerbOptions } from './progress.ts';
import { status } from './status.ts';
import type { Targets } from './targets.ts';
import { resolveTarget, selectTracked } from './targets.ts';
import { madeByStage } from './tracked.ts';

/**
 * Records the edits of tracked paths: of those named, or of all that are in the workspace. Without targets, paths without edits
 * are passed over even where their pointer is ahead of the workspace. What stages made is left to these; named, it throws `made-by-stage`.
 */
export async function commit(workspace: Workspace, options: Targets & VerbOptions): Promise<AddResult> {
  const { cwd } = options;
  const selected = await selectTracked(workspace, options);
  const found: AddTarget[] = [];
  const named = options.targets.map((target) => resolveTarget(workspace, cwd, target));
  for (const { tracked, selection, isNamed } of selected) {
    if (tracked.made !== undefined) {
      const isMeant = named.some((path) => path === tracked.path || isInside(path, tracked.path));
      if (isMeant) throw madeByStage(tracked.path, tracked.made);
      continue;
    }
    const isPresent = isThere(workspace, tracked.path);
    if (!isPresent && !isNamed) continue;
    if (!isPresent) throw nothingThere(tracked.path);
    const inner = selection === 'all' ? undefined : selection;
    for (const path of inner ?? []) {
      const whole = joinRepoPath(tracked.path, treePathToText(path));
      // What was deleted is recorded as deleted.
      if (isThere(workspace, whole)) requireAddable(workspace, whole);
    }
    try {
      found.push({ ...(await targetOfTracked(workspace, tracked, false)), inner });
    } catch (error) {
      if (isNamed || !(error instanceof MlvError)) throw error;
      const { items } = await status(workspace, { targets: [join(workspace.root, tracked.path)], cwd });
      if (items.some(({ state }) => state === 'modified')) throw error;
    }
  }
  return recordTargets(workspace, found, options);
}

function isThere(workspace: Workspace, path: string): boolean {
  return statsAt(join(workspace.root, path)) !== undefined;
}

function nothingThere(path: string): MlvError {
  return new MlvError({
    code: 'path-missing',
    kind: 'missing',
    message: `${path} is not in the workspace, so there are no edits to record`,
    hint: `"mlv checkout ${path}" brings it back; "mlv remove ${path}" stops tracking it.`,
  });
}
