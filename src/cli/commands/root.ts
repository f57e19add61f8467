import { defineCommand } from '../command.ts';

export const root = defineCommand({
  details: ['The absolute path of the folder that holds .mlv/, from anywhere below it.'],
  positionals: {},
  options: {},
  example: { command: 'cd "$(mlv root)"', about: 'Goes to the top of the project' },
  async run(_args, context) {
    const { root: folder } = await context.open();
    return { data: { root: folder }, text: () => [folder], isAnswer: true };
  },
});
