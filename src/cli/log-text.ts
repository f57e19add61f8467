import { type Style } from './format.ts';
import { countOf, formatBytes, formatCount, visible } from './format.ts';
import type { LogResult, LogVersion } from '../workspace/log.ts';

/** What `log` tells of a version; of the first one of its commit, with who made that, when and why. */
export function versionLines(version: LogVersion, isFirst: boolean, style: Style): string[] {
  const { commit, author, date, subject } = version;
  const head = `${style.changed(commit.slice(0, 10))}  ${date.slice(0, 10)}  ${visible(author.name)}  ${visible(subject)}`;
  return isFirst ? [head, datasetLine(version, style)] : [datasetLine(version, style)];
}

function datasetLine({ dataset, change, type, hash, size, files, changes }: LogVersion, style: Style): string {
  const content = type === 'dir' ? `${countOf(files, 'file')}, ${formatBytes(size)}` : formatBytes(size);
  const details = [visible(dataset), change === 'deleted' ? style.bad('deleted') : content];
  if (change === 'added') details.push(style.good('new'));
  if (change === 'modified' && type === 'dir')
    details.push(changes === undefined ? style.faint('changes not known here') : countsOf(changes));
  if (change !== 'deleted') details.push(style.faint(`b3:${hash.slice(0, 10)}`));
  return `    ${details.join('  ')}`;
}

function countsOf(changes: NonNullable<LogVersion['changes']>): string {
  return (['added', 'modified', 'deleted'] as const)
    .filter((kind) => changes[kind] > 0)
    .map((kind) => `${formatCount(changes[kind])} ${kind}`)
    .join(', ');
}

export function logSummaryLines({ versions, unknown }: LogResult, style: Style): string[] {
  if (versions === 0) return ['No versions are committed yet'];
  if (unknown === 0) return [];
  const what = unknown === 1 ? 'this version' : 'these versions';
  return [
    '',
    `${countOf(unknown, 'version')}: not known here what changed. ${style.command('mlv fetch --all-commits')} gets ${what}`,
  ];
}
