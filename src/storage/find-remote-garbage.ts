import type { Digest } from '../domain/digest.ts';
import { digestFromBytes } from '../domain/digest.ts';
import { GRACE_MS, YOUNG_MS } from '../domain/remote-times.ts';
import type { IsNeeded } from './collect-cache.ts';
import type { Place, RemoteContents, StoredKey } from './remote-contents.ts';

/** Blobs that are to be stored elsewhere. */
export interface Copies {
  readonly data: readonly Digest[];
  readonly trees: readonly Digest[];
  readonly bytes: number;
}

/** A key of which nothing that is needed is only there. */
export interface DeadKey {
  readonly stored: StoredKey;
  readonly blobs: number;
}

/** What of a remote may go. */
export interface RemoteGarbage {
  /** Keys that died so long ago that they are to be deleted, and what of them is needed and nowhere else. */
  readonly swept: readonly DeadKey[];
  readonly rescued: Copies;
  /** Keys that are to die. */
  readonly dying: readonly DeadKey[];
  /** Of these, the ones of which so much is not needed that the rest is to be stored anew; and that rest. */
  readonly rewritten: readonly DeadKey[];
  readonly kept: Copies;
  /** Blobs that are needed by nobody, in keys that are to die. */
  readonly garbage: { readonly blobs: number; readonly bytes: number };
}

export interface FindRemoteGarbageOptions {
  readonly contents: RemoteContents;
  /** Milliseconds since 1970 by the store's clock. */
  readonly now: number;
  /** What is not to die. */
  readonly isLive: IsNeeded;
  /** What is not to be deleted: all that is live, and more. */
  readonly isNeeded: IsNeeded;
}

const SPARSE_SHARE = 0.3;
/** Keys written anew in one run: the rest is left to the next. */
const MAX_REWRITTEN_BLOBS = 2 ** 21;
const MAX_REWRITTEN_BYTES = 64 * 2 ** 30;

interface Use {
  blobs: number;
  kept: number;
  keptBytes: number;
}

/** True for a key that was dead for long enough at that time. */
export function isSwept({ deadSince, bytes }: StoredKey, now: number): boolean {
  return deadSince !== undefined && bytes !== undefined && now - deadSince >= GRACE_MS;
}

/** True for a key that may die: it lives, and is not young. */
export function mayDie({ deadSince, bytes, modified }: StoredKey, now: number): boolean {
  return deadSince === undefined && bytes !== undefined && now - modified >= YOUNG_MS;
}

/**
 * Finds what may be deleted, and what may die (docs/gc-protocol.md, "Collect"). Whether a blob is also elsewhere is told by its
 * whole digest. Nothing is changed.
 */
export function findRemoteGarbage({ contents, now, isLive, isNeeded }: FindRemoteGarbageOptions): RemoteGarbage {
  const uses = new Map<StoredKey, Use>(contents.keys.map((stored) => [stored, { blobs: 0, kept: 0, keptBytes: 0 }]));
  const rescued = createCopies();
  contents.eachBlob((cells, at, places) => {
    const [isKept, isRescuable] = [isLive(cells, at), isNeeded(cells, at)];
    eachClass(places, (members, isTree) => {
      for (const { stored } of members) count(uses, stored, (use) => (use.blobs += 1));
      const keeper = isKept ? keeperOf(members, { isTree, now }) : undefined;
      if (keeper !== undefined) {
        count(uses, keeper.stored, (use) => {
          use.kept += 1;
          use.keptBytes += keeper.length;
        });
      }
      const [lost] = members.filter(({ stored }) => isSwept(stored, now));
      const isElsewhere = members.some(
        ({ stored, isVouching }) => stored.bytes !== undefined && !isSwept(stored, now) && (!isTree || isVouching),
      );
      if (isRescuable && lost !== undefined && !isElsewhere) rescued.add(digestFromBytes(cells, at), lost, isTree);
    });
  });

  const useOf = (stored: StoredKey): Use => uses.get(stored) ?? { blobs: 0, kept: 0, keptBytes: 0 };
  const deadKey = (stored: StoredKey): DeadKey => ({ stored, blobs: useOf(stored).blobs });
  const swept = contents.keys.filter((stored) => isSwept(stored, now));
  const able = contents.keys.filter((stored) => mayDie(stored, now));
  const unneeded = able.filter((stored) => useOf(stored).kept === 0);
  const rewritten = chooseRewritten(
    able.filter((stored) => isWorthRewriting(stored, useOf(stored))),
    useOf,
  );
  const kept = createCopies();
  const isRewritten = new Set(rewritten);
  if (isRewritten.size > 0) {
    contents.eachBlob((cells, at, places) => {
      if (!isLive(cells, at)) return;
      eachClass(places, (members, isTree) => {
        const keeper = keeperOf(members, { isTree, now });
        if (keeper !== undefined && isRewritten.has(keeper.stored))
          kept.add(digestFromBytes(cells, at), keeper, isTree);
      });
    });
  }
  const dying = [...unneeded, ...rewritten];
  return {
    swept: swept.map(deadKey),
    rescued: rescued.all(),
    dying: dying.map(deadKey),
    rewritten: rewritten.map(deadKey),
    kept: kept.all(),
    garbage: {
      blobs: dying.reduce((sum, stored) => sum + useOf(stored).blobs - useOf(stored).kept, 0),
      bytes: dying.reduce((sum, stored) => sum + (stored.bytes ?? 0) - useOf(stored).keptBytes, 0),
    },
  };
}

