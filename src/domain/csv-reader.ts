import { emptyRow, FIRST_HIGH, FIRST_LOW, mixHigh, mixLow, pushField, type HashedRow } from './row-hash.ts';

/** Reads a table piece by piece. */
export interface RowReader {
  /** Takes the next piece. Returns why this is no such file, if it is none. */
  push(piece: Uint8Array): string | undefined;
  /** Takes the end; likewise. */
  end(): string | undefined;
  /** True when it needs no more. */
  isDone?(): boolean;
}

/** The longest first row, and the longest row, that is believed to be one; in bytes. */
const MAX_HEADER = 1 << 20;
const MAX_ROW = 64 << 20;

const [QUOTE, LINE_FEED, RETURN, COMMA, SEMICOLON] = [0x22, 0x0a, 0x0d, 0x2c, 0x3b];

/** Where in a field the reader is: at its start, in its middle, in quotes, after what may have closed them, after a carriage return. */
const [START, PLAIN, QUOTED, AFTER_QUOTE, AFTER_RETURN] = [0, 1, 2, 3, 4];

/**
 * Reads CSV by RFC 4180 (quotes, doubled quotes, line breaks in quotes; lines end in LF or CRLF), across the borders of pieces, in
 * any encoding that extends ASCII. What is merely odd is taken as it is (rows of another length, quotes within a field); a quote that
 * is never closed, and NUL, are not CSV. Empty lines are passed over. `delimiter` undefined: a comma, or, where the first row has
 * none, a semicolon. A byte order mark is no part of the first name.
 */
export function createCsvReader(options: {
  readonly delimiter: number | undefined;
  /** The first row, as text. */
  readonly onHeader: (cells: readonly string[]) => void;
  /** Every row, the first one too. What it is given is used again. */
  readonly onRow: (row: HashedRow) => void;
}): RowReader {
  const { onHeader, onRow } = options;
  let delimiter = options.delimiter;
  const row = emptyRow();
  let high = FIRST_HIGH;
  let low = FIRST_LOW;
  let state = START;
  let isFieldEmpty = true;
  /** Of a carriage return: whether nothing was before it in its field. */
  let isAfterStart = false;
  let rowBytes = 0;
  let isFirst = true;
  /** The first row is kept until its end is known. */
  let header: Uint8Array[] | undefined = [];
  let headerBytes = 0;

  function endField(): void {
    pushField(row, high, low);
    high = FIRST_HIGH;
    low = FIRST_LOW;
    isFieldEmpty = true;
    state = START;
  }

  function endRow(): void {
    // A line with nothing on it is no row of one empty field.
    const isBlank = state === START || (state === AFTER_RETURN && isAfterStart);
    if (row.count > 0 || !isFieldEmpty || !isBlank) {
      endField();
      onRow(row);
    }
    row.count = 0;
    rowBytes = 0;
    state = START;
  }

  /** Adds bytes to the field; where it ends they are looked at one by one, and most are in its middle. */
  function take(piece: Uint8Array, from: number, to: number): void {
    let [one, two] = [high, low];
    for (let at = from; at < to; at++) {
      const byte = piece[at] ?? 0;
      one = mixHigh(one, byte);
      two = mixLow(two, byte);
    }
    high = one;
    low = two;
    isFieldEmpty = false;
  }

  function takeByte(byte: number): void {
    high = mixHigh(high, byte);
    low = mixLow(low, byte);
    isFieldEmpty = false;
  }

  /** Takes the byte at a border: one that is not plain content. */
  function takeBorder(byte: number): void {
    // A carriage return by itself is part of the field.
    if (state === AFTER_RETURN && byte !== LINE_FEED) {
      takeByte(RETURN);
      state = PLAIN;
    }
    if (state === QUOTED) state = AFTER_QUOTE;
    else if (byte === LINE_FEED) endRow();
    else if (byte === delimiter) endField();
    else if (byte === RETURN) {
      // What comes before it stays as it is: an empty line is one with it, too.
      isAfterStart = state === START;
      state = AFTER_RETURN;
    } else if (state === START) state = QUOTED;
    else {
      takeByte(QUOTE);
      state = state === AFTER_QUOTE ? QUOTED : PLAIN;
    }
  }

  function read(piece: Uint8Array): string | undefined {
    if (piece.includes(0)) return 'it has NUL bytes';
    const { length } = piece;
    for (let at = 0; at < length;) {
      let end = at;
      if (state === QUOTED) {
        end = piece.indexOf(QUOTE, at);
        if (end === -1) end = length;
      } else {
        for (; end < length; end++) {
          const byte = piece[end];
          if (byte === delimiter || byte === LINE_FEED || byte === QUOTE || byte === RETURN) break;
        }
      }
      rowBytes += end - at;
      if (end > at) {
        if (state === AFTER_RETURN) takeByte(RETURN);
        if (state !== QUOTED) state = PLAIN;
        take(piece, at, end);
      }
      if (end < length) takeBorder(piece[end] ?? 0);
      at = end + 1;
    }
    return rowBytes > MAX_ROW ? 'a quote is never closed, or a row is very long' : undefined;
  }

  /** Gathers pieces until the first row is whole, and then reads them. */
  function readHeader(piece: Uint8Array, isEnd: boolean): string | undefined {
    if (header === undefined) return read(piece);
    header.push(piece.slice());
    headerBytes += piece.length;
    const bytes = withoutMark(Buffer.concat(header));
    const length = firstRowLength(bytes, delimiter === undefined ? [COMMA, SEMICOLON] : [delimiter]);
    if (length === undefined && !isEnd) return headerBytes > MAX_HEADER ? 'its first row is very long' : undefined;
    header = undefined;
    const first = bytes.subarray(0, length ?? bytes.length);
    delimiter ??= first.includes(COMMA) || !first.includes(SEMICOLON) ? COMMA : SEMICOLON;
    onHeader(splitRow(first, delimiter));
    return read(bytes);
  }

  return {
    push(piece) {
      const problem = isFirst ? readHeader(piece, false) : read(piece);
      isFirst = header !== undefined;
      return problem;
    },
    end() {
      const problem = isFirst ? readHeader(new Uint8Array(), true) : undefined;
      if (problem !== undefined) return problem;
      if (state === QUOTED) return 'a quote is never closed';
      endRow();
      return undefined;
    },
  };
}

