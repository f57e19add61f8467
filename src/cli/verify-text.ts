import type { Missing, Problem, Repaired, VerifiedSide, VerifyResult } from '../workspace/verify-result.ts';
import { isInText } from '../workspace/verify-result.ts';
import { columns, countOf, formatBytes, shorten, type Style, visible } from './format.ts';

const MAX_PROBLEMS = 20;
const MAX_PATHS = 5;

interface Options {
  readonly isVerbose: boolean;
  readonly isQuick: boolean;
}

/** What `verify` says: what was looked at, what is wrong with it, what was mended, and what to do. */
export function verifyLines(result: VerifyResult, style: Style, options: Options): string[] {
  const { versions, sides, problems, missing, missingFiles, notInCache, repaired, seed } = result;
  const limit = options.isVerbose ? Infinity : MAX_PROBLEMS;
  const lines = columns(sides.map((side) => sideRow(side, result, style, options)));
  if (versions === 0) lines.push('No pointers were looked at: nothing is tracked here');
  if (seed !== undefined) lines.push(style.faint(`chosen by chance: --seed ${seed} repeats the choice`));
  if (notInCache > 0)
    lines.push(`${countOf(notInCache, 'file')} that nobody asked for here ${style.faint('(mlv fetch gets them)')}`);
  const shown = problems.slice(0, limit);
  for (const problem of shown) lines.push('', ...problemLines(problem, style, options));
  if (shown.length < problems.length) lines.push('', style.faint(`… and ${problems.length - shown.length} more (-v)`));
  if (missing.length > 0) {
    const where = sides.map(({ side }) => side).join(', ');
    const what = missingFiles === 0 ? 'a tree' : countOf(missingFiles, 'file');
    lines.push('', `${style.bad('missing:')} ${what} that should be in ${where}`, ...pathLines(missing, style, limit));
  }
  for (const each of repaired) {
    lines.push('');
    for (const line of repairedLines(each, style, limit)) lines.push(line);
  }
  const next = nextStep(result, options);
  return next === undefined ? lines : [...lines, '', `${style.command('hint:')} ${next}`];
}

function sideRow(
  side: VerifiedSide,
  { clean, missing, problems }: VerifyResult,
  style: Style,
  { isQuick }: Options,
): string[] {
  const { side: name, where, blobs, packs, indexes, bytes, unindexed } = side;
  const state =
    problems.length + missing.length === 0 ? style.good(isQuick ? 'complete' : 'sound') : style.bad('not sound');
  const counts =
    name === 'cache'
      ? [countOf(packs, 'pack'), countOf(blobs, 'blob', 'blobs') + ' in files of their own']
      : [countOf(blobs, 'row'), countOf(packs, 'pack or object', 'packs and objects')];
  const more = unindexed === 0 ? '' : `, ${countOf(unindexed, 'pack')} that no index names`;
  const read = isQuick ? 'no data read' : `${formatBytes(bytes)} read`;
  const incomplete = isQuick && !clean ? style.bad('not complete') : state;
  return [
    name,
    visible(where),
    `${incomplete}: ${[...counts, countOf(indexes, 'index', 'indexes'), read].join(', ')}${more}`,
  ];
}

function problemLines(problem: Problem, style: Style, { isVerbose }: Options): string[] {
  const { kind, where, reason, blobs, paths, hint } = problem;
  const lines = [`${style.bad(isInText(problem) ? 'unreadable:' : 'damaged:')} ${kind} ${visible(where)}`];
  lines.push(`  ${visible(reason)}`);
  if (isInText(problem)) return [...lines, `  ${style.command(visible(hint))}`];
  if (paths.length > 0)
    lines.push(
      ...shorten(
        paths.map((path) => `  hits ${visible(path)}`),
        isVerbose ? Infinity : MAX_PATHS,
        style,
        '  ',
      ),
    );
  else if (blobs > 0) lines.push(style.faint('  hits nothing of what was looked at'));
  return lines;
}

function pathLines(missing: readonly Missing[], style: Style, limit: number): string[] {
  const rows = missing.map(({ path, files }) =>
    files > 1
      ? `  ${visible(path)}: ${countOf(files, 'file')}`
      : files === 0
        ? `  ${visible(path)}: its tree`
        : `  ${visible(path)}`,
  );
  return shorten(rows, limit, style, '  ');
}

function repairedLines(
  { side, restored, reindexed, setAside, lost, notes }: Repaired,
  style: Style,
  limit: number,
): string[] {
  const lines = [
    `${style.good('repaired:')} ${side}: ${countOf(restored, 'blob')} restored, ${countOf(reindexed, 'pack')} indexed again`,
  ];
  if (setAside.length > 0)
    lines.push(
      '  set aside:',
      ...shorten(
        setAside.map((each) => `    ${visible(each)}`),
        Math.min(limit, MAX_PATHS),
        style,
        '    ',
      ),
    );
  lines.push(...notes.map((note) => `  ${visible(note)}`));
  if (lost.length === 0) return lines;
  return [...lines, `${style.bad('lost:')} no good copy was found`, ...pathLines(lost, style, limit)];
}

function nextStep(
  { clean, problems, missing, sides, repaired }: VerifyResult,
  { isQuick }: Options,
): string | undefined {
  if (clean) return undefined;
  const isRemote = sides.some(({ side }) => side !== 'cache');
  if (repaired.some(({ lost }) => lost.length > 0))
    return 'Look for a copy where the data was added: another clone ("mlv push" there, then "mlv verify --repair" here), another remote, a backup. Where the files are still in the workspace, "mlv add" records them again.';
  if (isQuick) return missing.length > 0 ? 'Push it from the clone that has it: mlv push' : undefined;
  const isMendable = missing.length > 0 || !problems.every(isInText);
  if (repaired.length > 0 || !isMendable) return undefined;
  return isRemote
    ? '"mlv verify --remote --repair" mends it from the cache, as far as that has good copies.'
    : '"mlv verify --repair" mends it from remotes and the workspace, as far as these have good copies.';
}
