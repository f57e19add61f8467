import type { Digest } from './digest.ts';
import { DIGEST_BYTES, digestFromBytes, writeDigest } from './digest.ts';

/** Digests, each once. */
export interface DigestSet extends Iterable<Digest> {
  readonly size: number;
  has(digest: Digest): boolean;
}

/** A set that may be as large as a dataset: some 60 bytes for each digest, where a `Set` of strings takes 150. */
export interface LargeDigestSet extends DigestSet {
  /** Returns the digest's number, counted from 0 in the order of arrival; the same as before where it was there. */
  add(digest: Digest): number;
  /** Its number; undefined where it is not there. */
  numberOf(digest: Digest): number | undefined;
}

const FIRST_CAPACITY = 16;

/** A new set of these digests, iterated in the order of their arrival. */
export function createDigestSet(digests: Iterable<Digest> = []): LargeDigestSet {
  let bytes = Buffer.alloc(FIRST_CAPACITY * DIGEST_BYTES);
  /** By all of the digest: 1 + its number, or 0 where the slot is free. At most half are taken. */
  let slots = new Uint32Array(2 * FIRST_CAPACITY);
  let size = 0;
  const wanted = Buffer.alloc(DIGEST_BYTES);

  /** The slot that has these bytes, or the free one where they belong. */
  function slotOf(key: Buffer, at: number): number {
    const mask = slots.length - 1;
    for (let slot = mixed(key, at) & mask; ; slot = (slot + 1) & mask) {
      const end = (slots[slot] ?? 0) * DIGEST_BYTES;
      if (end === 0 || key.compare(bytes, end - DIGEST_BYTES, end, at, at + DIGEST_BYTES) === 0) return slot;
    }
  }

  function grow(): void {
    bytes = Buffer.concat([bytes], 2 * bytes.length);
    slots = new Uint32Array(2 * slots.length);
    for (let number = 0; number < size; number++) slots[slotOf(bytes, number * DIGEST_BYTES)] = number + 1;
  }

  function numberOf(digest: Digest): number | undefined {
    writeDigest(digest, wanted, 0);
    const found = slots[slotOf(wanted, 0)] ?? 0;
    return found === 0 ? undefined : found - 1;
  }

  const set: LargeDigestSet = {
    get size() {
      return size;
    },
    has: (digest) => numberOf(digest) !== undefined,
    numberOf,
    add(digest) {
      const known = numberOf(digest);
      if (known !== undefined) return known;
      if (2 * (size + 1) > slots.length) grow();
      wanted.copy(bytes, size * DIGEST_BYTES);
      slots[slotOf(wanted, 0)] = size + 1;
      return size++;
    },
    *[Symbol.iterator]() {
      for (let number = 0; number < size; number++) yield digestFromBytes(bytes, number * DIGEST_BYTES);
    },
  };
  for (const digest of digests) set.add(digest);
  return set;
}

/** A tree may name what is no hash of anything, such as digests that begin alike. */
function mixed(key: Buffer, at: number): number {
  let mix = 0;
  for (let word = at; word < at + DIGEST_BYTES; word += 4) {
    mix = Math.imul(mix ^ key.readUInt32LE(word), 0x9e3779b1);
    mix ^= mix >>> 15;
  }
  return mix;
}
