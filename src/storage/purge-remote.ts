import { join } from 'node:path';
import type { Digest } from '../domain/digest.ts';
import { digestFromBytes, digestToBytes } from '../domain/digest.ts';
import { MlvError } from '../domain/errors.ts';
import { keyPath } from '../domain/remote-layout.ts';
import { forEachParallel } from '../platform/parallel.ts';
import { copyBlobs } from './copy-blobs.ts';
import { readPackTable } from './pack-reader.ts';
import type { PurgeAmount, PurgedSet } from './purge-cache.ts';
import type { StoredKey } from './remote-contents.ts';
import { readRemoteContents } from './remote-contents.ts';
import type { Remote } from './remote.ts';
import { writeTombstones } from './remote-tombstones.ts';
import { limitsOf } from './request-engine.ts';

/** What of purged content a remote has. */
export interface RemoteHoldings extends PurgeAmount {
  /** Living and dead ones. */
  readonly keys: readonly StoredKey[];
  /** What else is in these, and nowhere else for long: to be stored again. */
  readonly others: readonly Digest[];
  /** Keys that no index names and whose tables cannot be read: nobody knows what is in them. */
  readonly unreadable: readonly string[];
}

export interface PurgeRemoteOptions {
  readonly remote: Remote;
  readonly purged: PurgedSet;
  /** A folder for a while. */
  readonly scratch: string;
  readonly onBytes?: ((bytes: number) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** So often others may bury what was just relied on. */
const MAX_PASSES = 5;

/** Looks for content on a remote, as a fresh listing shows it. Throws `content-is-tree`. Nothing is changed. */
export async function findOnRemote(remote: Remote, purged: PurgedSet, signal?: AbortSignal): Promise<RemoteHoldings> {
  const contents = await readRemoteContents(remote, signal);
  const paths = new Set<string>();
  const named = new Set<string>();
  const lengths = new Map<string, number>();
  for (const index of contents.indexes) {
    for (const key of index.keys()) named.add(keyPath(key));
    for (const digest of purged) {
      for (const { key, length } of index.find(digestToBytes(digest))) {
        if (key.kind === 'tree-pack') throw isTree(digest);
        paths.add(keyPath(key));
        lengths.set(`${keyPath(key)} ${digest}`, length);
      }
    }
  }
  const unreadable: string[] = [];
  for (const { path, key, bytes } of contents.keys) {
    if (named.has(path) || bytes === undefined) continue;
    if (key.kind === 'object') {
      if (!purged.has(key.hash)) continue;
      paths.add(path);
      lengths.set(`${path} ${key.hash}`, bytes);
      continue;
    }
    // A push that was killed has left it, or one that is under way.
    const blobs = await blobsOf(remote, { path, size: bytes, name: key.hash, signal });
    if (blobs === undefined) unreadable.push(path);
    for (const { digest, length } of blobs ?? []) {
      if (!purged.has(digest)) continue;
      paths.add(path);
      lengths.set(`${path} ${digest}`, length);
    }
  }
  const keys = contents.keys.filter(({ path, bytes }) => paths.has(path) && bytes !== undefined);
  const there = new Set(keys.map(({ path }) => path));
  const sizes = [...lengths].flatMap(([place, length]) => (there.has(place.split(' ')[0] ?? '') ? [length] : []));
  const others: Digest[] = [];
  if (keys.length > 0) {
    contents.eachBlob((cells, at, places) => {
      const data = places.filter(({ stored }) => stored.key.kind !== 'tree-pack');
      if (!data.some(({ stored }) => there.has(stored.path))) return;
      const digest = digestFromBytes(cells, at);
      const stays = data.some(
        ({ stored }) => stored.deadSince === undefined && stored.bytes !== undefined && !there.has(stored.path),
      );
      if (!stays && !purged.has(digest)) others.push(digest);
    });
  }
  return {
    blobs: sizes.length,
    bytes: sizes.reduce((sum, length) => sum + length, 0),
    files: keys.length,
    keys,
    others,
    unreadable,
  };
}

/**
 * Deletes content from a remote at once, without the grace of a collection (docs/gc-protocol.md, "Purge"): all else that is in its
 * keys is stored again and indexed, tombstones are written, and only when a listing that comes after these shows that all else has a
 * living key the old ones are deleted. Interrupted anywhere, the next call finishes it. Returns the keys that stay, as something
 * else in them could not be read. Throws `purge-overtaken`, `content-is-tree`.
 */
export async function purgeFromRemote(options: PurgeRemoteOptions): Promise<{ readonly stuck: readonly string[] }> {
  const { remote, purged, signal } = options;
  for (let pass = 1; pass <= MAX_PASSES; pass++) {
    await remote.refreshDated(signal);
    const found = await findOnRemote(remote, purged, signal);
    const stuck = [...found.unreadable];
    if (found.keys.length === 0) return { stuck };
    const dying = new Set(found.keys.map(({ path }) => path));
    const { failed } = await copyBlobs({
      ...options,
      copies: { data: found.others, trees: [], bytes: 0 },
      isDying: (key) => dying.has(keyPath(key)),
      scratch: join(options.scratch, `purge-${pass}`),
    });
    const kept = await keysWith(remote, failed, { dying, signal });
    for (const path of kept) stuck.push(path);
    const going = found.keys.filter(({ path }) => !kept.has(path));
    const living = going.filter(({ deadSince }) => deadSince === undefined).map(({ path }) => path);
    await writeTombstones(remote.home, living, signal);
    // Whoever else buries keys relied on those, or on the copies: the one who lists last sees it.
    await remote.refreshDated(signal);
    const settled = await findOnRemote(remote, purged, signal);
    if (settled.others.some((digest) => !failed.has(digest))) continue;
    const { jobs } = limitsOf(remote.home);
    await forEachParallel(going, { jobs, signal }, ({ path }, stop) => remote.home.delete(path, stop));
    return { stuck };
  }
  throw new MlvError({
    code: 'purge-overtaken',
    kind: 'refused',
    message: `others remove from ${remote.home.name} what this purge relies on, again and again`,
    hint: 'Nothing is lost. Run "mlv purge" again when that is done.',
  });
}

/** Those of the keys that have one of the digests. */
async function keysWith(
  remote: Remote,
  digests: ReadonlySet<Digest>,
  { dying, signal }: { readonly dying: ReadonlySet<string>; readonly signal: AbortSignal | undefined },
): Promise<Set<string>> {
  const found = new Set<string>();
  for (const index of digests.size === 0 ? [] : remote.indexes()) {
    const file = await index.whole(signal);
    for (const digest of digests) {
      for (const { key } of file.find(digestToBytes(digest))) if (dying.has(keyPath(key))) found.add(keyPath(key));
    }
  }
  return found;
}

/** What a pack's own table says; undefined where that cannot be read. */
async function blobsOf(
  remote: Remote,
  given: {
    readonly path: string;
    readonly size: number;
    readonly name: Digest;
    readonly signal: AbortSignal | undefined;
  },
) {
  const { path, size, name, signal } = given;
  try {
    const table = await readPackTable(
      (offset, length) => remote.home.read(path, { offset, length }, signal),
      size,
      name,
    );
    return table.kind === 'tree' ? [] : table.blobs;
  } catch (error) {
    if (!(error instanceof MlvError) || error.kind === 'io') throw error;
    return undefined;
  }
}

function isTree(digest: Digest): MlvError {
  return new MlvError({
    code: 'content-is-tree',
    kind: 'refused',
    message: `b3:${digest} is a list of files that mlv made of a directory, not the content of a file`,
    hint: 'Name the files in it: mlv purge PATH',
  });
}
