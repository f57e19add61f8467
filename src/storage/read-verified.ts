import { closeSync, openSync } from 'node:fs';
import { open } from 'node:fs/promises';
import type { Digest } from '../domain/digest.ts';
import { digestFromBytes } from '../domain/digest.ts';
import { digestOfBytes, hashEngine } from '../platform/hash.ts';
import { readAt, writeFully } from '../platform/read-write.ts';
import { LARGE_FILE_BYTES, readChunks } from './ingest.ts';
import type { BlobLocation } from './local-cache.ts';
import { corrupt } from './local-cache.ts';
import { openPackFile } from './trash.ts';

/** So much of a pack is read at once where blobs are asked for in its order: a read of 4 KiB costs a third of this. */
const AHEAD_BYTES = 128 << 10;
const PIECE_BYTES = 1 << 20;

let scratch: Buffer | undefined;

/** The bytes of a blob, compared with their digest (`blob-corrupt`); they are good until the next call. */
export function readVerified(location: BlobLocation, digest: Digest): Buffer {
  scratch ??= Buffer.allocUnsafe(LARGE_FILE_BYTES);
  const target = location.length <= scratch.length ? scratch : Buffer.allocUnsafe(location.length);
  const bytes = location.isPacked ? readPacked(location, target) : readLoose(location, target);
  if (digestOfBytes(bytes) !== digest) throw corrupt(digest, location);
  return bytes;
}

/**
 * The bytes of a blob, in pieces that are good until the next is asked for: a small one whole, once it was compared with its digest;
 * of a large one, that they are not what the digest says is told after the last piece. Throws `blob-corrupt`.
 */
export async function* streamVerified(location: BlobLocation, digest: Digest): AsyncGenerator<Buffer> {
  if (location.isPacked || location.length < LARGE_FILE_BYTES) {
    yield readVerified(location, digest);
    return;
  }
  const source = await open(location.path, 'r');
  try {
    const hasher = hashEngine().createHasher();
    const piece = Buffer.allocUnsafe(PIECE_BYTES);
    for (;;) {
      const { bytesRead } = await source.read(piece, 0, piece.length, null);
      if (bytesRead === 0) break;
      const bytes = piece.subarray(0, bytesRead);
      hasher.update(bytes);
      yield bytes;
    }
    if (digestFromBytes(hasher.digest()) !== digest) throw corrupt(digest, location);
  } finally {
    await source.close();
  }
}

/** Appends the bytes of a blob to a file, compared with their digest (`blob-corrupt`). */
export function copyVerified(location: BlobLocation, digest: Digest, target: number): void {
  const source = openSync(location.path, 'r');
  try {
    const hasher = hashEngine().createHasher();
    readChunks(source, (chunk) => {
      hasher.update(chunk);
      writeFully(target, chunk);
    });
    if (digestFromBytes(hasher.digest()) !== digest) throw corrupt(digest, location);
  } finally {
    closeSync(source);
  }
}

function readLoose(location: BlobLocation, target: Buffer): Buffer {
  const file = openSync(location.path, 'r');
  try {
    return target.subarray(0, readAt(file, target, 0, location.length));
  } finally {
    closeSync(file);
  }
}

/** The pack read last stays open: blobs of neighbouring paths are in one pack, mostly one after the other. */
let pack: { readonly path: string; readonly file: number; end: number } | undefined;
const ahead = { bytes: Buffer.alloc(0), start: 0, end: 0 };

function readPacked({ path, offset, length }: BlobLocation, target: Buffer): Buffer {
  if (pack?.path !== path) {
    if (pack !== undefined) closeSync(pack.file);
    pack = undefined;
    pack = { path, file: openPackFile(path), end: 0 };
    ahead.end = ahead.start = 0;
  }
  const isNext = offset === pack.end;
  const end = offset + length;
  pack.end = end;
  if (offset >= ahead.start && end <= ahead.end) return ahead.bytes.subarray(offset - ahead.start, end - ahead.start);
  if (!isNext || length > AHEAD_BYTES / 2) return target.subarray(0, readAt(pack.file, target, offset, length));
  if (ahead.bytes.length === 0) ahead.bytes = Buffer.allocUnsafe(AHEAD_BYTES);
  ahead.start = offset;
  ahead.end = offset + readAt(pack.file, ahead.bytes, offset, AHEAD_BYTES);
  return ahead.bytes.subarray(0, Math.min(end, ahead.end) - offset);
}
