import { VERSION } from '../../domain/version.ts';
import { defineCommand } from '../command.ts';

export const version = defineCommand({
  details: ['The version alone, on one line. mlv doctor tells more.'],
  positionals: {},
  options: {},
  example: { command: 'mlv version', about: 'Prints the version' },
  async run() {
    return { data: { version: VERSION }, text: () => [VERSION], isAnswer: true };
  },
});
