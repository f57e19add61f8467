/** A run as the lines of a screen: what is shown where not everything fits, and how. Pure; ink only puts them there. */
import type { StageId } from '../../domain/pipeline.ts';
import { countOf, formatCount, formatDuration, type Style, visible } from '../format.ts';
import type { RunModel, StageView } from './run-model.ts';
import { outcomeText, PAINTS, SIGNS, stageTime, totalLine } from './stage-text.ts';

export interface ScreenSize {
  readonly columns: number;
  readonly rows: number;
}

/** Turns with time, so that a run that prints nothing is seen to be alive. */
const SPINNER = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];
const TURN_MS = 100;
/** More stages that are up to date than these are a number. */
const FEW = 3;
const BAR = 24;
const TIME_WIDTH = 8;
const MAX_NAME = 32;
/** Lines of a summary; what failed is always told. */
const MAX_SUMMARY = 20;

/** What happens now, in at most `rows - 1` lines: the last one of a terminal stays empty, or it would scroll. */
export function liveRows(
  model: RunModel,
  { columns, rows }: ScreenSize,
  { now, style }: { readonly now: number; readonly style: Style },
): string[] {
  const room = Math.max(0, rows - 1);
  const footer = footerLine(model, columns, { now, style });
  if (room < 2) return room === 0 ? [] : [footer];
  const { shown, settled } = withoutSettled(model.stages());
  const head = settled === 0 ? [] : [settledLine(settled, style)];
  const space = Math.max(0, room - 1 - head.length);
  const chosen = shown.length <= space ? shown : mostTelling(shown, space);
  const width = nameWidth(chosen, columns);
  const lines = chosen.map((stage) => stageLine(stage, { width, columns, now, style }));
  return [...head.slice(0, room - 1), ...lines, footer];
}

/** What came of it, for good: no longer bound to the height of a terminal. */
export function summaryRows(
  model: RunModel,
  columns: number,
  { now, style }: { readonly now: number; readonly style: Style },
): string[] {
  const { shown, settled } = withoutSettled(model.stages());
  const ended = shown.filter(({ outcome }) => outcome !== undefined);
  const chosen = ended.length <= MAX_SUMMARY ? ended : mostTelling(ended, MAX_SUMMARY);
  const width = nameWidth(chosen, columns);
  const lines = settled === 0 ? [] : [settledLine(settled, style)];
  if (chosen.length < ended.length)
    lines.push(style.faint(`  … ${countOf(ended.length - chosen.length, 'stage')} more`));
  for (const stage of chosen) {
    lines.push(stageLine(stage, { width, columns, now, style }));
    for (const text of stage.lines) lines.push(style.faint(cut(`  │ ${text}`, columns - 1)));
  }
  return [...lines, totalLine(model.counts(), (now - model.startedAt) / 1000, style)];
}

/** Where they are many, stages with nothing to do are counted. */
function withoutSettled(stages: readonly StageView[]): { shown: readonly StageView[]; settled: number } {
  const shown = stages.filter(({ state }) => state !== 'up-to-date' && state !== 'frozen');
  const settled = stages.length - shown.length;
  return settled <= FEW ? { shown: stages, settled: 0 } : { shown, settled };
}

function settledLine(count: number, style: Style): string {
  return style.faint(`${SIGNS['up-to-date']} ${countOf(count, 'stage')} up to date`);
}

/** Of many stages those that tell most, in their order: running, failed, what ended last, what comes next. */
function mostTelling(stages: readonly StageView[], count: number): StageView[] {
  const rank = ({ state }: StageView): number => {
    if (state === 'running') return 0;
    if (state === 'failed') return 1;
    if (state === 'waiting') return 4;
    return state === 'blocked' || state === 'cancelled' ? 3 : 2;
  };
  // Sorting is stable, so of stages that wait the next ones are kept.
  const byRank = [...stages].sort((a, b) => rank(a) - rank(b) || (b.endedAs ?? 0) - (a.endedAs ?? 0));
  const kept = new Set(byRank.slice(0, count));
  return stages.filter((stage) => kept.has(stage));
}

