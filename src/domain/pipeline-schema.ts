/**
 * The fields of a pipeline file: a JSON Schema (draft 2020-12, of which it uses little), by which editors complete and mlv itself checks. What
 * is meant for mlv alone, how to say what was expected, is taken out of what editors get.
 */
import { IMAGE_PATTERN } from './image-reference.ts';
import { OBJECT_NAME_PATTERN, QUEUE_NAME_PATTERN } from './kubernetes-name.ts';
import { CPU_PATTERN, DURATION_PATTERN, SIZE_PATTERN } from './quantity.ts';

type JsonType = 'string' | 'number' | 'integer' | 'boolean' | 'array' | 'object' | 'null';

export interface Schema {
  readonly description?: string;
  readonly type?: JsonType;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: Schema | false;
  readonly items?: Schema;
  readonly minItems?: number;
  readonly pattern?: string;
  readonly minimum?: number;
  readonly maximum?: number;
  /** Told apart by their types. */
  readonly anyOf?: readonly Schema[];
  /** What messages say that is wanted: `a size like "8Gi"`. */
  readonly expects?: string;
  /** What messages call a map of it: `a stage`. */
  readonly name?: string;
}

/** Stands for any value where mlv.yaml says what others resolve. */
export const TEMPLATE: Schema = { type: 'string', pattern: '\\$\\{[^}]+\\}' };

const ANY: Schema = {};
const TEXT: Schema = { type: 'string' };
const TEXTS: Schema = { type: 'array', items: TEXT };
const FLAG: Schema = { anyOf: [{ type: 'boolean' }, TEMPLATE] };
const FILE_LIST: Schema = { type: 'array', items: TEXT };

function about(description: string, schema: Schema): Schema {
  return { ...schema, description };
}

function map(name: string, properties: Readonly<Record<string, Schema>>, required: readonly string[] = []): Schema {
  return { type: 'object', name, properties, additionalProperties: false, ...(required.length > 0 && { required }) };
}

function amount(pattern: string, expects: string): Schema {
  return { expects, anyOf: [{ type: 'number', minimum: 0 }, { type: 'string', pattern }, TEMPLATE] };
}

function matching(pattern: string, expects: string): Schema {
  return { expects, anyOf: [{ type: 'string', pattern }, TEMPLATE] };
}

const SIZE = amount(SIZE_PATTERN, 'bytes, or a size like "8Gi" or "500M"');
const TIME = amount(DURATION_PATTERN, 'seconds, or a time like "90s" or "2h"');

const OUTPUT_FIELDS = {
  cache: about('false for what Git keeps', FLAG),
  persist: about('true for what the command finds as it left it, instead of nothing', FLAG),
  push: about('false for what stays on the machine that made it', FLAG),
  remote: about('the remote that it goes to, instead of the default one', TEXT),
  desc: about('for people', TEXT),
  type: about('for people: model, dataset, …', TEXT),
  labels: about('for people', TEXTS),
  meta: about('anything, for other programs', ANY),
};

const PLOT_FIELDS = {
  x: about('field of the x axis', ANY),
  y: about('field of the y axis', ANY),
  template: about('how to draw it', TEXT),
  title: TEXT,
  x_label: TEXT,
  y_label: TEXT,
  header: about('false for a table whose first line is data', FLAG),
};

/** Which fields of a declared plot tell how to draw it. */
export const PLOT_KEYS: readonly string[] = Object.keys(PLOT_FIELDS);

function outputs(name: string, description: string, fields: Readonly<Record<string, Schema>>): Schema {
  const options: Schema = { expects: 'a map of options', anyOf: [map(name, fields), { type: 'null' }] };
  return {
    description,
    type: 'array',
    items: {
      expects: 'a path, or a path with options',
      anyOf: [TEXT, { type: 'object', additionalProperties: options }],
    },
  };
}

const VARS: Schema = {
  description: 'what ${names} mean: maps, and files ("config.json", "config.json:section")',
  type: 'array',
  items: { expects: 'a file, or a map of values', anyOf: [TEXT, { type: 'object' }] },
};

const PARAMS: Schema = {
  description: 'keys of params.yaml, or files with keys, or whole files, that matter to the command',
  type: 'array',
  items: {
    expects: 'a key of params.yaml, or a file with a list of keys',
    anyOf: [
      TEXT,
      {
        type: 'object',
        additionalProperties: { expects: 'a list of keys, or nothing', anyOf: [FILE_LIST, { type: 'null' }] },
      },
    ],
  },
};

