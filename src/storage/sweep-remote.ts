import { join } from 'node:path';
import type { StorageKey } from '../domain/blob-index.ts';
import { CELL_BYTES } from '../domain/blob-index.ts';
import type { Digest } from '../domain/digest.ts';
import { digestFromBytes } from '../domain/digest.ts';
import { MlvError } from '../domain/errors.ts';
import { ALWAYS } from '../domain/index-head.ts';
import { keyPath } from '../domain/remote-layout.ts';
import { GRACE_MS } from '../domain/remote-times.ts';
import { hashEngine } from '../platform/hash.ts';
import { forEachParallel } from '../platform/parallel.ts';
import type { RemoteGarbage } from './find-remote-garbage.ts';
import { copyBlobs } from './copy-blobs.ts';
import type { IndexFile } from './index-file.ts';
import { rowChunks } from './index-rows.ts';
import { mergeIndexes } from './merge-indexes.ts';
import type { RemoteContents, StoredKey } from './remote-contents.ts';
import type { Remote } from './remote.ts';
import { writeTombstones } from './remote-tombstones.ts';
import { limitsOf } from './request-engine.ts';

export interface SweepOptions {
  /** As a dated listing shows it. */
  readonly remote: Remote;
  readonly contents: RemoteContents;
  readonly garbage: RemoteGarbage;
  /** A folder for a while. */
  readonly scratch: string;
  readonly onBytes?: ((bytes: number) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** An index of whose rows so many name what is gone is worth being written anew. */
const GONE_SHARE = 0.3;

/**
 * Deletes keys that died long ago, after what of them is needed and nowhere else has been stored again. Returns how many stay as that
 * could not be done. Throws `gc-overtaken` when others bury keys meanwhile, `gc-late`.
 */
export async function sweepKeys(options: SweepOptions): Promise<{ readonly stuck: number }> {
  const { remote, contents, garbage, signal } = options;
  const swept = garbage.swept.map(({ stored }) => stored);
  if (swept.length === 0) return { stuck: 0 };
  const before = remote.tombstones();
  const { failed, isInTime } = await copyBlobs({
    ...options,
    copies: garbage.rescued,
    isDying: () => false,
    scratch: join(options.scratch, 'sweep'),
  });
  if (!isInTime) throw late();
  // Whoever else buries keys may have buried these copies.
  await remote.refresh(signal);
  if (remote.tombstones() !== before) throw overtaken();
  const stuck = keysWith(contents, failed, new Set(swept));
  const gone = swept.filter((stored) => !stuck.has(stored));
  const { jobs } = limitsOf(remote.home);
  await forEachParallel(gone, { jobs, signal }, ({ path }, stop) => remote.home.delete(path, stop));
  const now = remote.asOf() ?? 0;
  const absent = contents.keys.filter(
    ({ bytes, deadSince = Infinity }) => bytes === undefined && now - deadSince >= GRACE_MS,
  );
  const isGone = new Set([...absent, ...gone].map(({ path }) => path));
  await dropGoneRows(options, (key) => remote.isDead(key) && isGone.has(keyPath(key)));
  return { stuck: stuck.size };
}

/**
 * Stores again what is needed of keys that are to die, then says that they are dead. Returns how many live on as that could not be
 * done. Throws `gc-late`.
 */
export async function buryKeys(options: SweepOptions): Promise<{ readonly stuck: number }> {
  const { remote, contents, garbage, signal } = options;
  const dying = garbage.dying.map(({ stored }) => stored);
  if (dying.length === 0) return { stuck: 0 };
  const paths = new Set(dying.map(({ path }) => path));
  const { failed, isInTime } = await copyBlobs({
    ...options,
    copies: garbage.kept,
    isDying: (key) => paths.has(keyPath(key)),
    scratch: join(options.scratch, 'bury'),
  });
  if (!isInTime) throw late();
  const stuck = keysWith(contents, failed, new Set(garbage.rewritten.map(({ stored }) => stored)));
  const buried = dying.filter((stored) => !stuck.has(stored)).map(({ path }) => path);
  await writeTombstones(remote.home, buried, signal);
  return { stuck: stuck.size };
}

/** Those of the keys that have one of the blobs. */
function keysWith(
  contents: RemoteContents,
  digests: ReadonlySet<Digest>,
  keys: ReadonlySet<StoredKey>,
): Set<StoredKey> {
  const found = new Set<StoredKey>();
  if (digests.size === 0) return found;
  contents.eachBlob((cells, at, places) => {
    if (!digests.has(digestFromBytes(cells, at))) return;
    for (const { stored } of places) if (keys.has(stored)) found.add(stored);
  });
  return found;
}

/** Only whoever has listed what there is knows which keys are gone: rows of all others stay, dead or not. */
async function dropGoneRows(
  { remote, contents, signal }: SweepOptions,
  isGone: (key: StorageKey) => boolean,
): Promise<void> {
  for (const index of contents.indexes) {
    if (goneRows(index, isGone) <= GONE_SHARE * index.head.rows) continue;
    const isVouching = remote.isVouching(index.head);
    const isLeftOut = (key: StorageKey): boolean => isGone(key) || (key.kind === 'tree-pack' && !isVouching);
    for (const smaller of mergeIndexes({ inputs: [index], isLeftOut, asOf: ALWAYS, hash: hashEngine().hash }))
      await remote.addIndex(smaller, signal);
  }
}

function goneRows(index: IndexFile, isGone: (key: StorageKey) => boolean): number {
  const gone = index.keys().map(isGone);
  if (!gone.includes(true)) return 0;
  let rows = 0;
  for (const cells of rowChunks(index))
    for (let at = 32; at < cells.length; at += CELL_BYTES) if (gone[cells.readUInt32LE(at)] === true) rows += 1;
  return rows;
}

function overtaken(): MlvError {
  return new MlvError({
    code: 'gc-overtaken',
    kind: 'refused',
    message: 'another collection of this remote is under way: nothing was deleted',
    hint: 'Run it again when the other one is done.',
  });
}

function late(): MlvError {
  return new MlvError({
    code: 'gc-late',
    kind: 'refused',
    message: 'storing again what is needed took days: nothing was deleted, and what was stored is not lost',
    hint: 'Run it again.',
  });
}
