import { unprotect as unprotectTargets } from '../../workspace/unprotect.ts';
import { defineCommand } from '../command.ts';
import { countOf } from '../format.ts';

export const unprotect = defineCommand({
  details: [
    'With cache.links symlink, files in the workspace are links to the cache and cannot be edited. This puts copies in their place.',
  ],
  positionals: {
    targets: { value: 'TARGET', required: true, many: true, about: 'tracked paths, or paths inside them' },
  },
  options: {},
  example: { command: 'mlv unprotect data/labels.csv', about: 'Makes one file writable' },
  async run({ targets }, { cwd, open }) {
    const result = await unprotectTargets(await open(), { targets, cwd });
    return {
      data: result,
      text: (style) => [
        result.files === 0
          ? style.good('Nothing to unprotect')
          : `${countOf(result.files, 'file')} ${style.good('can be edited')}`,
      ],
    };
  },
});
