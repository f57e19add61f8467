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
    scoped === undefined ? fetched : { remotes: fetched.remotes, missing: [...scoped.missing, ...fetched.missing] };
  try {
    return { fetch: result, checkout: await checkout(workspace, { ...options, mayFetch: true }) };
  } catch (error) {
    if (!(error instanceof MlvError) || error.code !== 'checkout-incomplete' || result.missing.length === 0)
      throw error;
    throw new MlvError({
      code: 'pull-incomplete',
      kind: 'missing',
      message: `${result.missing.length} ${result.missing.length === 1 ? 'path is' : 'paths are'} not on the remote; everything else was checked out`,
      items: result.missing,
      hint: 'Push the data from where it is ("mlv push" in the clone that added it), then pull again.',
      cause: error,
    });
  }
}
