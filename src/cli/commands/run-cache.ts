import type { StageId } from '../../domain/pipeline.ts';
import type { ListedRun } from '../../workspace/list-runs.ts';
import { forgetRuns, listRuns } from '../../workspace/list-runs.ts';
import { defineCommand } from '../command.ts';
import { confirmed } from '../confirm.ts';
import { durationOf } from '../duration.ts';
import { createStyle } from '../format.ts';
import { forgottenLines, runLines } from '../run-cache-text.ts';

const STAGE = { stage: { value: 'STAGE', about: 'as mlv.lock has it: train, sub/mlv.yaml:train' } } as const;

export const runCacheList = defineCommand({
  details: [
    'Lists the results of stages that this machine knows, the newest first: when, who ran it, how much it made, and whether that is here. A stage whose inputs are those of a known result is not run: the result is brought back.',
  ],
  positionals: STAGE,
  options: {},
  example: { command: 'mlv run-cache list train', about: 'Shows the known results of the stage train' },
  async run({ stage }, { open }) {
    const runs = await listRuns(await open(), { stage: stage as StageId | undefined });
    return { data: runs, text: (style) => runLines(runs, style), isAnswer: true };
  },
});

export const runCacheForget = defineCommand({
  details: [
    'Forgets known results, so that stages run where they would have been brought back. What they made stays in the cache until "mlv gc", which keeps it where something else names it. It asks before; where nobody can be asked, --yes answers.',
  ],
  positionals: STAGE,
  options: {
    olderThan: { type: 'string', value: 'TIME', about: 'only what was made longer ago: 30d, 12w, 36h' },
    dryRun: { type: 'boolean', about: 'show what would go, and leave it' },
    yes: { type: 'boolean', short: 'y', about: 'do not ask' },
  },
  example: { command: 'mlv run-cache forget --older-than 30d', about: 'Forgets what was made more than a month ago' },
  async run({ stage, olderThan, dryRun, yes }, { open, ask }) {
    const isDry = dryRun === true;
    const confirm = async (runs: readonly ListedRun[]): Promise<boolean> =>
      yes === true ||
      confirmed(ask, {
        lines: runLines(runs, createStyle(false)),
        question: 'Forget them?',
        command: 'run-cache forget',
        nothing: 'nothing was forgotten',
      });
    const result = await forgetRuns(await open(), {
      stage: stage as StageId | undefined,
      olderThan: olderThan === undefined ? undefined : durationOf(olderThan, '--older-than'),
      isDry,
      confirm,
    });
    return { data: result, text: (style) => forgottenLines(result, style, { isDry }), isAnswer: isDry };
  },
});
