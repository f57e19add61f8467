import { move as moveTracked } from '../../workspace/move.ts';
import { defineCommand } from '../command.ts';
import { visible } from '../format.ts';

export const move = defineCommand({
  details: ['Moves the data and its pointer together, and keeps .gitignore right. Nothing is copied.'],
  positionals: {
    from: { value: 'FROM', required: true, about: 'a tracked path' },
    to: { value: 'TO', required: true, about: 'where it goes; into it, when it is a folder' },
  },
  options: {},
  example: { command: 'mlv move data datasets/raw', about: 'Renames a tracked folder' },
  async run({ from, to }, { cwd, open }) {
    const result = await moveTracked(await open(), { from, to, cwd });
    return {
      data: result,
      text: (style) => [`${style.good('moved')}  ${visible(result.from)} to ${visible(result.to)}`],
    };
  },
});
