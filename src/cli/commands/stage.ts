import { MlvError } from '../../domain/errors.ts';
import type { ParamValue, Stage } from '../../domain/pipeline.ts';
import { shellQuote } from '../../domain/template-text.ts';
import type { PipelineEdit } from '../../workspace/edit-pipeline.ts';
import { defineCommand } from '../command.ts';
import { columns, type Style, visible } from '../format.ts';

export const stageAdd = defineCommand({
  details: [
    'Writes to the mlv.yaml of this folder, or of the nearest above it; where there is none, it makes one, and .mlv/mlv.schema.json, from which editors complete.',
    'The command runs in this folder, or in --wdir; paths are relative to that. One word after -- is taken for a line of shell, several for a program and its arguments.',
    '${name} stands for a value of params.yaml: put it in single quotes, or the shell takes it for its own.',
  ],
  positionals: {
    name: { value: 'NAME', required: true, about: 'what the stage is called' },
    command: { value: 'COMMAND', afterDashes: true, about: 'what it runs' },
  },
  options: {
    deps: { type: 'string', short: 'd', many: true, value: 'PATH', about: 'a file or folder that it reads' },
    outs: { type: 'string', short: 'o', many: true, value: 'PATH', about: 'a file or folder that it makes' },
    outsNoCache: { type: 'string', short: 'O', many: true, value: 'PATH', about: 'one that Git keeps' },
    params: {
      type: 'string',
      short: 'p',
      many: true,
      value: '[FILE:]KEYS',
      about: 'a,b of params.yaml or FILE; FILE: for all',
    },
    metrics: { type: 'string', short: 'm', many: true, value: 'PATH', about: 'a file of numbers that it makes' },
    metricsNoCache: { type: 'string', short: 'M', many: true, value: 'PATH', about: 'one that Git keeps' },
    plots: { type: 'string', many: true, value: 'PATH', about: 'a file to be drawn that it makes' },
    wdir: { type: 'string', short: 'w', value: 'DIR', about: 'where the command runs' },
    alwaysChanged: { type: 'boolean', about: 'run it each time' },
    desc: { type: 'string', value: 'TEXT', about: 'what it is for' },
    force: { type: 'boolean', short: 'f', about: 'replace a stage of that name' },
  },
  example: {
    command: 'mlv stage add train -d data -p lr,epochs -o model.pkl -- python train.py',
    about: 'A stage that makes a model of data and two parameters',
  },
  async run(args, { cwd, open }) {
    const { addStageTo } = await import('../../workspace/edit-pipeline.ts');
    const { deps, outs = [], outsNoCache = [], metrics = [], metricsNoCache = [], plots, params = [] } = args;
    const edit = await addStageTo(await open(), {
      cwd,
      name: args.name,
      wdir: args.wdir ?? '.',
      force: args.force === true,
      definition: {
        cmd: commandOf(args.command),
        desc: args.desc,
        deps,
        params: paramsOf(params),
        outs: [...outs, ...outsNoCache.map(withoutCache)],
        metrics: [...metrics, ...metricsNoCache.map(withoutCache)],
        plots,
        always_changed: args.alwaysChanged,
      },
    });
    return { data: edit, text: (style) => editLines('added', edit, style) };
  },
});

export const stageList = defineCommand({
  details: ['Says of each stage what it is for, or else what it makes.'],
  positionals: { targets: { value: 'TARGET', many: true, about: 'stages, or pipeline files; all without' } },
  options: {},
  example: { command: 'mlv stage list', about: 'The stages of all pipeline files' },
  async run({ targets }, { cwd, open }) {
    const { readPipeline } = await import('../../workspace/pipeline.ts');
    const { selectStages } = await import('../../workspace/select-stages.ts');
    const workspace = await open();
    const pipeline = await readPipeline(workspace);
    const selected = new Set(selectStages(pipeline, { root: workspace.root, cwd }, targets));
    const stages = pipeline.stages.filter(({ id }) => selected.has(id));
    return {
      data: stages,
      isAnswer: true,
      text: (style) =>
        stages.length === 0
          ? [`No stages. Next: ${style.command('mlv stage add NAME -d INPUT -o OUTPUT -- COMMAND')}`]
          : columns(stages.map((stage) => [visible(stage.id), style.faint(visible(purposeOf(stage)))])),
    };
  },
});

export const stageRemove = defineCommand({
  details: ['What is recorded of them in mlv.lock goes, too. The files that they made stay where they are.'],
  positionals: { targets: { value: 'NAME', required: true, many: true, about: 'stages, or pipeline files' } },
  options: {},
  example: { command: 'mlv stage remove train', about: 'Takes one stage out of the pipeline' },
  async run({ targets }, { cwd, open }) {
    const { removeStagesFrom } = await import('../../workspace/edit-pipeline.ts');
    const edit = await removeStagesFrom(await open(), { cwd, targets });
    return { data: edit, text: (style) => editLines('removed', edit, style) };
  },
});

/** A line for each stage that was changed, and for each file. */
export function editLines(what: string, { stages, files, staged }: PipelineEdit, style: Style): string[] {
  return columns([
    ...stages.map((stage) => [style.good(what), visible(stage), '']),
    ...files.map((file) => ['', visible(file), style.faint(staged.includes(file) ? 'staged in Git' : 'written')]),
  ]);
}

/** One word is a line of shell, as it is. */
function commandOf(words: readonly string[] = []): string {
  const [first, ...others] = words;
  if (first !== undefined) return others.length === 0 ? first : words.map(shellQuote).join(' ');
  throw new MlvError({
    code: 'usage',
    kind: 'usage',
    message: 'mlv stage add needs a command, after --',
    hint: 'mlv stage add NAME -d INPUT -o OUTPUT -- COMMAND',
  });
}

function withoutCache(path: string): ParamValue {
  return { [path]: { cache: false } };
}

/** `lr,epochs` of params.yaml, `file.json:a,b`, `file.json:` for all that it says. */
function paramsOf(written: readonly string[]): ParamValue[] {
  return written.flatMap((each): ParamValue[] => {
    const colon = each.lastIndexOf(':');
    const keys = each
      .slice(colon + 1)
      .split(',')
      .filter((key) => key !== '');
    return colon === -1 ? keys : [{ [each.slice(0, colon)]: keys.length === 0 ? null : keys }];
  });
}

function purposeOf({ desc, outs, commands, frozen }: Stage): string {
  const [line = ''] = (desc ?? '').trim().split('\n');
  const made = outs.map(({ path }) => path).join(', ');
  const purpose = line !== '' ? line : made !== '' ? `makes ${made}` : `runs ${commands.join('; ')}`;
  return frozen ? `${purpose} (frozen)` : purpose;
}
