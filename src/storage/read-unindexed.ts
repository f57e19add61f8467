import type { StorageKey } from '../domain/blob-index.ts';
import { MlvError } from '../domain/errors.ts';
import { parseDataPath } from '../domain/remote-layout.ts';
import { keepBlobs, knownKeys } from './index-rows.ts';
import type { ReadRange } from './pack-reader.ts';
import { findDamaged, isIntactObject, readPackTable, SPAN_BYTES } from './pack-reader.ts';
import type { RemoteRepair } from './repair-remote.ts';
import type { DamagedKey } from './verify-remote.ts';

export interface Unindexed {
  /** How many packs and objects are to get rows. */
  readonly count: number;
  /** Packs of tree objects, wholly good. */
  readonly trees: readonly DamagedKey[];
  /** Packs of which something is damaged. */
  readonly damaged: readonly DamagedKey[];
}

/**
 * Reads packs and objects that no index names, as far as something is missing that may be in them. Those that are wholly good get
 * rows, but for trees, which must wait for what they name; the others are to die.
 */
export async function readUnindexed(repair: RemoteRepair): Promise<Unindexed> {
  const { survey, roots } = repair;
  const { indexes, wrongIndexes, absent } = survey;
  const isNeeded =
    indexes.damagedKeys.length + wrongIndexes.size + absent.size > 0 ||
    roots.some(({ digest, type }) => !repair.isSound(digest, type === 'dir' ? 'tree' : 'blob'));
  const trees: DamagedKey[] = [];
  const damaged: DamagedKey[] = [];
  let count = 0;
  const known = isNeeded ? knownKeys(indexes.live()) : new Map<string, unknown>();
  for (const [path, size] of isNeeded ? survey.sizes : []) {
    const key = parseDataPath(path);
    if (key === undefined || known.has(path) || repair.dying.has(path) || indexes.isDead(key)) continue;
    const read: ReadRange = (offset, length) => survey.home.read(path, { offset, length }, repair.signal);
    const found = key.kind === 'object' ? await readObject(read, size, key) : await readPack(read, size, key);
    if (found === undefined) continue;
    if (found.damaged.size > 0) {
      repair.dying.add(path);
      damaged.push(found);
      continue;
    }
    count += 1;
    if (found.key.kind === 'tree-pack') trees.push(found);
    else repair.addRows(found.key, found.blobs());
  }
  return { count, trees, damaged };
}

/** Undefined where not even its table can be gone by. */
async function readPack(read: ReadRange, size: number, key: StorageKey): Promise<DamagedKey | undefined> {
  try {
    const { kind, blobs } = await readPackTable(read, size, key.hash);
    const damaged = new Set(await findDamaged(read, blobs, { size, longest: SPAN_BYTES }));
    return { key: { ...key, kind: kind === 'tree' ? 'tree-pack' : 'pack' }, blobs: keepBlobs(blobs), damaged };
  } catch (error) {
    if (!(error instanceof MlvError) || error.kind === 'io') throw error;
    return undefined;
  }
}

async function readObject(read: ReadRange, size: number, key: StorageKey): Promise<DamagedKey | undefined> {
  if (!(await isIntactObject(read, size, key.hash))) return undefined;
  return { key, blobs: () => [{ digest: key.hash, offset: 0, length: size }], damaged: new Set() };
}
