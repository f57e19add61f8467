import { remove as removeTargets } from '../../workspace/remove.ts';
import { defineCommand } from '../command.ts';
import { columns, visible } from '../format.ts';

export const remove = defineCommand({
  details: [
    'Deletes the pointer, and the line in .gitignore. The data stays in the workspace, and its versions in cache and remotes.',
    'A TARGET inside a tracked folder leaves the folder: its entry goes, the folder stays tracked.',
  ],
  positionals: {
    targets: { value: 'TARGET', required: true, many: true, about: 'tracked paths, or paths inside them' },
  },
  options: { data: { type: 'boolean', about: 'delete the data in the workspace as well' } },
  example: { command: 'mlv remove data/old.jpg', about: 'Takes one file out of a tracked folder' },
  async run(args, { cwd, open }) {
    const result = await removeTargets(await open(), { ...args, cwd });
    return {
      data: result,
      text: (style) =>
        columns(
          result.items.map(({ path, kept, deleted }) => [
            style.good('removed'),
            visible(path),
            style.faint(
              kept ? 'its data stays in the workspace' : deleted ? 'with its data' : 'none of its data was here',
            ),
          ]),
        ),
    };
  },
});
