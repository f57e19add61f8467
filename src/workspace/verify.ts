import { MlvError } from '../domain/errors.ts';
import type { Workspace } from './open.ts';
import { learnPurges } from './purge-record.ts';
import type { TransferOptions } from './transfer-scope.ts';
import { verifyCache } from './verify-cache.ts';
import type { VerifyResult } from './verify-result.ts';
import { readVerifyScope } from './verify-scope.ts';

export interface VerifyOptions extends Omit<TransferOptions, 'remote'> {
  /** The remote instead of the cache: each version's own, or the one of this name. */
  readonly remote?: true | string | undefined;
  /** Only whether the remote is complete, from its indexes. */
  readonly quick?: boolean | undefined;
  /** How much of a remote's data is read, in percent. */
  readonly percent?: number | undefined;
  /** Repeats the choice of an earlier run. */
  readonly seed?: number | undefined;
  readonly repair?: boolean | undefined;
}

/**
 * Looks whether data is what it was when it was stored, and all there: in the cache, or on remotes. What is wrong is returned,
 * not thrown; with `repair` it is mended as far as there are good copies. Throws `usage` for options that do not go together.
 */
export async function verify(workspace: Workspace, options: VerifyOptions): Promise<VerifyResult> {
  requireFitting(options);
  await learnPurges(workspace);
  const { remote, ...rest } = options;
  const scope = await readVerifyScope(workspace, rest);
  if (options.quick === true) {
    const { verifyQuick } = await import('./verify-quick.ts');
    return verifyQuick(workspace, scope, options);
  }
  if (remote === undefined) return verifyCache(workspace, scope, options);
  const { verifyRemotes } = await import('./verify-remote.ts');
  return verifyRemotes(workspace, scope, options);
}

function requireFitting({ remote, quick, percent, seed, repair }: VerifyOptions): void {
  const wrong =
    quick === true && (repair === true || percent !== undefined)
      ? '--quick reads no data, so it does not go together with --repair and --percent'
      : percent !== undefined && remote === undefined
        ? '--percent is for remotes: it needs --remote'
        : percent !== undefined && percent > 100
          ? `--percent needs a number from 1 to 100, not ${percent}`
          : seed !== undefined && percent === undefined
            ? '--seed repeats the choice of --percent, and needs it'
            : undefined;
  if (wrong === undefined) return;
  throw new MlvError({ code: 'usage', kind: 'usage', message: wrong, hint: 'See mlv verify --help.' });
}
