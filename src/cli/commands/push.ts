import { push as pushTargets } from '../../workspace/push.ts';
import { defineCommand } from '../command.ts';
import { explainTargets, TARGETS } from '../targets.ts';
import { pushedRunLines } from '../run-cache-text.ts';
import { RUN_CACHE_OPTION, TRANSFER_OPTIONS } from '../transfer-options.ts';
import { pushLines } from '../transfer-text.ts';

export const push = defineCommand({
  details: [
    'Sends what the pointers here, and in the commits that HEAD leads to, name and the remote does not have. git push comes after, so that nobody gets pointers to data that is not there.',
  ],
  positionals: TARGETS,
  options: { ...TRANSFER_OPTIONS, ...RUN_CACHE_OPTION },
  example: { command: 'mlv push && git push', about: 'Sends the data, then the commits' },
  async run({ runCache, ...args }, { cwd, verb, open, isVerbose }) {
    const workspace = await open();
    const result = await explainTargets({ workspace, command: 'push', targets: args.targets }, () =>
      pushTargets(workspace, { ...args, ...verb, cwd }),
    );
    const runs =
      runCache === true
        ? await (await import('../../workspace/run-transfer.ts')).pushRuns(workspace, { ...args, ...verb, cwd })
        : undefined;
    return {
      data: runs === undefined ? result : { ...result, runCache: runs },
      text: (style) => [
        ...pushLines(result, style, isVerbose ? Infinity : undefined),
        ...(runs === undefined ? [] : pushedRunLines(runs, style)),
      ],
      exitCode: result.missing.length + result.failed.length > 0 ? 1 : 0,
    };
  },
});
