import { init as initProject } from '../../workspace/init.ts';
import { defineCommand } from '../command.ts';
import { columns, visible } from '../format.ts';

export const init = defineCommand({
  details: [
    'Writes .mlv/config.yaml, the settings for everyone, and stages it in Git. Data goes to a store inside the .git folder, which linked worktrees share and which needs no .gitignore.',
    'After git clone there is nothing to initialise: mlv pull gets the data.',
  ],
  positionals: {},
  options: {
    subdir: { type: 'boolean', about: 'make this subfolder a project of its own' },
    noGit: { type: 'boolean', about: 'do without Git, and keep everything in .mlv/local' },
    force: { type: 'boolean', short: 'f', about: 'restore what is missing of an existing project' },
  },
  example: { command: 'git init && mlv init', about: 'Makes a new folder a project' },
  async run(args, { cwd, environment }) {
    const result = await initProject({ ...args, cwd, environment });
    return {
      data: result,
      text: (style) => [
        `${style.good(result.isNew ? 'New project' : 'Project restored')} in ${visible(result.root)}`,
        ...columns(
          [
            ['settings', `.mlv/config.yaml${result.staged.length > 0 ? ', staged in Git' : ''}`],
            ['store', visible(result.store)],
          ],
          '  ',
        ),
        '',
        'Next',
        ...columns(
          [
            [style.command('mlv add PATH'), 'tracks files and folders'],
            [style.command('mlv remote add -d NAME URL'), 'names the bucket or folder to send them to'],
            ...(result.hasGit ? [[style.command('git commit'), 'keeps the settings and pointers']] : []),
          ],
          '  ',
        ),
      ],
    };
  },
});
