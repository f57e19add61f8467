import { MlvError } from '../../domain/errors.ts';
import { cat as read } from '../../workspace/cat.ts';
import { defineCommand } from '../command.ts';
import { atPlace, PLACE_OPTIONS, REPO_DETAILS } from '../place.ts';

export const cat = defineCommand({
  details: [
    'Prints the bytes of a tracked file, here, at any revision, or from another repository, compared with their hash. What is not in the cache is fetched; nothing has to be checked out, and edits in the workspace are not looked at.',
    REPO_DETAILS,
  ],
  positionals: { path: { value: 'PATH', required: true, about: 'a tracked file, or one inside a tracked folder' } },
  options: PLACE_OPTIONS,
  example: { command: 'mlv cat data/labels.csv --rev HEAD~2', about: 'Prints a file as it was two commits ago' },
  async run(args, context) {
    if (context.isJson) throw noJson(args.path);
    return atPlace('cat', args, context, async (place) => {
      for await (const bytes of read(place, context.verb)) await context.write(bytes);
      return { data: undefined, text: () => [] };
    });
  },
});

function noJson(path: string): MlvError {
  return new MlvError({
    code: 'usage',
    kind: 'usage',
    message: 'mlv cat prints bytes, which are no JSON',
    hint: `Leave out --json: mlv cat ${path}`,
  });
}
