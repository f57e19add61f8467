import type { Workspace } from './open.ts';
import { openNamedRemote } from './open-remote.ts';
import { groupByRemote } from './push.ts';
import type { FindPlaces } from './remote-trees.ts';
import { findIncomplete, listMissing, openRemoteTrees } from './remote-trees.ts';
import { withScratch } from './scratch.ts';
import type { VerifyOptions } from './verify.ts';
import type { MissingList, VerifiedSide, VerifyResult } from './verify-result.ts';
import { createMissingList, sumMissing } from './verify-result.ts';
import type { VerifyScope } from './verify-scope.ts';

/**
 * Answers from indexes alone whether remotes have all that the versions name: a root is indexed only with everything below it.
 * Tree pages are read only where one is not, to tell what is missing.
 */
export async function verifyQuick(
  workspace: Workspace,
  scope: VerifyScope,
  { remote: asked, signal }: VerifyOptions,
): Promise<VerifyResult> {
  const sides: VerifiedSide[] = [];
  const found: MissingList[] = [];
  const groups = groupByRemote(workspace, scope.versions, asked === true ? undefined : asked);
  for (const [name, versions] of groups) {
    const { remote, home, url } = await openNamedRemote(workspace, name, { signal });
    try {
      remote.requirePresent();
      const find: FindPlaces = (digests, as) => remote.find(digests, as, signal);
      const incomplete = await findIncomplete(versions, find, workspace.purged());
      if (incomplete.length > 0) {
        await withScratch(workspace, async (scratch) => {
          const trees = openRemoteTrees(workspace, { home, find, scratch, signal });
          try {
            const missing = createMissingList();
            await listMissing(incomplete, trees, { find, missing, purged: workspace.purged() });
            found.push(missing);
          } finally {
            trees.close();
          }
        });
      }
      const indexes = remote.indexes();
      const blobs = indexes.reduce((sum, { head }) => sum + head.rows, 0);
      const packs = indexes.reduce((sum, { head }) => sum + head.keys, 0);
      sides.push({ side: name, where: url, blobs, packs, indexes: indexes.length, bytes: 0, unindexed: 0 });
    } finally {
      remote.close();
    }
  }
  return {
    versions: scope.versions.length,
    sides,
    problems: scope.problems,
    ...sumMissing(found),
    notInCache: 0,
    repaired: [],
    seed: undefined,
    clean: found.every(({ items }) => items.length === 0) && scope.problems.length === 0,
  };
}
