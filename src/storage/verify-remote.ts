import type { StorageKey } from '../domain/blob-index.ts';
import { CELL_BYTES, readRow } from '../domain/blob-index.ts';
import type { Digest } from '../domain/digest.ts';
import { digestFromBytes } from '../domain/digest.ts';
import type { DigestSet } from '../domain/digest-set.ts';
import { createDigestSet } from '../domain/digest-set.ts';
import { MlvError } from '../domain/errors.ts';
import type { PackedBlob } from '../domain/pack.ts';
import { keyPath, parseDataPath } from '../domain/remote-layout.ts';
import { DAY_MS, NOTED_DAYS } from '../domain/remote-times.ts';
import { childrenOf } from '../domain/tree-children.ts';
import { hashEngine } from '../platform/hash.ts';
import { forEachParallel } from '../platform/parallel.ts';
import type { Damage } from './damage.ts';
import { damageReason, manyDamaged } from './damage.ts';
import type { Home } from './home.ts';
import type { LocatedRow } from './index-file.ts';
import type { KnownKey } from './index-rows.ts';
import { compareRows, keepBlobs, knownKeys, rowChunks, rowsOfKey } from './index-rows.ts';
import type { IndexFile } from './index-file.ts';
import type { ReadRange } from './pack-reader.ts';
import { findDamaged, isIntactObject, readPackTable, SPAN_BYTES } from './pack-reader.ts';
import { isMissing } from './remote.ts';
import { limitsOf } from './request-engine.ts';
import type { SurveyedIndexes } from './survey-indexes.ts';
import { surveyIndexes } from './survey-indexes.ts';

/** A pack or object of which something is damaged, or that is gone. */
export interface DamagedKey {
  readonly key: StorageKey;
  /** All that it has or should have. */
  readonly blobs: () => readonly PackedBlob[];
  readonly damaged: DigestSet;
}

/** A remote as it was found. */
export interface RemoteSurvey {
  readonly home: Home;
  readonly indexes: SurveyedIndexes;
  readonly counts: {
    readonly blobs: number;
    readonly packs: number;
    readonly indexes: number;
    readonly bytes: number;
  };
  readonly damages: readonly Damage[];
  /** By path. */
  readonly damagedKeys: ReadonlyMap<string, DamagedKey>;
  /** Good indexes with rows that are not so. */
  readonly wrongIndexes: ReadonlySet<Digest>;
  /** Sizes of all packs and objects, by path. */
  readonly sizes: ReadonlyMap<string, number>;
  /** Those that no good index names. */
  readonly unindexed: readonly string[];
  /** What tree objects with a row name, or was pushed, and the remote does not have. */
  readonly absent: DigestSet;
  /** Rows whose bytes are good, as far as they were read; only tree objects that vouch for what they name as `tree`. */
  places(digest: Digest, as?: 'blob' | 'tree'): LocatedRow[];
  close(): void;
}

