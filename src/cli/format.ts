/** Numbers, sizes and columns as people read them. */
import { stripVTControlCharacters } from 'node:util';
import { formatBytes, formatCount } from '../domain/amount-text.ts';

export { formatBytes, formatCount };

/** Each colour means one thing, wherever it is used. */
export interface Style {
  /** Something failed or is lost. */
  readonly bad: (text: string) => string;
  /** Something differs, or waits for a decision. */
  readonly changed: (text: string) => string;
  /** Something was done, or is as it should be. */
  readonly good: (text: string) => string;
  /** Something to type. */
  readonly command: (text: string) => string;
  /** Detail that can be passed over. */
  readonly faint: (text: string) => string;
  /** A heading. */
  readonly title: (text: string) => string;
}

/** A style that colours, or one that leaves texts alone. */
export function createStyle(isColoured: boolean): Style {
  const paint =
    (on: number, off: number) =>
    (text: string): string =>
      isColoured && text !== '' ? `\u001b[${on}m${text}\u001b[${off}m` : text;
  return {
    bad: paint(31, 39),
    changed: paint(33, 39),
    good: paint(32, 39),
    command: paint(36, 39),
    faint: paint(2, 22),
    title: paint(1, 22),
  };
}

/** `1 file`, `12,340 files`; the plural is given where an `s` is not enough. */
export function countOf(count: number, noun: string, plural = `${noun}s`): string {
  return `${formatCount(count)} ${count === 1 ? noun : plural}`;
}

/** `8 s`, `2 min 5 s`, `1 h 12 min`. */
export function formatDuration(seconds: number): string {
  const total = Math.max(0, Math.round(seconds));
  if (total < 60) return `${total} s`;
  if (total < 3600) return `${Math.floor(total / 60)} min ${total % 60} s`;
  return `${formatCount(Math.floor(total / 3600))} h ${Math.floor((total % 3600) / 60)} min`;
}

/** Control characters, which could steer a terminal from within a file's name, as `\x1b`. */
export function visible(text: string): string {
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g, (character) => {
    const code = character.charCodeAt(0);
    return code < 256 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u${code.toString(16)}`;
  });
}

/** Rows with their cells under each other, two spaces apart; the last cell of a row is as long as it is. */
export function columns(rows: readonly (readonly string[])[], indent = ''): string[] {
  const widths: number[] = [];
  for (const row of rows) {
    for (const [index, cell] of row.slice(0, -1).entries()) widths[index] = Math.max(widths[index] ?? 0, width(cell));
  }
  return rows.map((row) => {
    const cells = row.map((cell, index) =>
      index === row.length - 1 ? cell : cell + ' '.repeat(Math.max(0, (widths[index] ?? 0) - width(cell))),
    );
    return (indent + cells.join('  ')).trimEnd();
  });
}

/** The first of a list, and a line that counts the rest. `limit` is the number of lines; Infinity shows all. */
export function shorten(lines: readonly string[], limit: number, style: Style, indent = ''): string[] {
  if (lines.length <= limit) return [...lines];
  return [...lines.slice(0, limit - 1), style.faint(`${indent}… and ${formatCount(lines.length - limit + 1)} more`)];
}

/** Words in lines of at most `limit` columns. */
export function wrap(text: string, limit: number, indent = ''): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && indent.length + line.length + 1 + word.length > limit) {
      lines.push(indent + line);
      line = word;
    } else {
      line = line === '' ? word : `${line} ${word}`;
    }
  }
  return [...lines, indent + line];
}

function width(text: string): number {
  return Array.from(stripVTControlCharacters(text)).length;
}
