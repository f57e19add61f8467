/**
 * A remote, Git and everybody at work on them, as small as they can be and still go wrong (docs/gc-protocol.md). Times are
 * ages in ticks, a tick being some days, and stop counting where nothing more depends on them: so the states are finite.
 */

/** A set of numbers below eight, as bits. */
export type Mask = number;

/** A pack or object, and whether it is dead. */
export interface Key {
  /** The blobs in it. */
  readonly holds: Mask;
  /** Named by its content alone; others by a nonce, too. */
  readonly isPlain: boolean;
  readonly hasBytes: boolean;
  /** Ticks since its tombstone, and one; 0 while it has none. */
  readonly dead: number;
}

export interface Index {
  readonly rows: Mask;
  /** Whether its rows of tree objects vouch for what these name. */
  readonly vouches: boolean;
  /** Of each blob, ticks since it was noted as a root that was pushed; no more than the retention. */
  readonly notes: readonly number[];
  /** 0 until the next tick. */
  readonly age: number;
  /** 0 while none replaces it; then 1, and 2 from the next tick on. */
  readonly replaced: number;
}

/** `list` → `store` → `index` → `check` → `ready` → `done`; `index` is skipped when there is nothing to store. */
export type PusherStep = 'list' | 'store' | 'index' | 'check' | 'ready' | 'done';

export interface Pusher {
  readonly at: PusherStep;
  /** Ticks since its last listing. */
  readonly age: number;
  /** Ticks since its root was noted, as far as it knows. */
  readonly noted: number;
  /** Plain keys that it knows to be dead. */
  readonly dead: Mask;
  /** Blobs to store. */
  readonly todo: Mask;
  /** Keys to name in the next index. */
  readonly rows: Mask;
  /** Trees that it looked into. */
  readonly opened: Mask;
}

/** `idle` → (`store` → `index` → `check`)* → `delete` for a sweep, or → `kill` for what is to die. */
export type CollectorStep = 'idle' | 'listing' | 'store' | 'index' | 'check' | 'delete' | 'kill';

export interface Collector {
  readonly at: CollectorStep;
  readonly kills: boolean;
  /** Runs that it may still begin. */
  readonly runs: number;
  readonly age: number;
  /** Blobs that must have a living key in the end. */
  readonly live: Mask;
  readonly todo: Mask;
  readonly rows: Mask;
  /** Keys to delete, or to write tombstones for. */
  readonly doomed: Mask;
  /** Half of a listing: indexes seen, by their place. */
  readonly half: readonly Index[];
  /** Roots as Git told them at its first reading; only a collector that never reads again keeps them. */
  readonly refs: Mask;
}

/** `idle` → `write`: the indexes that it read, by what they were. */
export interface Merger {
  readonly at: 'idle' | 'write';
  readonly inputs: readonly Index[];
  readonly dead: Mask;
}

/** Reads the blobs of a root, one after the other, from where a listing said they are. */
export interface Puller {
  readonly at: 'idle' | 'read' | 'done';
  readonly wanted: Mask;
  /** The key of each blob that is wanted. */
  readonly places: readonly number[];
}

export interface State {
  readonly keys: readonly Key[];
  readonly indexes: readonly Index[];
  /** Roots that refs of Git name. */
  readonly refs: Mask;
  readonly pushers: readonly Pusher[];
  readonly collectors: readonly Collector[];
  readonly merger: Merger | undefined;
  readonly puller: Puller | undefined;
}

export const has = (mask: Mask, bit: number): boolean => (mask & (1 << bit)) !== 0;

export function bitsOf(mask: Mask): number[] {
  const bits: number[] = [];
  for (let bit = 0; mask >> bit !== 0; bit++) if (has(mask, bit)) bits.push(bit);
  return bits;
}

/** The numbers of all keys for which this holds. */
export function keysWhere(keys: readonly Key[], holds: (key: Key) => boolean): Mask {
  let mask = 0;
  for (const [number, key] of keys.entries()) if (holds(key)) mask |= 1 << number;
  return mask;
}

export function blobsIn(keys: readonly Key[], mask: Mask): Mask {
  let blobs = 0;
  for (const [number, key] of keys.entries()) if (has(mask, number)) blobs |= key.holds;
  return blobs;
}

export const rowsOf = (indexes: readonly Index[]): Mask => indexes.reduce((mask, { rows }) => mask | rows, 0);

