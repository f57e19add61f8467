import { randomBytes } from 'node:crypto';
import { chmodSync, existsSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { open, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { Digest } from '../domain/digest.ts';
import { digestFromBytes } from '../domain/digest.ts';
import { hasErrorCode } from '../domain/errors.ts';
import { keyPath } from '../domain/remote-layout.ts';
import type { BufferPool, PooledBuffer } from '../platform/buffer-pool.ts';
import { diskTimeIn } from '../platform/disk-time.ts';
import type { Hasher } from '../platform/hash.ts';
import { hashEngine } from '../platform/hash.ts';
import { ownIdentity, processState } from '../platform/process-identity.ts';
import { writeFullyTo } from '../platform/read-write.ts';
import type { Home } from './home.ts';
import type { BlobPlace } from './look-up.ts';

const PIECE_BYTES = 16 << 20;
/** Pieces under way at once, of one blob. */
const PIECES_AHEAD = 6;
/** After so much, what has been written goes on its way to the disk: at the end there is little left to wait for. */
const FLUSH_BYTES = 128 << 20;
/** A file that a process on another machine, or in another container, was writing is left after so long. */
const UNTOUCHED_MS = 10 * 60 * 1000;

/**
 * Gathers a large blob in a file beside `partialPath`, going on where an earlier run ended, and returns the finished, flushed
 * file's path. Pieces arrive several at a time and are hashed and written in order, so the file is always a prefix. Undefined
 * when the bytes are not what the digest says; nothing stays of them.
 */
export async function fetchLarge(options: {
  readonly home: Home;
  readonly place: BlobPlace;
  readonly digest: Digest;
  readonly partialPath: string;
  readonly pool: BufferPool;
  readonly onBytes: (bytes: number) => void;
  readonly signal: AbortSignal;
}): Promise<string | undefined> {
  const { home, place, digest, partialPath } = options;
  const path = `${partialPath}-${ownerName()}-${randomBytes(4).toString('hex')}`;
  const isResumed = claimPartial(partialPath, path);
  if (!isResumed && place.offset === 0) await home.clone(keyPath(place.key), path);
  let isGood = false;
  try {
    const file = await open(path, 'a+', 0o600);
    try {
      const hasher = hashEngine().createHasher();
      const start = await hashExisting(file, hasher, place.length);
      options.onBytes(start);
      await appendPieces(file, hasher, start, options);
      isGood = digestFromBytes(hasher.digest()) === digest && (!isResumed || (await hasDigest(file, place, digest)));
      await file.chmod(0o444);
      await file.sync();
    } finally {
      await file.close();
    }
  } catch (error) {
    if (existsSync(path)) renameSync(path, partialPath);
    throw error;
  }
  if (isGood) return path;
  await rm(path, { force: true });
  return undefined;
}

/** Takes over what an earlier run left, unless whoever writes it may still be at it. False where there is nothing to go on with. */
function claimPartial(partialPath: string, path: string): boolean {
  const folder = dirname(partialPath);
  const prefix = basename(partialPath);
  for (const name of readdirSync(folder)) {
    if (!name.startsWith(prefix) || !isLeft(join(folder, name), name.slice(prefix.length + 1))) continue;
    try {
      renameSync(join(folder, name), path);
    } catch (error) {
      if (!hasErrorCode(error, 'ENOENT')) throw error; // somebody else was quicker
      continue;
    }
    try {
      chmodSync(path, 0o600); // it may have been stopped just before it got its name
      return true;
    } catch {
      rmSync(path, { force: true }); // another user's
    }
  }
  return false;
}

/** Who gathers a file: where, as a process id means nothing elsewhere, and which process. */
function ownerName(): string {
  const { pid, startTime } = ownIdentity();
  return `${here()}.${pid}.${startTime}`;
}

function here(): string {
  const { bootId, pidNamespace } = ownIdentity();
  return hashEngine()
    .hash(Buffer.from(`${bootId} ${pidNamespace}`))
    .toString('hex', 0, 8);
}

function isLeft(path: string, rest: string): boolean {
  const [place = '', pid, startTime = ''] = rest.split('-')[0]?.split('.') ?? [];
  if (place === '') return true; // given back when its run failed
  const state = place === here() ? processState({ ...ownIdentity(), pid: Number(pid), startTime }) : 'unknown';
  if (state !== 'unknown') return state === 'ended';
  const written = statSync(path, { throwIfNoEntry: false })?.mtimeMs;
  return written !== undefined && diskTimeIn(dirname(path)) - written > UNTOUCHED_MS;
}

/** What is in the file, whoever else may have written to it. */
async function hasDigest(file: FileHandle, { length }: BlobPlace, digest: Digest): Promise<boolean> {
  const hasher = hashEngine().createHasher();
  return (await hashExisting(file, hasher, length)) === length && digestFromBytes(hasher.digest()) === digest;
}

/** Hashes what the file has already; more than the blob's length cannot belong to it. Returns how much that is. */
async function hashExisting(file: FileHandle, hasher: Hasher, length: number): Promise<number> {
  const { size } = await file.stat();
  if (size > length) {
    await file.truncate(0);
    return 0;
  }
  const buffer = Buffer.allocUnsafeSlow(Math.min(size, 4 << 20));
  for (let done = 0; done < size;) {
    const { bytesRead } = await file.read(buffer, 0, buffer.length, done);
    if (bytesRead === 0) throw new Error('a file shrank while it was read');
    hasher.update(buffer.subarray(0, bytesRead));
    done += bytesRead;
  }
  return size;
}

async function appendPieces(
  file: FileHandle,
  hasher: Hasher,
  start: number,
  options: Parameters<typeof fetchLarge>[0],
): Promise<void> {
  const { home, place, pool, onBytes, signal } = options;
  const stop = new AbortController();
  const both = AbortSignal.any([signal, stop.signal]);
  const pieces: Promise<PooledBuffer>[] = [];
  const flush = flushBehind(file);
  let next = start;
  const fetchNext = (): void => {
    const offset = next;
    const length = Math.min(PIECE_BYTES, place.length - offset);
    next += length;
    const piece = (async () => {
      const memory = await pool.take(length, both);
      try {
        await home.read(keyPath(place.key), { offset: place.offset + offset, length, into: memory.bytes }, both);
        return memory;
      } catch (error) {
        memory.release();
        throw error;
      }
    })();
    piece.catch(() => {}); // awaited in its turn
    pieces.push(piece);
  };
  const writePiece = async ({ bytes, release }: PooledBuffer): Promise<void> => {
    try {
      await writeFullyTo(file, bytes);
      flush.wrote(bytes.length);
    } finally {
      release();
    }
    onBytes(bytes.length);
  };
  let writing = Promise.resolve();
  try {
    for (;;) {
      while (pieces.length < PIECES_AHEAD && next < place.length) fetchNext();
      const piece = await pieces[0];
      if (piece === undefined) break;
      // While the one before is written.
      hasher.update(piece.bytes);
      await writing;
      void pieces.shift();
      writing = writePiece(piece);
      writing.catch(() => {}); // awaited before the next
    }
    await writing;
    await flush.settled();
  } finally {
    stop.abort();
    await Promise.allSettled([writing, flush.settled()]);
    for (const piece of await Promise.allSettled(pieces)) if (piece.status === 'fulfilled') piece.value.release();
  }
}

/** Flushes now and then while more is written, once at a time. The system tells of a failure once only: `settled` throws it. */
function flushBehind(file: FileHandle) {
  let written = 0;
  let isFlushing = false;
  let all: Promise<unknown> = Promise.resolve();
  return {
    wrote(bytes: number): void {
      written += bytes;
      if (written < FLUSH_BYTES || isFlushing) return;
      written = 0;
      isFlushing = true;
      const flushed = file.datasync().finally(() => (isFlushing = false));
      all = Promise.all([all, flushed]);
      all.catch(() => {}); // told by settled
    },
    settled: () => all,
  };
}
