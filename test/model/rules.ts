import type { Mask } from './remote-state.ts';
import { bitsOf } from './remote-state.ts';

/** The steps of the protocol that can be left out, to see what then goes wrong. All as they should be: `PROTOCOL`. */
export interface Rules {
  /** Ticks from a tombstone to the deletion. */
  readonly grace: number;
  /** Ticks for which what was pushed is a root. */
  readonly retention: number;
  /** Ticks within which `git push` must follow. */
  readonly window: number;
  /** From when: the push's last listing (the hook), or the note of its root, which then is always renewed. */
  readonly windowFrom: 'listing' | 'note';
  /** Whether a push with nothing to store notes its root again where the note has aged. */
  readonly renewsNotes: boolean;
  /** A push asks the remote at all, in place of what it remembers. */
  readonly pushLists: boolean;
  /** A push lists again after its index. */
  readonly pushListsAgain: boolean;
  /** An index stored a grace or more after its writer's listing does not vouch for what its tree objects name. */
  readonly vouchingExpires: boolean;
  /** Blobs whose key died are stored under another key. */
  readonly newKeysForDead: boolean;
  /** A tree object that nobody needs dies, also where others in its pack live. */
  readonly killsTreesInPart: boolean;
  /** What lives is copied out of a key before its tombstone. */
  readonly copiesBeforeKill: boolean;
  /** What lives by now is copied out of dead keys at all. */
  readonly marksAgain: boolean;
  readonly readsGitAgain: boolean;
  readonly readsNotes: boolean;
  /** Which trees count as roots when dead keys are deleted, beside those of Git and of pushes: `unswept` are those whose own key is not past its grace. */
  readonly sweepKeeps: 'roots' | 'living trees' | 'unswept trees';
  readonly copiesBeforeDelete: boolean;
  /** The collector lists again after the index of its copies. */
  readonly collectorListsAgain: boolean;
  readonly keepsTombstones: boolean;
  /** Ticks after which a push's listings show a tombstone. */
  readonly tombstonesSeenAfter: number;
  /** Rows of tree objects of indexes that do not vouch are left out of merges. */
  readonly mergeDropsUnvouched: boolean;
  /** Merges keep rows of keys that are dead but not deleted: what is in them may yet be needed. */
  readonly mergeKeepsDead: boolean;
  /** Replaced indexes stay for a tick. */
  readonly keepsReplaced: boolean;
  /** A listing that took a tick is begun anew. */
  readonly limitsListing: boolean;
}

export const PROTOCOL: Rules = {
  grace: 2,
  retention: 2,
  window: 1,
  windowFrom: 'listing',
  renewsNotes: false,
  pushLists: true,
  pushListsAgain: true,
  vouchingExpires: true,
  newKeysForDead: true,
  killsTreesInPart: true,
  copiesBeforeKill: true,
  marksAgain: true,
  readsGitAgain: true,
  readsNotes: true,
  sweepKeeps: 'unswept trees',
  copiesBeforeDelete: true,
  collectorListsAgain: true,
  keepsTombstones: true,
  tombstonesSeenAfter: 0,
  mergeDropsUnvouched: true,
  mergeKeepsDead: true,
  keepsReplaced: true,
  limitsListing: true,
};

/** Who and what there is. */
export interface World {
  readonly rules: Rules;
  /** For each blob what it names: nothing is data, anything else a tree object. */
  readonly children: readonly Mask[];
  /** The root that each pusher pushes. */
  readonly pushers: readonly number[];
  readonly collectors: number;
  /** How many runs each collector may begin. */
  readonly runs: number;
  /** No more keys than these have bytes at a time: a step that would need more is not followed. */
  readonly maxKeys: number;
  readonly hasMerger?: boolean;
  readonly hasPuller?: boolean;
  /** Refs may be deleted from Git; a push that is done then may be repeated. */
  readonly unpublishes?: boolean;
  /** Listings may miss what was stored since the last tick. */
  readonly staleListings?: boolean;
  /** A collector's listing takes two steps. */
  readonly slowListings?: boolean;
  /** Roots that were pushed long ago, each with its blobs in packs of its own, or all together. */
  readonly stored?: readonly Mask[];
  readonly published?: Mask;
  /** Which of the keys of `stored` are dead. */
  readonly killed?: Mask;
}

export const isTree = ({ children }: World, blob: number): boolean => (children[blob] ?? 0) !== 0;

export function treesIn({ children }: World): Mask {
  return children.reduce((mask, names, blob) => (names === 0 ? mask : mask | (1 << blob)), 0);
}

/** All that these name, and they themselves. */
export function reach({ children }: World, from: Mask): Mask {
  let reached = from;
  for (let before = -1; before !== reached;) {
    before = reached;
    for (const blob of bitsOf(before)) reached |= children[blob] ?? 0;
  }
  return reached;
}
