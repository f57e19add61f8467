import { resolve } from 'node:path';
import { MlvError } from '../../domain/errors.ts';
import { add as addPaths } from '../../workspace/add.ts';
import { defineCommand } from '../command.ts';
import { recordedLines } from '../recorded-text.ts';

export const add = defineCommand({
  details: [
    'Stores the data in the cache, writes a small pointer PATH.mlv beside it, keeps the data itself out of Git by a line in .gitignore, and stages both. Run again after edits, it records a new version.',
    'A PATH inside a tracked folder changes that folder alone, and needs no more of it than what is there.',
  ],
  positionals: {
    targets: {
      value: 'PATH',
      required: true,
      many: true,
      about: 'a file or folder, or a path inside a tracked folder',
    },
  },
  options: {
    glob: { type: 'boolean', about: 'each PATH is a pattern, such as "images/*.jpg"' },
    desc: { type: 'string', value: 'TEXT', about: 'a description, kept in the pointer' },
    remote: { type: 'string', short: 'r', value: 'NAME', about: "this data's own remote" },
    output: { type: 'string', short: 'o', value: 'DEST', about: 'copy data from outside the project to DEST' },
    acceptDeletions: { type: 'boolean', about: 'count what an unfinished checkout left out as deleted' },
  },
  example: { command: 'mlv add data', about: 'Tracks the folder data' },
  async run(args, context) {
    const workspace = await context.open();
    if (args.targets.some((target) => resolve(context.cwd, target) === workspace.root)) throw wholeProject();
    const result = await addPaths(workspace, { ...args, ...context.verb, cwd: context.cwd });
    return { data: result, text: (style) => recordedLines(result, style) };
  },
});

function wholeProject(): MlvError {
  return new MlvError({
    code: 'git-habit',
    kind: 'usage',
    message: 'mlv add takes the data that it shall track, not the whole project',
    hint: 'mlv add data for the data, git add . for the rest; mlv commit records edits of all tracked data',
  });
}
