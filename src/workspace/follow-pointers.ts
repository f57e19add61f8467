import { MlvError } from '../domain/errors.ts';
import type { CommitId } from '../git/git.ts';
import { readCheckoutRecord, sameContent } from './checkout-record.ts';
import type { CheckoutOutcome } from './checkout.ts';
import { checkoutSelected } from './checkout.ts';
import type { Workspace } from './open.ts';
import type { VerbOptions } from './progress.ts';
import type { Selected } from './targets.ts';
import { readReferences, requireApart } from './list-tracked.ts';
import type { Tracked } from './tracked.ts';
import { contentOf, pointerPath } from './tracked.ts';
import { inRepository, readReferencesAt, referencesAt } from './version-at.ts';

/** What came of it; `unreadable` are pointers and locks that are none, or tell of the same paths: then nothing is done. */
export type FollowResult = CheckoutOutcome & { readonly unreadable: readonly MlvError[] };

/**
 * Brings what pointers and locks name now that Git has changed them, from the cache alone. Edits stay; where both sides changed, that path is
 * left alone. What is at its reference's version is not looked at, so that what was deleted stays so; nor is what was not here before
 * either, though `previous`, the commit that the workspace was at, tracked it.
 */
export async function followPointers(
  workspace: Workspace,
  { previous, ...verb }: VerbOptions & { readonly previous: CommitId | undefined },
): Promise<FollowResult> {
  const unreadable: MlvError[] = [];
  const selected: Selected[] = [];
  const all = await readReferences(workspace, (error) => unreadable.push(error));
  try {
    requireApart(all);
  } catch (error) {
    if (!(error instanceof MlvError)) throw error;
    unreadable.push(error);
    // Nobody can tell which of two versions belongs there.
    all.length = 0;
  }
  const wasTracked = createPreviousPaths(workspace, previous);
  for (const tracked of all) {
    try {
      const { path } = tracked;
      const content = contentOf(tracked.pointer);
      const { base, target } = readCheckoutRecord(workspace, path, content);
      if (target === undefined && sameContent(base, content)) continue;
      if (base === undefined && target === undefined && (await wasTracked(tracked))) continue;
      selected.push({ tracked, selection: 'all', isNamed: false });
    } catch (error) {
      if (!(error instanceof MlvError)) throw error;
      unreadable.push(error);
    }
  }
  const outcome = await checkoutSelected(workspace, selected, { ...verb, onConflict: 'skip' });
  return { ...outcome, unreadable };
}

/** Tells whether the commit before tracked a path by the same pointer, or by any lock; its locks are read once. */
function createPreviousPaths(workspace: Workspace, previous: CommitId | undefined) {
  let outputs: Promise<ReadonlySet<string>> | undefined;
  async function readOutputs(commit: CommitId): Promise<ReadonlySet<string>> {
    const locks = await referencesAt(workspace, commit, () => false);
    try {
      return new Set((await readReferencesAt(workspace, commit, locks, () => true)).map(({ path }) => path));
    } catch (error) {
      if (error instanceof MlvError) return new Set(); // a lock that nobody could read tracked nothing
      throw error;
    }
  }
  return async ({ path, made }: Tracked): Promise<boolean> => {
    const git = await workspace.git();
    if (previous === undefined || git === undefined) return false;
    if ((await git.readFile(previous, inRepository(workspace, pointerPath(path)))) !== undefined) return true;
    return made !== undefined && (await (outputs ??= readOutputs(previous))).has(path);
  };
}
