import { commit as commitEdits } from '../../workspace/commit.ts';
import { defineCommand } from '../command.ts';
import { recordedLines } from '../recorded-text.ts';
import { TARGETS } from '../targets.ts';

export const commit = defineCommand({
  details: [
    'Stores what was edited in the cache, brings the pointers up to date and stages them. git commit comes after.',
  ],
  positionals: TARGETS,
  options: {},
  example: { command: 'mlv commit && git commit', about: 'Records edits of data, then their pointers' },
  async run({ targets }, context) {
    const result = await commitEdits(await context.open(), { targets, cwd: context.cwd, ...context.verb });
    return {
      data: result,
      text: (style) => {
        const isEdited = result.items.some(({ outcome }) => outcome !== 'unchanged');
        return isEdited ? recordedLines(result, style) : [style.good('No tracked data was edited')];
      },
    };
  },
});
