import { showValues } from '../../workspace/compare-values.ts';
import type { FileValues } from '../../workspace/value-files.ts';
import { defineCommand } from '../command.ts';
import {
  DIFF_OPTIONS,
  DIFF_POSITIONALS,
  layoutOf,
  runValueDiff,
  TABLE_OPTIONS,
  writtenError,
  writtenValues,
} from '../value-options.ts';
import { shownLines } from '../values-text.ts';

export const metricsShow = defineCommand({
  details: [
    'Prints the values in the files that stages, or mlv.yaml at its top, declare as metrics: JSON, YAML or TOML, nested values under dotted keys. A file that is not checked out comes from the cache, or a remote.',
  ],
  positionals: {
    targets: { value: 'PATH', many: true, about: 'files, or folders of such; everything when none is given' },
  },
  options: {
    rev: { type: 'string', value: 'REV', about: 'as of this commit, branch or tag' },
    ...TABLE_OPTIONS,
  },
  example: { command: 'mlv metrics show --rev HEAD~1', about: 'The metrics as the last commit but one has them' },
  async run(args, context) {
    const layout = layoutOf(args, context);
    const { cwd, verb, open } = context;
    const files = await showValues(await open(), {
      kind: 'metrics',
      targets: args.targets,
      cwd,
      rev: args.rev,
      ...verb,
    });
    return {
      data: { files: files.map(written) },
      text: (style) => shownLines(files, layout, style),
      isAnswer: true,
      exitCode: files.some(({ state }) => state === 'unreadable') ? 1 : 0,
    };
  },
});

export const metricsDiff = defineCommand({
  details: [
    'Tells which metrics differ: between the last commit and the workspace, a revision and the workspace, or two revisions (A B, A..B, or A...B for what B did since the two parted). What each side declares as metrics is compared, key by key.',
  ],
  positionals: DIFF_POSITIONALS,
  options: DIFF_OPTIONS,
  example: { command: 'mlv metrics diff main --markdown', about: 'A table for a pull request' },
  run: (args, context) => runValueDiff('metrics', args, context),
});

/** For programs. */
function written(file: FileValues): unknown {
  if (file.state === 'unreadable') return { ...file, error: writtenError(file.error) };
  return file.state === 'read' ? { ...file, values: writtenValues(file.values) } : file;
}
