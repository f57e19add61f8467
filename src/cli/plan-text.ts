import type { PlannedStage } from '../execution/plan.ts';
import type { Style } from './format.ts';
import { countOf, formatBytes, visible } from './format.ts';
import { staleReasonText } from './stale-reason-text.ts';

type Action = PlannedStage['action'];

const WORDS: Readonly<Record<Action, string>> = {
  skip: 'up to date',
  frozen: 'frozen',
  restore: 'restore',
  run: 'run',
  depends: 'depends',
  blocked: 'blocked',
};

/** What each stage of a plan is to do, and why; those that are up to date as a number, unless `isVerbose`. */
export function planLines(stages: readonly PlannedStage[], style: Style, isVerbose: boolean): string[] {
  const told = stages.filter(({ action }) => isVerbose || (action !== 'skip' && action !== 'frozen'));
  const width = Math.max(0, ...told.map(({ action }) => WORDS[action].length));
  const lines = told.flatMap((planned) => {
    const word = paint(planned.action, style)(WORDS[planned.action].padEnd(width));
    const size = planned.bytes > 0 ? style.faint(`  ${formatBytes(planned.bytes)}`) : '';
    return [
      `${word}  ${visible(planned.stage)}${size}`,
      ...whyLines(planned).map((why) => `${' '.repeat(width)}    ${style.faint(why)}`),
    ];
  });
  return [...lines, summaryLine(stages, style)];
}

/** As `--json` has it: reasons as data and in words. */
export function planData({ reasons, ...planned }: PlannedStage): unknown {
  return { ...planned, reasons: reasons.map((reason) => ({ ...reason, text: staleReasonText(reason) })) };
}

/** How many stages are to run, or be restored: what `status` ends with. */
export function summaryLine(stages: readonly PlannedStage[], style: Style): string {
  const of = (...actions: readonly Action[]): number => stages.filter(({ action }) => actions.includes(action)).length;
  const parts = [
    [of('run'), 'to run'],
    [of('restore'), 'to restore'],
    [of('depends'), 'depending on them'],
    [of('blocked'), 'blocked'],
  ] as const;
  const open = parts.filter(([count]) => count > 0).map(([count, what]) => `${count} ${what}`);
  if (open.length === 0) return style.good(`${countOf(stages.length, 'stage')}: up to date`);
  const rest = of('skip', 'frozen');
  return `${countOf(stages.length, 'stage')}: ${[...open, ...(rest > 0 ? [`${rest} up to date`] : [])].join(', ')}`;
}

function whyLines({ action, reasons, after, record }: PlannedStage): string[] {
  const lines = reasons.map(staleReasonText);
  if (action === 'depends')
    lines.push(`reads what ${after.map(visible).join(', ')} ${after.length === 1 ? 'makes' : 'make'}`);
  if (record !== undefined) {
    const who = record.producer === undefined ? '' : ` by ${visible(record.producer.name)}`;
    lines.push(`known result${who}, ${record.finished.slice(0, 10)}`);
  }
  return lines;
}

function paint(action: Action, style: Style): (text: string) => string {
  if (action === 'blocked') return style.bad;
  if (action === 'skip' || action === 'frozen') return style.good;
  return style.changed;
}
