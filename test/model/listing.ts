import type { Index, Key, Mask, State } from './remote-state.ts';
import { bitsOf, blobsIn, has, keysWhere, rowsOf } from './remote-state.ts';
import type { World } from './rules.ts';
import { isTree, treesIn } from './rules.ts';

/** What a listing tells. */
export interface View {
  readonly keys: readonly Key[];
  readonly dead: Mask;
  /** Keys past their grace. */
  readonly expired: Mask;
  /** Keys of any row. */
  readonly rows: Mask;
  /** Keys of rows that vouch for what tree objects name. */
  readonly vouching: Mask;
  /** Data in living keys, and tree objects that vouch for what they name. */
  readonly blobs: Mask;
  /** The same with keys that are dead, but not past their grace. */
  readonly unswept: Mask;
  /** Of each blob, ticks since it was noted as a root. */
  readonly notes: readonly number[];
}

/** The listings that one may get now: with and without what is new. */
export function listings(world: World, state: State, tombstonesSeenAfter = 0): View[] {
  const ages = world.staleListings === true ? [0, 1] : [0];
  return ages.map((minAge) => viewOf(world, state, { minAge, tombstonesSeenAfter }));
}

/** The view of somebody who sees these indexes, and of everything only what is this old. */
export function viewOf(
  world: World,
  state: State,
  given: { readonly minAge: number; readonly tombstonesSeenAfter: number; readonly indexes?: readonly Index[] },
): View {
  const { keys } = state;
  const { grace, retention } = world.rules;
  const { minAge, indexes = state.indexes } = given;
  const seenFrom = 1 + Math.max(minAge, given.tombstonesSeenAfter);
  const dead = keysWhere(keys, (key) => key.dead >= seenFrom);
  const expired = keysWhere(keys, (key) => key.dead >= seenFrom && key.dead > grace);
  const seen = indexes.filter(({ age }) => age >= minAge);
  const rows = rowsOf(seen);
  const vouching = world.rules.vouchingExpires ? rowsOf(seen.filter(({ vouches }) => vouches)) : rows;
  return {
    keys,
    dead,
    expired,
    rows,
    vouching,
    blobs: blobsThere(world, keys, { rows: rows & ~dead, vouching: vouching & ~dead }),
    unswept: blobsThere(world, keys, { rows: rows & ~expired, vouching: vouching & ~expired }),
    notes: world.children.map((_, blob) => Math.min(retention, ...seen.map(({ notes }) => notes[blob] ?? retention))),
  };
}

/** The data in keys that have rows, and tree objects in those whose rows vouch. */
export function blobsThere(
  world: World,
  keys: readonly Key[],
  { rows, vouching }: { readonly rows: Mask; readonly vouching: Mask },
): Mask {
  const trees = treesIn(world);
  return (blobsIn(keys, rows) & ~trees) | (blobsIn(keys, vouching) & trees);
}

/** Blobs that somebody could read now, from living or dead keys. */
export function readable(state: State): Mask {
  return blobsIn(state.keys, rowsOf(state.indexes) & keysWhere(state.keys, ({ hasBytes }) => hasBytes));
}

export const holdsTrees = (world: World, key: Key | undefined): boolean =>
  key !== undefined && bitsOf(key.holds).some((blob) => isTree(world, blob));

/** Stores data and tree objects in a pack each. Undefined where the model has no room for another key. */
export function storeBlobs(
  world: World,
  keys: readonly Key[],
  given: { readonly blobs: Mask; readonly isPlain: boolean; readonly knownDead: Mask },
): { readonly keys: readonly Key[]; readonly rows: Mask } | undefined {
  const trees = treesIn(world);
  const stored = [...keys];
  let rows = 0;
  for (const holds of [given.blobs & ~trees, given.blobs & trees].filter((blobs) => blobs !== 0)) {
    const plain = stored.findIndex((key) => key.isPlain && key.holds === holds);
    const known = stored[plain];
    const isUsable = known !== undefined && !(world.rules.newKeysForDead && has(given.knownDead, plain));
    if (given.isPlain && isUsable) {
      stored[plain] = { ...known, hasBytes: true };
      rows |= 1 << plain;
    } else {
      stored.push({ holds, isPlain: given.isPlain && known === undefined, hasBytes: true, dead: 0 });
      rows |= 1 << (stored.length - 1);
    }
  }
  return stored.filter(({ hasBytes }) => hasBytes).length > world.maxKeys ? undefined : { keys: stored, rows };
}
