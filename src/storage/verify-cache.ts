import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Digest } from '../domain/digest.ts';
import { digestToBytes, isDigest } from '../domain/digest.ts';
import type { DigestSet } from '../domain/digest-set.ts';
import { createDigestSet } from '../domain/digest-set.ts';
import { hasErrorCode } from '../domain/errors.ts';
import type { PackedBlob } from '../domain/pack.ts';
import { keyPath } from '../domain/remote-layout.ts';
import { forEachParallel } from '../platform/parallel.ts';
import { listNames } from '../platform/list-names.ts';
import { looseDigests } from './cache-contents.ts';
import { cacheFolders, loosePath } from './cache-layout.ts';
import type { Damage } from './damage.ts';
import { damageReason, manyDamaged } from './damage.ts';
import type { IndexFile } from './index-file.ts';
import { openIndexFile } from './index-file.ts';
import { compareRows, keepBlobs, knownKeys, rowsOfKey } from './index-rows.ts';
import type { BlobLocation } from './local-cache.ts';
import { findTrashedPack, openTrash } from './trash.ts';
import type { VerifyResult, VerifyTask } from './verify-task.ts';

/** A pack that is damaged, or gone. */
export interface DamagedPack {
  /** All that it should have, in order of offsets. */
  readonly blobs: () => readonly PackedBlob[];
  readonly damaged: DigestSet;
}

/** A cache as it was found: everything read and hashed once. */
export interface CacheSurvey {
  readonly folder: string;
  readonly counts: { readonly loose: number; readonly packs: number; readonly indexes: number; readonly bytes: number };
  readonly damages: readonly Damage[];
  /** Packs with good blobs that no good index names: what an interrupted command leaves, or a lost index. */
  readonly untold: ReadonlySet<Digest>;
  readonly damagedLoose: ReadonlySet<Digest>;
  readonly damagedPacks: ReadonlyMap<Digest, DamagedPack>;
  /** Good indexes, some of whose rows may name damaged packs. */
  readonly indexes: readonly IndexFile[];
  /** Indexes that are damaged, or say what is not so. */
  readonly damagedIndexes: readonly Digest[];
  /** Where good bytes of a blob are; when `isSound`, not in a pack that is damaged elsewhere. */
  locate(digest: Digest, isSound?: boolean): BlobLocation | undefined;
  close(): void;
}

