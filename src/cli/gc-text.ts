import type { Amount, GcPlan, GcResult } from '../workspace/gc.ts';
import type { RemoteAmount, RemoteGcPlan } from '../storage/collect-remote.ts';
import type { NamedGcResult } from '../workspace/gc-remote.ts';
import { columns, countOf, formatBytes, type Style, visible } from './format.ts';

/** What a collection would do, before anybody is asked. */
export function gcPlanLines({ garbage, unpushed, expired, notes }: GcPlan, style: Style): string[] {
  const rows: string[][] = [];
  if (garbage.blobs > 0)
    rows.push([
      style.changed('to the trash'),
      `${amount(garbage)} that nothing needs; for two weeks they can come back`,
    ]);
  if (expired.blobs > 0)
    rows.push([style.bad('to be deleted'), `${amount(expired, 'file')} that were in the trash for two weeks`]);
  if (unpushed.blobs > 0)
    rows.push([style.good('kept'), `${amount(unpushed)} that nothing needs, and no remote has (--unpushed)`]);
  return [...noteLines(notes, style), ...columns(rows)];
}

/** What a collection did. */
export function gcLines(result: GcResult, style: Style, { isDry }: { readonly isDry: boolean }): string[] {
  const { garbage, expired, unpushed, notes, done, restored } = result;
  if (garbage.blobs + expired.blobs === 0) return nothingLines(result, style);
  if (!done)
    return [...gcPlanLines(result, style), style.faint(isDry ? 'Nothing was moved: a dry run' : 'Nothing was moved')];
  const rows: string[][] = [];
  if (garbage.blobs > 0)
    rows.push([style.good('to the trash'), `${amount(garbage)} ${style.faint('(mlv gc --undo brings it back)')}`]);
  if (expired.blobs > 0) rows.push([style.good('deleted'), `${amount(expired, 'file')} from the trash`]);
  if (restored > 0)
    rows.push([style.good('came back'), `${countOf(restored, 'file')} of the cache: something needs them now`]);
  if (unpushed.blobs > 0) rows.push([style.good('kept'), `${amount(unpushed)} that no remote has`]);
  return [...noteLines(notes, style), ...columns(rows)];
}

/** What `gc --undo` did. */
export function undoLines(back: Amount, style: Style): string[] {
  return [`${style.good('brought back')}  ${amount(back, 'file')} of the cache`];
}

/** What a collection of a remote would do, before anybody is asked. */
export function remoteGcPlanLines(plan: RemoteGcPlan, style: Style): string[] {
  const { garbage, kept, expired, rescued } = plan;
  const rows: string[][] = [];
  if (expired.files > 0)
    rows.push([style.bad('to be deleted'), `${remoteAmount(expired)} that died over a week ago${besides(rescued)}`]);
  if (garbage.files > 0)
    rows.push([
      style.changed('to die'),
      `${remoteAmount(garbage)} that nothing needs${besides(kept)}; deleted by a collection in a week or later`,
    ]);
  return [...foreignLines(plan, style), ...columns(rows)];
}

/** What a collection of a remote did. */
export function remoteGcLines(result: NamedGcResult, style: Style, { isDry }: { readonly isDry: boolean }): string[] {
  const { name, url, garbage, kept, expired, rescued, done, stuck, jobs } = result;
  const head = `${visible(name)}  ${visible(url)}`;
  const isNothing = garbage.files + expired.files === 0;
  if (isNothing && jobs === 0) return [`${head}  nothing to throw away`];
  const records = `${countOf(jobs, 'record')} of Kubernetes Jobs that ended over 90 days ago`;
  if (isDry || !done)
    return [
      head,
      ...remoteGcPlanLines(result, style),
      ...(jobs > 0 ? [`${style.bad('to be deleted')}  ${records}`] : []),
      style.faint(isDry ? 'Nothing was changed: a dry run' : 'Nothing was changed'),
    ];
  const rows: string[][] = [];
  if (expired.files > 0) rows.push([style.good('deleted'), `${remoteAmount(expired)}${besides(rescued)}`]);
  if (jobs > 0) rows.push([style.good('deleted'), records]);
  if (garbage.files > 0)
    rows.push([
      style.good('dead'),
      `${remoteAmount(garbage)}${besides(kept)}; the next collection in a week or later deletes it`,
    ]);
  if (stuck > 0)
    rows.push([
      style.bad('stay'),
      `${countOf(stuck, 'file')} of which something needed could not be read: mlv verify --remote`,
    ]);
  return [...foreignLines(result, style), head, ...columns(rows)];
}

function foreignLines({ unknown }: RemoteGcPlan, style: Style): string[] {
  if (unknown === 0) return [];
  return [
    `${style.changed('note:')} versions that were pushed over 90 days ago and that no commit of this clone names: ${unknown}. If another repository pushes here, too, its data is among them`,
  ];
}

function remoteAmount({ blobs, bytes, files }: RemoteAmount): string {
  return `${countOf(blobs, 'blob')} (${formatBytes(bytes)}) in ${countOf(files, 'file')}`;
}

/** What of them is needed. */
function besides(copied: Amount): string {
  return copied.blobs === 0 ? '' : `, after ${amount(copied)} of them that are needed are stored again`;
}

function nothingLines({ unpushed, notes }: GcPlan, style: Style): string[] {
  const lines = [...noteLines(notes, style), 'Nothing to throw away'];
  if (unpushed.blobs === 0) return lines;
  return [
    ...lines,
    `${amount(unpushed)} that nothing needs stay: no remote has them`,
    `${style.command('hint:')} mlv push --all-commits, or mlv gc --unpushed`,
  ];
}

function noteLines(notes: readonly string[], style: Style): string[] {
  return notes.map((note) => `${style.changed('note:')} ${visible(note)}`);
}

function amount({ blobs, bytes }: Amount, noun = 'blob'): string {
  return `${countOf(blobs, noun)} (${formatBytes(bytes)})`;
}
