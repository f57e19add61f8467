import { closeSync, fstatSync, lstatSync } from 'node:fs';
import { join } from 'node:path';
import type { Digest } from '../domain/digest.ts';
import { digestFromBytes } from '../domain/digest.ts';
import { hasErrorCode } from '../domain/errors.ts';
import type { PackedBlob } from '../domain/pack.ts';
import { readAt } from '../platform/read-write.ts';
import { cacheFolders, loosePath } from './cache-layout.ts';
import { damageReason } from './damage.ts';
import { hashFile } from './ingest.ts';
import type { ReadRange } from './pack-reader.ts';
import { findDamaged, readPackTable, SPAN_BYTES } from './pack-reader.ts';
import { openPackFile } from './trash.ts';

/** Reads blobs of the cache and compares them with their names. */
export interface VerifyTask {
  readonly type: 'verify';
  /** Blobs with files of their own. */
  readonly loose: readonly Digest[];
  readonly pack?: {
    readonly name: Digest;
    /** What indexes say is in it: gone by where its own table is damaged. */
    readonly blobs?: readonly PackedBlob[];
  };
}

export interface VerifyResult {
  readonly type: 'verify';
  /** Read in all. */
  readonly bytes: number;
  readonly damaged: readonly { readonly digest: Digest; readonly reason: string }[];
  readonly pack?: CheckedPack;
}

export interface CheckedPack {
  /** Why the table cannot be gone by; undefined where it can. */
  readonly reason: string | undefined;
  /** Of its table or else as given, in order of their offsets. */
  readonly blobs: readonly PackedBlob[];
  readonly damaged: readonly Digest[];
}

/** What a thread does of a verification. */
export async function runVerifyTask(task: VerifyTask, folder: string): Promise<VerifyResult> {
  const damaged: { digest: Digest; reason: string }[] = [];
  let bytes = 0;
  for (const digest of task.loose) {
    const found = checkLoose(loosePath(folder, digest), digest);
    bytes += found.bytes;
    if (found.reason !== undefined) damaged.push({ digest, reason: found.reason });
  }
  if (task.pack === undefined) return { type: 'verify', bytes, damaged };
  const path = join(cacheFolders(folder).packs, `${task.pack.name}.pack`);
  const { size, ...pack } = await checkPack(path, task.pack);
  return { type: 'verify', bytes: bytes + size, damaged, pack };
}

function checkLoose(path: string, digest: Digest): { bytes: number; reason?: string } {
  try {
    const stats = lstatSync(path);
    if (!stats.isFile()) return { bytes: 0, reason: 'it is no file' };
    const isGood = digestFromBytes(hashFile(path)) === digest;
    return { bytes: stats.size, ...(!isGood && { reason: 'its bytes are not what its name says' }) };
  } catch (error) {
    if (hasErrorCode(error, 'ENOENT')) return { bytes: 0 }; // removed since it was listed
    return { bytes: 0, reason: damageReason(error) };
  }
}

async function checkPack(
  path: string,
  given: NonNullable<VerifyTask['pack']>,
): Promise<CheckedPack & { readonly size: number }> {
  let file: number | undefined;
  try {
    file = openPackFile(path);
    const { size } = fstatSync(file);
    const read = rangeReader(file);
    const blobs = given.blobs ?? (await readPackTable(read, size, given.name)).blobs;
    return { reason: undefined, blobs, damaged: await findDamaged(read, blobs, { size }), size };
  } catch (error) {
    const { blobs = [] } = given;
    return { reason: damageReason(error), blobs, damaged: blobs.map(({ digest }) => digest), size: 0 };
  } finally {
    if (file !== undefined) closeSync(file);
  }
}

let buffer: Buffer | undefined;

/** Ranges of an open file, in memory that is used again. */
export function rangeReader(file: number): ReadRange {
  return async (offset, length) => {
    if (length <= SPAN_BYTES) buffer ??= Buffer.allocUnsafeSlow(SPAN_BYTES);
    const target = buffer !== undefined && length <= SPAN_BYTES ? buffer : Buffer.allocUnsafe(length);
    return target.subarray(0, readAt(file, target, offset, length));
  };
}