export interface RemoteSurveyOptions {
  readonly home: Home;
  /** A new folder for a while. */
  readonly scratch: string;
  /** The description as this machine has seen it. */
  readonly description: Buffer | undefined;
  /** Which packs and objects of data are read: a share from 0 to 1, and what its choice depends on. Tree objects are always read. */
  readonly share: number;
  readonly seed: number;
  /** Content that is not to be there, whatever names it. */
  readonly purged?: { has(digest: Digest): boolean };
  readonly onProgress?: ((progress: { readonly files: number; readonly bytes: number }) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Reads a remote as far as asked, and compares all there is. Damage is returned, not thrown. */
export async function surveyRemote(options: RemoteSurveyOptions): Promise<RemoteSurvey> {
  const { home, signal } = options;
  const { jobs, pool } = limitsOf(home);
  const indexes = await surveyIndexes(options);
  const damages: Damage[] = [...indexes.damages];
  const damagedKeys = new Map<string, DamagedKey>();
  const wrong = new Map<IndexFile, number>();
  const absent = createDigestSet();
  const counts = { blobs: 0, packs: 0, indexes: indexes.all.length, bytes: 0 };

  function onBytes(bytes: number): void {
    counts.bytes += bytes;
    options.onProgress?.({ files: counts.packs, bytes: counts.bytes });
  }

  function noteDamage(key: StorageKey, reason: string, blobs: readonly PackedBlob[], damaged: readonly Digest[]): void {
    const where = keyPath(key);
    const kind = key.kind === 'object' ? 'object' : 'pack';
    const digests = createDigestSet(damaged);
    damages.push({ kind, where, reason, digests });
    damagedKeys.set(where, { key, blobs: keepBlobs(blobs), damaged: digests });
  }

  /** Nothing of it is there. */
  function noteLoss(known: KnownKey, reason: string): void {
    const blobs = rowsOfKey(known);
    const digests = blobs.map(({ digest }) => digest);
    noteDamage(known.key, reason, blobs, digests);
  }

  async function visitPack(known: KnownKey, size: number, read: ReadRange): Promise<void> {
    const { key } = known;
    let blobs: readonly PackedBlob[];
    let reason: string | undefined;
    try {
      const table = await readPackTable(read, size, key.hash);
      blobs = table.blobs;
      if ((table.kind === 'tree') !== (key.kind === 'tree-pack')) reason = 'an index says that it is of another kind';
      for (const [index, rows] of compareRows(known, blobs).wrong) wrong.set(index, (wrong.get(index) ?? 0) + rows);
    } catch (error) {
      signal?.throwIfAborted();
      if (!isDamage(error)) throw error;
      reason = packReason(error);
      blobs = rowsOfKey(known);
    }
    const isTree = key.kind === 'tree-pack';
    const isVouching = [...known.holders.keys()].some(indexes.isVouching);
    const isRead = isTree || reason !== undefined || isChosen(keyPath(key), options);
    const damaged = isRead
      ? await findDamaged(read, blobs, {
          size,
          longest: SPAN_BYTES,
          ...(isTree && isVouching && { onGood: checkClosure }),
        })
      : [];
    if (reason !== undefined || damaged.length > 0)
      noteDamage(key, reason ?? manyDamaged(damaged.length), blobs, damaged);
  }

  /** A row of a tree object says that all it names is there. */
  function checkClosure({ digest }: PackedBlob, bytes: Buffer): void {
    try {
      const { trees, blobs } = childrenOf(bytes, digest);
      const missing = [
        ...trees.filter((child) => indexes.find(child, 'tree').length === 0),
        ...blobs.filter((child) => indexes.find(child).length === 0 && options.purged?.has(child) !== true),
      ];
      if (missing.length === 0) return;
      for (const each of missing) absent.add(each);
      const reason = `it vouches for ${missing.length} blobs that the remote does not have`;
      damages.push({ kind: 'tree', where: digest, reason, digests: createDigestSet(missing) });
    } catch (error) {
      damages.push({ kind: 'tree', where: digest, reason: damageReason(error), digests: new Set() });
    }
  }

  function hasStoredLength(key: StorageKey, size: number): boolean {
    if (key.kind !== 'object') return true;
    const rows = indexes.find(key.hash).filter((row) => keyPath(row.key) === keyPath(key));
    return rows.every(({ length }) => length === size);
  }

  async function visitObject({ key }: KnownKey, size: number, read: ReadRange): Promise<void> {
    const blobs = [{ digest: key.hash, offset: 0, length: size }];
    if (!hasStoredLength(key, size))
      return noteDamage(key, `it has ${size} bytes, which is not what was stored`, blobs, [key.hash]);
    if (!isChosen(keyPath(key), options)) return;
    try {
      if (await isIntactObject(read, size, key.hash)) return;
    } catch (error) {
      signal?.throwIfAborted();
      if (!isDamage(error)) throw error;
      return noteDamage(key, packReason(error), blobs, [key.hash]);
    }
    noteDamage(key, 'its bytes are not what its name says', blobs, [key.hash]);
  }

  try {
    const listed = await listData(home, signal);
    const named = namedKeys(indexes, wrong);
    const isDeadPath = (path: string): boolean => {
      const key = parseDataPath(path);
      return key === undefined || indexes.isDead(key);
    };
    /** Undefined where it is gone. A listing may leave things out, or be older than what is there: it condemns nothing alone. */
    const sizeOf = async (path: string, { key }: KnownKey, stop: AbortSignal): Promise<number | undefined> => {
      const size = listed.get(path);
      if (size !== undefined && hasStoredLength(key, size)) return size;
      const found = await home.size(path, stop);
      if (found !== undefined) listed.set(path, found);
      return found;
    };
    const visit = async (entry: KnownKey, size: number, stop: AbortSignal): Promise<void> => {
      const memory = await pool.take(SPAN_BYTES, stop);
      const read: ReadRange = async (offset, length) => {
        const into = length <= memory.bytes.length ? memory.bytes.subarray(0, length) : Buffer.allocUnsafe(length);
        const bytes = await home.read(keyPath(entry.key), { offset, length, into }, stop);
        onBytes(length);
        return bytes;
      };
      try {
        if (entry.key.kind === 'object') await visitObject(entry, size, read);
        else await visitPack(entry, size, read);
      } finally {
        memory.release();
      }
    };
    await forEachParallel(named, { jobs, signal }, async ([path, entry], stop) => {
      counts.packs += 1;
      for (const rows of entry.holders.values()) counts.blobs += rows;
      try {
        const size = await sizeOf(path, entry, stop);
        if (size === undefined) noteLoss(entry, 'it is gone');
        else await visit(entry, size, stop);
      } catch (error) {
        stop.throwIfAborted();
        if (!(error instanceof MlvError)) throw error;
        const isThere = async (): Promise<boolean> => (await home.size(path, stop).catch(() => 0)) !== undefined;
        // Removed, or cut short, since it was listed. What only cannot be read today is told, and not counted out.
        if (isMissing(error) ? !(await isThere()) : isDamage(error)) noteLoss(entry, packReason(error));
        else {
          const digests = createDigestSet(rowsOfKey(entry).map(({ digest }) => digest));
          damages.push({ kind: 'unreadable', where: path, reason: error.message, digests });
        }
      }
    });
    for (const [index, rows] of wrong) {
      const reason = `${rows} of its rows say what is not so`;
      damages.push({ kind: 'index', where: `index/${index.head.name}`, reason, digests: new Set() });
    }
    const today = Math.floor(indexes.modified / DAY_MS);
    for (const { root, day } of indexes.live().flatMap((index) => index.roots())) {
      // What was noted longer ago may have been collected.
      const isExpected = today - day <= NOTED_DAYS && options.purged?.has(root) !== true;
      if (!isExpected || indexes.find(root).length > 0) continue;
      absent.add(root);
      damages.push({
        kind: 'root',
        where: root,
        reason: 'it was pushed, and the remote does not have it',
        digests: new Set([root]),
      });
    }
    return {
      home,
      indexes,
      counts,
      damages,
      damagedKeys,
      wrongIndexes: new Set([...wrong.keys()].map(({ head }) => head.name)),
      sizes: listed,
      unindexed: [...listed.keys()].filter((path) => !named.has(path) && !isDeadPath(path)),
      absent,
      places: (digest, as = 'blob') =>
        indexes.find(digest, as).filter(({ key }) => damagedKeys.get(keyPath(key))?.damaged.has(digest) !== true),
      close: indexes.close,
    };
  } catch (error) {
    indexes.close();
    throw error;
  }
}

/** Sizes of packs and objects, by path. */
async function listData(home: Home, signal: AbortSignal | undefined): Promise<Map<string, number>> {
  const listed = new Map<string, number>();
  for (const prefix of ['packs/', 'objects/'])
    for await (const { key, size } of home.list(prefix, signal)) listed.set(key, size);
  return listed;
}

/** What indexes that count name and is not dead. Rows of objects are looked at here: there is nothing else to compare them with. */
function namedKeys(indexes: SurveyedIndexes, wrong: Map<IndexFile, number>): Map<string, KnownKey> {
  const known = knownKeys(indexes.live());
  for (const [path, { key }] of known) if (indexes.isDead(key)) known.delete(path);
  for (const index of indexes.live()) {
    const keys = index.keys();
    let bad = 0;
    for (const cells of rowChunks(index)) {
      for (let at = 0; at < cells.length; at += CELL_BYTES) {
        const row = readRow(cells, at);
        const key = keys[row.key];
        const isObject = key?.kind === 'object';
        if (key === undefined || (isObject && (row.offset !== 0 || digestFromBytes(cells, at) !== key.hash))) bad += 1;
      }
    }
    if (bad > 0) wrong.set(index, bad);
  }
  return known;
}

/** The same choice whenever it is asked for, whatever the order. */
function isChosen(path: string, { share, seed }: RemoteSurveyOptions): boolean {
  return (
    share >= 1 ||
    hashEngine()
      .hash(Buffer.from(`${seed} ${path}`))
      .readUInt32BE(0) <
      share * 2 ** 32
  );
}

/** True where bytes are wrong or gone, rather than a disk or network at fault. */
function isDamage(error: unknown): boolean {
  return isMissing(error) || (error instanceof MlvError && ['corrupt', 'unsupported'].includes(error.kind));
}

function packReason(error: unknown): string {
  return isMissing(error) ? 'it is gone' : damageReason(error);
}
