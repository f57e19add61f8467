import { join } from 'node:path';
import type { PushedRoot, StorageKey } from '../domain/blob-index.ts';
import type { Digest } from '../domain/digest.ts';
import { digestToBytes } from '../domain/digest.ts';
import type { PackedBlob, PackKind } from '../domain/pack.ts';
import {
  DESCRIPTION_KEY,
  formatDescription,
  INDEX_FOLDER,
  keyPath,
  parseIndexName,
  parseTombstones,
} from '../domain/remote-layout.ts';
import { DAY_MS } from '../domain/remote-times.ts';
import { hashEngine } from '../platform/hash.ts';
import { buildIndex } from './build-index.ts';
import { finishing } from './cache-writer.ts';
import type { BlobLocation, LocalCache } from './local-cache.ts';
import { openLocalCache } from './local-cache.ts';
import { findDamaged } from './pack-reader.ts';
import { readUnindexed } from './read-unindexed.ts';
import { isMissing } from './remote.ts';
import { writeTombstones } from './remote-tombstones.ts';
import { repairTrees } from './repair-trees.ts';
import { limitsOf } from './request-engine.ts';
import { createRowCollector } from './row-collector.ts';
import { sendBlobs } from './upload-blobs.ts';
import type { PendingBlob } from './upload-plan.ts';
import type { DamagedKey, RemoteSurvey } from './verify-remote.ts';

/** A version that is to be noted as pushed, where the remote has all of it. */
export interface ScopeRoot {
  readonly digest: Digest;
  readonly type: 'file' | 'dir';
}

export interface RemoteRepairOptions {
  readonly survey: RemoteSurvey;
  /** Where this machine has a blob; its bytes are hashed again before they are sent. */
  readonly locate: (digest: Digest) => BlobLocation | undefined;
  /** A tree object as this machine has it, compared with its digest. */
  readonly readTree: (digest: Digest) => Buffer | undefined;
  /** Tombstones as this machine has kept them. */
  readonly kept: (name: string) => Buffer | undefined;
  /** So has it the description. */
  readonly description: Buffer | undefined;
  /** A new folder for a while. */
  readonly scratch: string;
  /** Below `damaged/`: the day. */
  readonly label: string;
  readonly roots: readonly ScopeRoot[];
  /** When the survey began, in milliseconds since 1970 by the store's clock. */
  readonly asOf: number;
  readonly signal?: AbortSignal | undefined;
}

export interface RepairedRemote {
  readonly restored: number;
  /** Blobs that are damaged or gone, and of which no good copy was found. */
  readonly lost: readonly Digest[];
  readonly reindexed: number;
  /** Keys below `damaged/`, and dead ones. */
  readonly setAside: readonly string[];
  /** Somebody stored an index meanwhile, which may rely on what has died: only another survey can tell. */
  readonly isOvertaken: boolean;
}

/** What the steps of a repair share. */
export interface RemoteRepair extends RemoteRepairOptions {
  /** Paths of keys that are about to die. */
  readonly dying: Set<string>;
  /** Keys of the indexes that were surveyed, or written by this repair. */
  readonly known: Set<string>;
  /** Good blobs on their way from keys that die to new ones. */
  readonly moving: LocalCache;
  /** Whether a key that will live has good bytes of it; as `tree`, one that vouches for what it names. */
  isSound(digest: Digest, as?: 'blob' | 'tree'): boolean;
  /** Copies good blobs of a key to this machine. */
  fetch(damaged: DamagedKey): Promise<void>;
  /** Stores blobs under new keys; what cannot be had in good order is left out. */
  send(digests: Iterable<Digest>, kind: PackKind): Promise<void>;
  addRows(key: StorageKey, blobs: readonly PackedBlob[]): void;
  /** Writes an index of all rows that wait. */
  publish(roots?: readonly PushedRoot[]): Promise<void>;
}

const MAX_INDEX_BYTES = 1 << 30;

/**
 * Makes a remote sound. What is good under a damaged key, or is in the local cache, is stored under new keys and indexed; the
 * damaged keys then die by a tombstone, as keys never come back and data is never deleted. Indexes and tombstones that are
 * damaged are copied to `damaged/` and removed last. May be interrupted at any moment, and called again with a new survey.
 */
export async function repairRemote(options: RemoteRepairOptions): Promise<RepairedRemote> {
  const { survey } = options;
  const setAside = await repairSmallFiles(options);
  const wrong = survey.wrongIndexes;
  const roots = survey.indexes
    .live()
    .filter(({ head }) => wrong.has(head.name))
    .flatMap((index) => index.roots());
  survey.indexes.drop(wrong);
  const repair = startRepair(options);
  try {
    const needed = [...survey.damagedKeys.values()].flatMap(({ damaged }) => [...damaged]);
    const found = await readUnindexed(repair);
    for (const damaged of [...survey.damagedKeys.values(), ...found.damaged]) {
      if (damaged.key.kind === 'tree-pack') continue;
      await repair.fetch(damaged);
      const digests = damaged.blobs().map(({ digest }) => digest);
      await repair.send(digests, 'data');
    }
    await repair.publish();
    const { isComplete } = await repairTrees(repair, found);
    const noted = new Set(survey.indexes.live().flatMap((index) => index.roots().map(({ root }) => root)));
    const fresh = options.roots.filter(
      ({ digest, type }) => !noted.has(digest) && (type === 'dir' ? isComplete(digest) : repair.isSound(digest)),
    );
    await repair.publish([
      ...roots,
      ...fresh.map(({ digest }) => ({ root: digest, day: Math.floor(options.asOf / DAY_MS) })),
    ]);
    if (repair.dying.size > 0) {
      await writeTombstones(survey.home, [...repair.dying], options.signal);
      setAside.push(...repair.dying);
    }
    // Whoever lists tombstones after storing an index, as a push does, and found none, is seen here.
    const isOvertaken = repair.dying.size > 0 && (await hasOthers(repair));
    const damagedIndexes = survey.indexes.damagedKeys.filter((key) => parseIndexName(key)?.kind === 'index');
    for (const key of [...damagedIndexes, ...[...wrong].map((name) => INDEX_FOLDER + name)]) {
      setAside.push(...(await moveAside(options, key)));
    }
    const isSound = (digest: Digest): boolean => repair.isSound(digest);
    const wanted = new Set([...needed, ...survey.absent]);
    const restored = [...wanted].filter(isSound).length;
    const lost = [...wanted].filter((digest) => !isSound(digest));
    return { restored, lost, reindexed: found.count, setAside, isOvertaken };
  } finally {
    repair.moving.close();
  }
}

