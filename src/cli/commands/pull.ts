import { pull as pullTargets } from '../../workspace/pull.ts';
import { checkoutLines } from '../checkout-text.ts';
import { defineCommand } from '../command.ts';
import { explainTargets, TARGETS } from '../targets.ts';
import { fetchedRunLines } from '../run-cache-text.ts';
import { RUN_CACHE_OPTION, TRANSFER_OPTIONS } from '../transfer-options.ts';
import { fetchLines } from '../transfer-text.ts';

export const pull = defineCommand({
  details: ['mlv fetch, then mlv checkout. A TARGET inside a tracked folder gets just that part of it.'],
  positionals: TARGETS,
  options: {
    ...TRANSFER_OPTIONS,
    ...RUN_CACHE_OPTION,
    force: { type: 'boolean', short: 'f', about: 'overwrite and delete edits that were not recorded' },
  },
  example: { command: 'git pull && mlv pull', about: 'Gets what others have committed, then its data' },
  async run({ runCache, ...args }, { cwd, verb, open, isVerbose }) {
    const workspace = await open();
    const result = await explainTargets({ workspace, command: 'pull', targets: args.targets }, () =>
      pullTargets(workspace, { ...args, ...verb, cwd }),
    );
    const runs =
      runCache === true
        ? await (await import('../../workspace/run-transfer.ts')).fetchRuns(workspace, { ...args, ...verb })
        : undefined;
    return {
      data: runs === undefined ? result : { ...result, runCache: runs },
      text: (style) => {
        // Once is enough.
        const purged = result.fetch.purged.filter((line) => !result.checkout.purged.includes(line));
        return [
          ...fetchLines({ ...result.fetch, purged }, style, isVerbose ? Infinity : undefined),
          ...checkoutLines(result.checkout, style, isVerbose ? Infinity : undefined),
          ...(runs === undefined ? [] : fetchedRunLines(runs, style)),
        ];
      },
      exitCode: result.fetch.missing.length + result.fetch.failed.length > 0 ? 1 : 0,
    };
  },
});