function nameWidth(stages: readonly StageView[], columns: number): number {
  const limit = Math.max(8, Math.min(MAX_NAME, Math.floor(columns / 3)));
  return Math.min(limit, Math.max(0, ...stages.map(({ id }) => Array.from(visible(id)).length)));
}

interface Line {
  readonly width: number;
  readonly columns: number;
  readonly now: number;
  readonly style: Style;
}

/** `✓ prepare     1.2 s  done`. */
function stageLine(stage: StageView, { width, columns, now, style }: Line): string {
  const { state, startedAt, outcome } = stage;
  const paint = style[PAINTS[state]];
  const sign = state === 'running' ? (SPINNER[Math.floor(now / TURN_MS) % SPINNER.length] ?? '') : SIGNS[state];
  const seconds =
    outcome?.type === 'ran'
      ? outcome.seconds
      : state === 'running' && startedAt !== undefined
        ? // Whole seconds: tenths of many stages would flicker.
          Math.floor((now - startedAt) / 1000)
        : undefined;
  const time = seconds === undefined ? '' : state === 'running' ? formatDuration(seconds) : stageTime(seconds);
  const name = shortName(stage.id, width);
  const note = cut(noteOf(stage), columns - 1 - (2 + width + 2 + TIME_WIDTH + 2));
  const paintNote = state === 'failed' ? style.bad : state === 'blocked' ? style.changed : style.faint;
  const paintName = state === 'waiting' ? style.faint : (text: string) => text;
  const gap = ' '.repeat(width - Array.from(name).length);
  return `${paint(sign)} ${paintName(name)}${gap}  ${style.faint(time.padStart(TIME_WIDTH))}  ${paintNote(note)}`.trimEnd();
}

function noteOf({ state, outcome, startedAt, attempt = 1, lines }: StageView): string {
  if (outcome !== undefined) return outcome.type === 'ran' ? '' : outcomeText(outcome, startedAt !== undefined);
  if (state !== 'running') return '';
  const again = attempt > 1 ? `try ${attempt}: ` : '';
  return again + (lines.at(-1) ?? '');
}

/** The end of a name tells most: `…/mlv.yaml:train`. */
function shortName(id: StageId, width: number): string {
  const characters = Array.from(visible(id));
  return characters.length <= width
    ? characters.join('')
    : `…${characters.slice(characters.length - width + 1).join('')}`;
}

/** `━━━━━━━━━━──────────────  4 of 12  2 running  1 failed  35 s`. */
function footerLine(
  model: RunModel,
  columns: number,
  { now, style }: { readonly now: number; readonly style: Style },
): string {
  const counts = model.counts();
  const all = Object.values(counts).reduce((sum, count) => sum + count, 0);
  const ended = all - counts.waiting - counts.running;
  const parts = [
    style.title(`${formatCount(ended)} of ${countOf(all, 'stage')}`),
    ...(counts.running > 0 ? [style.command(`${formatCount(counts.running)} running`)] : []),
    ...(counts.failed > 0 ? [style.bad(`${formatCount(counts.failed)} failed`)] : []),
    style.faint(formatDuration(Math.floor((now - model.startedAt) / 1000))),
  ];
  if (columns < 70) return parts.join('  ');
  const filled = all === 0 ? BAR : Math.floor((BAR * ended) / all);
  const paint = counts.failed > 0 ? style.bad : style.good;
  return [`${paint('━'.repeat(filled))}${style.faint('─'.repeat(BAR - filled))}`, ...parts].join('  ');
}

function cut(text: string, width: number): string {
  const characters = Array.from(text);
  if (width < 1) return '';
  return characters.length <= width ? text : `${characters.slice(0, width - 1).join('')}…`;
}
