import type { Mask, Merger, Puller, Pusher, State } from './remote-state.ts';
import { bitsOf, has, keysWhere, rowsOf } from './remote-state.ts';
import type { View } from './listing.ts';
import { holdsTrees, listings, storeBlobs } from './listing.ts';
import type { World } from './rules.ts';
import { reach } from './rules.ts';

/** Something that may happen next. */
export interface Move {
  readonly label: string;
  readonly state: State;
}

export const newPusher = (world: World): Pusher => ({
  at: 'list',
  age: 0,
  noted: world.rules.retention,
  dead: 0,
  todo: 0,
  rows: 0,
  opened: 0,
});

/** What the pusher with this number may do. */
export function pushMoves(world: World, state: State, number: number): Move[] {
  const pusher = state.pushers[number];
  const root = world.pushers[number];
  if (pusher === undefined || root === undefined) return [];
  const { rules } = world;
  const step = (what: string, next: Partial<Pusher>, changes: Partial<State> = {}): Move => ({
    label: `push ${number + 1}: ${what}`,
    state: {
      ...state,
      ...changes,
      pushers: state.pushers.map((each, at) => (at === number ? { ...each, ...next } : each)),
    },
  });
  switch (pusher.at) {
    case 'list':
    case 'check':
      return listings(world, state, rules.tombstonesSeenAfter).map((view) => {
        const planned = plan(world, { view, root, suspects: pusher.at === 'check' ? pusher.opened : 0 });
        const noted = pusher.at === 'check' ? pusher.noted : (view.notes[root] ?? 0);
        const renews = rules.renewsNotes && noted > 0;
        const at = planned.todo !== 0 ? 'store' : renews ? 'index' : 'ready';
        const dead = at === 'store' ? view.dead & keysWhere(state.keys, ({ isPlain }) => isPlain) : 0;
        const opened = at === 'ready' ? 0 : planned.opened | pusher.opened;
        return step(pusher.at === 'check' ? 'lists again' : 'lists', { ...planned, at, age: 0, noted, dead, opened });
      });
    case 'store': {
      const stored = storeBlobs(world, state.keys, { blobs: pusher.todo, isPlain: true, knownDead: pusher.dead });
      if (stored === undefined) return [];
      return [step('stores packs', { at: 'index', todo: 0, dead: 0, rows: stored.rows }, { keys: stored.keys })];
    }
    case 'index': {
      const notes = world.children.map((_, blob) => (blob === root ? 0 : rules.retention));
      const index = { rows: pusher.rows, vouches: pusher.age < rules.grace, notes, age: 0, replaced: 0 };
      const at = rules.pushListsAgain ? 'check' : 'ready';
      const age = rules.pushListsAgain ? pusher.age : 0;
      const opened = rules.pushListsAgain ? pusher.opened : 0;
      return [step('stores index', { at, age, noted: 0, rows: 0, opened }, { indexes: [...state.indexes, index] })];
    }
    case 'ready': {
      const isInTime = (rules.windowFrom === 'listing' ? pusher.age : pusher.noted) <= rules.window;
      if (!isInTime) return []; // it must begin again, as another pusher would
      return [step('git push', { ...newPusher(world), at: 'done' }, { refs: state.refs | (1 << root) })];
    }
    case 'done':
      break;
  }
  if (world.unpublishes !== true || has(state.refs, root)) return [];
  return [step('begins again', { ...newPusher(world), at: rules.pushLists ? 'list' : 'ready', noted: 0 })];
}

/** Whether a push that nothing disturbs any more comes to its end. */
export function pushEnds(world: World, start: State, number: number): boolean {
  let state = start;
  for (let steps = 0; steps < 10; steps++) {
    if (state.pushers[number]?.at === 'done') return true;
    const move = pushMoves({ ...world, staleListings: false, maxKeys: 20 }, state, number)[0];
    if (move === undefined) return true; // too late for git push: it must begin again
    state = move.state;
  }
  return false;
}

