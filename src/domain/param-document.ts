/**
 * Files of parameters, and of metrics: YAML, JSON or TOML. Imports the parsers, which are slow to load: reach this file through a dynamic
 * import only.
 */
import { parse as parseToml, TomlDate, TomlError } from 'smol-toml';
import { parseDocument } from 'yaml';
import type { MlvError } from './errors.ts';
import { lowerFirst, MAX_PARAM_DEPTH, paramFileInvalid, paramFormat, parseJsonParams } from './param-json.ts';
import type { SourceEntry, SourceNode } from './pipeline-source.ts';
import { placeOf, sourceFrame } from './source-frame.ts';
import { nodeOfDocument } from './source-document.ts';

/** What a file says. Numbers that are none, infinite ones and dates are text. Throws `param-file-invalid`. */
export function parseParamNode(text: string, path: string): SourceNode {
  const format = paramFormat(path);
  if (format === 'json') return nodeOf(parseJsonParams(text, path), path);
  return format === 'toml' ? parseTomlNode(text, path) : parseYamlNode(text, path);
}

function parseYamlNode(text: string, path: string): SourceNode {
  const { stackTraceLimit } = Error;
  // The package makes an error of every mistake, and of 1 MiB of them the stacks are what is slow.
  Error.stackTraceLimit = 0;
  try {
    const document = parseDocument(text, { prettyErrors: false, stringKeys: true, uniqueKeys: false });
    const [mistake] = document.errors;
    if (mistake !== undefined) throw invalidAt(path, mistake.message, text, mistake.pos[0]);
    const node = nodeOfDocument(document);
    if (node === undefined) throw paramFileInvalid(`${path}: holds too many values, or too deeply nested ones`);
    return node;
  } catch (error) {
    if (error instanceof RangeError) throw paramFileInvalid(`${path}: nested too deeply`);
    throw error;
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
  }
}

function parseTomlNode(text: string, path: string): SourceNode {
  try {
    return nodeOf(parseToml(text, { integersAsBigInt: true, maxDepth: MAX_PARAM_DEPTH }), path);
  } catch (error) {
    if (error instanceof RangeError) throw paramFileInvalid(`${path}: nested too deeply`);
    if (!(error instanceof TomlError)) throw error;
    const [what = ''] = error.message.replace(/^Invalid TOML document: /, '').split('\n');
    const above = text.split('\n').slice(0, error.line - 1);
    throw invalidAt(path, what, text, above.reduce((sum, line) => sum + line.length + 1, 0) + error.column - 1);
  }
}

function nodeOf(value: unknown, path: string, depth = 0): SourceNode {
  if (depth > MAX_PARAM_DEPTH) throw paramFileInvalid(`${path}: nested too deeply`);
  if (Array.isArray(value)) return { type: 'list', at: 0, items: value.map((item) => nodeOf(item, path, depth + 1)) };
  if (value instanceof TomlDate) return { type: 'scalar', at: 0, value: value.toISOString() };
  if (typeof value === 'object' && value !== null) {
    const entries = new Map<string, SourceEntry>();
    for (const [key, each] of Object.entries(value)) entries.set(key, { at: 0, value: nodeOf(each, path, depth + 1) });
    return { type: 'map', at: 0, entries };
  }
  if (typeof value === 'bigint') return { type: 'scalar', at: 0, value: Number(value) };
  if (typeof value === 'number') {
    if (Number.isNaN(value)) return { type: 'scalar', at: 0, value: 'nan' };
    if (!Number.isFinite(value)) return { type: 'scalar', at: 0, value: value > 0 ? 'inf' : '-inf' };
    // Integers of TOML came as BigInt: any other number is a float, though it be whole.
    return { type: 'scalar', at: 0, value, ...(paramFormat(path) === 'toml' && { isFloat: true }) };
  }
  return { type: 'scalar', at: 0, value: typeof value === 'string' || typeof value === 'boolean' ? value : null };
}

function invalidAt(path: string, what: string, text: string, offset: number): MlvError {
  const { line, column } = placeOf(text, offset);
  return paramFileInvalid(`${path}:${line}:${column}: ${lowerFirst(what)}\n${sourceFrame(text, offset)}`);
}
