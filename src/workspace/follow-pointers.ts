import { MlvError } from '../domain/errors.ts';
import type { RepoPath } from '../domain/repo-path.ts';
import type { CommitId } from '../git/git.ts';
import { readCheckoutRecord, sameContent } from './checkout-record.ts';
import type { CheckoutOutcome } from './checkout.ts';
import { checkoutSelected } from './checkout.ts';
import type { Workspace } from './open.ts';
import type { VerbOptions } from './progress.ts';
import type { Selected } from './targets.ts';
import { contentOf, listPointers, pointerPath, readTracked } from './tracked.ts';

/** What came of it; `unreadable` are pointers that are none. */
export type FollowResult = CheckoutOutcome & { readonly unreadable: readonly MlvError[] };

/**
 * Brings what pointers name now that Git has changed them, from the cache alone. Edits stay; where both sides changed, that path is
 * left alone. What is at its pointer's version is not looked at, so that what was deleted stays so; nor is what was not here before
 * either, though `previous`, the commit that the workspace was at, tracked it.
 */
export async function followPointers(
  workspace: Workspace,
  { previous, ...verb }: VerbOptions & { readonly previous: CommitId | undefined },
): Promise<FollowResult> {
  const unreadable: MlvError[] = [];
  const selected: Selected[] = [];
  for (const path of listPointers(workspace)) {
    try {
      const tracked = await readTracked(workspace, path);
      if (tracked === undefined) continue;
      const content = contentOf(tracked.pointer);
      const { base, target } = readCheckoutRecord(workspace, path, content);
      if (target === undefined && sameContent(base, content)) continue;
      const isUnwanted = base === undefined && target === undefined && previous !== undefined;
      if (isUnwanted && (await wasTracked(workspace, previous, path))) continue;
      selected.push({ tracked, selection: 'all', isNamed: false });
    } catch (error) {
      if (!(error instanceof MlvError)) throw error;
      unreadable.push(error);
    }
  }
  const outcome = await checkoutSelected(workspace, selected, { ...verb, onConflict: 'skip' });
  return { ...outcome, unreadable };
}

async function wasTracked(workspace: Workspace, previous: CommitId, path: RepoPath): Promise<boolean> {
  const git = await workspace.git();
  const file = pointerPath(path);
  return (await git?.readFile(previous, workspace.prefix === '' ? file : `${workspace.prefix}/${file}`)) !== undefined;
}
