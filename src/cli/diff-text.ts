import type { EntryKind } from '../domain/tree.ts';
import type { ContentComparison } from '../workspace/diff-content.ts';
import type { DiffResult } from '../workspace/diff.ts';
import type { ChangeKind, DatasetDifference, DiffCounts, Difference, FileDifference } from '../workspace/diff-rows.ts';
import { countOf, formatBytes, formatCount, type Style, visible } from './format.ts';

const LETTERS: Readonly<Record<ChangeKind, string>> = {
  added: 'A',
  modified: 'M',
  deleted: 'D',
  renamed: 'R',
  'type-changed': 'T',
};

const KINDS: Readonly<Record<EntryKind, string>> = {
  f: 'file',
  x: 'executable file',
  l: 'symlink',
  d: 'empty folder',
};

/** What `diff` tells people of one file, or of a tracked path after its files. */
export function differenceLines(difference: Difference, style: Style): string[] {
  return difference.kind === 'file' ? [fileLine(difference, style)] : datasetLines(difference, style);
}

/** What it tells at the end. */
export function diffSummaryLines(result: DiffResult, style: Style): string[] {
  const lines: string[] = [];
  if (result.datasets === 0) lines.push(style.good('No differences'));
  if (result.datasets > 1) {
    const parts = [countsOf(result), sizeDelta(result.bytes)].filter((part) => part !== '');
    lines.push(`${countOf(result.datasets, 'tracked path')} differ: ${parts.join(', ')}`);
  }
  if (!result.soughtRenames) lines.push(style.faint('Renamed files were not looked for: too many files differ'));
  return lines;
}

function fileLine({ path, change, from, before, after, folder, content }: FileDifference, style: Style): string {
  const details: string[] = [];
  if (change === 'added' && after !== undefined) details.push(after.kind === 'd' ? KINDS.d : formatBytes(after.size));
  if (change === 'deleted' && before !== undefined)
    details.push(before.kind === 'd' ? KINDS.d : formatBytes(before.size));
  if (folder) details.push(change === 'deleted' ? 'a folder took its place' : 'it took the place of a folder');
  if (change === 'type-changed' && before !== undefined && after !== undefined)
    details.push(`${KINDS[before.kind]} → ${KINDS[after.kind]}`);
  if (change === 'modified' && before !== undefined && after !== undefined) {
    const delta = sizeDelta(after.size - before.size);
    if (delta !== '') details.push(delta);
    if (before.kind !== after.kind) details.push(after.kind === 'x' ? 'now executable' : 'no longer executable');
    if (content !== undefined) details.push(...contentDetails(content));
  }
  return line({ change, path, from, details }, style);
}

function line(
  { change, path, from, details }: { change: ChangeKind; path: string; from: string | undefined; details: string[] },
  style: Style,
): string {
  const paint = change === 'added' ? style.good : change === 'deleted' ? style.bad : style.changed;
  const name = from === undefined ? visible(path) : `${visible(from)} → ${visible(path)}`;
  const told = details.length === 0 ? '' : `  ${style.faint(details.join('  '))}`;
  return `${paint(LETTERS[change])} ${name}${told}`;
}

/** `+12 -3 ~4 rows`, `columns +label -old`. */
function contentDetails(content: ContentComparison): string[] {
  if (content.state === 'not-here') return ['content not here: mlv fetch'];
  if (content.state === 'not-read') return [`rows not compared: ${content.reason}`];
  const { rows, columns } = content;
  const counts = [
    ...(rows.added > 0 ? [`+${formatCount(rows.added)}`] : []),
    ...(rows.removed > 0 ? [`-${formatCount(rows.removed)}`] : []),
    ...(rows.changed > 0 ? [`~${formatCount(rows.changed)}`] : []),
  ];
  const names = [
    ...(columns?.added.map((name) => `+${visible(name)}`) ?? []),
    ...(columns?.removed.map((name) => `-${visible(name)}`) ?? []),
  ];
  const details: string[] = [];
  const differing = rows.added + rows.removed + rows.changed;
  if (differing > 0) details.push(`${counts.join(' ')} ${differing === 1 ? 'row' : 'rows'}`);
  if (names.length > 0) details.push(`columns ${names.join(' ')}`);
  else if (columns?.reordered) details.push('columns in another order');
  if (rows.reordered) details.push('same rows in another order');
  else if (details.length === 0) details.push('same rows, written otherwise');
  return details;
}

function datasetLines(difference: DatasetDifference, style: Style): string[] {
  const { dataset, change, from, before, after, unread, problems = [] } = difference;
  const lines: string[] = [];
  const side = after ?? before;
  const about = (of: typeof side): string =>
    of === undefined
      ? ''
      : of.type === 'dir'
        ? `${countOf(of.files, 'file')}, ${formatBytes(of.size)}`
        : formatBytes(of.size);
  if (change === 'renamed') lines.push(line({ change, path: dataset, from, details: [about(after)] }, style));
  else if (change === 'type-changed') {
    const types = `${before?.type === 'dir' ? 'folder' : 'file'} → ${after?.type === 'dir' ? 'folder' : 'file'}`;
    lines.push(line({ change, path: dataset, from, details: [types, about(after)] }, style));
  } else if (unread !== undefined) {
    const details = [about(side), `which files is not known here: ${visible(unread.message)}`];
    lines.push(line({ change, path: dataset, from, details }, style));
  } else if (side?.type === 'dir') {
    const parts = [countsOf(difference)];
    if (change === 'modified') parts.push(sizeDelta((after?.size ?? 0) - (before?.size ?? 0)));
    lines.push(style.faint(`  ${visible(dataset)}: ${parts.filter((part) => part !== '').join(', ')}`));
  }
  for (const { path, reason } of problems)
    lines.push(`${style.bad('!')} ${visible(`${dataset}/${path}`)}  ${visible(reason)}`);
  return lines;
}

function countsOf(counts: DiffCounts): string {
  return (['added', 'modified', 'deleted', 'renamed'] as const)
    .filter((kind) => counts[kind] > 0)
    .map((kind) => `${formatCount(counts[kind])} ${kind}`)
    .join(', ');
}

/** `+1.2 kB`; '' for none. */
function sizeDelta(bytes: number): string {
  return bytes === 0 ? '' : `${bytes > 0 ? '+' : '-'}${formatBytes(Math.abs(bytes))}`;
}
