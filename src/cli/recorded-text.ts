import type { AddResult } from '../workspace/add.ts';
import { columns, countOf, formatBytes, formatCount, type Style, visible } from './format.ts';

type Item = AddResult['items'][number];

/** What `add` and `commit` say of what they recorded. */
export function recordedLines(result: AddResult, style: Style): string[] {
  const recorded = result.items.filter(({ outcome }) => outcome !== 'unchanged');
  const unchanged = result.items.length - recorded.length;
  const lines = columns(
    recorded.map((item) => [style.good(item.outcome), visible(item.path), style.faint(details(item))]),
  );
  if (unchanged > 0) lines.push(style.faint(`${countOf(unchanged, 'path')} unchanged`));
  if (result.staged.length > 0) {
    lines.push('', `Staged in Git: ${countOf(result.staged.length, 'file')}. Next: ${style.command('git commit')}`);
  }
  return lines;
}

function details({ type, outcome, files, size, added, changed, removed }: Item): string {
  const parts = [type === 'dir' ? `${countOf(files, 'file')}, ${formatBytes(size)}` : formatBytes(size)];
  if (outcome === 'updated' && type === 'dir') parts.push(changeCounts({ added, changed, removed }));
  return parts.join('; ');
}

/** `12 added, 3 changed`; '' for none. */
export function changeCounts(counts: Readonly<Record<'added' | 'changed' | 'removed', number>>): string {
  return (['added', 'changed', 'removed'] as const)
    .filter((kind) => counts[kind] > 0)
    .map((kind) => `${formatCount(counts[kind])} ${kind}`)
    .join(', ');
}
