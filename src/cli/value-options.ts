import { MlvError } from '../domain/errors.ts';
import type { Leaf, Leaves } from '../domain/value-diff.ts';
import type { ValueDiff } from '../workspace/compare-values.ts';
import { diffValues } from '../workspace/compare-values.ts';
import type { ValueKind } from '../workspace/value-files.ts';
import type { Context, Report } from './command.ts';
import type { ValueLayout } from './values-text.ts';
import { valueDiffLines } from './values-text.ts';

/** What commands take that print tables of values. */
export const TABLE_OPTIONS = {
  markdown: { type: 'boolean', about: 'print a Markdown table, as for a pull request' },
  precision: { type: 'number', value: 'N', about: 'significant digits of fractions; 5 if not given' },
} as const;

export const DIFF_OPTIONS = {
  all: { type: 'boolean', about: 'also what is the same on both sides' },
  ...TABLE_OPTIONS,
  exitCode: { type: 'boolean', about: 'exit with 3 when something differs' },
} as const;

export const DIFF_POSITIONALS = {
  words: { value: 'REVISION', many: true, about: 'none, one or two revisions, or a range' },
  paths: { value: 'PATH', afterDashes: true, about: 'files, or folders of such; everything when none is given' },
} as const;

const DIFFERENCES = 3;
const UNREADABLE = 1;
const PRECISION = 5;

interface TableArguments {
  readonly markdown?: boolean;
  readonly precision?: number;
}

interface DiffArguments extends TableArguments {
  readonly words: readonly string[];
  readonly paths?: readonly string[];
  readonly all?: boolean;
  readonly exitCode?: boolean;
}

/** Throws `usage` for a precision that is none. */
export function layoutOf({ markdown = false, precision = PRECISION }: TableArguments, context: Context): ValueLayout {
  if (!Number.isInteger(precision) || precision < 1 || precision > 17) {
    throw new MlvError({
      code: 'usage',
      kind: 'usage',
      message: `${precision} is no number of digits`,
      hint: '--precision takes 1 to 17',
    });
  }
  return { precision, isMarkdown: markdown, limit: context.columns };
}

/** What `metrics diff` and `params diff` do. */
export async function runValueDiff(kind: ValueKind, args: DiffArguments, context: Context): Promise<Report> {
  const { words, paths, all = false, exitCode = false } = args;
  const layout = layoutOf(args, context);
  const { cwd, verb, open } = context;
  const diff = await diffValues(await open(), { kind, words, paths, cwd, all, ...verb });
  return {
    data: written(diff),
    text: (style) => valueDiffLines(kind, diff, layout, style),
    isAnswer: !exitCode,
    exitCode: diff.unreadable.length > 0 ? UNREADABLE : exitCode && diff.differing > 0 ? DIFFERENCES : 0,
  };
}

/** For programs. */
export function writtenValues(values: Leaves): Record<string, Leaf> {
  return Object.fromEntries(values);
}

export function writtenError({ code, message, hint }: MlvError): unknown {
  return { code, message, hint };
}

function written({ unreadable, ...diff }: ValueDiff): unknown {
  return { ...diff, unreadable: unreadable.map(({ error, ...each }) => ({ ...each, error: writtenError(error) })) };
}
