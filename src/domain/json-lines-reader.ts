import type { RowReader } from './csv-reader.ts';
import { emptyRow, mixIn, newHash, pushField, resetHash, type HashedRow } from './row-hash.ts';

/** The longest line that is read, in bytes. */
const MAX_LINE = 64 << 20;
/** Objects with more names than this, all lines together, are no table. */
const MAX_COLUMNS = 10_000;
const LINE_FEED = 0x0a;

/**
 * Reads JSON Lines: a value a line, empty lines passed over. Columns are the names that objects have at their top, numbered as they are
 * met in `columns`; the same value written otherwise (spaces, order of names) is the same. A line that is no object has one field, of no
 * name.
 */
export function createJsonLinesReader(options: {
  /** Numbers of names, which grow while rows are read. */
  readonly columns: Map<string, number>;
  /** Takes each row: as many fields as there are columns so far; those it does not have are those of `isMissing`. */
  readonly onRow: (row: HashedRow) => void;
}): RowReader {
  const { columns, onRow } = options;
  let pending: Uint8Array[] = [];
  let pendingBytes = 0;
  const row = emptyRow();
  const state = newHash();

  function readLine(line: string): string | undefined {
    if (line.trim() === '') return undefined;
    let value: unknown;
    try {
      value = JSON.parse(line);
    } catch {
      return 'a line is not JSON';
    }
    const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
    const fields = new Map(isObject ? Object.entries(value as object) : [['', value]]);
    for (const name of fields.keys()) if (!columns.has(name)) columns.set(name, columns.size);
    if (columns.size > MAX_COLUMNS) return 'its objects have too many different names';
    row.count = 0;
    for (const name of columns.keys()) {
      resetHash(state);
      if (fields.has(name)) {
        for (const byte of Buffer.from(canonical(fields.get(name)), 'utf8')) mixIn(state, byte);
      } else mixIn(state, 0x1_00);
      pushField(row, state[0] ?? 0, state[1] ?? 0);
    }
    onRow(row);
    return undefined;
  }

  function take(piece: Uint8Array): string | undefined {
    pending.push(piece.slice());
    pendingBytes += piece.length;
    return pendingBytes > MAX_LINE ? 'a line is very long' : undefined;
  }

  function endLine(): string | undefined {
    const line = Buffer.concat(pending).toString('utf8');
    pending = [];
    pendingBytes = 0;
    return readLine(line.replace(/^\uFEFF/, ''));
  }

  return {
    push(piece) {
      let start = 0;
      for (let end = piece.indexOf(LINE_FEED); end !== -1; end = piece.indexOf(LINE_FEED, start)) {
        const problem = take(piece.subarray(start, end)) ?? endLine();
        if (problem !== undefined) return problem;
        start = end + 1;
      }
      return start === piece.length ? undefined : take(piece.subarray(start));
    },
    end: endLine,
  };
}

/** JSON with the names of objects in order. */
function canonical(value: unknown): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  const fields = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${fields.map(([name, inner]) => `${JSON.stringify(name)}:${canonical(inner)}`).join(',')}}`;
}
