import type { FetchResult } from '../workspace/fetch.ts';
import type { PushResult } from '../workspace/push.ts';
import { purgedLines } from './checkout-text.ts';
import { columns, countOf, formatBytes, shorten, type Style, visible } from './format.ts';

const MAX_MISSING = 20;
const NOT_SENT = {
  title: 'Not sent, because neither the cache nor the remote has it',
  hint: 'Push it from the clone that added it; everything else was sent.',
};
const DAMAGED_HERE = {
  title: 'Not sent, because it is damaged in the cache, or neither there nor on the remote',
  hint: 'Run "mlv verify --repair": it brings good copies from remotes and the workspace. Then push again; everything else was sent.',
};
const DAMAGED = {
  title: 'Not on the remote, or damaged there',
  hint: 'Run "mlv verify --remote --repair" in a clone that has the data, then fetch again.',
};
const NOT_FETCHED = {
  title: 'Not on the remote',
  hint: 'Push it from where it is ("mlv push" in the clone that added it), then fetch again.',
};

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
    ...missingLines(result.missing, result.needsRepair ? DAMAGED_HERE : NOT_SENT, style, limit),
    ...failedLines(result.failed, style, limit),
  ];
}

/** What `fetch` says. */
export function fetchLines(result: FetchResult, style: Style, limit: number = MAX_MISSING): string[] {
  const rows = result.remotes.map(({ name, url, upToDate, blobs, bytes }) => [
    name,
    visible(url),
    upToDate ? style.good('up to date') : `${style.good('got')} ${countOf(blobs, 'blob')}, ${formatBytes(bytes)}`,
  ]);
  return [
    ...columns(rows),
    ...purgedLines(result.purged, style, limit),
    ...missingLines(result.missing, result.needsRepair ? DAMAGED : NOT_FETCHED, style, limit),
    ...failedLines(result.failed, style, limit),
  ];
}

interface Told {
  readonly title: string;
  readonly hint: string;
}

function missingLines(missing: readonly string[], told: Told, style: Style, limit: number): string[] {
  if (missing.length === 0) return [];
  const lines = missing.map((path) => `  ${visible(path)}`);
  return ['', `${style.bad('missing:')} ${told.title}`, ...shorten(lines, limit, style, '  '), `hint: ${told.hint}`];
}

function failedLines(failed: PushResult['failed'], style: Style, limit: number): string[] {
  if (failed.length === 0) return [];
  const lines = failed.map(({ path, reason }) => `  ${visible(path)}: ${visible(reason)}`);
  return [
    '',
    `${style.bad('failed:')} Everything else was transferred`,
    ...shorten(lines, limit, style, '  '),
    'hint: Run the same command again: what was transferred is not transferred again.',
  ];
}
