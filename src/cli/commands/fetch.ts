import { fetch as fetchTargets } from '../../workspace/fetch.ts';
import { defineCommand } from '../command.ts';
import { explainTargets, TARGETS } from '../targets.ts';
import { fetchedRunLines } from '../run-cache-text.ts';
import { RUN_CACHE_OPTION, TRANSFER_OPTIONS } from '../transfer-options.ts';
import { fetchLines } from '../transfer-text.ts';

export const fetch = defineCommand({
  details: [
    'Gets data into the cache and leaves the workspace as it is: mlv checkout comes after, or mlv pull does both.',
  ],
  positionals: TARGETS,
  options: { ...TRANSFER_OPTIONS, ...RUN_CACHE_OPTION },
  example: { command: 'mlv fetch --all-branches', about: 'Gets all there is to know for working without network' },
  async run({ runCache, ...args }, { cwd, verb, open, isVerbose }) {
    const workspace = await open();
    const result = await explainTargets({ workspace, command: 'fetch', targets: args.targets }, () =>
      fetchTargets(workspace, { ...args, ...verb, cwd }),
    );
    const runs =
      runCache === true
        ? await (await import('../../workspace/run-transfer.ts')).fetchRuns(workspace, { ...args, ...verb })
        : undefined;
    return {
      data: runs === undefined ? result : { ...result, runCache: runs },
      text: (style) => [
        ...fetchLines(result, style, isVerbose ? Infinity : undefined),
        ...(runs === undefined ? [] : fetchedRunLines(runs, style)),
      ],
      exitCode: result.missing.length + result.failed.length > 0 ? 1 : 0,
    };
  },
});