export interface SurveyOptions {
  /** The cache's folder, existing or not. */
  readonly folder: string;
  readonly run: (task: VerifyTask) => Promise<VerifyResult>;
  /** Tasks under way at once. */
  readonly jobs: number;
  readonly onProgress?: ((progress: { readonly files: number; readonly bytes: number }) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Loose blobs in a task. */
const LOT = 256;

/** Reads and hashes everything in a cache, and compares packs with indexes. Damage is returned, not thrown. */
export async function surveyCache(options: SurveyOptions): Promise<CacheSurvey> {
  const { folder, run, jobs, signal } = options;
  const folders = cacheFolders(folder);
  const damages: Damage[] = [];
  const opened = openIndexes(folders.index, damages);
  const trash = openTrash(folder);
  const known = knownKeys(opened.good);
  const names = listNames(folders.packs).flatMap((file) => packName(file));
  const there = new Set(names);
  const damagedLoose = new Set<Digest>();
  const damagedPacks = new Map<Digest, DamagedPack>();
  const untold = new Set<Digest>();
  const wrong = new Map<IndexFile, number>();
  const counts = { loose: 0, packs: names.length, indexes: opened.good.length + opened.bad.length, bytes: 0 };

  function count(bytes: number, blobs: number): void {
    counts.bytes += bytes;
    counts.loose += blobs;
    options.onProgress?.({ files: counts.loose, bytes: counts.bytes });
  }

  function notePack(
    name: Digest,
    reason: string,
    { blobs, damaged }: { readonly blobs: readonly PackedBlob[]; readonly damaged: readonly Digest[] },
  ): void {
    const digests = createDigestSet(damaged);
    damagedPacks.set(name, { blobs: keepBlobs(blobs), damaged: digests });
    damages.push({ kind: 'pack', where: join(folders.packs, `${name}.pack`), reason, digests });
  }

  /** Not even in the trash, from where it would come back when it is asked for. */
  function isGone(name: Digest): boolean {
    const fileName = `${name}.pack`;
    return !existsSync(join(folders.packs, fileName)) && findTrashedPack(folder, fileName) === undefined;
  }

  async function visitPack(name: Digest): Promise<void> {
    const keyed = known.get(packPath(name)) ?? { key: { kind: 'pack', hash: name }, holders: new Map() };
    const { bytes, pack } = await run({ type: 'verify', loose: [], pack: { name } });
    count(bytes, 0);
    if (pack === undefined) return;
    if (pack.reason !== undefined && isGone(name)) {
      there.delete(name);
      return;
    }
    if (pack.reason !== undefined) {
      const blobs = keyed.holders.size === 0 ? [] : rowsOfKey(keyed);
      const again = await run({ type: 'verify', loose: [], pack: { name, blobs } });
      return notePack(name, pack.reason, again.pack ?? { blobs, damaged: [] });
    }
    if (pack.damaged.length > 0) notePack(name, manyDamaged(pack.damaged.length), pack);
    const compared = compareRows(keyed, pack.blobs);
    for (const [index, rows] of compared.wrong) wrong.set(index, (wrong.get(index) ?? 0) + rows);
    const damaged = new Set(pack.damaged);
    if (compared.untold.some((digest) => !damaged.has(digest))) untold.add(name);
  }

  async function visitLoose(lot: readonly Digest[]): Promise<void> {
    const { damaged, bytes } = await run({ type: 'verify', loose: lot });
    count(bytes, lot.length);
    for (const { digest, reason } of damaged) {
      damagedLoose.add(digest);
      damages.push({ kind: 'blob', where: loosePath(folder, digest), reason, digests: new Set([digest]) });
    }
  }

  function close(): void {
    trash.close();
    for (const index of opened.good) index.close();
  }

  try {
    await forEachParallel(names, { jobs, signal }, visitPack);
    await forEachParallel(looseLots(folders.loose), { jobs, signal }, visitLoose);
    for (const keyed of known.values()) {
      const { hash } = keyed.key;
      if (there.has(hash) || !isGone(hash)) continue;
      // A collection has gone on beside this.
      if ([...keyed.holders.keys()].every(({ head }) => !existsSync(join(folders.index, head.name)))) continue;
      const blobs = rowsOfKey(keyed);
      const damaged = blobs.map(({ digest }) => digest);
      notePack(hash, `it is gone, and an index says that it has ${blobs.length} blobs`, { blobs, damaged });
    }
  } catch (error) {
    close();
    throw error;
  }
  for (const [index, rows] of wrong) {
    const reason = `${rows} of its rows say what is not so`;
    damages.push({ kind: 'index', where: join(folders.index, index.head.name), reason, digests: new Set() });
  }
  // What wrong ones alone know is as good as unknown.
  const indexes = opened.good.filter((index) => !wrong.has(index));
  for (const keyed of known.values()) {
    if (damagedPacks.has(keyed.key.hash) || [...keyed.holders.keys()].some((index) => !wrong.has(index))) continue;
    untold.add(keyed.key.hash);
  }
  return {
    folder,
    counts,
    damages,
    untold,
    damagedLoose,
    damagedPacks,
    indexes,
    damagedIndexes: [...opened.bad, ...[...wrong.keys()].map(({ head }) => head.name)],
    locate(digest, isSound = false) {
      for (const index of indexes) {
        for (const { key, offset, length } of index.find(digestToBytes(digest))) {
          const damaged = damagedPacks.get(key.hash);
          if (!there.has(key.hash) || (damaged !== undefined && (isSound || damaged.damaged.has(digest)))) continue;
          return { path: join(folders.packs, `${key.hash}.pack`), offset, length, isPacked: true };
        }
      }
      if (damagedLoose.has(digest)) return undefined;
      const path = loosePath(folder, digest);
      const size = statSync(path, { throwIfNoEntry: false })?.size;
      if (size === undefined) return trash.bringBack(digest);
      return { path, offset: 0, length: size, isPacked: false };
    },
    close,
  };
}

function openIndexes(folder: string, damages: Damage[]): { readonly good: IndexFile[]; readonly bad: Digest[] } {
  const good: IndexFile[] = [];
  const bad: Digest[] = [];
  for (const name of listNames(folder).filter(isDigest)) {
    let index: IndexFile | undefined;
    try {
      index = openIndexFile(join(folder, name), name);
      index.verify();
      index.keys();
      good.push(index);
    } catch (error) {
      index?.close();
      if (hasErrorCode(error, 'ENOENT')) continue; // merged away just now
      bad.push(name);
      damages.push({ kind: 'index', where: join(folder, name), reason: damageReason(error), digests: new Set() });
    }
  }
  return { good, bad };
}

function packPath(hash: Digest): string {
  return keyPath({ kind: 'pack', hash });
}

function packName(file: string): Digest[] {
  const name = file.slice(0, -'.pack'.length);
  return file.endsWith('.pack') && isDigest(name) ? [name] : [];
}

/** Blobs with files of their own, by the hundred. */
function* looseLots(folder: string): Generator<Digest[]> {
  let lot: Digest[] = [];
  for (const digest of looseDigests(folder)) {
    lot.push(digest);
    if (lot.length < LOT) continue;
    yield lot;
    lot = [];
  }
  if (lot.length > 0) yield lot;
}
