/** Shows an invented run, for tests and for the eye: `child.mjs SCENARIO`, on its own stderr. */
import type { StageId } from '../../src/domain/pipeline.ts';
import { MlvError } from '../../src/domain/errors.ts';
import type { StageEvent, StageOutcome } from '../../src/execution/stage-event.ts';
import { createStyle } from '../../src/cli/format.ts';
import { openRunView } from '../../src/cli/live/run-view.ts';

type Step =
  | StageEvent
  | { readonly type: 'wait'; readonly ms: number }
  | { readonly type: 'note'; readonly text: string };

const [scenario = 'mixed', pace = '1'] = process.argv.slice(2);

const started = (stage: string, attempt = 1): Step => ({ type: 'started', stage: stage as StageId, attempt });
const line = (stage: string, text: string): Step => ({ type: 'line', stage: stage as StageId, stream: 'stdout', text });
const ended = (stage: string, outcome: StageOutcome): Step => ({ type: 'ended', stage: stage as StageId, outcome });
const wait = (ms: number): Step => ({ type: 'wait', ms });

const failed = new MlvError({ code: 'stage-failed', kind: 'io', message: 'train@large: exit code 2' });
const ada = { producer: { name: 'Ada Lovelace', email: 'ada@example.org' }, finished: '2026-01-01', seconds: 60 };

const SCENARIOS: Readonly<Record<string, { stages: readonly string[]; steps: readonly Step[] }>> = {
  mixed: {
    stages: [
      'download',
      'clean',
      'features',
      'prepare',
      'train@small',
      'train@large',
      'models/mlv.yaml:evaluate',
      'report',
    ],
    steps: [
      ...['download', 'clean', 'features'].map((id) => ended(id, { type: 'up-to-date' })),
      ended('prepare', { type: 'restored', record: ada }),
      started('train@small'),
      started('train@large'),
      line('train@small', '\u001b[32mepoch\u001b[0m 1 of 3, loss 0.9'),
      line('train@large', ' 10%|█         |\r 50%|█████     |'),
      { type: 'note', text: 'waiting: another mlv writes' },
      wait(600),
      line(
        'train@small',
        'epoch 2 of 3, loss 0.5 — and much that is said beside, of which a terminal shows what fits in it',
      ),
      line('train@large', 'Traceback (most recent call last):'),
      line('train@large', "ValueError: 'lr' must be a number"),
      wait(600),
      ended('train@large', { type: 'failed', error: failed }),
      ended('models/mlv.yaml:evaluate', { type: 'blocked', by: 'train@large' as StageId }),
      wait(300),
      ended('train@small', { type: 'ran', seconds: 3.21 }),
      ended('report', { type: 'cancelled' }),
    ],
  },
  many: {
    stages: Array.from({ length: 1000 }, (_, index) => `stage@${index}`),
    steps: Array.from({ length: 1000 }, (_, index): Step[] => {
      const id = `stage@${index}`;
      if (index < 500) return [ended(id, { type: 'up-to-date' })];
      return [
        started(id),
        line(id, `does ${index}`),
        ...(index % 100 === 0 ? [wait(250)] : []),
        ended(id, { type: 'ran', seconds: 0.1 }),
      ];
    }).flat(),
  },
};

const { stages, steps } = SCENARIOS[scenario] ?? { stages: [], steps: [] };
const isColoured = !process.env['NO_COLOR'];
const view = openRunView(
  { stages: stages as StageId[], reasons: () => ['params.yaml: lr 0.1 → 0.2'] },
  {
    stream: process.stderr,
    kind: process.stderr.isTTY ? 'live' : 'lines',
    style: createStyle(isColoured),
    isColoured,
    now: () => performance.now(),
  },
);
for (const step of steps) {
  if (step.type === 'wait') await new Promise((resolve) => setTimeout(resolve, step.ms * Number(pace)));
  else if (step.type === 'note') view.above(step.text);
  else view.apply(step);
}
view.close();