const STAGE_FIELDS: Readonly<Record<string, Schema>> = {
  cmd: about('what the shell runs; of a list one after another', {
    expects: 'a command, or a list of commands',
    anyOf: [TEXT, { type: 'array', items: TEXT, minItems: 1 }],
  }),
  wdir: about('the folder that it runs in, and that paths are relative to', TEXT),
  deps: about('files and folders that it reads', FILE_LIST),
  params: PARAMS,
  outs: outputs('an output', 'files and folders that it makes', OUTPUT_FIELDS),
  metrics: outputs('a metric', 'files of numbers that it makes', OUTPUT_FIELDS),
  plots: outputs('a plot', 'files to be drawn that it makes', { ...OUTPUT_FIELDS, ...PLOT_FIELDS }),
  vars: VARS,
  env: about('names of environment variables whose values matter', {
    type: 'array',
    items: matching('^[A-Za-z_][A-Za-z0-9_]*$', 'the name of a variable'),
  }),
  tools: about('commands that print the version of a tool, by its name', {
    type: 'object',
    additionalProperties: TEXT,
  }),
  image: about(
    'the container image that it runs in',
    matching(IMAGE_PATTERN, 'an image like "python:3.12" or "python@sha256:…"'),
  ),
  resources: about(
    'what it needs of a machine',
    map('resources', {
      cpu: about('cores', amount(CPU_PATTERN, 'a number of cores')),
      memory: SIZE,
      gpu: { expects: 'a whole number', anyOf: [{ type: 'integer', minimum: 0 }, TEMPLATE] },
      gpu_type: TEXT,
      disk: SIZE,
      shm: about('shared memory', SIZE),
    }),
  ),
  run_on: about(
    'where it runs, if not here',
    map('run_on', { kubernetes: about('a profile of the settings', TEXT) }, ['kubernetes']),
  ),
  timeout: about('seconds for each try, or "90s", "2h"', TIME),
  retries: about('tries after the first', {
    expects: 'a whole number from 0 to 100',
    anyOf: [{ type: 'integer', minimum: 0, maximum: 100 }, TEMPLATE],
  }),
  mutex: about('names: no two stages that share one run at once', {
    expects: 'a name, or a list of names',
    anyOf: [TEXT, TEXTS],
  }),
  secrets: about('names of Kubernetes secrets that it gets as environment variables', {
    type: 'array',
    items: matching(OBJECT_NAME_PATTERN, 'the name of a secret in the cluster, never its value'),
  }),
  queue: about(
    "the Kueue queue that it waits in, instead of the profile's",
    matching(QUEUE_NAME_PATTERN, 'the name of a queue'),
  ),
  pending_timeout: about('seconds that it may wait for a place on the cluster, or "10m", "2h"', TIME),
  no_retry_exit_codes: about('exit codes after which it is not tried again on the cluster', {
    type: 'array',
    items: {
      expects: 'an exit code from 1 to 255',
      anyOf: [{ type: 'integer', minimum: 1, maximum: 255 }, TEMPLATE],
    },
  }),
  checkpoint: about('a folder that stays between its tries on the cluster', TEXT),
  pod: about(
    "a patch of the pod's template, applied last",
    map('a patch of a pod', {
      metadata: about('labels and annotations', { type: 'object' }),
      spec: about('as in a pod of Kubernetes', { type: 'object' }),
    }),
  ),
  frozen: about('true for a stage that never runs', FLAG),
  always_changed: about('true for a stage that always runs', FLAG),
  desc: about('for people', TEXT),
  meta: about('anything, for other programs', ANY),
};

/** A stage with nothing to fill in. */
const PLAIN_STAGE = map('a stage', STAGE_FIELDS, ['cmd']);

/** A stage, or one for each combination of its matrix. */
export const STAGE: Schema = map(
  'a stage',
  {
    ...STAGE_FIELDS,
    matrix: about('a stage for each combination: ${item.name}, ${key}', {
      type: 'object',
      additionalProperties: { expects: 'a list, or ${the name of one}', anyOf: [{ type: 'array' }, TEMPLATE] },
    }),
  },
  ['cmd'],
);

/** A stage for each of a list or map. */
export const FOREACH: Schema = map(
  'a stage of "foreach"',
  {
    foreach: about('a list or map: a stage for each, in which ${item} is the value and, of a map, ${key} its key', {
      expects: 'a list, a map, or ${the name of one}',
      anyOf: [{ type: 'array' }, { type: 'object' }, TEMPLATE],
    }),
    do: PLAIN_STAGE,
  },
  ['foreach', 'do'],
);

const TOP_PLOT: Schema = map('a plot', {
  x: PLOT_FIELDS.x,
  y: PLOT_FIELDS.y,
  template: PLOT_FIELDS.template,
  title: TEXT,
  x_label: TEXT,
  y_label: TEXT,
});

/** The whole file; what its stages are is told by `STAGE` and `FOREACH`. */
export const PIPELINE: Schema = map('a pipeline file', {
  stages: about('by name', { expects: 'a map of stages', anyOf: [{ type: 'object' }, { type: 'null' }] }),
  vars: VARS,
  metrics: about('files of numbers, beside those that stages make', TEXTS),
  params: about('files of parameters, beside those that stages name', TEXTS),
  plots: about('files to be drawn, beside those that stages make', {
    type: 'array',
    items: {
      expects: 'a path, or a plot by its name',
      anyOf: [
        TEXT,
        { type: 'object', additionalProperties: { expects: 'a map of options', anyOf: [TOP_PLOT, { type: 'null' }] } },
      ],
    },
  }),
});
