/** Stages of a run in words and signs: what the live view, its summary and the plain lines share. */
import type { StageOutcome } from '../../execution/stage-event.ts';
import { countOf, formatCount, formatDuration, type Style, visible } from '../format.ts';
import type { StageCounts, StageView } from './run-model.ts';

type State = StageView['state'];

/** Each its own sign: colours may be missing. */
export const SIGNS: Readonly<Record<State, string>> = {
  waiting: '·',
  running: '▸',
  ran: '✓',
  restored: '↺',
  'up-to-date': '=',
  frozen: '*',
  failed: '✗',
  blocked: '⊘',
  cancelled: '⊘',
  detached: '⇢',
};

export const PAINTS: Readonly<Record<State, keyof Style>> = {
  waiting: 'faint',
  running: 'command',
  ran: 'good',
  restored: 'good',
  'up-to-date': 'faint',
  frozen: 'faint',
  failed: 'bad',
  blocked: 'changed',
  cancelled: 'changed',
  detached: 'changed',
};

/** `3.2 s` below ten seconds, then as everywhere. */
export function stageTime(seconds: number): string {
  return seconds < 9.95 ? `${Math.max(0, seconds).toFixed(1)} s` : formatDuration(seconds);
}

const WORDS = { ran: 'done', 'up-to-date': 'up to date', frozen: 'frozen', cancelled: 'not run' } as const;

/** What became of a stage, beside how long it took. */
export function outcomeText(outcome: StageOutcome, hasStarted: boolean): string {
  if (outcome.type === 'cancelled' && hasStarted) return 'not run to its end';
  if (outcome.type === 'failed') return visible(outcome.error.message.split('\n')[0] ?? '');
  if (outcome.type === 'blocked') return `not run: ${visible(outcome.by)} failed`;
  if (outcome.type === 'detached') return `goes on as ${outcome.job}`;
  if (outcome.type !== 'restored') return WORDS[outcome.type];
  const name = outcome.record?.producer?.name;
  return name === undefined ? 'restored' : `restored, made by ${visible(name)}`;
}

/** `4 ran, 1 restored, 95 up to date`; undefined where there is nothing to count. */
function countsText(counts: StageCounts): string | undefined {
  const parts = [
    [counts.failed, 'failed'],
    [counts.ran, 'ran'],
    [counts.restored, 'restored'],
    [counts['up-to-date'], 'up to date'],
    [counts.frozen, 'frozen'],
    [counts.blocked, 'blocked'],
    [counts.cancelled, 'cancelled'],
    [counts.detached, 'detached'],
  ] as const;
  const told = parts.filter(([count]) => count > 0).map(([count, what]) => `${formatCount(count)} ${what}`);
  return told.length === 0 ? undefined : told.join(', ');
}

/** The last line of a run: what came of all of it, and how long it took. */
export function totalLine(counts: StageCounts, seconds: number, style: Style): string {
  const text = countsText(counts) ?? 'nothing to do';
  const left = counts.waiting + counts.running;
  const state = counts.failed > 0 ? 'failed' : counts.cancelled + counts.detached + left > 0 ? 'cancelled' : 'ran';
  const rest = left > 0 ? `, ${countOf(left, 'stage')} not run` : '';
  return `${style[PAINTS[state]](SIGNS[state])} ${style.title(`${text}${rest}`)} ${style.faint(`in ${stageTime(seconds)}`)}`;
}
