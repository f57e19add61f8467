import type { Digest } from '../domain/digest.ts';
import type { MlvError } from '../domain/errors.ts';
import type { Damage } from '../storage/damage.ts';

/** Something that is not as it should be. */
export interface Problem {
  /** `cache`, `workspace`, or the name of a remote. */
  readonly side: string;
  readonly kind: Damage['kind'] | 'pointer' | 'checkout-record';
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

/** Paths that were met for digests. */
export interface PathNotes {
  readonly all: ReadonlyMap<Digest, readonly string[]>;
  add(digest: Digest, path: string): void;
  /** The first `MAX_PATHS` of these digests, sorted. */
  pathsOf(digests: readonly Digest[]): string[];
}

export function createPathNotes(): PathNotes {
  const all = new Map<Digest, string[]>();
  return {
    all,
    add(digest, path) {
      const paths = all.get(digest);
      if (paths === undefined) all.set(digest, [path]);
      else if (!paths.includes(path) && paths.length < MAX_PATHS) paths.push(path);
    },
    pathsOf: (digests) => [...new Set(digests.flatMap((digest) => all.get(digest) ?? []))].sort().slice(0, MAX_PATHS),
  };
}

/** For what is hashed right and yet is no tree, or does not fit its pointer. */
export function treeProblem(side: string, error: MlvError, path: string): Problem {
  const kind = error.code === 'pointer-sums' ? 'pointer' : 'tree';
  return { side, kind, where: path, reason: error.message, blobs: 0, paths: [path], hint: error.hint ?? '' };
}
