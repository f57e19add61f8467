/**
 * 64 bits of a row, as two halves. Rows are compared by these: of ten million rows, two different ones meet with a chance of one in
 * 400,000. Nobody's safety depends on it, so it is no cryptographic hash.
 */
export interface RowHash {
  readonly high: number;
  readonly low: number;
}

/** The state that bytes are mixed into: two numbers of 32 bits. */
export type HashState = Int32Array;

export const FIRST_HIGH = 0x9747b28c | 0;
export const FIRST_LOW = 0x3c6ef372;

export function newHash(): HashState {
  return Int32Array.of(FIRST_HIGH, FIRST_LOW);
}

export function resetHash(state: HashState): void {
  state[0] = FIRST_HIGH;
  state[1] = FIRST_LOW;
}

/** The first number after one byte, or any 32 bits, more; the two are mixed in ways that have nothing in common. */
export function mixHigh(high: number, value: number): number {
  return Math.imul(((high << 5) | (high >>> 27)) ^ value, 0x9e3779b1);
}

/** The second number. */
export function mixLow(low: number, value: number): number {
  const mixed = Math.imul(low ^ value, 0x85ebca6b);
  return mixed ^ (mixed >>> 13);
}

export function mixIn(state: HashState, value: number): void {
  state[0] = mixHigh(state[0] ?? 0, value);
  state[1] = mixLow(state[1] ?? 0, value);
}

/** Both halves, so that every bit of them depends on every bit mixed in. */
export function finishHash(state: HashState): RowHash {
  const low = state[1] ?? 0;
  return { high: finalise((state[0] ?? 0) ^ Math.imul(low, 0x27d4eb2f)), low: finalise(low) };
}

/** MurmurHash3's finaliser. */
function finalise(value: number): number {
  let hash = value;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return hash ^ (hash >>> 16);
}

/** A row as it was read: the hashes of its fields, in the order in which they stand. The arrays are used again for the next row. */
export interface HashedRow {
  /** How many fields there are. */
  count: number;
  high: Int32Array;
  low: Int32Array;
}

export function emptyRow(): HashedRow {
  return { count: 0, high: new Int32Array(64), low: new Int32Array(64) };
}

/** Appends a field of which this has been gathered. */
export function pushField(row: HashedRow, high: number, low: number): void {
  if (row.count === row.high.length) {
    row.high = grown(row.high);
    row.low = grown(row.low);
  }
  row.high[row.count] = finalise(high ^ Math.imul(low, 0x27d4eb2f));
  row.low[row.count] = finalise(low);
  row.count += 1;
}

function grown(values: Int32Array): Int32Array {
  const larger = new Int32Array(2 * values.length);
  larger.set(values);
  return larger;
}

/**
 * The hash of some fields of a row, in this order; all of them, and how many they are, where `fields` is undefined. A field that the
 * row does not have is another thing than an empty one.
 */
export function hashFields(row: HashedRow, fields: readonly number[] | undefined): RowHash {
  let high = FIRST_HIGH;
  let low = FIRST_LOW;
  const length = fields === undefined ? row.count : fields.length;
  for (let at = 0; at < length; at++) {
    const index = fields === undefined ? at : (fields[at] ?? 0);
    const isThere = index < row.count;
    high = mixHigh(high, isThere ? (row.high[index] ?? 0) : 1);
    low = mixLow(low, isThere ? (row.low[index] ?? 0) : 1);
    high = mixHigh(high, isThere ? (row.low[index] ?? 0) : 2);
    low = mixLow(low, isThere ? (row.high[index] ?? 0) : 2);
  }
  high = mixHigh(high, length);
  low = mixLow(low, length);
  return { high: finalise(high ^ Math.imul(low, 0x27d4eb2f)), low: finalise(low) };
}
