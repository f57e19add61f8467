import type { PurgePlan, PurgeResult } from '../workspace/purge.ts';
import { columns, countOf, formatBytes, shorten, type Style, visible } from './format.ts';

const MAX_PATHS = 20;

/** What a purge would do, before anybody is asked. */
export function purgePlanLines(plan: PurgePlan, style: Style, limit: number = MAX_PATHS): string[] {
  const { contents, places, unseen, notes } = plan;
  const lines: string[] = [];
  for (const { digest, day, reason, paths } of contents) {
    const [first = 'no version that could be looked into'] = paths;
    const why = reason === undefined ? '' : ` (${visible(reason)})`;
    lines.push(`${style.bad('to be purged')}  b3:${digest} ${style.faint(`${day}${why}`)}`);
    const rows = (paths.length === 0 ? [first] : paths).map((path) => `    ${visible(path)}`);
    for (const line of shorten(rows, limit, style, '    ')) lines.push(line);
  }
  const rows = places.map(({ name, where, blobs, bytes, files }) => [
    visible(name),
    blobs === 0
      ? style.faint('none of it')
      : `${countOf(blobs, 'blob')} (${formatBytes(bytes)}) in ${countOf(files, 'file')}`,
    style.faint(visible(where)),
  ]);
  lines.push(...columns(rows));
  if (unseen.length > 0)
    lines.push(
      `${style.changed('note:')} the lists of these versions are neither here nor on a remote that answers; the content may have more paths there`,
      ...shorten(
        unseen.map((each) => `    ${visible(each)}`),
        limit,
        style,
        '    ',
      ),
    );
  return [...lines, ...notes.map((note) => `${style.changed('note:')} ${visible(note)}`)];
}

/** What a purge did. */
export function purgeLines(
  result: PurgeResult,
  style: Style,
  { isDry, limit = MAX_PATHS }: { readonly isDry: boolean; readonly limit?: number | undefined },
): string[] {
  const { contents, places, removed, failed, done } = result;
  const failures = failed.map((each) => `${style.bad('failed:')} ${visible(each)}`);
  if (contents.length === 0) return ['Nothing is recorded as purged', ...failures];
  if (!done)
    return [
      ...purgePlanLines(result, style, limit),
      ...failures,
      style.faint(isDry ? 'Nothing was changed: a dry run' : 'Nothing was changed'),
    ];
  const rows = places
    .filter(({ blobs }) => blobs > 0)
    .map(({ name, blobs, bytes }) => [visible(name), `${countOf(blobs, 'blob')} (${formatBytes(bytes)}) purged`]);
  const notes = result.notes.map((note) => `${style.changed('note:')} ${visible(note)}`);
  return [
    `${style.good('purged')}  ${countOf(contents.length, 'content')}, recorded in .mlv/purged`,
    ...columns(rows),
    ...shorten(
      removed.map((path) => `removed  ${visible(path)}`),
      limit,
      style,
    ),
    ...notes,
    ...failures,
    failed.length > 0
      ? `${style.command('hint:')} Everything else was done. Mend what is named, and run "mlv purge" again.`
      : `${style.command('hint:')} git commit it, and let others run "git pull && mlv purge". Versions that a bucket itself keeps, backups, and caches of other clones are not reached.`,
  ];
}
