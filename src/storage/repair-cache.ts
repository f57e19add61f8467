import { closeSync, copyFileSync, existsSync, linkSync, mkdirSync, openSync, renameSync, rmSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { Digest } from '../domain/digest.ts';
import { digestToBytes } from '../domain/digest.ts';
import { hasErrorCode } from '../domain/errors.ts';
import type { PackKind } from '../domain/pack.ts';
import { fsyncFolder, randomName, writeFileDurably } from '../platform/durable-write.ts';
import { hashEngine } from '../platform/hash.ts';
import { cacheFolders, loosePath, prepareCache } from './cache-layout.ts';
import type { CacheWriter } from './cache-writer.ts';
import { createCacheWriter } from './cache-writer.ts';
import { mergeIndexes } from './merge-indexes.ts';
import { findDamaged } from './pack-reader.ts';
import { addIndex, writeIndex } from './publish-rows.ts';
import type { PackedRows } from './packed-rows.ts';
import type { CacheSurvey, DamagedPack, SurveyOptions } from './verify-cache.ts';
import { blobsOf, rangeReader } from './verify-task.ts';

/** Puts good copies of blobs into the writer as far as it has them; every one is compared with its digest. */
export type GoodCopies = (wanted: readonly Digest[], writer: CacheWriter) => Promise<void>;

export interface RepairedCache {
  /** Blobs that were damaged and have a good copy now. */
  readonly restored: number;
  /** Blobs of which no good copy was found. */
  readonly lost: readonly Digest[];
  /** Packs that indexes know again. */
  readonly reindexed: number;
  /** What was set aside lies in `damaged/`, under these names. */
  readonly setAside: readonly string[];
}

/**
 * Makes a cache sound: good copies first, then indexes, and only then is damage set aside. So it may be interrupted at any
 * moment, and called again with a new survey. `damagedFolder` is on the cache's disk.
 */
export async function repairCache(options: {
  readonly survey: CacheSurvey;
  readonly damagedFolder: string;
  readonly packBelow: () => number;
  readonly sources: readonly GoodCopies[];
  readonly run: SurveyOptions['run'];
}): Promise<RepairedCache> {
  const { survey, damagedFolder, packBelow, sources, run } = options;
  const folders = cacheFolders(survey.folder);
  const isNothingToDo = survey.damages.length + survey.unindexed.length === 0;
  if (isNothingToDo) return { restored: 0, lost: [], reindexed: 0, setAside: [] };
  prepareCache(survey.folder);
  const setAside = keepDamage(survey, damagedFolder);

  // All that has no other place than where damage is.
  const displaced = new Set<Digest>();
  const need = (digest: Digest): void => {
    if (survey.locate(digest, true) === undefined) displaced.add(digest);
  };
  for (const { rows } of survey.damagedPacks.values()) for (const { digest } of blobsOf(rows)) need(digest);
  for (const { digests } of survey.damages) digests.forEach(need);
  const repairing = createRepairWriter({ survey, packBelow, displaced });
  for (const pack of survey.damagedPacks.values()) await salvage(pack, survey, repairing.writer);
  const before = displaced.size;
  for (const source of sources) if (displaced.size > 0) await source([...displaced], repairing.writer);
  const restored = before - displaced.size;
  const written = await repairing.finish();

  const relearned: PackedRows[] = [];
  for (const name of survey.unindexed) {
    const { pack } = await run({ type: 'verify', loose: [], pack: { name } });
    if (pack !== undefined && pack.reason === undefined) relearned.push({ rows: pack.rows, packs: [name] });
  }
  addIndex(folders.index, [...written, ...relearned]);
  const stale = dropRows(survey, folders.index, new Set(written.flatMap(({ packs }) => packs)));

  renewGeneration(folders.generation);
  for (const name of [...survey.damagedIndexes, ...stale]) {
    moveIfThere(join(folders.index, name), join(damagedFolder, `index-${name}`));
    setAside.push(`index-${name}`);
  }
  for (const name of survey.damagedPacks.keys()) {
    if (!written.some(({ packs }) => packs.includes(name)))
      rmSync(join(folders.packs, `${name}.pack`), { force: true });
  }
  for (const digest of survey.damagedLoose) {
    if (!repairing.replaced.has(digest)) rmSync(loosePath(survey.folder, digest), { force: true, recursive: true });
  }
  for (const folder of [folders.index, folders.packs]) fsyncFolder(folder);
  renewGeneration(folders.generation);
  return { restored, lost: [...displaced], reindexed: relearned.length, setAside };
}

/** Before anything else, what is damaged gets a second name: from then on its place may be taken by a good copy. */
function keepDamage(survey: CacheSurvey, damagedFolder: string): string[] {
  const { packs } = cacheFolders(survey.folder);
  const kept = [
    ...[...survey.damagedLoose].map((digest) => [loosePath(survey.folder, digest), digest] as const),
    ...[...survey.damagedPacks.keys()].map((name) => [join(packs, `${name}.pack`), `${name}.pack`] as const),
  ];
  if (kept.length + survey.damages.length > 0) mkdirSync(damagedFolder, { recursive: true });
  for (const [path, name] of kept) {
    const target = freePath(join(damagedFolder, name));
    try {
      linkSync(path, target);
    } catch (error) {
      if (hasErrorCode(error, 'ENOENT')) continue;
      // A disk without links; or a folder or the like in the place of a file, which is moved.
      if (hasErrorCode(error, 'EPERM', 'ENOTSUP', 'EMLINK', 'EACCES')) copyOrMove(path, target);
      else throw error;
    }
  }
  if (existsSync(damagedFolder)) fsyncFolder(damagedFolder);
  return kept.map(([, name]) => name);
}

function copyOrMove(path: string, target: string): void {
  try {
    copyFileSync(path, target);
  } catch {
    renameSync(path, target);
  }
}

/** A writer for which only what is sound is there; `displaced` loses what is stored. */
function createRepairWriter(options: {
  readonly survey: CacheSurvey;
  readonly packBelow: () => number;
  readonly displaced: Set<Digest>;
}) {
  const { survey, packBelow, displaced } = options;
  const replaced = new Set<Digest>();
  const inner = createCacheWriter({
    folder: survey.folder,
    packBelow,
    has: (digest) => !displaced.has(digest),
    hasPacked: (digest) => !displaced.has(digest.toString('hex') as Digest),
    publish: () => {},
  });
  const writer: CacheWriter = {
    ...inner,
    put(digest, bytes, kind) {
      const name = digest.toString('hex') as Digest;
      if (!displaced.has(name)) return;
      inner.put(digest, bytes, kind);
      displaced.delete(name);
      replaced.add(name);
    },
    adopt(digest, path) {
      const target = loosePath(survey.folder, digest);
      if (displaced.has(digest) && existsSync(target)) {
        renameSync(path, target);
        fsyncFolder(dirname(target));
      } else inner.adopt(digest, path);
      displaced.delete(digest);
      replaced.add(digest);
    },
  };
  return {
    writer,
    replaced,
    /** Makes all durable. Returns the rows of the packs written. */
    async finish(): Promise<PackedRows[]> {
      const rows = await inner.flush();
      // A blob that went into a pack leaves its damaged file where it was.
      const packed = new Set(blobsOf(rows.rows).map(({ digest }) => digest));
      for (const digest of packed) replaced.delete(digest);
      return rows.packs.length === 0 ? [] : [rows];
    },
  };
}

/** Good blobs of a pack that will be set aside go elsewhere first. */
async function salvage(pack: DamagedPack, survey: CacheSurvey, writer: CacheWriter): Promise<void> {
  const path = join(cacheFolders(survey.folder).packs, `${pack.name}.pack`);
  const damaged = new Set(pack.damaged);
  const good = blobsOf(pack.rows).filter(({ digest }) => !damaged.has(digest));
  if (good.length === 0) return;
  const file = openSync(path, 'r');
  try {
    const kind: PackKind = pack.kind;
    await findDamaged(rangeReader(file), good, {
      size: Infinity,
      onGood: ({ digest }, bytes) => writer.put(digestToBytes(digest), bytes, kind),
    });
  } finally {
    closeSync(file);
  }
}

/** Indexes that name packs which are gone, or will be, are written anew without those rows. Returns the names of the old ones. */
function dropRows(survey: CacheSurvey, folder: string, rewritten: ReadonlySet<Digest>): Digest[] {
  const isGone = (name: Digest): boolean =>
    survey.missingPacks.has(name) || (survey.damagedPacks.has(name) && !rewritten.has(name));
  const stale = survey.indexes.filter((index) => index.keys().some(({ hash }) => isGone(hash)));
  for (const index of stale) {
    const inputs = [index];
    for (const merged of mergeIndexes({ inputs, isDead: ({ hash }) => isGone(hash), hash: hashEngine().hash }))
      if (merged.rows > 0) writeIndex(folder, merged);
  }
  return stale.map(({ head }) => head.name);
}

/** What stat caches say is stored must be looked at again. */
function renewGeneration(path: string): void {
  writeFileDurably(path, randomName());
}

function moveIfThere(path: string, target: string): void {
  try {
    renameSync(path, freePath(target));
  } catch (error) {
    if (!hasErrorCode(error, 'ENOENT')) throw error;
  }
}

/** What was set aside before is not overwritten. */
function freePath(path: string): string {
  return existsSync(path) ? join(dirname(path), `${basename(path)}-${randomName().slice(0, 6)}`) : path;
}
