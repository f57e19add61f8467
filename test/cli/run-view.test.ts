import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'rolldown';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { createStyle } from '../../src/cli/format.ts';
import { createRunLines } from '../../src/cli/live/run-lines.ts';
import { createRunModel, lastWritten } from '../../src/cli/live/run-model.ts';
import { liveRows, summaryRows } from '../../src/cli/live/run-rows.ts';
import { openRunView } from '../../src/cli/live/run-view.ts';
import { MlvError } from '../../src/domain/errors.ts';
import type { StageId } from '../../src/domain/pipeline.ts';
import type { StageEvent, StageOutcome } from '../../src/execution/stage-event.ts';
import { makeTemporaryFolder } from '../support/git.ts';

const screens = vi.hoisted(() => ({ opened: 0 }));
vi.mock('../../src/cli/live/screen.ts', () => ({
  openScreen() {
    screens.opened += 1;
    return { above: () => {}, close: () => {} };
  },
}));

const plain = createStyle(false);
const SIZE = { columns: 80, rows: 24 };

let folder: string;
beforeAll(async () => {
  folder = makeTemporaryFolder();
  await build({
    input: fileURLToPath(new URL('run-view-child.ts', import.meta.url)),
    platform: 'node',
    logLevel: 'silent',
    external: [/screen\.ts$/],
    output: {
      file: join(folder, 'child.mjs'),
      format: 'esm',
      paths: (id) => (id.endsWith('screen.ts') ? './live.mjs' : id),
    },
  });
  cpSync(new URL('../../dist/live.mjs', import.meta.url), join(folder, 'live.mjs'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const ids = (...names: string[]): StageId[] => names as StageId[];
const started = (stage: string, attempt = 1): StageEvent => ({ type: 'started', stage: stage as StageId, attempt });
const line = (stage: string, text: string): StageEvent => ({
  type: 'line',
  stage: stage as StageId,
  stream: 'stdout',
  text,
});
const ended = (stage: string, outcome: StageOutcome): StageEvent => ({
  type: 'ended',
  stage: stage as StageId,
  outcome,
});
const error = new MlvError({ code: 'stage-failed', kind: 'io', message: 'train: exit code 2\nmore' });

test('counts stages as they start, print and end, and keeps what failed ones printed last', () => {
  const model = createRunModel(ids('a', 'train', 'c'), 1000);
  model.apply(started('train'), 2000);
  for (let index = 0; index < 12; index++) model.apply(line('train', `line ${index}`), 2000);
  model.apply(line('train', ' \t '), 2000);
  model.apply(ended('a', { type: 'up-to-date' }), 2100);
  model.apply(ended('train', { type: 'failed', error }), 2500);
  model.apply(ended('late', { type: 'ran', seconds: 1 }), 2600);
  const lines = Array.from({ length: 10 }, (_, index) => `line ${index + 2}`);
  expect(model.stages()).toEqual([
    { id: 'a', state: 'up-to-date', outcome: { type: 'up-to-date' }, lines: [], endedAs: 0 },
    {
      id: 'train',
      state: 'failed',
      startedAt: 2000,
      attempt: 1,
      outcome: { type: 'failed', error },
      lines,
      endedAs: 1,
    },
    { id: 'c', state: 'waiting', lines: [] },
    { id: 'late', state: 'ran', outcome: { type: 'ran', seconds: 1 }, lines: [], endedAs: 2 },
  ]);
  expect(model.counts()).toEqual({
    waiting: 1,
    running: 0,
    ran: 1,
    restored: 0,
    'up-to-date': 1,
    frozen: 0,
    failed: 1,
    blocked: 0,
    cancelled: 0,
    detached: 0,
  });
});

test('takes of a line what a terminal would show of it in the end, and nothing that steers', () => {
  const lines = [' 10%\r 50%\r100%\r\r', '\u001b[31mred\u001b[0m\tx', 'bell\u0007', '\u001b]0;title\u0007'];
  expect(lines.map(lastWritten)).toEqual(['100%', 'red  x', 'bell\\x07', '']);
});

test('shows what runs, with time and last line, cut to the width; never more lines than the terminal has', () => {
  const model = createRunModel(ids('prepare', 'train', 'evaluate'), 0);
  model.apply(ended('prepare', { type: 'ran', seconds: 1.24 }), 1300);
  model.apply(started('train', 2), 1300);
  model.apply(line('train', 'x'.repeat(100)), 1300);
  const rows = liveRows(model, SIZE, { now: 75_000, style: plain });
  expect(rows).toEqual([
    '✓ prepare      1.2 s',
    `⠋ train     1 min 13 s  try 2: ${'x'.repeat(49)}…`,
    '· evaluate',
    '━━━━━━━━────────────────  1 of 3 stages  1 running  1 min 15 s',
  ]);
  expect(liveRows(model, { columns: 40, rows: 3 }, { now: 75_000, style: plain })).toEqual([
    '⠋ train  1 min 13 s  try 2: xxxxxxxxxxxx…',
    '1 of 3 stages  1 running  1 min 15 s',
  ]);
  expect(liveRows(model, { columns: 80, rows: 1 }, { now: 0, style: plain })).toEqual([]);
});

test('of a thousand stages shows those that run or failed, then those that ended last, and counts the rest', () => {
  const names = Array.from({ length: 1000 }, (_, index) => `stage@${index}`);
  const model = createRunModel(ids(...names), 0);
  for (const name of names.slice(0, 400)) model.apply(ended(name, { type: 'up-to-date' }), 0);
  model.apply(started('stage@400'), 0);
  model.apply(ended('stage@400', { type: 'failed', error }), 0);
  for (const name of names.slice(401, 600)) model.apply(ended(name, { type: 'ran', seconds: 12 }), 0);
  model.apply(started('stage@900'), 0);
  expect(liveRows(model, { columns: 80, rows: 8 }, { now: 9_999, style: plain })).toEqual([
    '= 400 stages up to date',
    '✗ stage@400            train: exit code 2',
    '✓ stage@597      12 s',
    '✓ stage@598      12 s',
    '✓ stage@599      12 s',
    '⠹ stage@900       9 s'.replace('⠹', '⠏'),
    '━━━━━━━━━━━━━━──────────  600 of 1,000 stages  1 running  1 failed  9 s',
  ]);
  const summary = summaryRows(model, 80, { now: 9_999, style: plain });
  expect([...summary.slice(0, 4), ...summary.slice(-2)]).toEqual([
    '= 400 stages up to date',
    '  … 180 stages more',
    '✗ stage@400            train: exit code 2',
    '✓ stage@581      12 s',
    '✓ stage@599      12 s',
    '✗ 1 failed, 199 ran, 400 up to date, 400 stages not run in 10 s',
  ]);
});

test('signs differ where there are no colours, and colours move nothing', () => {
  const model = createRunModel(ids('a', 'b'), 0);
  model.apply(ended('a', { type: 'failed', error }), 0);
  model.apply(ended('b', { type: 'blocked', by: 'a' as StageId }), 0);
  const strip = (text: string): string => text.replace(/\u001b\[\d+m/g, '');
  const coloured = summaryRows(model, 80, { now: 0, style: createStyle(true) });
  expect(coloured[0]).toContain('\u001b[31m✗\u001b[39m');
  expect(coloured.map(strip)).toEqual(summaryRows(model, 80, { now: 0, style: plain }));
});

test('without a terminal, lines carry the name of their stage, and say why it runs', () => {
  const stages = ids('train', 'up', 'evaluate');
  const reasons = (stage: StageId): string[] => (stage === 'train' ? ['data.csv changed', 'forced'] : []);
  const linesOf = createRunLines({ stages, reasons, style: plain, isColoured: false });
  const events: StageEvent[] = [
    ended('up', { type: 'up-to-date' }),
    started('train'),
    line('train', '\u001b[32mepoch\u001b[0m 1\r\u001b[2Kepoch 2'),
    line('train', ''),
    started('train', 2),
    ended('train', { type: 'ran', seconds: 71 }),
    started('evaluate'),
    ended('evaluate', { type: 'failed', error }),
  ];
  expect(events.flatMap(linesOf)).toEqual([
    'train    ▸ runs: data.csv changed, forced',
    'train    | epoch 2',
    'train    |',
    'train    ▸ try 2',
    'train    ✓ done in 1 min 11 s',
    'evaluate ▸ runs',
    'evaluate ✗ train: exit code 2',
  ]);
  const inColour = createRunLines({ stages, reasons, style: createStyle(true), isColoured: true });
  expect(inColour(line('train', '\u001b[32mok\u001b[0m \u001b[2Jx\u0001'))).toEqual([
    '\u001b[36mtrain   \u001b[39m \u001b[2m|\u001b[22m \u001b[32mok\u001b[0m x\\x01\u001b[0m',
  ]);
});

const SUMMARY = [
  'waiting: another mlv writes',
  '= download                            up to date',
  '= clean                               up to date',
  '= features                            up to date',
  '↺ prepare                             restored, made by Ada Lovelace',
  '✓ train@small                  3.2 s',
  '✗ train@large                         train@large: exit code 2',
  '  │  50%|█████     |',
  '  │ Traceback (most recent call last):',
  "  │ ValueError: 'lr' must be a number",
  '⊘ models/mlv.yaml:evaluate            not run: train@large failed',
  '⊘ report                              not run',
];

test('on a terminal, a summary is all that is left of what moved', ({ skip }) => {
  const isThere = /util-linux/.test(spawnSync('script', ['--version'], { encoding: 'utf8' }).stdout ?? '');
  if (!isThere) skip('the script program of util-linux is not installed');
  const command = `stty rows 24 cols 80; '${process.execPath}' child.mjs mixed 0.5`;
  const typed = execFileSync('script', ['--quiet', '--return', '--command', command, '/dev/null'], {
    cwd: folder,
    env: { PATH: process.env['PATH'], TERM: 'xterm-256color', NO_COLOR: '1', CI_JOB: 'x', DEV: 'true' },
    input: '',
    encoding: 'utf8',
  });
  // It did move, and the cursor is there again.
  expect(typed).toMatch(/[⠋-⠿] train@small +\d+ s  epoch 2 of 3/);
  expect(typed.lastIndexOf('\u001b[?25h')).toBeGreaterThan(typed.lastIndexOf('\u001b[?25l'));
  const { lines, highest } = screenOf(typed);
  expect(lines.slice(0, -1)).toEqual(SUMMARY);
  expect(lines.at(-1)).toMatch(/^✗ 1 failed, 1 ran, 1 restored, 3 up to date, 1 blocked, 1 cancelled in [\d.]+ s$/);
  expect(highest).toBeLessThan(24);
});

/** What a terminal shows after this was written to it, and the most lines that it ever had. Only what ink writes is understood. */
function screenOf(written: string): { lines: string[]; highest: number } {
  const lines = [''];
  let row = 0;
  let column = 0;
  let highest = 0;
  for (const part of written.match(/\u001b\[[?\d;]*[A-Za-z]|\r|\n|[^\u001b\r\n]+/g) ?? []) {
    const control = /^\u001b\[(\??[\d;]*)([A-Za-z])$/.exec(part);
    if (part === '\r') column = 0;
    else if (part === '\n') row += 1;
    else if (control === null) {
      const before = Array.from(lines[row] ?? '');
      const text = Array.from(part);
      before.splice(column, text.length, ...text);
      lines[row] = before.join('');
      column += text.length;
    } else if (control[2] === 'A') row = Math.max(0, row - Number(control[1] || 1));
    else if (control[2] === 'G') column = Number(control[1] || 1) - 1;
    else if (control[2] === 'K')
      lines[row] =
        control[1] === '2'
          ? ''
          : Array.from(lines[row] ?? '')
              .slice(0, column)
              .join('');
    else if (!['h', 'l', 'm'].includes(control[2] ?? '')) throw new Error(`not understood: ${JSON.stringify(part)}`);
    lines[row] ??= '';
    highest = Math.max(highest, lines.filter((text) => text !== '').length);
  }
  while (lines.at(-1) === '') lines.pop();
  return { lines: lines.map((text) => text.trimEnd()), highest };
}

test('the live view is loaded when the first stage starts: not where nothing does', async () => {
  const written: string[] = [];
  const stream = { isTTY: true, columns: 80, rows: 24, write: (text: string) => written.push(text) };
  const options = { stages: ids('a', 'b'), reasons: () => [] };
  const open = () => openRunView(options, { stream, kind: 'live', style: plain, isColoured: false, now: () => 1000 });
  const idle = open();
  for (const stage of options.stages) idle.apply(ended(stage, { type: 'up-to-date' }));
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(screens.opened).toBe(0);
  idle.close();
  idle.close();
  const rows = ['a', 'b'].map((stage) => `= ${stage.padEnd(13)}up to date\n`);
  expect(written).toEqual([`${rows.join('')}✓ 2 up to date in 0.0 s\n`]);
  const busy = open();
  busy.apply(started('a'));
  busy.apply(started('b'));
  await expect.poll(() => screens.opened).toBe(1);
  busy.close();
});
