import { MlvError } from './errors.ts';

/** BLAKE3-256 of some bytes as 64 lower-case hex digits: the name that content has everywhere. */
export type Digest = string & { readonly __brand: 'Digest' };

/** Computes the 32 raw bytes of BLAKE3-256; passed into pure code, which does no hashing itself. */
export type HashFunction = (bytes: Uint8Array) => Buffer;

export const DIGEST_BYTES = 32;

const HEX = /^[0-9a-f]{64}$/;
const PREFIX = 'b3:';

/** True for 64 lower-case hex digits. */
export function isDigest(text: string): text is Digest {
  return HEX.test(text);
}

/** Parses 64 bare hex digits, as they stand in trees and file names. Throws `digest-invalid`. */
export function parseDigest(text: string): Digest {
  if (!isDigest(text)) throw invalid(text);
  return text;
}

/** Parses `b3:` + 64 hex digits, as they stand in files that people read. Throws `digest-invalid`. */
export function parsePrefixedDigest(text: string): Digest {
  if (!text.startsWith(PREFIX)) throw invalid(text);
  return parseDigest(text.slice(PREFIX.length));
}

/** `b3:` + hex, for files that people read. */
export function formatDigest(digest: Digest): string {
  return PREFIX + digest;
}

/** Hex form of 32 raw bytes at `offset`. */
export function digestFromBytes(bytes: Buffer, offset = 0): Digest {
  return bytes.toString('hex', offset, offset + DIGEST_BYTES) as Digest;
}

/** The 32 raw bytes. */
export function digestToBytes(digest: Digest): Buffer {
  return Buffer.from(digest, 'hex');
}

function invalid(text: string): MlvError {
  return new MlvError({
    code: 'digest-invalid',
    kind: 'corrupt',
    message: `not a BLAKE3 digest: ${JSON.stringify(text.slice(0, 80))}`,
    hint: 'A digest is "b3:" followed by 64 digits 0-9a-f.',
  });
}
