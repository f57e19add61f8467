/** A place in a text, and how to show it. */
export interface SourcePlace {
  /** From 1. */
  readonly line: number;
  /** From 1, in UTF-16 units. */
  readonly column: number;
}

/** Wider lines are cut around the place. */
const WIDTH = 100;

/** Where an offset lies. */
export function placeOf(text: string, offset: number): SourcePlace {
  const before = text.lastIndexOf('\n', offset - 1);
  let line = 1;
  for (let at = text.indexOf('\n'); at !== -1 && at < offset; at = text.indexOf('\n', at + 1)) line += 1;
  return { line, column: offset - (offset === 0 ? -1 : before) };
}

/** The line that an offset lies in, numbered, and one with a caret below the place. */
export function sourceFrame(text: string, offset: number): string {
  const { line, column } = placeOf(text, offset);
  const start = offset - column + 1;
  const end = text.indexOf('\n', start);
  const whole = text.slice(start, end === -1 ? undefined : end).replace(/\r$/, '');
  const from = column <= WIDTH ? 0 : column - WIDTH / 2;
  const shown = whole.slice(from, from + WIDTH).replaceAll('\t', ' ');
  const number = String(line);
  return `${number} | ${shown}\n${' '.repeat(number.length)} | ${' '.repeat(column - 1 - from)}^`;
}
