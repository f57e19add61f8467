/** Tables of values: for a terminal, and as Markdown for a pull request. */
import { stripVTControlCharacters } from 'node:util';
import { type Style, visible } from './format.ts';

export interface TableColumn {
  readonly title: string;
  /** Numbers stand to the right. */
  readonly align?: 'right';
  /** The name of a file or a key, of which the end tells most: cut at its start. */
  readonly isName?: boolean;
}

export interface TableCell {
  readonly text: string;
  readonly paint?: keyof Style;
}

interface TextTable {
  readonly columns: readonly TableColumn[];
  readonly rows: readonly (readonly TableCell[])[];
}

const GAP = 2;
/** Nothing is cut to less. */
const NARROW = 6;

/** The table in lines of at most `limit` columns, where cells can be cut to fit; undefined for as wide as it is. */
export function textTable({ columns, rows }: TextTable, style: Style, limit?: number): string[] {
  const shown = rows.map((row) => row.map(({ text, paint }) => ({ text: visible(text), paint })));
  const natural = columns.map(({ title }, index) =>
    Math.max(textWidth(title), ...shown.map((row) => textWidth(row[index]?.text ?? ''))),
  );
  const widths = limit === undefined ? natural : fit(natural, limit - GAP * (columns.length - 1));
  const lineOf = (cells: readonly string[], paint: (text: string, index: number) => string): string =>
    columns
      .map(({ align, isName }, index) => {
        const width = widths[index] ?? 0;
        const text = cut(cells[index] ?? '', width, isName === true);
        const blank = ' '.repeat(Math.max(0, width - textWidth(text)));
        const painted = paint(text, index);
        return align === 'right' ? blank + painted : painted + blank;
      })
      .join(' '.repeat(GAP))
      .trimEnd();
  return [
    lineOf(
      columns.map(({ title }) => title),
      (text) => style.title(text),
    ),
    ...shown.map((row) =>
      lineOf(
        row.map(({ text }) => text),
        (text, index) => {
          const paint = row[index]?.paint;
          return paint === undefined ? text : style[paint](text);
        },
      ),
    ),
  ];
}

/** The table as GitHub's Markdown, its columns under each other for those who read the source. */
export function markdownTable({ columns, rows }: TextTable): string[] {
  const cells = [columns.map(({ title }) => title), ...rows.map((row) => row.map(({ text }) => text))].map((row) =>
    row.map((text) => visible(text).replace(/[\\`*_~&[\]<>|]/g, String.raw`\$&`)),
  );
  const widths = columns.map((_, index) => Math.max(3, ...cells.map((row) => textWidth(row[index] ?? ''))));
  const lineOf = (row: readonly string[]): string =>
    `| ${columns
      .map(({ align }, index) => {
        const text = row[index] ?? '';
        const blank = ' '.repeat((widths[index] ?? 0) - textWidth(text));
        return align === 'right' ? blank + text : text + blank;
      })
      .join(' | ')} |`;
  const rule = columns.map(({ align }, index) => {
    const dashes = '-'.repeat((widths[index] ?? 3) - 1);
    return align === 'right' ? `${dashes}:` : `-${dashes}`;
  });
  const [head = [], ...body] = cells;
  return [lineOf(head), `| ${rule.join(' | ')} |`, ...body.map(lineOf)];
}

/** Takes from the widest columns until all of them fit, or nothing more can be taken. */
function fit(natural: readonly number[], room: number): number[] {
  const widths = [...natural];
  let excess = widths.reduce((sum, width) => sum + width, 0) - room;
  while (excess > 0) {
    const widest = widths.indexOf(Math.max(...widths));
    const width = widths[widest] ?? 0;
    if (width <= NARROW) break;
    widths[widest] = width - 1;
    excess -= 1;
  }
  return widths;
}

function cut(text: string, width: number, atStart: boolean): string {
  const characters = Array.from(text);
  if (characters.length <= width) return text;
  return atStart
    ? `…${characters.slice(characters.length - width + 1).join('')}`
    : `${characters.slice(0, width - 1).join('')}…`;
}

function textWidth(text: string): number {
  return Array.from(stripVTControlCharacters(text)).length;
}
