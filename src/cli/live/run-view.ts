import type { StageId } from '../../domain/pipeline.ts';
import type { StageEvent } from '../../execution/stage-event.ts';
import type { Style } from '../format.ts';
import type { OutputStream } from '../output.ts';
import type { Screen } from './screen.ts';
import { createRunLines } from './run-lines.ts';
import { createRunModel } from './run-model.ts';
import { liveRows, summaryRows } from './run-rows.ts';
import { totalLine } from './stage-text.ts';

/** Shows a run of stages while it goes on. */
export interface RunView {
  /** Takes what happens to stages. */
  readonly apply: (event: StageEvent) => void;
  /** Writes a line of something else, without harm to what is shown. */
  readonly above: (line: string) => void;
  /** Takes away what moves, and leaves a summary; once. */
  readonly close: () => void;
}

export interface RunViewOptions {
  /** All that take part, in the order in which they are to be shown. */
  readonly stages: readonly StageId[];
  /** Why a stage runs, in words; asked when it starts. */
  readonly reasons: (stage: StageId) => readonly string[];
}

export interface RunViewSurroundings {
  readonly stream: OutputStream;
  /** `live` rewrites a terminal, `lines` adds to what there is, `off` says nothing. */
  readonly kind: 'live' | 'lines' | 'off';
  readonly style: Style;
  readonly isColoured: boolean;
  /** Milliseconds that only grow. */
  readonly now: () => number;
}

/** Begins to show a run. */
export function openRunView(
  { stages, reasons }: RunViewOptions,
  { stream, kind, style, isColoured, now }: RunViewSurroundings,
): RunView {
  const print = (lines: readonly string[]): void => {
    if (lines.length > 0) stream.write(`${lines.join('\n')}\n`);
  };
  if (kind === 'off') return { apply: () => {}, above: () => {}, close: () => {} };
  const model = createRunModel(stages, now());
  let isOpen = true;
  if (kind === 'lines') {
    const linesOf = createRunLines({ stages, reasons, style, isColoured });
    return {
      apply(event) {
        model.apply(event, now());
        print(linesOf(event));
      },
      above: (line) => print([line]),
      close() {
        if (isOpen) print([totalLine(model.counts(), (now() - model.startedAt) / 1000, style)]);
        isOpen = false;
      },
    };
  }
  let screen: Screen | undefined;
  let isAsked = false;
  /** Ink takes longer to load than to find out that there is nothing to do: only a stage that runs is worth it. */
  async function openLive(): Promise<void> {
    const { openScreen } = await import('./screen.ts');
    if (isOpen) screen = openScreen({ stream, rows: (size) => liveRows(model, size, { now: now(), style }) });
  }
  return {
    apply(event) {
      model.apply(event, now());
      if (event.type !== 'started' || isAsked) return;
      isAsked = true;
      // Without it the run goes on, and its end is told.
      openLive().catch(() => undefined);
    },
    above(line) {
      if (isOpen && screen !== undefined) screen.above(`${line}\n`);
      else print([line]);
    },
    close() {
      if (!isOpen) return;
      isOpen = false;
      screen?.close();
      print(summaryRows(model, stream.columns || 80, { now: now(), style }));
    },
  };
}
