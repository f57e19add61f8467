import type { DuItem, DuResult } from '../workspace/du.ts';
import { columns, countOf, formatBytes, type Style, visible } from './format.ts';

/** A line for each version, then what they take together. */
export function duLines({ items, distinct, cache, trash }: DuResult, style: Style): string[] {
  if (items.length === 0) return ['Nothing is tracked here'];
  const total = items.reduce((sum, { bytes }) => sum + bytes, 0);
  const lines = columns(items.map((item) => row(item, style)));
  lines.push(
    '',
    `${formatBytes(distinct)} together${distinct < total ? `, ${formatBytes(total - distinct)} less than one by one` : ''}`,
  );
  const inTrash = trash === 0 ? '' : `, and ${formatBytes(trash)} in its trash`;
  return [...lines, `${formatBytes(cache)} in the cache${inTrash}`];
}

function row({ path, revision, files, bytes, unique, here, isPushed }: DuItem, style: Style): string[] {
  const parts = [
    unique === undefined
      ? style.faint('its list of files is not here (mlv fetch)')
      : `${formatBytes(unique)} of its own`,
    ...(here === undefined || here === bytes ? [] : [style.changed(`${formatBytes(here)} here`)]),
    ...(isPushed === undefined ? [] : [isPushed ? style.good('pushed') : style.changed('not pushed')]),
  ];
  return [visible(path), style.faint(revision ?? ''), formatBytes(bytes), countOf(files, 'file'), parts.join(', ')];
}
