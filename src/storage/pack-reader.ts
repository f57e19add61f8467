import { digestFromBytes } from '../domain/digest.ts';
import type { Digest } from '../domain/digest.ts';
import type { PackedBlob, PackKind } from '../domain/pack.ts';
import {
  invalidPack,
  PACK_FOOTER_BYTES,
  PACK_HEADER_BYTES,
  parsePackFooter,
  parsePackHeader,
  parsePackTable,
} from '../domain/pack.ts';
import { digestOfBytes, hashEngine } from '../platform/hash.ts';
import { readTwice } from './read-twice.ts';

/** Gives `length` bytes at `offset`, fewer where there are no more; good until the next call. */
export type ReadRange = (offset: number, length: number) => Promise<Buffer>;

/** So much is read at once; a larger blob alone. No blob in a pack of a remote is larger. */
export const SPAN_BYTES = 16 << 20;
/** Footer and table of most packs. */
const TAIL_BYTES = 256 << 10;

interface PackTable {
  readonly kind: PackKind;
  readonly blobs: PackedBlob[];
}

/**
 * A pack's own table, read twice before it is called damaged: bytes may be altered on their way. Throws `pack-invalid` where
 * header, table or footer are not what the name says.
 */
export function readPackTable(read: ReadRange, size: number, name: Digest): Promise<PackTable> {
  return readTwice(() => readTableOnce(read, size, name));
}

async function readTableOnce(read: ReadRange, size: number, name: Digest): Promise<PackTable> {
  if (size < PACK_HEADER_BYTES + PACK_FOOTER_BYTES) throw invalidPack(name, 'its size');
  const start = Math.max(0, size - TAIL_BYTES);
  const tail = Buffer.from(await read(start, size - start));
  const { tableOffset, tableLength } = parsePackFooter(tail.subarray(-PACK_FOOTER_BYTES), name, size);
  const table =
    tableOffset >= start
      ? tail.subarray(tableOffset - start, tableOffset - start + tableLength)
      : Buffer.from(await read(tableOffset, tableLength));
  const header = start === 0 ? tail.subarray(0, PACK_HEADER_BYTES) : Buffer.from(await read(0, PACK_HEADER_BYTES));
  const { hash } = hashEngine();
  // Only what the name vouches for may say that it is of a later version.
  const blobs = parsePackTable({ header, table, tableOffset, name, hash });
  return { kind: parsePackHeader(header, name), blobs };
}

/** Whether a large object's bytes hash to its name; read twice before that is denied. */
export async function isIntactObject(read: ReadRange, size: number, name: Digest): Promise<boolean> {
  for (let reads = 0; reads < 2; reads++) {
    const hasher = hashEngine().createHasher();
    for (let offset = 0; offset < size; offset += SPAN_BYTES)
      hasher.update(await read(offset, Math.min(SPAN_BYTES, size - offset)));
    if (digestFromBytes(hasher.digest()) === name) return true;
  }
  return false;
}

/**
 * Hashes blobs, which are in order of their offsets. Returns the digests that their bytes do not have, in two reads: they may be
 * altered on their way.
 */
export async function findDamaged(
  read: ReadRange,
  given: readonly PackedBlob[],
  options: {
    readonly size: number;
    /** None is longer: what is, is not read. */
    readonly longest?: number;
    /** Called for each good blob; the bytes are lent. */
    readonly onGood?: (blob: PackedBlob, bytes: Buffer) => void;
  },
): Promise<Digest[]> {
  const { longest = Infinity } = options;
  const damaged = given.filter(({ length }) => length > longest).map(({ digest }) => digest);
  const blobs = given.filter(({ length }) => length <= longest);
  for (let first = 0; first < blobs.length;) {
    const start = blobs[first]?.offset ?? 0;
    let next = first;
    let end = start;
    for (let blob = blobs[next]; blob !== undefined; blob = blobs[++next]) {
      const last = blob.offset + blob.length;
      if (next > first && Math.max(end, last) - start > SPAN_BYTES) break;
      end = Math.max(end, last);
    }
    const length = Math.min(end, options.size) - start;
    let left = blobs.slice(first, next);
    for (let reads = 0; reads < 2 && left.length > 0; reads++) {
      const bytes = length <= 0 ? Buffer.alloc(0) : await read(start, length);
      left = left.filter((blob) => {
        const at = bytes.subarray(blob.offset - start, blob.offset - start + blob.length);
        if (at.length !== blob.length || digestOfBytes(at) !== blob.digest) return true;
        options.onGood?.(blob, at);
        return false;
      });
    }
    for (const { digest } of left) damaged.push(digest);
    first = next;
  }
  return damaged;
}
