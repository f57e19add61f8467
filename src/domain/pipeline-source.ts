/** A pipeline's text, and the values in it, each with its place: what is wrong with one is told there. */
import { MlvError } from './errors.ts';
import type { ParamValue } from './pipeline.ts';
import type { RepoPath } from './repo-path.ts';
import { placeOf, sourceFrame } from './source-frame.ts';

export type SourceNode = SourceScalar | SourceList | SourceMap;

export interface SourceScalar {
  readonly type: 'scalar';
  /** Offset in the text. */
  readonly at: number;
  readonly value: null | boolean | number | string;
  /** Written with a point or an exponent, which numbers themselves do not tell. */
  readonly isFloat?: true;
}

export interface SourceList {
  readonly type: 'list';
  readonly at: number;
  readonly items: readonly SourceNode[];
}

export interface SourceMap {
  readonly type: 'map';
  readonly at: number;
  readonly entries: ReadonlyMap<string, SourceEntry>;
}

export interface SourceEntry {
  /** Where the key is. */
  readonly at: number;
  readonly value: SourceNode;
}

export interface PipelineSource {
  readonly path: RepoPath;
  readonly text: string;
}

interface Mistake {
  readonly code?: string;
  readonly message: string;
  readonly hint: string;
}

/** The error for something at an offset: `path:line:column: message`, the line, and a caret below. Its code is `pipeline-invalid` unless told. */
export function pipelineError(
  { path, text }: PipelineSource,
  at: number,
  { code = 'pipeline-invalid', message, hint }: Mistake,
): MlvError {
  const { line, column } = placeOf(text, at);
  return new MlvError({
    code,
    kind: 'corrupt',
    message: `${path}:${line}:${column}: ${message}\n${sourceFrame(text, at)}`,
    hint,
  });
}

/** What a node says, without places. */
export function valueOf(node: SourceNode): ParamValue {
  if (node.type === 'scalar') return node.value;
  if (node.type === 'list') return node.items.map(valueOf);
  return Object.fromEntries([...node.entries].map(([key, { value }]) => [key, valueOf(value)]));
}

/** `a map`, `a list`, `text`, …: what it is, in words. */
export function kindOf(node: SourceNode): string {
  if (node.type !== 'scalar') return `a ${node.type}`;
  const { value } = node;
  if (value === null) return 'nothing';
  if (typeof value === 'boolean') return String(value);
  return typeof value === 'number' ? `the number ${value}` : 'text';
}