function startRepair(options: RemoteRepairOptions): RemoteRepair {
  const { survey, locate, scratch, signal } = options;
  const { home, indexes } = survey;
  const dying = new Set(survey.damagedKeys.keys());
  const known = new Set([...indexes.all.map(({ head }) => INDEX_FOLDER + head.name), ...indexes.damagedKeys]);
  const rows = createRowCollector();
  const moving = openLocalCache({ folder: join(scratch, 'moving'), packBelow: () => 1 << 20 });
  const isSound: RemoteRepair['isSound'] = (digest, as) =>
    survey.places(digest, as).some(({ key }) => !dying.has(keyPath(key)));

  return {
    ...options,
    dying,
    known,
    moving,
    isSound,
    async fetch({ key, blobs, damaged }) {
      const good = blobs().filter(({ digest }) => !damaged.has(digest));
      if (good.length === 0) return;
      const path = keyPath(key);
      const writer = moving.openWriter();
      await finishing(writer, () =>
        findDamaged((offset, length) => home.read(path, { offset, length }, signal), good, {
          size: survey.sizes.get(path) ?? 0,
          onGood: ({ digest }, bytes) => writer.put(digestToBytes(digest), bytes, 'data'),
        }),
      );
    },
    async send(digests, kind) {
      const pending = new Map<Digest, PendingBlob>();
      for (const digest of digests) {
        if (isSound(digest, kind === 'tree' ? 'tree' : 'blob')) continue;
        const location = moving.locate(digest) ?? locate(digest);
        if (location !== undefined) pending.set(digest, { digest, path: digest, location });
      }
      const remote = { home, isDead: (key: StorageKey) => indexes.isDead(key) || dying.has(keyPath(key)) };
      await sendBlobs([...pending.values()], kind, {
        remote,
        rows,
        ...limitsOf(home),
        signal,
        onSent: async () => {},
        onDamaged: () => {},
        // Half a repair may promise what is not there.
        onFailed(_blobs, error) {
          throw error;
        },
      });
    },
    addRows(key, blobs) {
      rows.add(
        key,
        blobs.map(({ digest, ...place }) => ({ digest: digestToBytes(digest), ...place })),
      );
    },
    async publish(roots = []) {
      if (rows.count() === 0 && roots.length === 0) return;
      const index = buildIndex({ ...rows.take(), roots, asOf: options.asOf, hash: hashEngine().hash });
      known.add(INDEX_FOLDER + index.name);
      await home.write(INDEX_FOLDER + index.name, index.chunks, signal);
      indexes.add(index);
    },
  };
}

/** True when there are indexes that neither the survey nor the repair knows. */
async function hasOthers({ survey, known, signal }: RemoteRepair): Promise<boolean> {
  for await (const { key } of survey.home.list(INDEX_FOLDER, signal))
    if (parseIndexName(key)?.kind === 'index' && !known.has(key)) return true;
  return false;
}

/** Description and tombstones: each has one right content, or is better not there. */
async function repairSmallFiles(options: RemoteRepairOptions): Promise<string[]> {
  const { survey, kept, signal } = options;
  const { home, indexes } = survey;
  const setAside: string[] = [];
  for (const key of indexes.damagedKeys) {
    const name = parseIndexName(key);
    if (name?.kind === 'index') continue;
    const isDescription = key === DESCRIPTION_KEY;
    const good = isDescription
      ? (options.description ?? Buffer.from(formatDescription()))
      : kept(key.slice(INDEX_FOLDER.length));
    setAside.push(...(await moveAside(options, key)));
    if (good === undefined) continue;
    if (name !== undefined) parseTombstones(good, name.hash, hashEngine().hash);
    await home.write(key, [good], signal);
  }
  return setAside;
}

/** Copies a small file below `damaged/`, then removes it. Returns where it is now; nothing where it was not there. */
async function moveAside({ survey, label, signal }: RemoteRepairOptions, key: string): Promise<string[]> {
  const { home } = survey;
  const target = `damaged/${label}/${key.replaceAll('/', '-')}`;
  try {
    await home.write(target, [await home.readAll(key, MAX_INDEX_BYTES, signal)], signal);
  } catch (error) {
    if (!isMissing(error)) throw error;
    return [];
  }
  await home.delete(key, signal);
  return [target];
}
