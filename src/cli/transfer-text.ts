import type { FetchResult } from '../workspace/fetch.ts';
import type { PushResult } from '../workspace/push.ts';
import { columns, countOf, formatBytes, shorten, type Style, visible } from './format.ts';

const MAX_MISSING = 20;

/** What `push` says. */
export function pushLines(result: PushResult, style: Style, limit: number = MAX_MISSING): string[] {
  const rows = result.remotes.map(({ name, url, upToDate, blobs, bytes, packs, objects }) => {
    if (upToDate) return [name, visible(url), style.good('up to date')];
    const parts = [packs > 0 ? countOf(packs, 'pack') : '', objects > 0 ? countOf(objects, 'large object') : ''];
    const how = parts.filter((part) => part !== '').join(' and ');
    return [
      name,
      visible(url),
      `${style.good('sent')} ${countOf(blobs, 'blob')}, ${formatBytes(bytes)}${how === '' ? '' : ` in ${how}`}`,
    ];
  });
  return [
    ...columns(rows),
    ...missingLines(result.missing, 'Not sent, because neither the cache nor the remote has it', style, limit),
  ];
}

/** What `fetch` says. */
export function fetchLines(result: FetchResult, style: Style, limit: number = MAX_MISSING): string[] {
  const rows = result.remotes.map(({ name, url, upToDate, blobs, bytes }) => [
    name,
    visible(url),
    upToDate ? style.good('up to date') : `${style.good('got')} ${countOf(blobs, 'blob')}, ${formatBytes(bytes)}`,
  ]);
  return [...columns(rows), ...missingLines(result.missing, 'Not on the remote', style, limit)];
}

function missingLines(missing: readonly string[], title: string, style: Style, limit: number): string[] {
  if (missing.length === 0) return [];
  const lines = missing.map((path) => `  ${visible(path)}`);
  return ['', `${style.bad('missing:')} ${title}`, ...shorten(lines, limit, style, '  ')];
}
