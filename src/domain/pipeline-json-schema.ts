import { FOREACH, PIPELINE, type Schema, STAGE } from './pipeline-schema.ts';
import type { RepoPath } from './repo-path.ts';

/** Where a project keeps it for editors. */
export const SCHEMA_FILE = '.mlv/mlv.schema.json' as RepoPath;

/** The JSON Schema of pipeline files, for editors, as text. */
export function pipelineJsonSchema(): string {
  const { stages, ...others } = PIPELINE.properties ?? {};
  const stageOrForeach = { anyOf: [{ $ref: '#/$defs/stage' }, { $ref: '#/$defs/foreach' }] };
  const schema = {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: 'mlv.yaml',
    description: 'The stages of a pipeline of mlv',
    ...plain({ ...PIPELINE, properties: {} }),
    properties: {
      stages: { description: stages?.description, type: ['object', 'null'], additionalProperties: stageOrForeach },
      ...mapValues(others, plain),
    },
    $defs: { stage: plain(STAGE), foreach: plain(FOREACH) },
  };
  return `${JSON.stringify(schema, undefined, 2)}\n`;
}

/** Without what is mlv's own. */
function plain(schema: Schema): object {
  const { expects: _, name: __, ...rest } = schema;
  const { properties, additionalProperties, items, anyOf } = rest;
  return {
    ...rest,
    ...(properties !== undefined && { properties: mapValues(properties, plain) }),
    ...(additionalProperties !== undefined &&
      additionalProperties !== false && { additionalProperties: plain(additionalProperties) }),
    ...(items !== undefined && { items: plain(items) }),
    ...(anyOf !== undefined && { anyOf: anyOf.map(plain) }),
  };
}

function mapValues<T, U>(record: Readonly<Record<string, T>>, change: (value: T) => U): Record<string, U> {
  return Object.fromEntries(Object.entries(record).map(([key, value]) => [key, change(value)]));
}
