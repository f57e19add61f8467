import type { RowHash } from './row-hash.ts';

/** Which version a row is of. */
export type Side = 'before' | 'after';

/** Rows that one version has more often than the other. */
export interface RowDifference {
  readonly row: RowHash;
  /** How many more the later version has; negative: the earlier one. Never 0. */
  readonly surplus: number;
  readonly key: RowHash;
}

/**
 * Rows of two versions as multisets, what both have cancelled out as it comes: who takes both in step needs memory for what differs
 * alone. Rows that do not fit are left to later passes over the same rows.
 */
export interface RowTally {
  take(side: Side, row: RowHash, key: RowHash): void;
  /** How often all rows have to be taken, once for each pass, as known so far. */
  passes(): number;
  /** What is left of the rows of this pass, and none of it afterwards: the next pass can begin. */
  drain(): Generator<RowDifference>;
}

const FIRST_SLOTS = 1 << 12;
/** 20 bytes each. */
const MOST_SLOTS = 1 << 22;

/** `mostSlots`, a power of two, bounds the memory. */
export function createRowTally(mostSlots: number = MOST_SLOTS): RowTally {
  let table = createSlots(Math.min(FIRST_SLOTS, mostSlots));
  let used = 0;
  let passes = 1;
  let pass = 0;

  /** Doubles the table, or else, while the first pass finds out how many it takes, halves what this pass looks at. */
  function makeRoom(): void {
    const slots = table.mask + 1;
    const isFull = slots >= mostSlots && pass === 0;
    if (isFull) passes *= 2;
    const larger = createSlots(isFull ? slots : 2 * slots);
    used = 0;
    for (const { row, surplus, key } of differences(table)) {
      if ((row.high & (passes - 1)) !== pass) continue;
      write(larger, slotOf(larger, row), { row, surplus, key });
      used += 1;
    }
    table = larger;
  }

  return {
    take(side, row, key) {
      if ((row.high & (passes - 1)) !== pass) return;
      const step = side === 'after' ? 1 : -1;
      const slot = slotOf(table, row);
      const surplus = table.surplus[slot] ?? 0;
      if (surplus === 0) {
        write(table, slot, { row, surplus: step, key });
        used += 1;
        // Several times, should most of what is there belong to this pass.
        while (used > 0.7 * (table.mask + 1)) makeRoom();
      } else if (surplus + step !== 0) table.surplus[slot] = surplus + step;
      else {
        remove(table, slot);
        used -= 1;
      }
    },
    passes: () => passes,
    *drain() {
      const full = table;
      table = createSlots(Math.min(FIRST_SLOTS, mostSlots));
      used = 0;
      pass += 1;
      yield* differences(full);
    },
  };
}

/** Open addressing, linear probing; a slot is free while its surplus is 0. */
interface Slots {
  readonly mask: number;
  readonly high: Int32Array;
  readonly low: Int32Array;
  readonly keyHigh: Int32Array;
  readonly keyLow: Int32Array;
  readonly surplus: Int32Array;
}

function createSlots(count: number): Slots {
  const array = (): Int32Array => new Int32Array(count);
  return { mask: count - 1, high: array(), low: array(), keyHigh: array(), keyLow: array(), surplus: array() };
}

/** Where a row is, or is to be put. */
function slotOf(table: Slots, { high, low }: RowHash): number {
  let slot = low & table.mask;
  while (table.surplus[slot] !== 0 && (table.low[slot] !== low || table.high[slot] !== high)) {
    slot = (slot + 1) & table.mask;
  }
  return slot;
}

function write(table: Slots, slot: number, { row, surplus, key }: RowDifference): void {
  table.high[slot] = row.high;
  table.low[slot] = row.low;
  table.keyHigh[slot] = key.high;
  table.keyLow[slot] = key.low;
  table.surplus[slot] = surplus;
}

/** Frees a slot, and moves those up that would not be found behind the gap (Knuth, volume 3, algorithm 6.4 R). */
function remove(table: Slots, slot: number): void {
  const { mask } = table;
  let gap = slot;
  table.surplus[gap] = 0;
  for (let next = (gap + 1) & mask; table.surplus[next] !== 0; next = (next + 1) & mask) {
    const home = (table.low[next] ?? 0) & mask;
    if (((next - home) & mask) < ((next - gap) & mask)) continue;
    write(table, gap, differenceAt(table, next));
    table.surplus[next] = 0;
    gap = next;
  }
}

function differenceAt(table: Slots, slot: number): RowDifference {
  return {
    row: { high: table.high[slot] ?? 0, low: table.low[slot] ?? 0 },
    surplus: table.surplus[slot] ?? 0,
    key: { high: table.keyHigh[slot] ?? 0, low: table.keyLow[slot] ?? 0 },
  };
}

function* differences(table: Slots): Generator<RowDifference> {
  for (let slot = 0; slot <= table.mask; slot++) if (table.surplus[slot] !== 0) yield differenceAt(table, slot);
}