/** What is to be stored, descending only into what is not there, and into suspects. */
function plan(
  world: World,
  { view, root, suspects }: { readonly view: View; readonly root: number; readonly suspects: Mask },
): { readonly todo: Mask; readonly opened: Mask } {
  let todo = 0;
  let opened = 0;
  const visit = (blob: number): void => {
    const children = world.children[blob] ?? 0;
    const isThere = has(view.blobs, blob);
    if (!isThere) todo |= 1 << blob;
    if (children === 0 || (isThere && !has(suspects, blob))) return;
    opened |= 1 << blob;
    for (const child of bitsOf(children)) visit(child);
  };
  visit(root);
  return { todo, opened };
}

export const IDLE_MERGER: Merger = { at: 'idle', inputs: [], dead: 0 };

/** Merging indexes, and removing those that were merged away. */
export function mergeMoves(world: World, state: State): Move[] {
  const { merger, indexes } = state;
  if (merger === undefined) return [];
  const { rules } = world;
  const removable = indexes.filter(({ replaced }) => replaced >= (rules.keepsReplaced ? 2 : 1));
  const moves = removable.map((old) => ({
    label: 'merger removes a replaced index',
    state: { ...state, indexes: indexes.filter((index) => index !== old) },
  }));
  if (merger.at === 'idle') {
    const inputs = indexes.filter(({ replaced }) => replaced === 0);
    if (inputs.length < 2) return moves;
    const dead = rules.mergeKeepsDead ? 0 : keysWhere(state.keys, (key) => key.dead > 0);
    return [...moves, { label: 'merger reads indexes', state: { ...state, merger: { at: 'write', inputs, dead } } }];
  }
  const treeKeys = keysWhere(state.keys, (key) => holdsTrees(world, key));
  const taken = merger.inputs.map((index) =>
    index.vouches || !rules.mergeDropsUnvouched ? index : { ...index, rows: index.rows & ~treeKeys },
  );
  const merged = {
    rows: rowsOf(taken) & ~merger.dead,
    vouches: true,
    notes: world.children.map((_, blob) => Math.min(...taken.map(({ notes }) => notes[blob] ?? rules.retention))),
    age: 0,
    replaced: 0,
  };
  const names = new Set(merger.inputs.map((index) => JSON.stringify([index.rows, index.vouches, index.notes])));
  const kept = indexes.map((index) =>
    index.replaced === 0 && names.has(JSON.stringify([index.rows, index.vouches, index.notes]))
      ? { ...index, replaced: 1 }
      : index,
  );
  return [
    ...moves,
    { label: 'merger stores an index', state: { ...state, indexes: [...kept, merged], merger: IDLE_MERGER } },
  ];
}

/** Pulling what a ref names; what is not where it was means to list again. */
export function pullMoves(world: World, state: State): Move[] {
  const { puller } = state;
  if (puller === undefined || puller.at === 'done') return [];
  const next = (label: string, change: Puller): Move => ({
    label: `pull: ${label}`,
    state: { ...state, puller: change },
  });
  if (puller.at === 'idle')
    return bitsOf(state.refs).map((root) =>
      next('lists', {
        at: 'read',
        wanted: reach(world, 1 << root),
        places: placesNow(world, state, reach(world, 1 << root)),
      }),
    );
  const [blob = 0] = bitsOf(puller.wanted);
  const key = state.keys[puller.places[blob] ?? -1];
  if (key?.hasBytes !== true)
    return [next('does not find it, and lists again', { ...puller, places: placesNow(world, state, puller.wanted) })];
  const wanted = puller.wanted & ~(1 << blob);
  const places = puller.places.map((place, at) => (has(wanted, at) ? place : -1));
  return [next('reads', { at: wanted === 0 ? 'done' : 'read', wanted, places })];
}

/** For each blob a living key, or else any of the dead ones that still has bytes: a reader tries them all. */
function placesNow(world: World, state: State, wanted: Mask): number[] {
  const rows = rowsOf(state.indexes);
  return world.children.map((_, blob) => {
    if (!has(wanted, blob)) return -1;
    const holders = [...state.keys.entries()].filter(([number, { holds }]) => has(rows, number) && has(holds, blob));
    const best = holders.find(([, { dead }]) => dead === 0) ?? holders.find(([, { hasBytes }]) => hasBytes);
    return best?.[0] ?? -1;
  });
}
