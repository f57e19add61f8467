import { MlvError } from '../../domain/errors.ts';
import type { StageId } from '../../domain/pipeline.ts';
import type { StageOutcome } from '../../execution/stage-event.ts';
import { repro as reproduce } from '../../execution/repro.ts';
import { defineCommand } from '../command.ts';
import type { RunView } from '../live/run-view.ts';
import { staleReasonText } from '../stale-reason-text.ts';
import { STAGE_CHOICE, STAGES } from '../stage-options.ts';

/** As EX_TEMPFAIL of sysexits.h: it goes on, ask again. */
const DETACHED = 75;

export const repro = defineCommand({
  details: [
    'Brings stages of mlv.yaml up to date, those that they read from first. What did not change is not run again; a result that is known for the same inputs is restored. Without targets: all stages.',
    'Inputs of a stage that runs are fetched where they are not here. mlv.lock gets each stage as it ends: commit it. Ctrl-C lets running stages end, twice kills them.',
  ],
  streams: true,
  positionals: STAGES,
  options: {
    ...STAGE_CHOICE,
    jobs: { type: 'number', short: 'j', value: 'N', about: 'run up to N stages at once; 1 unless told otherwise' },
    force: { type: 'boolean', short: 'f', about: 'run them even where nothing changed' },
    keepGoing: { type: 'boolean', short: 'k', about: 'after a failure go on with what does not depend on it' },
    pull: { type: 'boolean', about: 'take known results and their data from remotes, too' },
    noRunCache: { type: 'boolean', about: 'run instead of taking a known result' },
  },
  example: { command: 'mlv repro -j 4', about: 'Brings everything up to date, four stages at once' },
  async run(args, { cwd, open, verb, killed, emit, note, openRunView }) {
    const started = performance.now();
    let view: RunView | undefined;
    const { noRunCache, jobs = 1, ...options } = args;
    if (!Number.isInteger(jobs) || jobs < 1) {
      throw new MlvError({ code: 'usage', kind: 'usage', message: '-j takes a whole number, at least 1' });
    }
    const rows: Promise<void>[] = [];
    const warnings: string[] = [];
    const outcomes = await reproduce(await open(), {
      ...options,
      ...verb,
      cwd,
      jobs,
      useRunCache: noRunCache !== true,
      killed,
      onWarning(text) {
        warnings.push(text);
        note(`warning: ${text}`);
      },
      async onBegin(stages, reasonsOf) {
        view = await openRunView({ stages, reasons: (stage) => reasonsOf(stage).map(staleReasonText) });
      },
      onEvent(event) {
        view?.apply(event);
        if (event.type === 'ended') rows.push(emit({ data: endedData(event.stage, event.outcome), text: () => [] }));
      },
    });
    await Promise.all(rows);
    view?.close();
    const isDetached = [...outcomes.values()].some(({ type }) => type === 'detached');
    if (!isDetached) verb.signal?.throwIfAborted();
    throwFailures(outcomes);
    const counts: Partial<Record<StageOutcome['type'], number>> = {};
    for (const { type } of outcomes.values()) counts[type] = (counts[type] ?? 0) + 1;
    const seconds = (performance.now() - started) / 1000;
    const data = { stages: outcomes.size, ...counts, seconds, ...(warnings.length > 0 && { warnings }) };
    return { data, text: () => [], exitCode: isDetached ? DETACHED : 0 };
  },
});

function endedData(stage: StageId, outcome: StageOutcome): unknown {
  if (outcome.type !== 'failed') return { stage, ...outcome };
  const { code, message, hint } = outcome.error;
  return { stage, type: 'failed', error: { code, message, hint } };
}

/** Throws the failure, or one for several. */
function throwFailures(outcomes: ReadonlyMap<StageId, StageOutcome>): void {
  const failures = [...outcomes].flatMap(([stage, outcome]) =>
    outcome.type === 'failed' ? [{ stage, error: outcome.error }] : [],
  );
  const [first, ...others] = failures;
  if (first === undefined) return;
  if (others.length === 0) throw first.error;
  throw new MlvError({
    code: 'stages-failed',
    kind: 'io',
    message: `${failures.length} stages failed`,
    items: failures.map(({ stage, error }) => `${stage}: ${error.message}`),
    hint: 'mlv logs STAGE shows what one printed.',
  });
}
