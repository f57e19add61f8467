import { StringDecoder } from 'node:string_decoder';

/** Cuts output into lines of text; what is not UTF-8 is replaced. */
export interface LineSplitter {
  push(bytes: Buffer): void;
  /** Gives out what is left without a line's end. */
  end(): void;
}

/** Characters; what is longer is cut. */
const LONGEST_LINE = 16_384;

/** Calls `onLine` for each line, without its end. Of a line that was written over (`\r`, as progress bars do) the last state is given. */
export function createLineSplitter(onLine: (text: string) => void): LineSplitter {
  const decoder = new StringDecoder('utf8');
  let pending = '';

  function take(text: string): void {
    let start = 0;
    for (let end = text.indexOf('\n'); end !== -1; end = text.indexOf('\n', start)) {
      give(lastState(pending + text.slice(start, end)));
      pending = '';
      start = end + 1;
    }
    pending += text.slice(start);
    // One at the end may belong to a line's end.
    const overwritten = pending.lastIndexOf('\r', pending.length - 2);
    if (overwritten > 0 && pending.length > LONGEST_LINE) pending = pending.slice(overwritten);
    while (pending.length > LONGEST_LINE) {
      const piece = firstPiece(pending);
      onLine(piece);
      pending = pending.slice(piece.length);
    }
  }

  function give(line: string): void {
    let rest = line;
    for (; rest.length > LONGEST_LINE; rest = rest.slice(firstPiece(rest).length)) onLine(firstPiece(rest));
    onLine(rest);
  }

  return {
    push: (bytes) => take(decoder.write(bytes)),
    end() {
      take(decoder.end());
      if (pending !== '') give(lastState(pending));
      pending = '';
    },
  };
}

/** Bars are wiped with blanks, too. */
function lastState(line: string): string {
  if (!line.includes('\r')) return line;
  return line.split('\r').findLast((state) => state.trim() !== '') ?? '';
}

/** Between characters, not within one that takes two code units. */
function firstPiece(text: string): string {
  const last = text.charCodeAt(LONGEST_LINE - 1);
  return text.slice(0, last >= 0xd800 && last < 0xdc00 ? LONGEST_LINE - 1 : LONGEST_LINE);
}
