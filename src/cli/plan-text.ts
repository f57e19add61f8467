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
  const warnings = new Set(stages.flatMap(({ warning }) => warning ?? []));
  return [
    ...lines,
    ...[...warnings].map((warning) => `${style.changed('warning:')} ${visible(warning)}`),
    summaryLine(stages, style),
  ];
}

/** As `--json` has it: reasons as data and in words. */
export function planData({ reasons, ...planned }: PlannedStage): unknown {
  return { ...planned, reasons: reasons.map((reason) => ({ ...reason, text: staleReasonText(reason) })) };
}

/** How many stages are to be treated how. */
export function stageCounts(stages: readonly PlannedStage[]): Readonly<Record<Action, number>> {
  const counts = { run: 0, restore: 0, depends: 0, blocked: 0, skip: 0, frozen: 0 };
  for (const { action } of stages) counts[action] += 1;
  return counts;
}

/** The same in a line: what `status` ends with. */
export function summaryLine(stages: readonly PlannedStage[], style: Style): string {
  const counts = stageCounts(stages);
  const parts = [
    [counts.run, 'to run'],
    [counts.restore, 'to restore'],
    [counts.depends, 'depending on them'],
    [counts.blocked, 'blocked'],
  ] as const;
  const open = parts.filter(([count]) => count > 0).map(([count, what]) => `${count} ${what}`);
  const all = countOf(stages.length, 'stage');
  if (open.length === 0) return style.good(`${all} up to date`);
  const rest = counts.skip + counts.frozen;
  return `${all}: ${[...open, ...(rest > 0 ? [`${rest} up to date`] : [])].join(', ')}`;
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
