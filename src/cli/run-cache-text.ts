import type { ListedRun } from '../workspace/list-runs.ts';
import type { FetchedRuns, PushedRuns } from '../workspace/run-transfer.ts';
import { columns, countOf, formatBytes, shorten, type Style, visible } from './format.ts';

const MAX_INVALID = 20;

/** A line for each result. */
export function runLines(runs: readonly ListedRun[], style: Style): string[] {
  if (runs.length === 0) return ['No results are known here'];
  return columns(
    runs.map(({ stage, finished, producer, outs, size, isHere }) => [
      visible(stage),
      style.faint(finished),
      producer === undefined ? style.faint('somebody') : visible(`${producer.name} <${producer.email}>`),
      countOf(outs.length, 'output'),
      formatBytes(size),
      isHere ? style.good('here') : style.faint('not here'),
    ]),
  );
}

export function forgottenLines(
  { runs, done }: { readonly runs: readonly ListedRun[]; readonly done: boolean },
  style: Style,
  { isDry }: { readonly isDry: boolean },
): string[] {
  if (runs.length === 0) return ['There is nothing to forget'];
  if (isDry) return runLines(runs, style);
  return [done ? `${style.good('forgot')} ${countOf(runs.length, 'result')}` : 'Nothing was forgotten'];
}

/** What `push --run-cache` says of results. */
export function pushedRunLines({ sent, known, incomplete }: PushedRuns, style: Style): string[] {
  const state = sent === 0 ? style.good('up to date') : `${style.good('sent')} ${countOf(sent, 'result')}`;
  const left =
    incomplete === 0
      ? []
      : [`${countOf(incomplete, 'result')} left out: some of what they made is not here, or is not to be pushed`];
  return [...columns([['run cache', `${countOf(sent + known, 'result')} there`, state]]), ...left];
}

/** What `fetch --run-cache` and `pull --run-cache` say of results. */
export function fetchedRunLines({ received, known, invalid }: FetchedRuns, style: Style): string[] {
  const state = received === 0 ? style.good('up to date') : `${style.good('got')} ${countOf(received, 'result')}`;
  const passed =
    invalid.length === 0
      ? []
      : [
          '',
          style.changed('Passed over, as it is no result of a stage:'),
          ...shorten(invalid, MAX_INVALID, style, '  '),
        ];
  return [...columns([['run cache', `${countOf(received + known, 'result')} here`, state]]), ...passed];
}
