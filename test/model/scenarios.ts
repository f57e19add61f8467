import type { Promised } from './search.ts';
import type { Rules, World } from './rules.ts';
import { PROTOCOL } from './rules.ts';

/** One tick is a grace: all that happens within it comes in any order. */
const SHORT = { ...PROTOCOL, grace: 1, retention: 1, window: 0 };

/** Blob 0 is data, 1 a tree object that names it. */
const ONE_TREE = { children: [0, 0b01], maxKeys: 8 };
/** Blobs 0 and 1 are data, 2 and 3 tree objects that name one each. */
const TWO_TREES = { children: [0, 0, 0b01, 0b10], maxKeys: 8 };
/** A root, its page, and data. */
const DEEP = { children: [0, 0b001, 0b010], maxKeys: 8 };

const base: World = { rules: SHORT, ...ONE_TREE, pushers: [1, 1], collectors: 1, runs: 2 };
/** The tree was pushed long ago, and no ref names it. */
const old: World = { ...base, stored: [0b01, 0b10] };
/** Only its data was. */
const oldData: World = { ...base, stored: [0b01] };
/** It was pushed and published long ago; refs may go, and come back. */
const published: World = { ...old, pushers: [1], published: 0b10, unpublishes: true, runs: 3 };
/** A race has killed what a ref names: a sweep has to save it. */
const rescued: World = { ...old, pushers: [], published: 0b10, killed: 0b01, collectors: 2 };
/** `git push` may come long after, protected by the note of the root. */
const late: World = {
  ...old,
  pushers: [1],
  rules: { ...SHORT, retention: 3, window: 2, windowFrom: 'note', renewsNotes: true },
};
const merging: World = { ...oldData, pushers: [1, 1], hasMerger: true };
const slow: World = { ...rescued, collectors: 1, runs: 2, hasMerger: true, slowListings: true };
/** Two trees in one pack, of which one is published. */
const inPart: World = { ...base, ...TWO_TREES, pushers: [2], stored: [0b01, 0b10, 0b1100], published: 0b1000 };
const inPartData: World = { ...inPart, pushers: [], stored: [0b11, 0b0100, 0b1000] };

export interface Scenario {
  readonly name: string;
  readonly world: World;
  readonly promised: readonly Promised[];
  /** Looked at as a whole only by `npm run test:model`, elsewhere as far as its nearest states. */
  readonly isLong?: boolean;
}

const SAFE: readonly Promised[] = ['published', 'closure', 'rows', 'progress'];
const ALL: readonly Promised[] = [...SAFE, 'garbage'];

/** The protocol as it is to be: nothing breaks in any state. */
export const HOLDS: readonly Scenario[] = [
  { name: 'a push to an empty remote, a collector', world: { ...base, pushers: [1] }, promised: ALL, isLong: true },
  { name: 'two trees in a pack, one published', world: inPart, promised: ALL, isLong: true },
  {
    name: 'two pushes of what was pushed long ago, a collector',
    world: old,
    promised: SAFE,
    isLong: true,
  },
  { name: 'two pushes over old data, a collector', world: oldData, promised: SAFE, isLong: true },
  {
    name: 'a push over old data, two collectors',
    world: { ...oldData, pushers: [1], collectors: 2 },
    promised: SAFE,
    isLong: true,
  },
  {
    name: 'a push, refs that go and come, two collectors',
    world: { ...published, runs: 1, collectors: 2 },
    promised: SAFE,
    isLong: true,
  },
  { name: 'two collectors save what a race has killed', world: rescued, promised: ALL, isLong: true },
  { name: 'git push long after the push', world: late, promised: SAFE, isLong: true },
  {
    name: 'a push, a merger, a collector, a puller',
    world: { ...old, pushers: [1], hasMerger: true, hasPuller: true },
    promised: SAFE,
    isLong: true,
  },
  { name: 'listings that take their time, a merger', world: slow, promised: SAFE, isLong: true },
  {
    name: 'listings that miss what is new',
    world: { ...oldData, pushers: [1], staleListings: true, rules: { ...SHORT, grace: 2, retention: 1, window: 1 } },
    promised: SAFE,
    isLong: true,
  },
  {
    name: 'a root, its page and data',
    world: { ...base, ...DEEP, pushers: [2], stored: [0b001, 0b010] },
    promised: SAFE,
    isLong: true,
  },
];

