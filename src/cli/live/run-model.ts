/** What a run of stages has come to, from its events; screens show it. It has no clock: times are told to it, in milliseconds. */
import { stripVTControlCharacters } from 'node:util';
import type { StageId } from '../../domain/pipeline.ts';
import type { StageEvent, StageOutcome } from '../../execution/stage-event.ts';
import { visible } from '../format.ts';

export interface StageView {
  readonly id: StageId;
  readonly state: 'waiting' | 'running' | StageOutcome['type'];
  /** When its latest try began. */
  readonly startedAt?: number;
  /** From 1. */
  readonly attempt?: number;
  /** What it printed last, while it runs and of what failed; oldest first. */
  readonly lines: readonly string[];
  readonly outcome?: StageOutcome;
  /** Grows with each stage that ends. */
  readonly endedAs?: number;
}

export type StageCounts = Readonly<Record<StageView['state'], number>>;

export interface RunModel {
  /** Takes an event. Stages that were not named at the start come last. */
  apply(event: StageEvent, now: number): void;
  /** In the order that was given. */
  stages(): readonly StageView[];
  counts(): StageCounts;
  readonly startedAt: number;
}

/** Of what failed, so much of its output is shown at the end. */
const KEPT_LINES = 10;

/** A run in which nothing happened yet. */
export function createRunModel(stages: readonly StageId[], now: number): RunModel {
  const views = new Map<StageId, StageView>(stages.map((id) => [id, { id, state: 'waiting', lines: [] }]));
  const counts = {
    waiting: stages.length,
    running: 0,
    ran: 0,
    restored: 0,
    'up-to-date': 0,
    frozen: 0,
    failed: 0,
    blocked: 0,
    cancelled: 0,
    detached: 0,
  };
  let ended = 0;

  function set(view: StageView): void {
    const before = views.get(view.id);
    if (before !== undefined) counts[before.state] -= 1;
    counts[view.state] += 1;
    views.set(view.id, view);
  }

  return {
    startedAt: now,
    apply(event, time) {
      const { stage: id } = event;
      const view = views.get(id) ?? { id, state: 'waiting', lines: [] };
      if (event.type === 'started') {
        set({ id, state: 'running', startedAt: time, attempt: event.attempt, lines: [] });
      } else if (event.type === 'line') {
        const text = lastWritten(event.text);
        // Blank lines tell nothing of how far it is.
        if (text !== '') views.set(id, { ...view, lines: [...view.lines, text].slice(-KEPT_LINES) });
      } else {
        const { outcome } = event;
        const lines = outcome.type === 'failed' ? view.lines : [];
        set({ ...view, state: outcome.type, outcome, lines, endedAs: ended++ });
      }
    },
    stages: () => [...views.values()],
    counts: () => ({ ...counts }),
  };
}

/** What a terminal would show of a line in the end: a progress bar writes over itself. No colours, nothing that steers. */
export function lastWritten(text: string): string {
  const plain = stripVTControlCharacters(text).replaceAll('\t', '  ').trimEnd();
  return visible(plain.slice(plain.lastIndexOf('\r') + 1)).trimEnd();
}
