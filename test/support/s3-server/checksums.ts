/** What a request says its body hashes to, and holding it to that. */
import { createHash } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { combineCrcs, crcDigester } from './crc.ts';
import { s3Error } from './errors.ts';

export type ChecksumName = 'crc32' | 'crc32c' | 'crc64nvme' | 'sha1' | 'sha256';
export type ChecksumType = 'COMPOSITE' | 'FULL_OBJECT';

export interface Checksum {
  readonly name: ChecksumName;
  /** Base64, for a composite one with `-N` after it. */
  readonly value: string;
  readonly type: ChecksumType;
}

export interface Digester {
  update(bytes: Uint8Array): void;
  digest(): Buffer;
}

/** Which checksum a request announces, and its value where that is in a header and not in the trailer. */
export interface Announced {
  readonly name: ChecksumName;
  readonly expected: Buffer | undefined;
}

const LENGTHS: Readonly<Record<ChecksumName, number>> = { crc32: 4, crc32c: 4, crc64nvme: 8, sha1: 20, sha256: 32 };
export const CHECKSUM_NAMES = Object.keys(LENGTHS) as ChecksumName[];

export function digester(name: ChecksumName | 'md5'): Digester {
  if (name === 'md5' || name === 'sha1' || name === 'sha256') {
    const hash = createHash(name);
    return { update: (bytes) => void hash.update(bytes), digest: () => hash.digest() };
  }
  return crcDigester(name);
}

/** The element, and the value of `x-amz-checksum-algorithm`, without `Checksum`: `CRC32`, `SHA256`. */
export function algorithmLabel(name: ChecksumName): string {
  return name.toUpperCase();
}

export function checksumNamed(label: string, header: string): ChecksumName {
  const name = CHECKSUM_NAMES.find((each) => each === label.toLowerCase());
  if (name === undefined) throw s3Error('InvalidRequest', { message: `Value for ${header} header is invalid.` });
  return name;
}

/** Reads a value in base64. Throws InvalidRequest where it has not the length of its kind. */
export function checksumValue(name: ChecksumName, text: string): Buffer {
  const value = Buffer.from(text, 'base64');
  if (value.length !== LENGTHS[name] || value.toString('base64') !== text) {
    throw s3Error('InvalidRequest', { message: `Value for x-amz-checksum-${name} header is invalid.` });
  }
  return value;
}

/** What the headers announce; undefined where they say nothing. Throws InvalidRequest where they contradict each other. */
export function announcedChecksum(headers: IncomingHttpHeaders): Announced | undefined {
  const trailing = (headers['x-amz-trailer'] as string | undefined)?.toLowerCase();
  const given = CHECKSUM_NAMES.filter((name) => headers[`x-amz-checksum-${name}`] !== undefined);
  const inTrailer = CHECKSUM_NAMES.filter((name) => trailing?.split(/\s*,\s*/).includes(`x-amz-checksum-${name}`));
  const names = [...given, ...inTrailer];
  if (names.length > 1) {
    throw s3Error('InvalidRequest', {
      message: 'Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.',
    });
  }
  const [name] = names;
  const label = headers['x-amz-sdk-checksum-algorithm'];
  if (typeof label === 'string') {
    const named = checksumNamed(label, 'x-amz-sdk-checksum-algorithm');
    if (name === undefined) {
      throw s3Error('InvalidRequest', {
        message:
          'x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or x-amz-trailer headers were found.',
      });
    }
    if (named !== name) {
      throw s3Error('InvalidRequest', { message: 'Value for x-amz-sdk-checksum-algorithm header is invalid.' });
    }
  }
  if (name === undefined) return undefined;
  const text = headers[`x-amz-checksum-${name}`];
  return { name, expected: typeof text === 'string' ? checksumValue(name, text) : undefined };
}

/** The MD5 that Content-MD5 promises. Throws InvalidDigest where it is none. */
export function announcedMd5(headers: IncomingHttpHeaders): Buffer | undefined {
  const text = headers['content-md5'];
  if (text === undefined) return undefined;
  const value = typeof text === 'string' ? Buffer.from(text, 'base64') : Buffer.alloc(0);
  if (value.length !== 16 || value.toString('base64') !== text) throw s3Error('InvalidDigest');
  return value;
}

/** The checksum of an object from those of its parts: of all its bytes, or of the parts' checksums. */
export function combineChecksums(
  name: ChecksumName,
  type: ChecksumType,
  parts: readonly { readonly checksum: Buffer; readonly size: number }[],
): string {
  if (type === 'COMPOSITE') {
    const outer = digester(name);
    for (const part of parts) outer.update(part.checksum);
    return `${outer.digest().toString('base64')}-${parts.length}`;
  }
  if (name === 'sha1' || name === 'sha256') throw new Error(`${name} cannot be put together from parts`);
  let whole = crcDigester(name).digest();
  for (const part of parts) whole = combineCrcs(name, whole, part.checksum, part.size);
  return whole.toString('base64');
}
