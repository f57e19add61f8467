import { MlvError } from '../domain/errors.ts';
import type { CheckoutResult } from './checkout.ts';
import { checkout } from './checkout.ts';
import type { FetchResult } from './fetch.ts';
import { fetch } from './fetch.ts';
import type { Workspace } from './open.ts';
import { hasRevisionScope } from './push.ts';
import type { TransferOptions } from './transfer-scope.ts';

export interface PullResult {
  readonly fetch: FetchResult;
  readonly checkout: CheckoutResult;
}

/**
 * Fetches, then checks out what the workspace's pointers name. With a scope of revisions these are fetched beside the workspace's
 * own. What the remote does not have is left out of the checkout, which then throws `checkout-incomplete`.
 */
export async function pull(
  workspace: Workspace,
  options: TransferOptions & { readonly force?: boolean | undefined },
): Promise<PullResult> {
  const scoped = hasRevisionScope(options) ? await fetch(workspace, options) : undefined;
  const { rev: _rev, allBranches: _b, allTags: _t, allCommits: _c, ...own } = options;
  const fetched = await fetch(workspace, own, 'selected');
  const result =
    scoped === undefined
      ? fetched
      : {
          remotes: fetched.remotes,
          missing: [...scoped.missing, ...fetched.missing],
          needsRepair: scoped.needsRepair || fetched.needsRepair,
          purged: [...scoped.purged, ...fetched.purged],
          failed: [...scoped.failed, ...fetched.failed],
        };
  try {
    return { fetch: result, checkout: await checkout(workspace, { ...options, mayFetch: true }) };
  } catch (error) {
    if (!(error instanceof MlvError) || error.code !== 'checkout-incomplete') throw error;
    const { missing, needsRepair, failed } = result;
    const count = missing.length + failed.length;
    if (count === 0) throw error;
    const paths = count === 1 ? 'path' : 'paths';
    throw new MlvError({
      code: 'pull-incomplete',
      kind: missing.length > 0 ? 'missing' : 'io',
      message:
        failed.length > 0
          ? `${count} ${paths} could not be fetched; everything else was checked out`
          : `${count} ${paths} ${count === 1 ? 'is' : 'are'} not on the remote${needsRepair ? ', or damaged there' : ''}; everything else was checked out`,
      items: [...missing, ...failed.map(({ path, reason }) => `${path}: ${reason}`)],
      hint: needsRepair
        ? 'Run "mlv verify --remote --repair" in a clone that has the data, then pull again.'
        : missing.length > 0
          ? 'Push the data from where it is ("mlv push" in the clone that added it), then pull again.'
          : 'Pull again later: what came is not fetched again.',
      cause: error,
    });
  }
}
