import type { Collector, Index, Mask, State } from './remote-state.ts';
import { bitsOf, blobsIn, has, keysWhere, rowsOf } from './remote-state.ts';
import type { View } from './listing.ts';
import { blobsThere, holdsTrees, listings, readable, storeBlobs, viewOf } from './listing.ts';
import type { Move } from './pushing.ts';
import type { World } from './rules.ts';
import { reach, treesIn } from './rules.ts';

const IDLE: Omit<Collector, 'runs'> = {
  at: 'idle',
  kills: false,
  age: 0,
  live: 0,
  todo: 0,
  rows: 0,
  doomed: 0,
  half: [],
  refs: 0,
};

export const newCollector = (runs: number): Collector => ({ ...IDLE, runs });

/**
 * What the collector with this number may do. A run of it is either a kill (copy what lives out of keys with garbage, then
 * their tombstone) or a sweep (delete what died a grace ago, after what lives by now was copied out of it). It keeps nothing
 * from one run to the next: a tombstone that was left by a run that ended is swept by any other.
 */
export function collectMoves(world: World, state: State, number: number): Move[] {
  const collector = state.collectors[number];
  if (collector === undefined) return [];
  const { rules } = world;
  const step = (what: string, next: Partial<Collector>, changes: Partial<State> = {}): Move => ({
    label: `gc ${number + 1}: ${what}`,
    state: {
      ...state,
      ...changes,
      collectors: state.collectors.map((each, at) => (at === number ? { ...each, ...next } : each)),
    },
  });
  const rest = { ...IDLE, refs: collector.refs };
  const begin = (view: View): Move[] =>
    [planKill(world, state, view), planSweep(world, state, view, collector)].flatMap((planned) => {
      if (planned === undefined) return [];
      const remembers = planned.kills && !rules.readsGitAgain ? state.refs : rest.refs;
      return [
        step(`lists to ${planned.kills ? 'kill' : 'sweep'}`, {
          ...rest,
          ...planned,
          runs: collector.runs - 1,
          refs: remembers,
        }),
      ];
    });
  switch (collector.at) {
    case 'idle':
      if (collector.runs === 0) return [];
      if (world.slowListings !== true) return listings(world, state).flatMap(begin);
      return [step('lists the first half', { at: 'listing', age: 0, half: state.indexes })];
    case 'listing':
      if (rules.limitsListing && collector.age > 0) return [step('was too slow in listing', rest)];
      return begin(
        viewOf(world, state, { minAge: 0, tombstonesSeenAfter: 0, indexes: inBoth(collector.half, state.indexes) }),
      );
    case 'store': {
      if ((collector.todo & ~readable(state)) !== 0) return [step('does not find what to copy', rest)];
      const stored = storeBlobs(world, state.keys, { blobs: collector.todo, isPlain: false, knownDead: 0 });
      if (stored === undefined) return [];
      return [step('stores copies', { at: 'index', todo: 0, rows: stored.rows }, { keys: stored.keys })];
    }
    case 'index': {
      const notes = world.children.map(() => rules.retention);
      const index = { rows: collector.rows, vouches: collector.age < rules.grace, notes, age: 0, replaced: 0 };
      const next: Partial<Collector> = collector.kills
        ? { at: 'kill', age: 0 }
        : !rules.copiesBeforeDelete
          ? rest
          : rules.collectorListsAgain
            ? { at: 'check' }
            : { at: 'delete', age: 0, live: 0 };
      return [step('stores index', { ...next, rows: 0 }, { indexes: [...state.indexes, index] })];
    }
    case 'check':
      return listings(world, state).map((view) => {
        const todo = collector.live & ~view.unswept;
        return step('lists again', todo === 0 ? { at: 'delete', age: 0, live: 0 } : { at: 'store', age: 0, todo });
      });
    case 'delete': {
      const [key] = bitsOf(collector.doomed);
      if (key === undefined) return [step('ends', collector.todo === 0 ? rest : { at: 'store' })];
      const left = { doomed: collector.doomed & ~(1 << key) };
      const keys = state.keys.map((each, at) =>
        at === key ? { ...each, hasBytes: false, dead: rules.keepsTombstones ? each.dead : 0 } : each,
      );
      return [step(`deletes key ${key}`, left, { keys })];
    }
    case 'kill':
      break;
  }
  const keys = state.keys.map((key, at) => (has(collector.doomed, at) ? { ...key, dead: key.dead || 1 } : key));
  return [step('stores tombstones', rest, { keys })];
}

/** A listing sees what was there all the time; of what came or went meanwhile this one sees nothing. */
function inBoth(before: readonly Index[], now: readonly Index[]): Index[] {
  const name = ({ rows, vouches, notes }: Index): string => JSON.stringify([rows, vouches, notes]);
  const seen = new Set(before.map(name));
  return now.filter((index) => seen.has(name(index)));
}

type Plan = Pick<Collector, 'at' | 'kills' | 'live' | 'todo' | 'doomed'>;

/** All that these name, as far as it can be read. */
function reachSeen(world: World, view: View, from: Mask): Mask {
  const seen = blobsIn(view.keys, view.rows & keysWhere(view.keys, ({ hasBytes }) => hasBytes));
  return reach({ ...world, children: world.children.map((names, blob) => (has(seen, blob) ? names : 0)) }, from);
}

