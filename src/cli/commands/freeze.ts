import { defineCommand, type Context, type Report } from '../command.ts';
import { editLines } from './stage.ts';

const positionals = {
  targets: { value: 'TARGET', required: true, many: true, about: 'stages, or pipeline files' },
} as const;

export const freeze = defineCommand({
  details: [
    'A frozen stage never runs: what it made is taken as it is. "frozen: true" is written to mlv.yaml, of all stages that a "foreach" makes at once.',
  ],
  positionals,
  options: {},
  example: { command: 'mlv freeze features', about: 'Takes the features as they are, whatever changes' },
  run: ({ targets }, context) => change(targets, context, true),
});

export const unfreeze = defineCommand({
  details: ['Takes "frozen" out of mlv.yaml.'],
  positionals,
  options: {},
  example: { command: 'mlv unfreeze features', about: 'Lets it run again when something changed' },
  run: ({ targets }, context) => change(targets, context, false),
});

async function change(targets: readonly string[], { cwd, open }: Context, frozen: boolean): Promise<Report> {
  const { freezeStagesOf } = await import('../../workspace/edit-pipeline.ts');
  const edit = await freezeStagesOf(await open(), { cwd, targets, frozen });
  const none = frozen ? 'All of them are frozen already.' : 'None of them is frozen.';
  return {
    data: edit,
    text: (style) => (edit.stages.length === 0 ? [none] : editLines(frozen ? 'frozen' : 'unfrozen', edit, style)),
  };
}
