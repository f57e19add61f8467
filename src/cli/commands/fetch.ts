import { fetch as fetchTargets } from '../../workspace/fetch.ts';
import { defineCommand } from '../command.ts';
import { explainTargets, TARGETS } from '../targets.ts';
import { TRANSFER_OPTIONS } from '../transfer-options.ts';
import { fetchLines } from '../transfer-text.ts';

export const fetch = defineCommand({
  details: [
    'Gets data into the cache and leaves the workspace as it is: mlv checkout comes after, or mlv pull does both.',
  ],
  positionals: TARGETS,
  options: TRANSFER_OPTIONS,
  example: { command: 'mlv fetch --all-branches', about: 'Gets all there is to know for working without network' },
  async run(args, { cwd, verb, open, isVerbose }) {
    const workspace = await open();
    const result = await explainTargets({ workspace, command: 'fetch', targets: args.targets }, () =>
      fetchTargets(workspace, { ...args, ...verb, cwd }),
    );
    return {
      data: result,
      text: (style) => fetchLines(result, style, isVerbose ? Infinity : undefined),
      exitCode: result.missing.length + result.failed.length > 0 ? 1 : 0,
    };
  },
});