/** What depends on nothing but order of arrival, or can no more be told by anybody, is taken out: equal futures, one state. */
export function canonical(state: State, keepsIndexes: boolean): State {
  const gone = keysWhere(state.keys, ({ dead, hasBytes }) => dead > 0 && !hasBytes);
  const drop = (index: Index): Index => ((index.rows & gone) === 0 ? index : { ...index, rows: index.rows & ~gone });
  let indexes: readonly Index[] = state.indexes.map(drop);
  if (!keepsIndexes) indexes = joinSettled(indexes);
  const inUse =
    rowsOf(indexes) |
    state.pushers.reduce((mask, { rows }) => mask | rows, 0) |
    state.collectors.reduce((mask, { rows, doomed }) => mask | rows | doomed, 0) |
    state.collectors.reduce((mask, { half }) => mask | rowsOf(half), 0) |
    rowsOf(state.merger?.inputs ?? []) |
    (state.puller?.places.reduce((mask, key) => (key < 0 ? mask : mask | (1 << key)), 0) ?? 0);
  const order: { readonly number: number; readonly rank: number }[] = [];
  for (const [number, { isPlain, hasBytes }] of state.keys.entries()) {
    if (isPlain || hasBytes || has(inUse, number)) order.push({ number, rank: rank(state, indexes, number) });
  }
  order.sort((a, b) => a.rank - b.rank || a.number - b.number);
  const settled = { ...state, indexes };
  if (order.length === state.keys.length && order.every(({ number }, at) => number === at)) return settled;
  const place: number[] = state.keys.map(() => -1);
  for (const [at, { number }] of order.entries()) place[number] = at;
  const move = (mask: Mask): Mask => {
    let moved = 0;
    for (let bit = 0; mask >> bit !== 0; bit++) {
      const to = has(mask, bit) ? (place[bit] ?? -1) : -1;
      if (to >= 0) moved |= 1 << to;
    }
    return moved;
  };
  const moveIndex = (index: Index): Index => ({ ...index, rows: move(index.rows) });
  return {
    ...state,
    keys: order.flatMap(({ number }) => state.keys[number] ?? []),
    indexes: indexes.map(moveIndex),
    pushers: state.pushers.map((pusher) => ({ ...pusher, dead: move(pusher.dead), rows: move(pusher.rows) })),
    collectors: state.collectors.map((collector) => ({
      ...collector,
      rows: move(collector.rows),
      doomed: move(collector.doomed),
      half: collector.half.map(moveIndex),
    })),
    merger: state.merger && {
      ...state.merger,
      inputs: state.merger.inputs.map(moveIndex),
      dead: move(state.merger.dead),
    },
    puller: state.puller && {
      ...state.puller,
      places: state.puller.places.map((key) => place[key] ?? -1),
    },
  };
}

/** As present is a union, settled indexes that are listed at once are as good as one that vouches and one that does not. */
function joinSettled(indexes: readonly Index[]): Index[] {
  const joined: Index[] = [];
  for (const index of indexes) {
    const at = joined.findIndex(({ vouches, age }) => vouches === index.vouches && age === index.age);
    const other = joined[at];
    if (other === undefined) joined.push(index);
    else
      joined[at] = {
        ...other,
        rows: other.rows | index.rows,
        notes: other.notes.map((note, root) => Math.min(note, index.notes[root] ?? note)),
      };
  }
  return joined.sort((a, b) => Number(a.vouches) - Number(b.vouches) || a.age - b.age);
}

/** A number that is equal only for keys that all treat alike. */
function rank(state: State, indexes: readonly Index[], number: number): number {
  const key = state.keys[number];
  if (key === undefined) return 0;
  let value = ((key.holds * 2 + Number(key.isPlain)) * 2 + Number(key.hasBytes)) * 8 + key.dead;
  const add = (mask: Mask): void => {
    value = value * 2 + ((mask >> number) & 1);
  };
  for (const { rows } of indexes) add(rows);
  for (const { rows } of state.pushers) add(rows);
  for (const { rows, doomed } of state.collectors) {
    add(rows);
    add(doomed);
  }
  return value;
}

/** One text for each state. */
export function encode(state: State): string {
  const codes: number[] = [state.refs];
  const index = ({ rows, vouches, notes, age, replaced }: Index): void => {
    codes.push(rows, (vouches ? 1 : 0) + 2 * age + 4 * replaced, ...notes);
  };
  codes.push(state.keys.length);
  for (const { holds, isPlain, hasBytes, dead } of state.keys)
    codes.push(holds, (isPlain ? 1 : 0) + (hasBytes ? 2 : 0) + 4 * dead);
  codes.push(state.indexes.length);
  for (const each of state.indexes) index(each);
  for (const { at, age, noted, dead, todo, rows, opened } of state.pushers)
    codes.push(at.charCodeAt(1), age, noted, dead, todo, rows, opened);
  for (const { at, kills, runs, age, live, todo, rows, doomed, half, refs } of state.collectors) {
    codes.push(at.charCodeAt(0), at.length, kills ? 1 : 0, runs, age, live, todo, rows, doomed, refs, half.length);
    for (const each of half) index(each);
  }
  if (state.merger !== undefined) {
    codes.push(state.merger.at.length, state.merger.dead, state.merger.inputs.length);
    for (const each of state.merger.inputs) index(each);
  }
  if (state.puller !== undefined)
    codes.push(state.puller.at.length, state.puller.wanted, ...state.puller.places.map((key) => key + 1));
  return String.fromCharCode(...codes);
}
