/** Bytes from a server that does not say how many there will be: never more of them in memory than a bound, however small the pieces. */

const NEW_LINE = 10;
const FIRST_BYTES = 4 << 10;

/** All of it. Throws what `tooLarge` makes where it is more than `most` bytes. */
export async function readBounded(body: AsyncIterable<Buffer>, most: number, tooLarge: () => Error): Promise<Buffer> {
  const gathered = createGatherer();
  for await (const piece of body) {
    if (gathered.bytes() + piece.length > most) throw tooLarge();
    gathered.add(piece);
  }
  return gathered.take();
}

/** A line without its end, or a piece of one. */
export interface LinePiece {
  readonly bytes: Buffer;
  /** False where more of the same line follows, or where the bytes ended before the line did. */
  readonly isEnd: boolean;
}

/** Cuts bytes at line ends, and lines that are longer than `most` bytes into pieces of exactly that many. */
export async function* linePieces(body: AsyncIterable<Buffer>, most: number): AsyncGenerator<LinePiece> {
  const gathered = createGatherer();
  for await (const piece of body) {
    for (let start = 0; start < piece.length;) {
      const found = piece.indexOf(NEW_LINE, start);
      const end = found === -1 ? piece.length : found;
      const room = most - gathered.bytes();
      if (end - start > room) {
        gathered.add(piece.subarray(start, start + room));
        yield { bytes: gathered.take(), isEnd: false };
        start += room;
      } else {
        gathered.add(piece.subarray(start, end));
        if (found !== -1) yield { bytes: gathered.take(), isEnd: true };
        start = end + 1;
      }
    }
  }
  if (gathered.bytes() > 0) yield { bytes: gathered.take(), isEnd: false };
}

/** Pieces put together, in memory that grows by doubling. */
function createGatherer() {
  let memory = Buffer.alloc(0);
  let bytes = 0;
  return {
    bytes: () => bytes,
    add(piece: Buffer): void {
      if (bytes + piece.length > memory.length) {
        const larger = Buffer.allocUnsafeSlow(Math.max(FIRST_BYTES, 2 * memory.length, bytes + piece.length));
        memory.copy(larger, 0, 0, bytes);
        memory = larger;
      }
      piece.copy(memory, bytes);
      bytes += piece.length;
    },
    /** A copy, unless it is large. */
    take(): Buffer {
      const whole = bytes > memory.length / 2 ? memory.subarray(0, bytes) : Buffer.from(memory.subarray(0, bytes));
      if (bytes > memory.length / 2) memory = Buffer.alloc(0);
      bytes = 0;
      return whole;
    },
  };
}
