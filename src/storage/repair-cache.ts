import { closeSync, copyFileSync, existsSync, linkSync, lstatSync, openSync, renameSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { CELL_BYTES } from '../domain/blob-index.ts';
import type { Digest } from '../domain/digest.ts';
import { digestFromBytes, digestToBytes } from '../domain/digest.ts';
import { hasErrorCode } from '../domain/errors.ts';
import type { PackedBlob } from '../domain/pack.ts';
import { fsyncFolder } from '../platform/durable-write.ts';
import { cacheFolders, loosePath, makeCacheFolder, prepareCache, renewGeneration } from './cache-layout.ts';
import type { CacheWriter } from './cache-writer.ts';
import { createCacheWriter } from './cache-writer.ts';
import { cellsOf } from './index-rows.ts';
import { dropRows } from './drop-rows.ts';
import { findDamaged } from './pack-reader.ts';
import { addIndex } from './publish-rows.ts';
import type { PackedRows } from './packed-rows.ts';
import type { CacheSurvey, DamagedPack, SurveyOptions } from './verify-cache.ts';
import { rangeReader } from './verify-task.ts';

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
  const isNothingToDo = survey.damages.length + survey.untold.size === 0;
  if (isNothingToDo) return { restored: 0, lost: [], reindexed: 0, setAside: [] };
  prepareCache(survey.folder);
  const setAside = keepDamage(survey, damagedFolder);

  // All that has no other place than where damage is.
  const displaced = new Set<Digest>();
  const need = (digest: Digest): void => {
    if (survey.locate(digest, true) === undefined) displaced.add(digest);
  };
  for (const { blobs } of survey.damagedPacks.values()) for (const { digest } of blobs()) need(digest);
  for (const { digests } of survey.damages) for (const digest of digests) need(digest);
  const repairing = createRepairWriter({ survey, packBelow, displaced });
  let before = 0;
  try {
    for (const [name, pack] of survey.damagedPacks) await salvage(name, pack, survey, repairing.writer);
    before = displaced.size;
    for (const source of sources) if (displaced.size > 0) await source([...displaced], repairing.writer);
  } catch (error) {
    await repairing.writer.abandon();
    throw error;
  }
  const restored = before - displaced.size;
  const written = await repairing.finish();

  const relearned: PackedRows[] = [];
  for (const name of survey.untold) {
    const { pack } = await run({ type: 'verify', loose: [], pack: { name } });
    if (pack !== undefined && pack.reason === undefined && pack.damaged.length === 0)
      relearned.push({ rows: cellsOf(pack.blobs), packs: [name] });
  }
  const added = addIndex(folders.index, [...written, ...relearned]);
  const rewritten = new Set(written.flatMap(({ packs }) => packs));
  const isGone = (name: Digest): boolean => survey.damagedPacks.has(name) && !rewritten.has(name);
  const stale = dropRows({ indexes: survey.indexes, folder: folders.index, isGone });

  renewGeneration(survey.folder);
  const remove = (path: string): void => rmSync(path, { force: true, recursive: true });
  for (const name of [...survey.damagedIndexes, ...stale]) if (name !== added) remove(join(folders.index, name));
  for (const name of survey.damagedPacks.keys()) if (!rewritten.has(name)) remove(join(folders.packs, `${name}.pack`));
  for (const digest of survey.damagedLoose)
    if (!repairing.replaced.has(digest)) remove(loosePath(survey.folder, digest));
  for (const folder of [folders.index, folders.packs]) fsyncFolder(folder);
  renewGeneration(survey.folder);
  return { restored, lost: [...displaced], reindexed: relearned.length, setAside };
}

/**
 * Before anything else, what is damaged gets a second name: from then on its place may be taken by a good copy, or be cleared.
 * Returns the names.
 */
function keepDamage(survey: CacheSurvey, damagedFolder: string): string[] {
  const { packs, index } = cacheFolders(survey.folder);
  const places = [
    ...[...survey.damagedLoose].map((digest) => [loosePath(survey.folder, digest), digest] as const),
    ...[...survey.damagedPacks.keys()].map((name) => [join(packs, `${name}.pack`), `${name}.pack`] as const),
    ...survey.damagedIndexes.map((name) => [join(index, name), `${name}.index`] as const),
  ].filter(([path]) => lstatSync(path, { throwIfNoEntry: false }) !== undefined);
  if (places.length === 0) return [];
  makeCacheFolder(survey.folder, damagedFolder);
  const names = places.map(([path, name]) => keep(path, damagedFolder, name));
  fsyncFolder(damagedFolder);
  return names;
}

/** What was kept before under this name stays, unless it is the same file. */
function keep(path: string, folder: string, name: string): string {
  const { ino } = lstatSync(path);
  for (let attempt = 0; ; attempt++) {
    const free = attempt === 0 ? name : `${name}-${attempt}`;
    const target = join(folder, free);
    const before = lstatSync(target, { throwIfNoEntry: false });
    if (before?.ino === ino) return free;
    if (before !== undefined) continue;
    try {
      linkSync(path, target);
    } catch (error) {
      // A disk without links; or a folder or the like in the place of a file.
      if (!hasErrorCode(error, 'EPERM', 'ENOTSUP', 'EMLINK', 'EACCES', 'EXDEV')) throw error;
      if (lstatSync(path).isFile()) copyFileSync(path, target);
      else renameSync(path, target);
    }
    return free;
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
    keeps: (digest) => !displaced.has(digestFromBytes(digest)),
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
      const packs = await inner.flush();
      for (const { rows } of packs) {
        // A blob that went into a pack leaves its damaged file where it was.
        const cells = Buffer.from(rows.buffer, rows.byteOffset, rows.byteLength);
        for (let at = 0; at < cells.length; at += CELL_BYTES) replaced.delete(digestFromBytes(cells, at));
      }
      return packs;
    },
  };
}

/** Good blobs of a pack that will be set aside go elsewhere first. */
async function salvage(name: Digest, pack: DamagedPack, survey: CacheSurvey, writer: CacheWriter): Promise<void> {
  const good = pack.blobs().filter(({ digest }) => !pack.damaged.has(digest));
  if (good.length === 0) return;
  const file = openSync(join(cacheFolders(survey.folder).packs, `${name}.pack`), 'r');
  try {
    const onGood = ({ digest }: PackedBlob, bytes: Buffer): void => writer.put(digestToBytes(digest), bytes, 'data');
    await findDamaged(rangeReader(file), good, { size: Infinity, onGood });
  } finally {
    closeSync(file);
  }
}
