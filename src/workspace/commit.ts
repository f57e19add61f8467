import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { MlvError } from '../domain/errors.ts';
import { treePathToText } from '../domain/tree-path.ts';
import type { AddResult } from './add.ts';
import { recordTargets } from './add.ts';
import type { AddTarget } from './add-target.ts';
import { findAddTargets, targetOfTracked } from './add-target.ts';
import type { Workspace } from './open.ts';
import type { VerbOptions } from './progress.ts';
import { status } from './status.ts';
import type { Targets } from './targets.ts';
import { selectTracked } from './targets.ts';

/**
 * Records the edits of tracked paths: of those named, or of all that are in the workspace. Without targets, paths without edits
 * are passed over even where their pointer is ahead of the workspace.
 */
export async function commit(workspace: Workspace, options: Targets & VerbOptions): Promise<AddResult> {
  const { cwd } = options;
  const selected = await selectTracked(workspace, options);
  const found: AddTarget[] = [];
  for (const { tracked, selection, isNamed } of selected) {
    const isPresent = existsSync(join(workspace.root, tracked.path));
    if (!isPresent && !isNamed) continue;
    if (selection !== 'all') {
      const inner = selection.map((path) => join(workspace.root, tracked.path, treePathToText(path)));
      found.push(...(await findAddTargets(workspace, { targets: inner, cwd })));
      continue;
    }
    try {
      found.push(targetOfTracked(workspace, tracked, false));
    } catch (error) {
      if (isNamed || !(error instanceof MlvError)) throw error;
      const { items } = await status(workspace, { targets: [join(workspace.root, tracked.path)], cwd });
      if (items.some(({ state }) => state === 'modified')) throw error;
    }
  }
  return recordTargets(workspace, found, options);
}
