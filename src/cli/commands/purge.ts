import type { PurgePlan } from '../../workspace/purge.ts';
import { purge as purgeTargets } from '../../workspace/purge.ts';
import { defineCommand } from '../command.ts';
import { confirmed } from '../confirm.ts';
import { createStyle } from '../format.ts';
import { purgeLines, purgePlanLines } from '../purge-text.ts';

export const purge = defineCommand({
  details: [
    'Deletes what must not exist any more, as the data of a person, for good: from the workspace, the cache, its trash and the remotes, in every version that any commit names, wherever else the same content is. All other data stays. What was purged is recorded in .mlv/purged, which is to be committed: commands that meet it in older versions leave it out and say so, and nobody can add it again.',
    'It shows what would go, and asks before anything does; where nobody can be asked, --yes answers. Where a remote cannot be reached, everything else is done: run it again.',
    'Without TARGET it applies the record to this clone and the remotes once more: others do that after git pull. What a bucket keeps of old versions, backups, and the caches of other clones are not reached.',
  ],
  positionals: {
    targets: { value: 'TARGET', many: true, about: 'b3:HASH, or a path in tracked data, which need not be there now' },
  },
  options: {
    remote: { type: 'string', short: 'r', value: 'NAME', about: 'of the remotes only this one' },
    reason: { type: 'string', value: 'TEXT', about: 'for the record: one line, which names nobody' },
    dryRun: { type: 'boolean', about: 'show what would go, and leave it' },
    yes: { type: 'boolean', short: 'y', about: 'do not ask' },
  },
  example: {
    command: 'mlv purge --reason "consent withdrawn" data/face.jpg',
    about: 'Deletes every version of a file, wherever it is',
  },
  async run({ yes, ...args }, { open, cwd, ask, verb, isVerbose }) {
    const workspace = await open();
    const limit = isVerbose ? Infinity : undefined;
    const confirm = async (plan: PurgePlan): Promise<boolean> => {
      if (yes === true) return true;
      const lines = purgePlanLines(plan, createStyle(false), limit);
      return confirmed(ask, {
        lines,
        question: 'Delete it for good?',
        command: 'purge',
        nothing: 'nothing was purged',
      });
    };
    const result = await purgeTargets(workspace, { ...args, ...verb, cwd, confirm });
    const isDry = args.dryRun === true;
    return {
      data: result,
      text: (style) => purgeLines(result, style, { isDry, limit }),
      isAnswer: isDry || result.failed.length > 0,
      exitCode: result.failed.length > 0 ? 1 : 0,
    };
  },
});
