/** Checks values of a pipeline file by its schema. */
import type { MlvError } from './errors.ts';
import { nearestName } from './nearest-name.ts';
import type { Schema } from './pipeline-schema.ts';
import { TEMPLATE } from './pipeline-schema.ts';
import type { PipelineSource, SourceMap, SourceNode } from './pipeline-source.ts';
import { kindOf, pipelineError } from './pipeline-source.ts';
import { clip, hasTemplate } from './template.ts';

export interface CheckOptions {
  readonly source: PipelineSource;
  /** True as long as text with `${…}` may stand for anything. */
  readonly isRaw: boolean;
}

/** What DVC has at the top of its file, and mlv does not. */
const ELSEWHERE: Readonly<Record<string, string>> = {
  artifacts:
    'mlv has no registry of artifacts: describe an output by its desc, type, labels and meta, and take this out.',
  datasets: 'Data from elsewhere comes by "mlv get", and is tracked by "mlv add": take this out.',
  schema: 'A pipeline file needs no version: take this out.',
};

/** What people write, and what it is called here. */
const OTHER_WORDS: Readonly<Record<string, string>> = {
  command: 'cmd',
  commands: 'cmd',
  run: 'cmd',
  script: 'cmd',
  workdir: 'wdir',
  inputs: 'deps',
  dependencies: 'deps',
  outputs: 'outs',
  parameters: 'params',
  environment: 'env',
  variables: 'vars',
};

/** Throws `pipeline-invalid` for the first value that is not as its schema wants it. `what` names the value. */
export function checkNode(node: SourceNode, schema: Schema, what: string, options: CheckOptions): void {
  if (options.isRaw && isTemplate(node)) return;
  const fitting = fit(node, schema, options.isRaw);
  if (fitting === undefined) throw mismatch(node, schema, what, options.source);
  if (node.type === 'list') {
    const { items } = fitting;
    if (node.items.length < (fitting.minItems ?? 0)) throw mismatch(node, schema, what, options.source);
    if (items !== undefined) for (const item of node.items) checkNode(item, items, `an entry of ${what}`, options);
  } else if (node.type === 'map') checkMap(node, fitting, what, options);
}

function checkMap(node: SourceMap, schema: Schema, what: string, options: CheckOptions): void {
  const { properties = {}, additionalProperties, required = [] } = schema;
  for (const [key, { at, value }] of node.entries) {
    const known = Object.hasOwn(properties, key) ? properties[key] : additionalProperties;
    if (known === false) throw unknownKey(key, at, schema, options.source);
    if (known !== undefined) checkNode(value, known, `"${clip(key)}"`, options);
  }
  for (const key of required) {
    if (node.entries.has(key)) continue;
    throw pipelineError(options.source, node.at, {
      message: `${what} has no "${key}"`,
      hint: `${capital(schema.name ?? 'it')} needs ${required.map((name) => `"${name}"`).join(' and ')}.`,
    });
  }
}

/** The schema, or that of its alternatives, whose own rules the value keeps; undefined where there is none. */
function fit(node: SourceNode, schema: Schema, isRaw: boolean): Schema | undefined {
  if (schema.anyOf !== undefined) {
    for (const option of schema.anyOf) {
      if (option === TEMPLATE && !isRaw) continue;
      const fitting = fit(node, option, isRaw);
      if (fitting !== undefined) return fitting;
    }
    return undefined;
  }
  return isOfType(node, schema, isRaw) ? schema : undefined;
}

function isOfType(node: SourceNode, schema: Schema, isRaw: boolean): boolean {
  const { type, pattern, minimum = -Infinity, maximum = Infinity } = schema;
  if (type === undefined) return true;
  if (node.type !== 'scalar') return node.type === (type === 'array' ? 'list' : type === 'object' ? 'map' : undefined);
  const { value } = node;
  if (type === 'null') return value === null;
  if (type === 'boolean') return typeof value === 'boolean';
  if (type === 'string') {
    // What a template came to may be a number: it is text where text is wanted.
    const isText = isRaw ? typeof value === 'string' : value !== null;
    return isText && (pattern === undefined || new RegExp(pattern).test(String(value)));
  }
  if (typeof value !== 'number' || value < minimum || value > maximum) return false;
  return type === 'number' || (type === 'integer' && Number.isInteger(value));
}

function isTemplate(node: SourceNode): boolean {
  return node.type === 'scalar' && typeof node.value === 'string' && hasTemplate(node.value);
}

function mismatch(node: SourceNode, schema: Schema, what: string, source: PipelineSource): MlvError {
  const wanted = schema.expects ?? expectation(schema);
  const found =
    node.type === 'scalar' && typeof node.value === 'string' ? JSON.stringify(clip(node.value)) : kindOf(node);
  const isText = node.type === 'scalar' && typeof node.value !== 'string' && node.value !== null && takesText(schema);
  return pipelineError(source, node.at, {
    message: `${what} must be ${wanted}, not ${found}`,
    hint: isText
      ? 'Put it in quotes, if the text itself is meant.'
      : 'See docs/pipelines.md for what each field takes.',
  });
}

function takesText({ type, pattern, anyOf = [] }: Schema): boolean {
  return (type === 'string' && pattern === undefined) || anyOf.some(takesText);
}

function expectation({ type, anyOf = [] }: Schema): string {
  if (type === 'string') return 'text';
  if (type === 'number') return 'a number';
  if (type === 'integer') return 'a whole number';
  if (type === 'boolean') return 'true or false';
  if (type === 'array') return 'a list';
  if (type === 'object') return 'a map';
  return anyOf
    .filter((option) => option !== TEMPLATE)
    .map(expectation)
    .join(' or ');
}

function unknownKey(
  key: string,
  at: number,
  { name = 'it', properties = {} }: Schema,
  source: PipelineSource,
): MlvError {
  const known = Object.keys(properties);
  const others = Object.keys(OTHER_WORDS).filter((word) => known.includes(OTHER_WORDS[word] ?? ''));
  const near = nearestName(key, [...known, ...others]);
  const guess = near !== undefined && Object.hasOwn(OTHER_WORDS, near) ? OTHER_WORDS[near] : near;
  const elsewhere = Object.hasOwn(ELSEWHERE, key) ? ELSEWHERE[key] : undefined;
  return pipelineError(source, at, {
    message: `"${clip(key)}" is not a field of ${name}`,
    hint: elsewhere ?? (guess === undefined ? `Its fields are ${known.join(', ')}.` : `Did you mean "${guess}"?`),
  });
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