/** Tree objects vouch for what they name, data with the same bytes does not: each is no copy of the other. */
function eachClass(places: readonly Place[], visit: (members: readonly Place[], isTree: boolean) => void): void {
  const isTree = ({ stored }: Place): boolean => stored.key.kind === 'tree-pack';
  if (places.length === 1) {
    const [place] = places;
    if (place !== undefined) visit(places, isTree(place));
    return;
  }
  const trees = places.filter(isTree);
  const data = places.filter((place) => !isTree(place));
  if (trees.length > 0) visit(trees, true);
  if (data.length > 0) visit(data, false);
}

/** The one place in which a blob that is needed stays; the same whenever it is asked for. Undefined where it has only dead ones. */
function keeperOf(
  members: readonly Place[],
  { isTree, now }: { readonly isTree: boolean; readonly now: number },
): Place | undefined {
  let keeper: Place | undefined;
  for (const place of members) {
    const { stored } = place;
    if (stored.deadSince !== undefined || stored.bytes === undefined) continue;
    if (keeper === undefined || rank(place) < rank(keeper)) keeper = place;
    else if (rank(place) === rank(keeper) && stored.path < keeper.stored.path) keeper = place;
  }
  return keeper;

  /** One that vouches, then one that stays anyway. */
  function rank({ stored, isVouching }: Place): number {
    return (isTree && !isVouching ? 2 : 0) + (mayDie(stored, now) ? 1 : 0);
  }
}

function count(uses: Map<StoredKey, Use>, stored: StoredKey, change: (use: Use) => void): void {
  const use = uses.get(stored);
  if (use !== undefined) change(use);
}

/** A tree object that is not needed must not outlive what it names, so its whole pack goes. */
function isWorthRewriting({ key, bytes = 0 }: StoredKey, { blobs, kept, keptBytes }: Use): boolean {
  if (kept === 0 || kept === blobs) return false;
  return key.kind === 'tree-pack' || (key.kind === 'pack' && bytes - keptBytes > SPARSE_SHARE * bytes);
}

/** Tree objects first, then where most is gained, as much as one run should. */
function chooseRewritten(candidates: readonly StoredKey[], useOf: (stored: StoredKey) => Use): StoredKey[] {
  const gain = (stored: StoredKey): number =>
    stored.key.kind === 'tree-pack' ? Infinity : (stored.bytes ?? 0) - useOf(stored).keptBytes;
  const sorted = candidates.toSorted((a, b) => gain(b) - gain(a) || Number(a.path > b.path) - Number(a.path < b.path));
  let blobs = 0;
  let bytes = 0;
  return sorted.filter((stored) => {
    blobs += useOf(stored).kept;
    bytes += useOf(stored).keptBytes;
    return blobs <= MAX_REWRITTEN_BLOBS && bytes <= MAX_REWRITTEN_BYTES;
  });
}

/** Those of one file come one after the other, so that they are read together. */
function createCopies() {
  const files = new Map<StoredKey, { readonly isTree: boolean; readonly digests: Digest[] }>();
  let bytes = 0;
  const all = (wantTrees: boolean): Digest[] =>
    [...files.values()].flatMap(({ isTree, digests }) => (isTree === wantTrees ? digests : []));
  return {
    add(digest: Digest, { stored, length }: Place, isTree: boolean): void {
      const file = files.get(stored) ?? { isTree, digests: [] };
      files.set(stored, file);
      file.digests.push(digest);
      bytes += length;
    },
    all: (): Copies => ({ data: all(false), trees: all(true), bytes }),
  };
}
