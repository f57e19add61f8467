/** YAML that people edit. Imports `yaml`, which is slow to load: reach this file through a dynamic import only. */
import type { Document, Pair, Scalar, YAMLMap } from 'yaml';
import { isMap, isNode, isScalar, LineCounter, parseDocument, visit } from 'yaml';
import { MlvError } from './errors.ts';
import { sourceFrame } from './source-frame.ts';

/** Counted from 1. */
export interface Position {
  readonly line: number;
  readonly column: number;
}

export interface YamlFile {
  readonly document: Document;
  readonly map: YAMLMap;
  /** The error `…-invalid`, at the given node's line and column. */
  invalid(message: string, at: unknown): MlvError;
  /** Where a node starts. */
  position(at: unknown): Position;
}

export interface YamlFileOptions {
  /** Named in errors. */
  readonly path: string;
  /** What it is; error codes start with it. */
  readonly kind: 'pointer' | 'config' | 'lock' | 'pipeline';
  /** What to do about a file that is not valid. */
  readonly hint: string;
  /** What to do about one with conflict markers, other than choosing a side with Git. */
  readonly conflictHint?: string;
}

/** Nodes from the top, entries of maps counted too: what is read so is walked through again, by calls within calls. */
const MAX_DEPTH = 200;
const TOO_DEEP = 'nested too deeply';
const CONFLICT_MARKER = /^(?:<{7}|>{7})(?: |\r?$)/m;

/**
 * Parses a file that holds one YAML map. Refused besides what YAML forbids: aliases (their expansion can grow without
 * bound), keys that are not scalars, more than one document, more than 100 levels. Throws `…-conflict` (Git's conflict markers) or `…-invalid`
 * with line and column.
 */
export function parseYamlFile(text: string, options: YamlFileOptions): YamlFile {
  const { path, kind } = options;
  if (CONFLICT_MARKER.test(text)) {
    throw new MlvError({
      code: `${kind}-conflict`,
      kind: 'conflict',
      message: `${path}: holds conflict markers of a merge`,
      hint:
        options.conflictHint ??
        `Choose a side, "git checkout --ours -- ${path}" or "--theirs", or edit it; then "git add ${path}".`,
    });
  }
  const lines = new LineCounter();
  const document = parseLeniently(text, lines);

  function positionOf(offset: number): Position {
    const { line, col } = lines.linePos(offset);
    return { line: Math.max(1, line), column: Math.max(1, col) };
  }

  function invalidAt(message: string, offset: number): MlvError {
    const { line, column } = positionOf(offset);
    return new MlvError({
      code: `${kind}-invalid`,
      kind: 'corrupt',
      message: `${path}:${line}:${column}: ${message}${kind === 'pipeline' ? `\n${sourceFrame(text, offset)}` : ''}`,
      hint: options.hint,
    });
  }

  function invalid(message: string, at: unknown): MlvError {
    return invalidAt(message, offsetOf(at));
  }

  if (document === undefined) throw invalidAt(TOO_DEEP, 0);
  const [syntax] = document.errors;
  if (syntax !== undefined) throw invalidAt(lowerFirst(syntax.message), syntax.pos[0]);
  if (!isMap(document.contents)) throw invalid('not a YAML map', document.contents);
  visit(document, {
    Alias(_, alias) {
      throw invalid('YAML aliases are not supported', alias);
    },
    Seq(_, list, above) {
      if (above.length > MAX_DEPTH) throw invalid(TOO_DEEP, list);
    },
    Map(_, map, above) {
      if (above.length > MAX_DEPTH) throw invalid(TOO_DEEP, map);
      const seen = new Set<string>();
      for (const pair of map.items) {
        const key = keyOf(pair);
        if (seen.has(key)) throw invalid(`"${key}" is there twice`, pair.key);
        seen.add(key);
      }
    },
  });
  return { document, map: document.contents, invalid, position: (at) => positionOf(offsetOf(at)) };
}

/** The document with all its mistakes; undefined for one that is nested too deeply to be parsed at all. */
function parseLeniently(text: string, lineCounter: LineCounter): Document | undefined {
  const { stackTraceLimit } = Error;
  // The package makes an error of every mistake: without stacks, of 1 MiB of them a seventh of the time, a third of the memory.
  Error.stackTraceLimit = 0;
  try {
    // Unique keys are checked by the caller: the package compares each key with every other, minutes for a file of 1 MiB.
    return parseDocument(text, { lineCounter, prettyErrors: false, stringKeys: true, uniqueKeys: false });
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    return undefined;
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
  }
}

/** The key of an entry as text. */
export function keyOf(pair: Pair): string {
  return isScalar(pair.key) ? scalarText(pair.key) : String(pair.key);
}

/** A scalar as it was written if plain, else what its quotes hold: `0x10` and `"0x10"` are both `0x10`. */
export function scalarText(scalar: Scalar): string {
  return scalar.type === 'PLAIN' && scalar.source !== undefined ? scalar.source : String(scalar.value);
}

/** Writes the document back in the line endings of the text it came from; long lines are not folded. */
export function formatYamlFile(document: Document, original: string): string {
  const text = document.toString({ lineWidth: 0, flowCollectionPadding: false });
  return original.includes('\r\n') ? text.replaceAll('\n', '\r\n') : text;
}

function offsetOf(node: unknown): number {
  return isNode(node) && node.range ? node.range[0] : 0;
}

function lowerFirst(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1);
}