function marked(world: World, view: View, refs: Mask): Mask {
  const { retention, readsNotes } = world.rules;
  const noted = view.notes.reduce((mask, age, root) => (readsNotes && age < retention ? mask | (1 << root) : mask), 0);
  return reachSeen(world, view, refs | noted);
}

/** Keys with garbage: all that is in them is unneeded or elsewhere, or will be copied. */
function planKill(world: World, state: State, view: View): Plan | undefined {
  const { keys } = view;
  const live = marked(world, view, state.refs);
  const trees = treesIn(world);
  const living = view.rows & ~view.dead;
  const candidates = keysWhere(keys, ({ hasBytes }) => hasBytes) & ~view.dead;
  const elsewhere = (doomed: Mask): Mask =>
    blobsThere(world, keys, { rows: living & ~doomed, vouching: view.vouching & living & ~doomed });
  let doomed = candidates & ~living; // stored by a push that was interrupted, or is under way
  for (const number of bitsOf(candidates & living)) {
    const holds = keys[number]?.holds ?? 0;
    const garbage = holds & ~live;
    const isKept = garbage !== holds && holdsTrees(world, keys[number]) && !world.rules.killsTreesInPart;
    const isNeedless = (holds & ~garbage & ~elsewhere(doomed | (1 << number))) === 0;
    if (isNeedless || (garbage !== 0 && !isKept)) doomed |= 1 << number;
  }
  // What cannot be copied with all that it names stays where it is.
  for (;;) {
    const todo = blobsIn(keys, doomed & living) & live & ~elsewhere(doomed);
    const lost = bitsOf(todo & trees).find((tree) => (reach(world, 1 << tree) & ~(elsewhere(doomed) | todo)) !== 0);
    if (lost === undefined) {
      if (doomed === 0) return undefined;
      const copies = todo !== 0 && world.rules.copiesBeforeKill;
      return { at: copies ? 'store' : 'kill', kills: true, live: 0, todo: copies ? todo : 0, doomed };
    }
    doomed &= ~keysWhere(keys, ({ holds }) => has(holds, lost));
  }
}

/** What died a grace ago, less what cannot be copied out of it. */
function planSweep(world: World, state: State, view: View, collector: Collector): Plan | undefined {
  const { keys } = view;
  const { rules } = world;
  let doomed = view.expired & keysWhere(keys, ({ hasBytes }) => hasBytes);
  if (doomed === 0) return undefined;
  if (!rules.marksAgain) return { at: 'delete', kills: false, live: 0, todo: 0, doomed };
  const keeping = { roots: 0, 'living trees': view.rows & ~view.dead, 'unswept trees': view.rows & ~view.expired };
  const trees = treesIn(world);
  const kept = reachSeen(world, view, blobsIn(keys, keeping[rules.sweepKeeps]) & trees);
  const wanted = marked(world, view, rules.readsGitAgain ? state.refs : collector.refs) | kept;
  const sources = blobsIn(keys, view.rows & keysWhere(keys, ({ hasBytes }) => hasBytes));
  const had = view.blobs | sources;
  const isWhole = (blob: number): boolean => (reach(world, 1 << blob) & ~had) === 0;
  const live = bitsOf(wanted & had).reduce((mask, blob) => (isWhole(blob) ? mask | (1 << blob) : mask), 0);
  // Half a tree that somebody names may be completed yet: it stays.
  doomed &= ~keysWhere(keys, ({ holds }) => (holds & wanted & ~live) !== 0);
  if (doomed === 0) return undefined;
  const todo = live & ~view.unswept;
  const first = todo !== 0 && rules.copiesBeforeDelete ? 'store' : 'delete';
  return { at: first, kills: false, live: first === 'store' ? live : 0, todo, doomed };
}

/** What is left when all stop, no push is under way, and only collectors run on: keys with bytes that nobody needs. */
export function garbageInTheEnd(world: World, start: State, tick: (state: State) => State): Mask {
  let state: State = {
    ...start,
    pushers: [],
    merger: undefined,
    puller: undefined,
    collectors: [newCollector(3 * ROUNDS)],
  };
  const calm: World = { ...world, maxKeys: 24, staleListings: false, slowListings: false, pushers: [] };
  for (let round = 0; round < ROUNDS; round++) {
    for (let ticks = 0; ticks <= world.rules.grace + world.rules.retention; ticks++) state = tick(state);
    for (const kills of [true, false]) {
      let move = collectMoves(calm, state, 0).find(({ state: next }) => next.collectors[0]?.kills === kills);
      while (move !== undefined) {
        state = move.state;
        move = state.collectors[0]?.at === 'idle' ? undefined : collectMoves(calm, state, 0)[0];
      }
    }
  }
  const needed = reach(world, state.refs);
  const indexed = rowsOf(state.indexes);
  return keysWhere(
    state.keys,
    ({ holds, hasBytes, dead }) => hasBytes && ((holds & ~needed) !== 0 || dead > 0 || indexed === 0),
  );
}

const ROUNDS = 4;
