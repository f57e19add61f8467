/** A run where there is no terminal, or no live view is wanted: what stages print, each line with its stage's name before it. */
import { stripVTControlCharacters } from 'node:util';
import type { StageId } from '../../domain/pipeline.ts';
import type { StageEvent } from '../../execution/stage-event.ts';
import { type Style, visible } from '../format.ts';
import { lastWritten } from './run-model.ts';
import { outcomeText, PAINTS, SIGNS, stageTime } from './stage-text.ts';

/** Longer names are not waited for by the others. */
const MAX_NAME = 24;
/** Names take turns in these, so that neighbours differ. */
const TURNS = ['command', 'good', 'changed', 'title'] as const satisfies readonly (keyof Style)[];

export interface RunLinesOptions {
  readonly stages: readonly StageId[];
  /** Why a stage runs, in words. */
  readonly reasons: (stage: StageId) => readonly string[];
  readonly style: Style;
  readonly isColoured: boolean;
}

/** What to print for each event: lines, or nothing, as for a stage that is up to date. */
export function createRunLines({
  stages,
  reasons,
  style,
  isColoured,
}: RunLinesOptions): (event: StageEvent) => string[] {
  const order = new Map(stages.map((id, index) => [id, index]));
  const started = new Set<StageId>();
  const width = Math.min(MAX_NAME, Math.max(0, ...stages.map((id) => visible(id).length)));

  function nameOf(id: StageId): string {
    const paint = TURNS[(order.get(id) ?? 0) % TURNS.length] ?? 'title';
    return style[paint](visible(id).padEnd(width));
  }

  return (event) => {
    const { stage } = event;
    if (event.type === 'line') {
      const text = isColoured ? coloured(event.text) : lastWritten(event.text);
      return [`${nameOf(stage)} ${style.faint('|')} ${text}`.trimEnd()];
    }
    const state = event.type === 'started' ? 'running' : event.outcome.type;
    if (state === 'up-to-date' || state === 'frozen') return [];
    const head = `${nameOf(stage)} ${style[PAINTS[state]](SIGNS[state])}`;
    if (event.type === 'started') {
      started.add(stage);
      if (event.attempt > 1) return [`${head} try ${event.attempt}`];
      const why = reasons(stage).map(visible);
      return [why.length === 0 ? `${head} runs` : `${head} runs: ${why.join(', ')}`];
    }
    const { outcome } = event;
    const text = outcomeText(outcome, started.has(stage));
    return [`${head} ${outcome.type === 'ran' ? `${text} in ${stageTime(outcome.seconds)}` : text}`];
  };
}

/** With its colours, which end with the line; nothing else that steers a terminal, and of a progress bar its last state. */
function coloured(text: string): string {
  const last = text.replace(/\r+$/, '').split('\r').at(-1) ?? '';
  const parts = last.split(/(\u001b\[[\d;]*m)/);
  const kept = parts.map((part, index) =>
    index % 2 === 1 ? part : visible(stripVTControlCharacters(part).replaceAll('\t', '  ')),
  );
  return parts.length > 1 ? `${kept.join('')}\u001b[0m` : kept.join('');
}
