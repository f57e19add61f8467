import type { StorageKey } from '../domain/blob-index.ts';
import { coversDigest } from '../domain/blob-index.ts';
import type { Digest } from '../domain/digest.ts';
import type { IndexHead } from '../domain/index-head.ts';
import { digestToBytes } from '../domain/digest.ts';
import { forEachParallel } from '../platform/parallel.ts';
import type { LocatedRow } from './index-file.ts';
import type { MirroredIndex } from './index-mirror.ts';
import { sortedOrder } from './sort-cells.ts';

/** Where a remote has a blob. */
export type BlobPlace = LocatedRow;

/** What counts as having a digest; see `Remote.find`. */
export type FindAs = 'blob' | 'tree' | 'readable';

const JOBS = 8;

/**
 * Looks the digests up in all indexes: first in those that are wholly on this machine, then, only for what they do not have,
 * in the others, which fetch what they need.
 */
export async function lookUp(
  indexes: Iterable<MirroredIndex>,
  digests: readonly Digest[],
  options: {
    readonly as: FindAs;
    readonly isDead: (key: StorageKey) => boolean;
    /** As `readable`, what is to be passed over. */
    readonly isGone: (key: StorageKey) => boolean;
    readonly isVouching: (head: IndexHead) => boolean;
    readonly signal?: AbortSignal | undefined;
  },
): Promise<(BlobPlace | undefined)[]> {
  const { as, isDead, isGone, isVouching, signal } = options;
  const wanted = digests.map(digestToBytes);
  const living: (BlobPlace | undefined)[] = Array.from({ length: digests.length });
  const dead: (BlobPlace | undefined)[] = [];
  const isRight = ({ key }: LocatedRow): boolean =>
    (as !== 'tree' || key.kind === 'tree-pack') && (as !== 'readable' || !isGone(key));

  /** Returns those that the index cannot tell yet. */
  function search(index: MirroredIndex, positions: Iterable<number>): number[] {
    const untold: number[] = [];
    for (const at of positions) {
      const digest = wanted[at];
      if (digest === undefined || living[at] !== undefined) continue;
      const rows = index.find(digest);
      if (rows === undefined) untold.push(at);
      else living[at] = rows.find((row) => isRight(row) && !isDead(row.key));
      if (as === 'readable') dead[at] ??= rows?.find(isRight);
    }
    return untold;
  }

  const all = [...indexes].filter(({ head }) => as !== 'tree' || isVouching(head));
  const order = byDigest(wanted);
  for (const index of all) if (!index.isSparse()) search(index, order);
  const rest = [...order].filter((at) => living[at] === undefined);
  const sparse = all.filter((index) => index.isSparse());
  await forEachParallel(sparse, { jobs: JOBS, signal }, async (index, stop) => {
    const covered = rest.filter((at) => coversDigest(index.head.prefix, wanted[at] ?? Buffer.alloc(0)));
    await index.expect(covered.length, stop);
    let untold = search(index, covered);
    while (await index.fetchWanted(stop)) untold = search(index, untold);
  });
  return as === 'readable' ? living.map((place, at) => place ?? dead[at]) : living;
}

/** The numbers of the digests, ascending by them: look-ups next to each other read the same block. */
function byDigest(digests: readonly Buffer[]): Uint32Array {
  const none = Buffer.alloc(0);
  const compare = (a: number, b: number): number => Buffer.compare(digests[a] ?? none, digests[b] ?? none);
  return sortedOrder(digests.length, (index) => digests[index]?.readUInt32BE(0) ?? 0, compare);
}
