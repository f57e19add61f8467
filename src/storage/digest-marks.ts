import type { Digest } from '../domain/digest.ts';

/** Which digests are needed. Two that are taken for the same only make that more is kept than must be. */
export interface DigestMarks {
  /** Whether the digest of which 32 raw bytes are at `offset` is needed. */
  has(bytes: Buffer, offset?: number): boolean;
  /** The same for a digest. */
  hasDigest(digest: Digest): boolean;
}

export interface MarksBuilder {
  add(digest: Digest): void;
  /** The same with 32 raw bytes at `offset`. */
  addRaw(bytes: Buffer, offset: number): void;
  /** Everything added; nothing can be added any more. */
  seal(): DigestMarks;
}

const HEX_DIGITS = 13;
const FIRST_CAPACITY = 1 << 16;

/**
 * Gathers digests by their first 52 bits, sorted: 8 bytes for each. With 10 million of them, one blob in 450 million shares these bits
 * with a needed one by chance, and is kept.
 */
export function createMarks(): MarksBuilder {
  let marks = new Float64Array(FIRST_CAPACITY);
  let count = 0;

  /** Sorts, and drops what is there twice. */
  function compact(): void {
    const sorted = marks.subarray(0, count).sort();
    count = 0;
    for (const mark of sorted) if (count === 0 || mark !== marks[count - 1]) marks[count++] = mark;
  }

  function add(mark: number): void {
    if (count === marks.length) {
      compact();
      // What is shared by many versions comes again and again.
      if (count > marks.length / 2) {
        const larger = new Float64Array(marks.length * 2);
        larger.set(marks.subarray(0, count));
        marks = larger;
      }
    }
    marks[count++] = mark;
  }

  return {
    add: (digest) => add(markOf(digest)),
    addRaw: (bytes, offset) => add(markAt(bytes, offset)),
    seal() {
      compact();
      const sorted = marks.subarray(0, count);
      const has = (wanted: number): boolean => {
        let low = 0;
        for (let high = count; low < high;) {
          const middle = (low + high) >>> 1;
          if ((sorted[middle] ?? 0) < wanted) low = middle + 1;
          else high = middle;
        }
        return sorted[low] === wanted;
      };
      return { has: (bytes, offset = 0) => has(markAt(bytes, offset)), hasDigest: (digest) => has(markOf(digest)) };
    },
  };
}

/** The first 52 bits of a digest. */
export function markOf(digest: Digest): number {
  return Number.parseInt(digest.slice(0, HEX_DIGITS), 16);
}

function markAt(bytes: Buffer, offset: number): number {
  return bytes.readUInt32BE(offset) * 2 ** 20 + (bytes.readUInt32BE(offset + 4) >>> 12);
}
