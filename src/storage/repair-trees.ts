import type { Digest } from '../domain/digest.ts';
import { MlvError } from '../domain/errors.ts';
import { keyPath } from '../domain/remote-layout.ts';
import type { TreeChildren } from '../domain/tree-children.ts';
import { childrenOf } from '../domain/tree-children.ts';
import { knownKeys, rowsOfKey } from './index-rows.ts';
import { findDamaged, SPAN_BYTES } from './pack-reader.ts';
import type { Unindexed } from './read-unindexed.ts';
import type { RemoteRepair } from './repair-remote.ts';
import type { DamagedKey } from './verify-remote.ts';

/** Tells of a directory's root whether the remote has all of it, once the rows that wait are published. */
export interface RepairedTrees {
  isComplete(digest: Digest): boolean;
}

/**
 * Sees to it that a tree object vouches for what it names only where all of that is there: those that do are stored as tree
 * objects, those that do not as data, which promises nothing and keeps the rest of their files within reach. All blobs that
 * could be saved have their rows by now.
 */
export async function repairTrees(repair: RemoteRepair, unindexed: Unindexed): Promise<RepairedTrees> {
  const { survey } = repair;
  const allDamaged = [...survey.damagedKeys.values(), ...unindexed.damaged];
  const damagedPacks = allDamaged.filter(({ key }) => key.kind === 'tree-pack');
  const isLost = allDamaged.some(({ damaged }) => [...damaged].some((digest) => !repair.isSound(digest)));
  if (!isLost && survey.absent.size + damagedPacks.length + unindexed.trees.length === 0)
    return { isComplete: (digest) => repair.isSound(digest, 'tree') };

  const children = new Map<Digest, TreeChildren>();
  const note = (digest: Digest, bytes: Buffer): void => {
    const found = childrenIfTree(digest, bytes);
    if (found !== undefined) children.set(digest, found);
  };
  const living: DamagedKey[] = [];
  for (const known of knownKeys(survey.indexes.live()).values()) {
    const { key } = known;
    if (key.kind !== 'tree-pack' || survey.indexes.isDead(key) || repair.dying.has(keyPath(key))) continue;
    living.push({ key, blobs: () => rowsOfKey(known), damaged: new Set() });
  }
  for (const pack of [...living, ...unindexed.trees, ...damagedPacks]) await readObjects(repair, pack, note);
  const recovered = damagedPacks.flatMap(({ damaged }) => [...damaged]);
  for (const digest of recovered) {
    const bytes = repair.readTree(digest);
    if (bytes !== undefined) note(digest, bytes);
  }
  const unsound = [...children.values()].flatMap(({ blobs }) => blobs.filter((blob) => !repair.isSound(blob)));
  await repair.send(unsound, 'data');
  await repair.publish();

  const known = new Map<Digest, boolean>();
  const isComplete = (digest: Digest): boolean => {
    const before = known.get(digest);
    if (before !== undefined) return before;
    const named = children.get(digest);
    const result =
      named !== undefined && named.blobs.every((blob) => repair.isSound(blob)) && named.trees.every(isComplete);
    known.set(digest, result);
    return result;
  };

  const moved = new Set<Digest>();
  const move = async (pack: DamagedKey): Promise<void> => {
    await repair.fetch(pack);
    for (const { digest } of pack.blobs()) moved.add(digest);
  };
  for (const pack of damagedPacks) await move(pack);
  for (const pack of living) {
    if (pack.blobs().every(({ digest }) => isComplete(digest))) continue;
    repair.dying.add(keyPath(pack.key));
    await move(pack);
  }
  for (const { key, blobs } of unindexed.trees) {
    if (blobs().every(({ digest }) => isComplete(digest))) repair.addRows(key, blobs());
    else await move({ key, blobs, damaged: new Set() });
  }
  await repair.send(
    [...moved].filter((digest) => !isComplete(digest)),
    'data',
  );
  await repair.send([...moved].filter(isComplete), 'tree');
  return { isComplete };
}

async function readObjects(
  { survey, signal }: RemoteRepair,
  { key, blobs }: Pick<DamagedKey, 'key' | 'blobs'>,
  onGood: (digest: Digest, bytes: Buffer) => void,
): Promise<void> {
  const path = keyPath(key);
  const size = survey.sizes.get(path);
  if (size === undefined) return;
  await findDamaged((offset, length) => survey.home.read(path, { offset, length }, signal), blobs(), {
    size,
    longest: SPAN_BYTES,
    onGood: ({ digest }, bytes) => onGood(digest, bytes),
  });
}

function childrenIfTree(digest: Digest, bytes: Buffer): TreeChildren | undefined {
  try {
    return childrenOf(bytes, digest);
  } catch (error) {
    if (!(error instanceof MlvError)) throw error;
    return undefined;
  }
}
