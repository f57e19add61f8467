import { relative } from 'node:path';
import { get as write } from '../../workspace/get.ts';
import { defineCommand } from '../command.ts';
import { countOf, formatBytes, shorten, visible } from '../format.ts';
import { atPlace, PLACE_OPTIONS, REPO_DETAILS } from '../place.ts';

export const get = defineCommand({
  details: [
    'Writes a tracked file or folder, or one inside a tracked folder, to another place, as it is here, at any revision, or in another repository: without -o into the current folder, under its last name. It is not tracked there, and appears when it is whole.',
    REPO_DETAILS,
  ],
  positionals: { path: { value: 'PATH', required: true, about: 'a tracked path, or one inside a tracked folder' } },
  options: {
    ...PLACE_OPTIONS,
    out: {
      type: 'string',
      short: 'o',
      value: 'OUT',
      about: 'where to, or the folder to put it in',
    },
    force: { type: 'boolean', about: 'replace what is there' },
  },
  example: {
    command: 'mlv get data/test --rev v1.0 -o test-v1',
    about: 'Writes a part of a dataset, as it was at the tag v1.0, to the folder test-v1',
  },
  async run(args, context) {
    return atPlace('get', args, context, async (place) => {
      const { cwd, verb, isVerbose } = context;
      const result = await write(place, { ...verb, cwd, out: args.out, isForced: args.force });
      const { path, out, type, files, bytes, purged } = result;
      return {
        data: { ...result, ...(place.commit !== undefined && { commit: place.commit }) },
        text: (style) => {
          const shown = relative(cwd, out).startsWith('..') ? out : relative(cwd, out);
          const size = type === 'file' ? formatBytes(bytes) : `${countOf(files, 'file')}, ${formatBytes(bytes)}`;
          const lines = [`${style.good('wrote')} ${visible(path)} to ${visible(shown)}  ${size}`];
          const left = purged.map((line) => `  ${visible(line)}`);
          return [
            ...lines,
            ...(left.length > 0 ? ['left out:'] : []),
            ...shorten(left, isVerbose ? Infinity : 20, style),
          ];
        },
      };
    });
  },
});
