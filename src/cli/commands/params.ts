import { defineCommand } from '../command.ts';
import { DIFF_OPTIONS, DIFF_POSITIONALS, runValueDiff } from '../value-options.ts';

export const paramsDiff = defineCommand({
  details: [
    'Tells which parameters differ, of those that stages declare, and of all in files that mlv.yaml names at its top: between the last commit and the workspace, a revision and the workspace, or two revisions (A B, A..B, or A...B for what B did since the two parted).',
  ],
  positionals: DIFF_POSITIONALS,
  options: DIFF_OPTIONS,
  example: { command: 'mlv params diff HEAD~1', about: 'Parameters since the last commit but one' },
  run: (args, context) => runValueDiff('params', args, context),
});
