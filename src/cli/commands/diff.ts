import { diff as compare } from '../../workspace/diff.ts';
import { type Digest, formatDigest } from '../../domain/digest.ts';
import type { Difference } from '../../workspace/diff-rows.ts';
import { defineCommand } from '../command.ts';
import { differenceLines, diffSummaryLines } from '../diff-text.ts';

const DIFFERENCES = 3;

export const diff = defineCommand({
  details: [
    'Tells which files differ: between the last commit and the workspace, a revision and the workspace, or two revisions (A B, A..B, or A...B for what B did since the two parted). The first word that is no revision is a path, as are all that follow it, or follow --.',
    'A added, M modified, D deleted, R renamed (same content), T file, symlink or folder in place of another. Of CSV, TSV and JSON Lines files it tells which rows and columns came and went; content that is not here is fetched up to 64 MiB together.',
  ],
  streams: true,
  positionals: {
    words: { value: 'REVISION', many: true, about: 'none, one or two revisions, or a range' },
    paths: {
      value: 'PATH',
      afterDashes: true,
      about: 'tracked paths, or paths inside them; everything when none is given',
    },
  },
  options: {
    noContent: { type: 'boolean', about: 'leave out rows and columns: no content is read' },
    exitCode: { type: 'boolean', about: 'exit with 3 when something differs' },
  },
  example: { command: 'mlv diff HEAD~1 HEAD -- data', about: 'What the last commit changed in the folder data' },
  async run({ words, paths, noContent, exitCode }, { cwd, verb, open, emit }) {
    const result = await compare(await open(), {
      words,
      paths,
      cwd,
      content: noContent !== true,
      emit: (difference) => emit({ data: written(difference), text: (style) => differenceLines(difference, style) }),
      ...verb,
    });
    return {
      data: result,
      text: (style) => diffSummaryLines(result, style),
      isAnswer: !exitCode,
      exitCode: exitCode && result.datasets > 0 ? DIFFERENCES : 0,
    };
  },
});

/** For programs: digests as pointers have them. */
function written(difference: Difference): unknown {
  const side = (found: { readonly hash: Digest } | undefined) => found && { ...found, hash: formatDigest(found.hash) };
  return { ...difference, before: side(difference.before), after: side(difference.after) };
}