export interface Mutation {
  readonly name: string;
  /** Takes seconds; only looked at by `npm run test:model`. */
  readonly isLong?: boolean;
  readonly world: World;
  readonly without: Partial<Rules>;
  readonly breaks: Promised;
  /** Steps of the shortest way there. */
  readonly steps: number;
}

/** Each step of the protocol left out. `published` breaks where something is lost that was published after a completed push. */
export const NEEDED: readonly Mutation[] = [
  {
    name: 'a push that lists again after its index',
    world: oldData,
    without: { pushListsAgain: false },
    breaks: 'published',
    steps: 9,
  },
  {
    name: 'asking the remote, in place of what an earlier push knew',
    world: published,
    without: { pushLists: false },
    breaks: 'published',
    steps: 10,
  },
  { name: 'git push soon after the push', world: old, without: { window: 9 }, breaks: 'published', steps: 7 },
  { name: 'a grace', world: old, without: { grace: 0 }, breaks: 'published', steps: 6 },
  {
    name: 'tombstones that are seen within the grace',
    world: old,
    without: { tombstonesSeenAfter: 2 },
    breaks: 'published',
    steps: 7,
  },
  { name: 'marking again before deletion', world: old, without: { marksAgain: false }, breaks: 'published', steps: 7 },
  { name: 'reading Git again', world: old, without: { readsGitAgain: false }, breaks: 'published', steps: 7 },
  {
    name: 'roots from what was pushed lately',
    world: late,
    without: { readsNotes: false },
    breaks: 'published',
    steps: 9,
  },
  { name: 'copies before deletion', world: old, without: { copiesBeforeDelete: false }, breaks: 'published', steps: 7 },
  {
    name: 'tombstones that stay for ever',
    world: old,
    without: { keepsTombstones: false },
    breaks: 'published',
    steps: 8,
  },
  {
    name: 'vouching that expires',
    world: oldData,
    without: { vouchingExpires: false },
    breaks: 'published',
    steps: 10,
  },
  {
    name: 'trees as roots of a sweep',
    world: oldData,
    without: { sweepKeeps: 'roots' },
    breaks: 'published',
    steps: 10,
  },
  {
    name: 'dying trees as roots of a sweep',
    world: { ...old, pushers: [1], killed: 0b01 },
    without: { sweepKeeps: 'living trees' },
    breaks: 'published',
    steps: 7,
  },
  {
    name: 'death of tree packs that are garbage in part, and trees as roots of a sweep',
    world: inPart,
    without: { killsTreesInPart: false, sweepKeeps: 'roots' },
    breaks: 'published',
    steps: 7,
  },
  {
    name: 'death of tree packs that are garbage in part',
    world: inPart,
    without: { killsTreesInPart: false },
    breaks: 'garbage',
    steps: 0,
  },
  {
    name: 'copies before the tombstone',
    world: inPartData,
    without: { copiesBeforeKill: false },
    breaks: 'present',
    steps: 2,
  },
  { name: 'new keys for what died', world: old, without: { newKeysForDead: false }, breaks: 'progress', steps: 2 },
  {
    name: 'merges that keep rows of dead keys',
    world: { ...rescued, collectors: 1, runs: 1, hasMerger: true },
    without: { mergeKeepsDead: false },
    breaks: 'published',
    steps: 4,
  },
  {
    name: 'merges that leave out what does not vouch',
    world: merging,
    isLong: true,
    without: { mergeDropsUnvouched: false },
    breaks: 'published',
    steps: 12,
  },
  {
    name: 'an hour for replaced indexes',
    world: slow,
    without: { keepsReplaced: false },
    breaks: 'published',
    steps: 7,
  },
  { name: 'listings within the hour', world: slow, without: { limitsListing: false }, breaks: 'published', steps: 7 },
];

/** Cheap steps that the protocol has although nothing was found to break without them. */
export const SPARE: readonly Omit<Mutation, 'steps'>[] = [
  {
    name: 'listing again after the index of copies',
    world: rescued,
    without: { collectorListsAgain: false },
    breaks: 'published',
  },
];
