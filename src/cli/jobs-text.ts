import type { ClusterFailure } from '../execution/kubernetes/ask-clusters.ts';
import type { CollectedJobs } from '../execution/kubernetes/collect-jobs.ts';
import { WAITS } from '../execution/kubernetes/job-state.ts';
import type { ListedJob, ListedState } from '../execution/kubernetes/list-jobs.ts';
import { columns, countOf, type Style, visible } from './format.ts';
import type { TableCell, TableColumn } from './value-table.ts';
import { textTable } from './value-table.ts';

const STEP_WORDS = { fetch: 'fetches', stage: 'runs', push: 'pushes' } as const;
const FAILURE_WORDS = {
  preempted: 'preempted',
  'out-of-memory': 'out of memory',
  'out-of-disk': 'out of disk',
  timeout: 'timeout',
  config: 'cannot be set up',
  credentials: 'no access to the remote',
  data: 'data missing or damaged',
  remote: 'remote not reached',
  output: 'no output',
  command: 'command',
  unknown: 'unknown',
} as const;
const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** A line for each job, at most so many columns wide. */
export function jobLines(
  jobs: readonly ListedJob[],
  style: Style,
  given: { readonly hidden: number; readonly now: number; readonly columns: number | undefined },
): string[] {
  const { hidden, now } = given;
  const more =
    hidden === 0 ? [] : [style.faint(`${countOf(hidden, 'job')} that ended well: mlv jobs --all lists them, too`)];
  if (jobs.length === 0) return ['No jobs are under way, and none failed', ...more];
  const isOnSeveral = new Set(jobs.map(({ profile }) => profile)).size > 1;
  const shown: { readonly column: TableColumn; readonly cell: (job: ListedJob) => TableCell }[] = [
    { column: { title: 'stage', isName: true }, cell: ({ stage }) => ({ text: stage }) },
    { column: { title: 'job', isName: true }, cell: ({ job }) => ({ text: job }) },
    ...(isOnSeveral
      ? [
          {
            column: { title: 'profile' },
            cell: ({ profile }: ListedJob) => ({ text: profile, paint: 'faint' as const }),
          },
        ]
      : []),
    { column: { title: 'state' }, cell: ({ state }) => stateCell(state) },
    { column: { title: 'sent by' }, cell: ({ sentBy }) => ({ text: sentBy }) },
    { column: { title: 'age', align: 'right' }, cell: ({ created }) => ({ text: ageText(created, now) }) },
  ];
  const table = {
    columns: shown.map(({ column }) => column),
    rows: jobs.map((job) => shown.map(({ cell }) => cell(job))),
  };
  return [...textTable(table, style, given.columns), ...more];
}

function stateCell(state: ListedState): TableCell {
  switch (state.type) {
    case 'waiting':
      return { text: `${WAITS[state.wait]}: ${state.message}`, paint: 'changed' };
    case 'active':
      return { text: STEP_WORDS[state.step] };
    case 'ending':
      return { text: 'is being deleted', paint: 'changed' };
    case 'complete':
      return { text: 'complete', paint: 'good' };
    case 'failed':
      return { text: `failed: ${FAILURE_WORDS[state.kind]}`, paint: 'bad' };
    default:
      return state satisfies never;
  }
}

function ageText(created: string, now: number): string {
  const seconds = Math.max(0, now - Date.parse(created)) / 1000;
  if (Number.isNaN(seconds)) return '?';
  if (seconds < MINUTE) return `${Math.floor(seconds)} s`;
  if (seconds < HOUR) return `${Math.floor(seconds / MINUTE)} min`;
  return seconds < DAY ? `${Math.floor(seconds / HOUR)} h` : `${Math.floor(seconds / DAY)} d`;
}

export function cancelledLines(job: ListedJob, style: Style): string[] {
  const { stage, sentBy, namespace, context } = job;
  const what = `${visible(job.job)}, sent by ${visible(sentBy)} for stage ${visible(stage)}`;
  return [`${style.good('deleted')} job ${what}, from namespace ${namespace} of ${visible(context)}`];
}

export function collectedLines(
  { jobs, configMaps, kept }: Omit<CollectedJobs, 'failures'>,
  style: Style,
  { isDry }: { readonly isDry: boolean },
): string[] {
  const verb = isDry ? style.changed('would go') : style.good('deleted');
  const rows = [
    ...jobs.map(({ job, stage, state }) => [verb, `job ${visible(job)}`, visible(stage), stateCell(state).text]),
    ...configMaps.map(({ name, kind }) => [
      verb,
      `config map ${visible(name)}`,
      '',
      kind === 'task' ? 'a task without a job' : 'a program of pods without a job',
    ]),
  ];
  const left =
    kept.length === 0 ? [] : [`${countOf(kept.length, 'job')} kept, whose result is not here yet: mlv repro takes it`];
  return rows.length === 0 ? ['There is nothing to delete', ...left] : [...columns(rows), ...left];
}

export function failureNote({ profile, error }: ClusterFailure): string {
  const { message, hint } = error;
  return visible(`profile ${profile}: ${message}${hint === undefined ? '' : ` (${hint})`}`);
}

export function failureData({ profile, error: { code, message, hint } }: ClusterFailure): unknown {
  return { profile, error: { code, message, hint } };
}
