import { checkout as checkoutTargets } from '../../workspace/checkout.ts';
import { checkoutLines } from '../checkout-text.ts';
import { defineCommand } from '../command.ts';
import { explainTargets, TARGETS } from '../targets.ts';

export const checkout = defineCommand({
  details: [
    'Brings files and folders to the version that their pointers name, from the cache. Edits of yours stay; where both sides changed the same file it stops before it changes anything.',
  ],
  positionals: TARGETS,
  options: {
    force: { type: 'boolean', short: 'f', about: 'overwrite and delete edits that were not recorded' },
    relink: { type: 'boolean', about: 'make every file anew, as cache.links says' },
  },
  example: { command: 'git switch main && mlv checkout', about: 'Brings the data to the version of the branch' },
  async run(args, { cwd, verb, open, isVerbose }) {
    const workspace = await open();
    const result = await explainTargets({ workspace, command: 'checkout', targets: args.targets }, () =>
      checkoutTargets(workspace, { ...args, ...verb, cwd }),
    );
    return { data: result, text: (style) => checkoutLines(result, style, isVerbose ? Infinity : undefined) };
  },
});
