/** BLAKE3-256 of some bytes as 64 lower-case hex digits: the name that content has everywhere. */
export type Digest = string & { readonly __brand: 'Digest' };

/** Computes the 32 raw bytes of BLAKE3-256; passed into pure code, which does no hashing itself. */
export type HashFunction = (bytes: Uint8Array) => Buffer;

export const DIGEST_BYTES = 32;

const HEX_DIGEST = /^[0-9a-f]{64}$/;
const PREFIX = 'b3:';

/** True for 64 lower-case hex digits. */
export function isDigest(text: string): text is Digest {
  return HEX_DIGEST.test(text);
}

/** `b3:` + hex, for files that people read. */
export function formatDigest(digest: Digest): string {
  return PREFIX + digest;
}

/** Hex form of 32 raw bytes at `offset`. */
export function digestFromBytes(bytes: Buffer, offset = 0): Digest {
  return bytes.toString('hex', offset, offset + DIGEST_BYTES) as Digest;
}

/** Writes the 32 raw bytes at `offset`. */
export function writeDigest(digest: Digest, target: Buffer, offset: number): void {
  target.write(digest, offset, 'hex');
}

/** The 32 raw bytes. */
export function digestToBytes(digest: Digest): Buffer {
  return Buffer.from(digest, 'hex');
}
