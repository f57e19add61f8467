import { dirname } from 'node:path';
import type { LoggedRun } from '../execution/stage-logs.ts';
import { columns, formatBytes, formatDuration, type Style, visible } from './format.ts';

/** The stages of which there are logs. */
export function runsLines(runs: readonly LoggedRun[], style: Style): string[] {
  const [first] = runs;
  if (first === undefined) return ['No stage has run here yet'];
  const rows = runs.map((run) => [
    visible(run.stage),
    `${run.started.slice(0, 10)} ${run.started.slice(11, 19)}`,
    outcomeText(run, style),
    formatBytes(run.bytes),
  ]);
  return [...columns(rows), '', `Times are UTC. The files are in ${visible(dirname(dirname(first.path)))}`];
}

function outcomeText({ outcome, seconds }: LoggedRun, style: Style): string {
  const paint = {
    succeeded: style.good,
    running: style.changed,
    failed: style.bad,
    interrupted: style.changed,
    'cut-short': style.changed,
  }[outcome];
  const word = outcome === 'cut-short' ? 'cut short' : outcome;
  return paint(seconds === undefined ? word : `${word} after ${formatDuration(seconds)}`);
}

/** What the log itself does not say; undefined where it does. */
export function logNote({ outcome, stage }: LoggedRun): string | undefined {
  if (outcome === 'running') return `stage ${stage} is still running: mlv logs -f ${stage} goes on with it`;
  if (outcome === 'cut-short') return `the log ends here: mlv was killed before the run of stage ${stage} had ended`;
  return undefined;
}
