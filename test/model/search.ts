import { collectMoves, garbageInTheEnd, newCollector } from './collecting.ts';
import { readable } from './listing.ts';
import type { Move } from './pushing.ts';
import { IDLE_MERGER, mergeMoves, newPusher, pullMoves, pushEnds, pushMoves } from './pushing.ts';
import type { Index, Key, State } from './remote-state.ts';
import { bitsOf, blobsIn, canonical, encode, has, keysWhere, rowsOf } from './remote-state.ts';
import type { World } from './rules.ts';
import { reach, treesIn } from './rules.ts';

/** What must hold in every state. */
export type Promised = 'published' | 'closure' | 'rows' | 'garbage' | 'present' | 'progress';

export interface Found {
  readonly states: number;
  /** True when every state that can be reached was looked at. */
  readonly isWhole: boolean;
  /** What broke, and the shortest way there. */
  readonly broken: string | undefined;
  readonly trace: readonly string[];
}

/** Looks at every state, nearest first, until one breaks a promise. */
export function search(world: World, promised: readonly Promised[], maxStates = Number.POSITIVE_INFINITY): Found {
  const keepsIndexes = world.hasMerger === true || world.slowListings === true;
  const start = canonical(startOf(world), keepsIndexes);
  const seen = new Set([encode(start)]);
  const parents = [-1];
  const labels = ['start'];
  let layer: { readonly state: State; readonly id: number }[] = [{ state: start, id: 0 }];
  const trace = (id: number): string[] => {
    const steps: string[] = [];
    for (let at = id; at > 0; at = parents[at] ?? 0) steps.push(labels[at] ?? '');
    return steps.toReversed();
  };
  while (layer.length > 0) {
    const next: typeof layer = [];
    for (const { state, id } of layer) {
      const broken = breach(world, state, promised);
      if (broken !== undefined) return { states: seen.size, isWhole: false, broken, trace: trace(id) };
      for (const move of movesOf(world, state)) {
        const reached = canonical(move.state, keepsIndexes);
        const code = encode(reached);
        if (seen.has(code)) continue;
        if (seen.size >= maxStates) return { states: seen.size, isWhole: false, broken: undefined, trace: [] };
        seen.add(code);
        parents.push(id);
        labels.push(move.label);
        next.push({ state: reached, id: parents.length - 1 });
      }
    }
    layer = next;
  }
  return { states: seen.size, isWhole: true, broken: undefined, trace: [] };
}

function startOf(world: World): State {
  const { children, pushers, collectors, rules } = world;
  const stored = world.stored ?? [];
  const keys = stored.map((holds, key) => ({
    holds,
    isPlain: true,
    hasBytes: true,
    dead: has(world.killed ?? 0, key) ? 1 : 0,
  }));
  const notes = children.map(() => rules.retention);
  const indexes = keys.map((_, key) => ({ rows: 1 << key, vouches: true, notes, age: 1, replaced: 0 }));
  return {
    keys,
    indexes,
    refs: world.published ?? 0,
    pushers: pushers.map(() => newPusher(world)),
    collectors: Array.from({ length: collectors }, () => newCollector(world.runs)),
    merger: world.hasMerger === true ? IDLE_MERGER : undefined,
    puller: world.hasPuller === true ? { at: 'idle', wanted: 0, places: children.map(() => -1) } : undefined,
  };
}

function movesOf(world: World, state: State): Move[] {
  const moves = [{ label: 'time passes', state: tick(world, state) }];
  for (const number of state.pushers.keys()) moves.push(...pushMoves(world, state, number));
  for (const number of state.collectors.keys()) moves.push(...collectMoves(world, state, number));
  moves.push(...mergeMoves(world, state), ...pullMoves(world, state));
  if (world.unpublishes === true)
    for (const root of bitsOf(state.refs))
      moves.push({ label: `ref ${root} is deleted`, state: { ...state, refs: state.refs & ~(1 << root) } });
  return moves;
}

function tick(world: World, state: State): State {
  const { grace, retention, window, tombstonesSeenAfter } = world.rules;
  const maxDead = Math.max(grace, tombstonesSeenAfter) + 1;
  const older = (index: Index): Index => ({
    ...index,
    notes: index.notes.map((note) => Math.min(retention, note + 1)),
    age: 1,
    replaced: index.replaced === 0 ? 0 : 2,
  });
  const aged = (key: Key): Key => (key.dead === 0 ? key : { ...key, dead: Math.min(maxDead, key.dead + 1) });
  return {
    ...state,
    keys: state.keys.map(aged),
    indexes: state.indexes.map(older),
    pushers: state.pushers.map((pusher) =>
      pusher.at === 'list' || pusher.at === 'done'
        ? pusher
        : {
            ...pusher,
            age: Math.min(Math.max(grace, window + 1), pusher.age + 1),
            noted: Math.min(retention, pusher.noted + 1),
          },
    ),
    collectors: state.collectors.map((collector) =>
      collector.at === 'idle' || collector.at === 'delete' || collector.at === 'kill'
        ? collector
        : { ...collector, age: Math.min(grace, collector.age + 1), half: collector.half.map(older) },
    ),
    merger: state.merger && { ...state.merger, inputs: state.merger.inputs.map(older) },
  };
}

function breach(world: World, state: State, promised: readonly Promised[]): string | undefined {
  const here = readable(state);
  const rows = rowsOf(state.indexes);
  for (const promise of promised) {
    switch (promise) {
      case 'published': {
        const lost = reach(world, state.refs) & ~here;
        if (lost !== 0) return `a published ref names blobs that are gone: ${bitsOf(lost).join(', ')}`;
        break;
      }
      case 'closure': {
        const vouching = rowsOf(state.indexes.filter(({ vouches }) => vouches));
        const unswept = keysWhere(state.keys, ({ dead }) => dead <= world.rules.grace);
        const trees = blobsIn(state.keys, vouching & unswept) & treesIn(world);
        const lost = reach(world, trees) & ~trees & ~here;
        if (lost !== 0) return `a tree object is there, and what it names is gone: ${bitsOf(lost).join(', ')}`;
        break;
      }
      case 'rows': {
        const empty = rows & keysWhere(state.keys, ({ hasBytes, dead }) => !hasBytes && dead === 0);
        if (empty !== 0) return `a living key has no bytes: ${bitsOf(empty).join(', ')}`;
        break;
      }
      case 'present': {
        const living = keysWhere(state.keys, ({ dead }) => dead === 0);
        const lost = reach(world, state.refs) & ~blobsIn(state.keys, rows & living);
        if (lost !== 0) return `a published ref names blobs that have only dead keys: ${bitsOf(lost).join(', ')}`;
        break;
      }
      case 'progress': {
        const stuck = [...state.pushers.keys()].find((number) => !pushEnds(world, state, number));
        if (stuck !== undefined) return `push ${stuck + 1} never ends`;
        break;
      }
      case 'garbage': {
        const left = garbageInTheEnd(world, state, (each) => canonical(tick(world, each), true));
        if (left !== 0) return `garbage stays for ever: ${bitsOf(left).join(', ')}`;
        break;
      }
    }
  }
  return undefined;
}
