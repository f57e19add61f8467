import type { Digest } from '../domain/digest.ts';
import { createDigestSet } from '../domain/digest-set.ts';
import type { MlvError } from '../domain/errors.ts';
import type { Damage } from '../storage/damage.ts';

/** Something that is not as it should be. */
export interface Problem {
  /** `cache`, `workspace`, or the name of a remote. */
  readonly side: string;
  readonly kind: Damage['kind'] | 'pointer' | 'lock' | 'checkout-record';
  /** Path, key or digest. */
  readonly where: string;
  readonly reason: string;
  /** Blobs that are damaged or gone by it. */
  readonly blobs: number;
  /** The paths in datasets that it hits, of the versions that were looked at; the first `MAX_PATHS`. */
  readonly paths: readonly string[];
  /** What to do. */
  readonly hint: string;
}

/** True where the problem is not in data, but in what tells of it: nothing can repair that by itself. */
export function isInText({ kind }: Problem): boolean {
  return kind === 'pointer' || kind === 'lock' || kind === 'checkout-record';
}

/** What must be somewhere, and is not. */
export interface Missing {
  readonly path: string;
  readonly digest: Digest;
  /** Files that it stands for: more than one where it is a page or root. */
  readonly files: number;
}

export interface VerifiedSide {
  /** `cache`, or the name of a remote. */
  readonly side: string;
  /** Folder or URL. */
  readonly where: string;
  readonly blobs: number;
  readonly packs: number;
  readonly indexes: number;
  /** Read and hashed. */
  readonly bytes: number;
  /** Packs, and large objects, that no index names: an interrupted command, or a lost index. */
  readonly unindexed: number;
}

/** What was mended. */
export interface Repaired {
  readonly side: string;
  /** Blobs that have a good copy again. */
  readonly restored: number;
  /** Packs and objects that indexes know again. */
  readonly reindexed: number;
  /** Where damage was put: a folder, or keys of the remote. */
  readonly setAside: readonly string[];
  /** No good copy was found anywhere that was looked. */
  readonly lost: readonly Missing[];
  /** Sources that could not be asked, and why. */
  readonly notes: readonly string[];
}

export interface VerifyResult {
  /** Versions of tracked paths that were looked at. */
  readonly versions: number;
  readonly sides: readonly VerifiedSide[];
  readonly problems: readonly Problem[];
  /** What must be there and is not: the first `MAX_PATHS`, and how many files in all. */
  readonly missing: readonly Missing[];
  readonly missingFiles: number;
  /** Files that nobody asked for here and the cache does not have: no problem. */
  readonly notInCache: number;
  readonly repaired: readonly Repaired[];
  /** Of a partial check: repeats its choice. */
  readonly seed: number | undefined;
  /** True when nothing is wrong, or nothing is any more. */
  readonly clean: boolean;
}

export const MAX_PATHS = 1_000;

/** What is missing: counted, and as much of it as is told. */
export interface MissingList {
  /** The first of it. */
  readonly items: readonly Missing[];
  /** Of all of it. */
  readonly files: number;
  /** Whether a digest was noted. */
  has(digest: Digest): boolean;
  /** Counts each digest once. */
  note(item: Missing): void;
}

/** Keeps the first `limit`; with `isTold`, does not count what is told elsewhere. */
export function createMissingList(limit = MAX_PATHS, isTold: (digest: Digest) => boolean = () => false): MissingList {
  const noted = createDigestSet();
  const items: Missing[] = [];
  let sum = 0;
  return {
    items,
    get files() {
      return sum;
    },
    has: noted.has,
    note(item) {
      const { digest, path, files } = item;
      if (noted.has(digest)) return;
      noted.add(digest);
      if (isTold(digest)) return;
      sum += files;
      if (items.length < limit) items.push({ path: ownText(path), digest: ownText(digest) as Digest, files });
    },
  };
}

/** As a result tells it. */
export function sumMissing(lists: readonly MissingList[]): Pick<VerifyResult, 'missing' | 'missingFiles'> {
  return {
    missing: lists.flatMap(({ items }) => items).slice(0, MAX_PATHS),
    missingFiles: lists.reduce((sum, { files }) => sum + files, 0),
  };
}

/** Paths that damage hits. */
export interface DamagePaths {
  has(digest: Digest): boolean;
  add(digest: Digest, path: string): void;
  /** Of one damage, sorted: the first `MAX_PATHS`, or fewer where there is much damage. */
  of(damage: Damage): string[];
}

/** Paths that are kept for all damage together, as far as each then keeps some. */
const ALL_PATHS = 100 * MAX_PATHS;
const FEWEST_PATHS = 20;

export function createDamagePaths(damages: readonly Damage[]): DamagePaths {
  const limit = Math.min(MAX_PATHS, Math.max(FEWEST_PATHS, Math.floor(ALL_PATHS / damages.length)));
  const digests = createDigestSet();
  /** By the digest's number, its first damage; further ones are rare. */
  const first: Damage[] = [];
  const further = new Map<number, Damage[]>();
  for (const damage of damages) {
    for (const digest of damage.digests) {
      const number = digests.add(digest);
      if (number === first.length) first.push(damage);
      else further.set(number, [...(further.get(number) ?? []), damage]);
    }
  }
  const found = new Map<Damage, Set<string>>();
  const firstOf = (paths: Iterable<string>): string[] => [...paths].sort().slice(0, limit);
  return {
    has: digests.has,
    add(digest, path) {
      const number = digests.numberOf(digest);
      const one = number === undefined ? undefined : first[number];
      if (number === undefined || one === undefined) return;
      for (const damage of [one, ...(further.get(number) ?? [])]) {
        const paths = found.get(damage) ?? new Set();
        found.set(damage, paths.add(ownText(path)));
        if (paths.size >= 2 * limit) found.set(damage, new Set(firstOf(paths)));
      }
    },
    of: (damage) => firstOf(found.get(damage) ?? []),
  };
}

/** A part of a string may hold on to the whole, here to all of a tree page. */
function ownText(text: string): string {
  return Buffer.from(text, 'utf8').toString('utf8');
}

/** For what is hashed right and yet is no tree, or does not fit its pointer. */
export function treeProblem(side: string, error: MlvError, path: string): Problem {
  const kind = error.code === 'pointer-sums' ? 'pointer' : 'tree';
  return { side, kind, where: path, reason: error.message, blobs: 0, paths: [path], hint: error.hint ?? '' };
}