function withoutMark(bytes: Buffer): Buffer {
  return bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? bytes.subarray(3) : bytes;
}

/** Bytes of the first row that is not empty, without the end of its line; undefined where that is not there yet. */
function firstRowLength(bytes: Buffer, delimiters: readonly number[]): number | undefined {
  let isQuoted = false;
  let isBlank = true;
  let mayOpen = true;
  for (const [index, byte] of bytes.entries()) {
    if (isQuoted) {
      isQuoted = byte !== QUOTE;
      mayOpen = !isQuoted;
      continue;
    }
    if (byte === LINE_FEED && !isBlank) return index;
    isQuoted = byte === QUOTE && mayOpen;
    mayOpen = delimiters.includes(byte) || byte === LINE_FEED;
    if (byte !== LINE_FEED && byte !== RETURN) isBlank = false;
  }
  return undefined;
}

function splitRow(bytes: Buffer, delimiter: number): string[] {
  const cells: string[] = [];
  let cell: number[] = [];
  let isQuoted = false;
  let isAfterQuote = false;
  const text = bytes.toString('latin1').replace(/^[\r\n]+|\r$/g, '');
  for (const byte of Buffer.from(text, 'latin1')) {
    if (byte === QUOTE) {
      if (!isQuoted && isAfterQuote) cell.push(QUOTE);
      else if (!isQuoted && cell.length > 0) {
        cell.push(QUOTE);
        continue;
      }
      isAfterQuote = isQuoted;
      isQuoted = !isQuoted;
    } else if (byte === delimiter && !isQuoted) {
      cells.push(Buffer.from(cell).toString('utf8'));
      cell = [];
      isAfterQuote = false;
    } else {
      isAfterQuote = false;
      cell.push(byte);
    }
  }
  cells.push(Buffer.from(cell).toString('utf8'));
  return cells;
}
