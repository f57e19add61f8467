import { checkout as checkoutTargets } from '../../workspace/checkout.ts';
import type { CheckoutOptions } from '../../workspace/checkout.ts';
import type { Workspace } from '../../workspace/open.ts';
import { MlvError } from '../../domain/errors.ts';
import { checkoutLines } from '../checkout-text.ts';
import type { Report } from '../command.ts';
import { defineCommand } from '../command.ts';
import { mergeLines } from '../merge-text.ts';
import { explainTargets, TARGETS } from '../targets.ts';

export const checkout = defineCommand({
  details: [
    'Brings files and folders to the version that their pointers name, from the cache. Edits of yours stay; where both sides changed the same file it stops before it changes anything.',
    'After a merge that both sides have changed the same data in, --ours and --theirs choose a side: of a file, or of all that is left in a tracked path. Where nothing is left, the pointer is staged and the data brought.',
  ],
  positionals: TARGETS,
  options: {
    force: { type: 'boolean', short: 'f', about: 'overwrite and delete edits that were not recorded' },
    relink: { type: 'boolean', about: 'make every file anew, as cache.links says' },
    ours: { type: 'boolean', about: "in a merge, take the current branch's side of a conflict" },
    theirs: { type: 'boolean', about: 'in a merge, take the other side of a conflict' },
  },
  example: { command: 'git switch main && mlv checkout', about: 'Brings the data to the version of the branch' },
  async run({ ours, theirs, ...args }, { cwd, verb, open, isVerbose }) {
    const limit = isVerbose ? Infinity : undefined;
    const options = { ...args, ...verb, cwd };
    if (ours === true || theirs === true) {
      if (ours === theirs || args.targets.length === 0) throw oneSide();
      return resolve(await open(), { ...options, side: ours === true ? 'ours' : 'theirs' }, limit);
    }
    const workspace = await open();
    const result = await explainTargets({ workspace, command: 'checkout', targets: args.targets }, () =>
      checkoutTargets(workspace, options),
    );
    return { data: result, text: (style) => checkoutLines(result, style, limit) };
  },
});

/** Resolves conflicts of a merge, then brings the data of what is resolved. */
async function resolve(
  workspace: Workspace,
  options: CheckoutOptions & { readonly side: 'ours' | 'theirs' },
  limit: number | undefined,
): Promise<Report> {
  const { resolveMerge } = await import('../../workspace/resolve-merge.ts');
  const result = await resolveMerge(workspace, options);
  const targets = result.resolved.flatMap(({ path, isRemoved }) => (isRemoved ? [] : [path]));
  const brought = targets.length === 0 ? undefined : await bring(workspace, { ...options, targets });
  return {
    data: { ...result, ...brought },
    text: (style) => [
      ...mergeLines(result, style, limit),
      ...(brought?.checkout === undefined ? [] : checkoutLines(brought.checkout, style, limit)),
      ...(brought?.unfinished === undefined
        ? []
        : [style.changed(brought.unfinished.message), `${style.command('hint:')} ${brought.unfinished.hint}`]),
    ],
    ...(brought?.unfinished !== undefined && { exitCode: 1 }),
  };
}

/** That data cannot be brought yet changes nothing of what was resolved. */
async function bring(workspace: Workspace, options: CheckoutOptions) {
  try {
    // Paths of the project, wherever one stands in it.
    return { checkout: await checkoutTargets(workspace, { ...options, cwd: workspace.root }) };
  } catch (error) {
    if (!(error instanceof MlvError) || error.kind === 'interrupted') throw error;
    const { code, message, hint = 'mlv checkout' } = error;
    return { unfinished: { code, message, hint } };
  }
}

function oneSide(): MlvError {
  return new MlvError({
    code: 'usage',
    kind: 'usage',
    message: 'a conflict is resolved by one side, for the paths that are named',
    hint: '"mlv checkout --ours PATH" or "mlv checkout --theirs PATH"; "mlv status" lists the conflicts',
  });
}
