import { du as measure } from '../../workspace/du.ts';
import { defineCommand } from '../command.ts';
import { duLines } from '../du-text.ts';
import { explainTargets, TARGETS } from '../targets.ts';
import { TRANSFER_OPTIONS } from '../transfer-options.ts';

const { rev, allBranches, allTags, allCommits } = TRANSFER_OPTIONS;

export const du = defineCommand({
  details: [
    'Tells how much room tracked paths take: in all, how much of it no other version that is listed has (what leaving it out would free), and how much is in the cache here. With revisions, a line for each version.',
  ],
  positionals: TARGETS,
  options: {
    remote: { type: 'boolean', about: 'ask the remote, too, whether it has them' },
    rev,
    allBranches,
    allTags,
    allCommits,
  },
  example: { command: 'mlv du --all-commits', about: 'Shows what each version of the data adds' },
  async run({ remote, ...args }, { cwd, verb, open }) {
    const workspace = await open();
    const result = await explainTargets({ workspace, command: 'du', targets: args.targets }, () =>
      measure(workspace, { ...args, ...verb, cwd, askRemote: remote }),
    );
    return { data: result, text: (style) => duLines(result, style), isAnswer: true };
  },
});
