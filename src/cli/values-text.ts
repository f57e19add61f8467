/** What `metrics show`, `metrics diff` and `params diff` say. */
import type { MlvError } from '../domain/errors.ts';
import type { Leaf, ValueChange } from '../domain/value-diff.ts';
import { formatLeaf, formatNumber } from '../domain/value-diff.ts';
import type { ValueDiff } from '../workspace/compare-values.ts';
import type { FileValues, ValueKind } from '../workspace/value-files.ts';
import { columns, type Style, visible } from './format.ts';
import { markdownTable, type TableCell, type TableColumn, textTable } from './value-table.ts';

export interface ValueLayout {
  /** Significant digits of numbers that are not whole. */
  readonly precision: number;
  readonly isMarkdown: boolean;
  /** Columns of the terminal; undefined where nothing is to be cut. */
  readonly limit: number | undefined;
}

const TITLES: Readonly<Record<ValueKind, string>> = { metrics: 'Metric', params: 'Param' };
/** For what a side does not have. */
const NONE = '-';

export function shownLines(files: readonly FileValues[], layout: ValueLayout, style: Style): string[] {
  if (files.length === 0) return undeclared('metrics', style);
  const rows = files.flatMap((file) =>
    file.state !== 'read'
      ? []
      : Array.from(file.values, ([key, value]) => [
          { text: file.path },
          { text: key },
          { text: formatLeaf(value, layout.precision) },
        ]),
  );
  const table = {
    columns: [
      { title: 'File', isName: true },
      { title: TITLES.metrics, isName: true },
      { title: 'Value', align: 'right' },
    ] as const,
    rows,
  };
  return [
    ...(rows.length === 0 ? [] : drawn(table, layout, style)),
    ...files.flatMap((file) => {
      if (file.state === 'unreadable') return [unreadableLine(file.path, file.error, style)];
      if (file.state === 'missing') return [style.changed(`${visible(file.path)} is not there yet`)];
      return file.values.size === 0 ? [style.faint(`${visible(file.path)} holds no values`)] : [];
    }),
  ];
}

export function valueDiffLines(kind: ValueKind, diff: ValueDiff, layout: ValueLayout, style: Style): string[] {
  const { before, after, declared, files, unreadable } = diff;
  if (declared === 0) return undeclared(kind, style);
  const changes = files.flatMap((file) => file.changes.map((change) => ({ path: file.path, change })));
  // Where nothing is a number there is no difference to compute.
  const hasNumbers = changes.some(({ change }) => change.change !== undefined);
  const titles: TableColumn[] = [
    { title: 'File', isName: true },
    { title: TITLES[kind], isName: true },
    { title: before, align: 'right' },
    { title: after, align: 'right' },
    ...(hasNumbers ? [{ title: 'Change', align: 'right' } as const] : []),
  ];
  const rows = changes.map(({ path, change }) => [
    { text: path },
    { text: change.key },
    sideCell(change.old, change, layout, 'bad'),
    sideCell(change.new, change, layout, 'good'),
    ...(hasNumbers ? [changeCell(change, layout)] : []),
  ]);
  const same = style.good(`No ${kind} differ between ${visible(before)} and ${visible(after)}`);
  return [
    ...(rows.length > 0 ? drawn({ columns: titles, rows }, layout, style) : unreadable.length > 0 ? [] : [same]),
    ...unreadable.map(({ path, side, error }) => unreadableLine(`${side}: ${path}`, error, style)),
  ];
}

function drawn(
  table: { readonly columns: readonly TableColumn[]; readonly rows: readonly (readonly TableCell[])[] },
  { isMarkdown, limit }: ValueLayout,
  style: Style,
): string[] {
  return isMarkdown ? markdownTable(table) : textTable(table, style, limit);
}

/** A value that only this side has is coloured. */
function sideCell(
  value: Leaf | undefined,
  change: ValueChange,
  { precision }: ValueLayout,
  alone: keyof Style,
): TableCell {
  if (value === undefined) return { text: NONE, paint: 'faint' };
  const isAlone = change.old === undefined || change.new === undefined;
  return { text: formatLeaf(value, precision), ...(isAlone && { paint: alone }) };
}

function changeCell({ change }: ValueChange, { precision }: ValueLayout): TableCell {
  if (change === undefined) return { text: '' };
  // Whether more is better only people know.
  return { text: `${change > 0 ? '+' : ''}${formatNumber(change, precision)}`, paint: 'changed' };
}

function unreadableLine(name: string, error: MlvError, style: Style): string {
  return `${style.bad('unreadable:')} ${visible(name)}: ${visible(error.message.split('\n')[0] ?? '')}`;
}

function undeclared(kind: ValueKind, style: Style): string[] {
  const example = kind === 'metrics' ? 'metrics: [metrics.json]' : 'params: [train.lr]';
  const file = kind === 'metrics' ? 'metrics: [metrics.json]' : 'params: [params.yaml]';
  return [
    `No ${kind} are declared`,
    ...columns(
      [
        [style.command(example), 'of a stage in mlv.yaml'],
        [style.command(file), 'or at its top, for files that no stage has to do with'],
      ],
      '  ',
    ),
  ];
}
