import type { Digest } from '../domain/digest.ts';
import { digestToBytes } from '../domain/digest.ts';
import { MlvError } from '../domain/errors.ts';
import type { Pointer } from '../domain/pointer.ts';
import type { PurgeRecord } from '../domain/purge-record.ts';
import { keyPath } from '../domain/remote-layout.ts';
import { MAX_TREE_OBJECT_BYTES } from '../domain/tree.ts';
import { childrenOf } from '../domain/tree-children.ts';
import { digestOfBytes } from '../platform/hash.ts';
import { forEachParallel } from '../platform/parallel.ts';
import type { Home } from '../storage/home.ts';
import type { LocalCache } from '../storage/local-cache.ts';
import type { BlobPlace } from '../storage/look-up.ts';
import { openLocalCache } from '../storage/local-cache.ts';
import type { Workspace } from './open.ts';
import type { Missing, MissingList } from './verify-result.ts';
import type { ScopedVersion } from './verify-scope.ts';
import { reachAll } from './verify-scope.ts';

/** Where a remote has digests; undefined for what it does not have. */
export type FindPlaces = (digests: readonly Digest[], as: 'blob' | 'tree') => Promise<(BlobPlace | undefined)[]>;

/** Tree objects of versions, from this machine's cache or from a remote; what comes from there is kept in a folder for a while. */
export interface RemoteTrees {
  /** Gets what is needed to walk the versions. No data is read. */
  load(versions: readonly ScopedVersion[]): Promise<void>;
  /** Undefined for what neither side has in good order. */
  read(digest: Digest): Buffer | undefined;
  close(): void;
}

const JOBS = 8;
const LOT = 10_000;

export function openRemoteTrees(
  workspace: Workspace,
  given: {
    readonly home: Home;
    readonly find: FindPlaces;
    readonly scratch: string;
    readonly signal?: AbortSignal | undefined;
  },
): RemoteTrees {
  const { home, find, scratch, signal } = given;
  let fetched: LocalCache | undefined;

  function read(digest: Digest): Buffer | undefined {
    return readLocally(workspace.cache(), digest) ?? (fetched && readLocally(fetched, digest));
  }

  async function fetchObjects(digests: readonly Digest[]): Promise<void> {
    const places = await find(digests, 'blob');
    fetched ??= openLocalCache({ folder: scratch, packBelow: () => 1 << 20 });
    const writer = fetched.openWriter();
    await forEachParallel(digests.entries(), { jobs: JOBS, signal }, async ([index, digest], stop) => {
      const place = places[index];
      if (place === undefined || place.length > MAX_TREE_OBJECT_BYTES) return;
      try {
        const { offset, length } = place;
        const bytes = await home.read(keyPath(place.key), { offset, length }, stop);
        if (digestOfBytes(bytes) === digest) writer.put(digestToBytes(digest), bytes, 'tree');
      } catch (error) {
        if (!(error instanceof MlvError) || error.kind === 'io') throw error;
      }
    });
    await writer.finish();
  }

  return {
    read,
    async load(versions) {
      const seen = new Set<Digest>();
      let level = versions.flatMap(({ pointer: { type, hash } }) => (type === 'dir' ? [hash] : []));
      while (level.length > 0) {
        const fresh = [...new Set(level)].filter((digest) => !seen.has(digest));
        const unknown = fresh.filter((digest) => read(digest) === undefined);
        if (unknown.length > 0) await fetchObjects(unknown);
        level = fresh.flatMap((digest) => namedBy(digest, read(digest)));
        for (const digest of fresh) seen.add(digest);
      }
    },
    close() {
      fetched?.close();
    },
  };
}

function namedBy(digest: Digest, bytes: Buffer | undefined): readonly Digest[] {
  try {
    return bytes === undefined ? [] : childrenOf(bytes, digest).trees;
  } catch (error) {
    if (!(error instanceof MlvError)) throw error;
    return [];
  }
}

/** What this machine has of a digest; a cache that is itself damaged counts as not having it. */
export function readLocally(cache: LocalCache, digest: Digest): Buffer | undefined {
  try {
    return cache.has(digest) ? cache.read(digest) : undefined;
  } catch (error) {
    if (!(error instanceof MlvError)) throw error;
    return undefined;
  }
}

/**
 * The versions of which a remote does not have everything. One look-up for each: a root is there only with all that it names.
 */
export async function findIncomplete<V extends { readonly pointer: Pick<Pointer, 'hash' | 'type'> }>(
  versions: readonly V[],
  find: FindPlaces,
  purged: PurgeRecord,
): Promise<V[]> {
  const incomplete: V[] = [];
  for (const type of ['dir', 'file'] as const) {
    // A file that was purged is to be nowhere.
    const members = versions.filter(
      ({ pointer }) => pointer.type === type && !(type === 'file' && purged.has(pointer.hash)),
    );
    const digests = members.map(({ pointer }) => pointer.hash);
    const places = await find(digests, type === 'dir' ? 'tree' : 'blob');
    incomplete.push(...members.filter((_, index) => places[index] === undefined));
  }
  return incomplete;
}

/** Notes what of incomplete versions is not there: files, and of what cannot be looked into the whole. */
export async function listMissing(
  versions: readonly ScopedVersion[],
  trees: RemoteTrees,
  given: { readonly find: FindPlaces; readonly missing: MissingList; readonly purged: PurgeRecord },
): Promise<void> {
  const { find, missing, purged } = given;
  const touched = new Set<ScopedVersion>();
  let lot = new Map<Digest, Missing & { readonly version: ScopedVersion }>();
  const flush = async (): Promise<void> => {
    const items = [...lot.values()];
    const places = await find(
      items.map(({ digest }) => digest),
      'blob',
    );
    for (const [index, { version, ...item }] of items.entries()) {
      if (places[index] !== undefined) continue;
      missing.note(item);
      touched.add(version);
    }
    lot = new Map();
  };
  await trees.load(versions);
  for (const { version, item } of reachAll(versions, 'all', { read: trees.read })) {
    const { digest, path, files, kind } = item;
    if (kind === 'blob' && purged.has(digest)) continue;
    // A tree object that can be looked into is sent together with what is missing below it.
    if (kind === 'tree' && trees.read(digest) !== undefined) continue;
    lot.set(digest, { digest, path, files, version });
    if (lot.size >= LOT) await flush();
  }
  await flush();
  for (const version of versions) {
    const { name: path, pointer } = version;
    // Nothing is missing but the word that all is there.
    if (!touched.has(version)) missing.note({ path, digest: pointer.hash, files: 0 });
  }
}
