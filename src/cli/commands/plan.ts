import { plan as planStages } from '../../execution/plan.ts';
import { defineCommand } from '../command.ts';
import { planData, planLines } from '../plan-text.ts';
import { STAGE_CHOICE, STAGES } from '../stage-options.ts';

const DIFFERENCES = 3;

export const plan = defineCommand({
  details: [
    'Tells what mlv repro would do with each stage, and why: skip it, restore a known result, or run it. Nothing is changed, and no stage runs. Versions of tools are asked for only by commands that mlv repro has run in this clone.',
  ],
  positionals: STAGES,
  options: {
    ...STAGE_CHOICE,
    force: { type: 'boolean', short: 'f', about: 'as for mlv repro --force' },
    noRunCache: { type: 'boolean', about: 'as for mlv repro --no-run-cache' },
    exitCode: { type: 'boolean', about: 'exit with 3 when a stage is not up to date' },
  },
  example: { command: 'mlv plan', about: 'What would run, and why' },
  async run({ noRunCache, exitCode, ...args }, { cwd, open, verb, isVerbose }) {
    const stages = await planStages(await open(), {
      ...args,
      ...verb,
      cwd,
      useRunCache: noRunCache !== true,
      tools: 'asked-before',
      mayFetch: true,
      checksSending: true,
    });
    const isCurrent = stages.every(({ action }) => action === 'skip' || action === 'frozen');
    return {
      data: stages.map(planData),
      text: (style) => planLines(stages, style, isVerbose),
      isAnswer: !exitCode,
      exitCode: exitCode && !isCurrent ? DIFFERENCES : 0,
    };
  },
});
