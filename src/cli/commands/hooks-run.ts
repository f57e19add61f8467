import { MlvError } from '../../domain/errors.ts';
import { HOOKS } from '../../workspace/hook-script.ts';
import { runHook } from '../../workspace/run-hook.ts';
import { defineCommand } from '../command.ts';
import { hookLines } from '../hooks-text.ts';

export const hooksRun = defineCommand({
  details: ['What "mlv hooks install" writes calls this, with what Git gives the hook: its arguments, and its input.'],
  positionals: {
    name: { value: 'HOOK', required: true, about: 'the name of the hook' },
    args: { value: 'ARG', many: true, about: 'as Git gives them' },
  },
  options: { autoPush: { type: 'boolean', about: 'pre-push sends data instead of refusing' } },
  example: {
    command: 'mlv hooks run post-checkout -- HEAD~1 HEAD 1',
    about: 'Brings the data, as after git switch',
  },
  async run({ name, args, autoPush = false }, { cwd, environment, locks, verb, input }) {
    const hook = HOOKS.find((each) => each === name);
    if (hook === undefined) {
      throw new MlvError({
        code: 'usage',
        kind: 'usage',
        message: `mlv has nothing to do in a hook ${JSON.stringify(name)}`,
        hint: `Hooks are ${HOOKS.join(', ')}`,
      });
    }
    const outcomes = await runHook({ cwd, environment, locks, ...verb, hook, args, input, autoPush });
    return {
      data: outcomes,
      text: (style) => outcomes.flatMap((outcome) => hookLines(outcome, style)),
      isAnswer: true,
      exitCode: outcomes.some((outcome) => outcome.hook === 'pre-push' && outcome.incomplete.length > 0) ? 1 : 0,
    };
  },
});
