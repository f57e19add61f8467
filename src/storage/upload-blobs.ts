import { randomBytes } from 'node:crypto';
import { closeSync, openSync } from 'node:fs';
import type { StorageKey } from '../domain/blob-index.ts';
import { digestToBytes } from '../domain/digest.ts';
import { hasErrorCode, MlvError } from '../domain/errors.ts';
import type { PackKind } from '../domain/pack.ts';
import { finishPack, formatPackHeader, PACK_HEADER_BYTES, PACK_ROW_BYTES, writePackRow } from '../domain/pack.ts';
import { keyPath, PACK_BELOW } from '../domain/remote-layout.ts';
import { digestOfBytes, hashEngine } from '../platform/hash.ts';
import type { BufferPool } from '../platform/buffer-pool.ts';
import { forEachParallel } from '../platform/parallel.ts';
import { readAt } from '../platform/read-write.ts';
import type { BlobLocation } from './local-cache.ts';
import type { Remote } from './remote.ts';
import type { RowCollector } from './row-collector.ts';
import { openPackFile } from './trash.ts';
import type { PendingBlob } from './upload-plan.ts';

/** A pack is full at about this many bytes. */
const PACK_BYTES = 32 << 20;
/** Asking whether a pack is there already costs less than sending one of this size. */
const ASK_BYTES = 1 << 20;

/** What has been sent and is durable. */
export interface Sent {
  blobs: number;
  bytes: number;
  packs: number;
  objects: number;
}

export interface SendOptions {
  readonly remote: Pick<Remote, 'home' | 'isDead'>;
  readonly rows: RowCollector;
  /** Bounds the bytes under way. */
  readonly pool: BufferPool;
  readonly jobs: number;
  /** Called when something became durable. */
  readonly onSent: (sent: Sent) => Promise<void>;
  /** Called for each blob whose bytes in the cache are not what their digest says. */
  readonly onDamaged: (blob: PendingBlob) => void;
  /** Called for what could not be stored; throws where the rest is not to be tried. */
  readonly onFailed: (blobs: readonly PendingBlob[], error: unknown) => void;
  readonly signal?: AbortSignal | undefined;
}

/** Stores blobs in packs and as objects, hashed again as they are read; `rows` gets what is durable. */
export async function sendBlobs(blobs: readonly PendingBlob[], kind: PackKind, options: SendOptions): Promise<void> {
  const send = async (shipment: PendingBlob[], signal: AbortSignal): Promise<void> => {
    const [first] = shipment;
    if (first !== undefined && isLarge(first, kind)) return sendObject(first, { ...options, signal });
    const size = shipment.reduce((sum, { location }) => sum + location.length, 0);
    const memory = await options.pool.take(size, signal);
    try {
      await sendPack(shipment, kind, { ...options, signal, memory: memory.bytes });
    } finally {
      memory.release();
    }
  };
  await forEachParallel(shipments(blobs, kind), options, (shipment, signal) =>
    send(shipment, signal).catch((error: unknown) => options.onFailed(shipment, error)),
  );
}

/** Bytes of blobs that are not at the remote under the key that they would get: an earlier run may have sent them. */
export async function unsentBytes(blobs: readonly PendingBlob[], options: SendOptions): Promise<number> {
  const { home } = options.remote;
  let shares: boolean | undefined;
  let bytes = 0;
  await forEachParallel(shipments(blobs, 'data'), options, async (shipment, signal) => {
    const [first] = shipment;
    if (first === undefined) return;
    const { digest, location } = first;
    const isAlone = isLarge(first, 'data');
    if (isAlone && !location.isPacked && (shares ??= home.sharesBlocks?.(location.path) === true)) return;
    const { key, size } = isAlone
      ? { key: { kind: 'object', hash: digest } as const, size: location.length }
      : framePack(shipment, 'data', options.remote);
    if ((await home.size(keyPath(key), signal)) !== size) bytes += size;
  });
  return bytes;
}

/** Tree objects go into packs whatever their size: a pack of tree objects vouches for what they name. */
function isLarge(blob: PendingBlob, kind: PackKind): boolean {
  return kind === 'data' && blob.location.length >= PACK_BELOW;
}

/** A large blob alone, small ones by the packful, in order. */
function* shipments(blobs: readonly PendingBlob[], kind: PackKind): Generator<PendingBlob[]> {
  let pack: PendingBlob[] = [];
  let bytes = 0;
  for (const blob of blobs) {
    if (isLarge(blob, kind)) {
      yield [blob];
      continue;
    }
    if (pack.length > 0 && bytes + blob.location.length > PACK_BYTES) {
      yield pack;
      pack = [];
      bytes = 0;
    }
    pack.push(blob);
    bytes += blob.location.length;
  }
  if (pack.length > 0) yield pack;
}

async function sendObject(blob: PendingBlob, options: SendOptions): Promise<void> {
  const { remote, rows, signal } = options;
  const { digest, location } = blob;
  const plain: StorageKey = { kind: 'object', hash: digest };
  const key = remote.isDead(plain) ? { ...plain, nonce: randomBytes(8).toString('hex') } : plain;
  try {
    await remote.home.writeFile(keyPath(key), { ...location, digest }, signal);
  } catch (error) {
    if (!(error instanceof MlvError) || error.code !== 'source-damaged') throw error;
    options.onDamaged(blob);
    return;
  }
  rows.add(key, [{ digest: digestToBytes(digest), offset: 0, length: location.length }]);
  await options.onSent({ blobs: 1, bytes: location.length, packs: 0, objects: 1 });
}

/** `memory` has room for the blobs. */
async function sendPack(
  blobs: readonly PendingBlob[],
  kind: PackKind,
  { memory, ...options }: SendOptions & { readonly memory: Buffer },
): Promise<void> {
  const { remote, rows, signal } = options;
  const frame = framePack(blobs, kind, remote);
  const { key, header, trailer, size } = frame;
  const path = keyPath(key);
  const content = memory.subarray(0, size - header.length - trailer.length);
  const isThere = size >= ASK_BYTES && (await remote.home.size(path, signal)) === size;
  if (!isThere) {
    readBlobs(blobs, content);
    const good = intactBlobs(blobs, content);
    if (good.length < blobs.length) {
      const intact = new Set(good);
      for (const blob of blobs) if (!intact.has(blob)) options.onDamaged(blob);
      if (good.length > 0) await sendPack(good, kind, { ...options, memory });
      return;
    }
    await remote.home.write(path, [header, content, trailer], signal);
  }
  rows.add(key, placedBlobs(blobs));
  await options.onSent({ blobs: blobs.length, bytes: size, packs: 1, objects: 0 });
}

/** All of a pack but its content, which the digests and lengths determine. */
function framePack(blobs: readonly PendingBlob[], kind: PackKind, remote: SendOptions['remote']) {
  const table = Buffer.allocUnsafe(blobs.length * PACK_ROW_BYTES);
  let tableOffset = PACK_HEADER_BYTES;
  for (const [index, { digest, location }] of blobs.entries()) {
    writePackRow(table, index * PACK_ROW_BYTES, digestToBytes(digest), location.length);
    tableOffset += location.length;
  }
  const finish = (nonce?: Buffer) => {
    const header = formatPackHeader(kind, nonce);
    const { name, trailer } = finishPack({ header, table, tableOffset, hash: hashEngine().hash });
    const key: StorageKey = { kind: kind === 'tree' ? 'tree-pack' : 'pack', hash: name };
    return { key, header, trailer, size: tableOffset + trailer.length };
  };
  const plain = finish();
  return remote.isDead(plain.key) ? finish(randomBytes(16)) : plain;
}

/** Where each is in its pack. One at a time: kept while a pack is sent, thousands of them would outlive young memory. */
function* placedBlobs(blobs: readonly PendingBlob[]) {
  let offset = PACK_HEADER_BYTES;
  for (const { digest, location } of blobs) {
    yield { digest: digestToBytes(digest), offset, length: location.length };
    offset += location.length;
  }
}

/** Reads the blobs back to back; what lies back to back in a file is read at once. Bytes that cannot be read stay undefined. */
function readBlobs(blobs: readonly PendingBlob[], target: Buffer): void {
  let file: { readonly path: string; readonly fd: number | undefined } | undefined;
  let position = 0;
  for (let start = 0; start < blobs.length;) {
    const first = blobs[start]?.location;
    if (first === undefined) break;
    let length = 0;
    let end = start;
    for (
      let next = blobs[end];
      next?.location.path === first.path && next.location.offset === first.offset + length;
      next = blobs[end]
    ) {
      length += next.location.length;
      end += 1;
    }
    if (file?.path !== first.path) {
      if (file?.fd !== undefined) closeSync(file.fd);
      file = { path: first.path, fd: openIfThere(first) };
    }
    const span = target.subarray(position, position + length);
    const read = file.fd === undefined ? 0 : readAt(file.fd, span, first.offset, length);
    span.fill(0, read); // memory that was never written must not pass for content
    position += length;
    start = end;
  }
  if (file?.fd !== undefined) closeSync(file.fd);
}

function openIfThere({ path, isPacked }: BlobLocation): number | undefined {
  try {
    return isPacked ? openPackFile(path) : openSync(path, 'r');
  } catch (error) {
    if (!hasErrorCode(error, 'ENOENT')) throw error;
    return undefined;
  }
}

/** Those whose bytes, back to back, are what their digests say. */
function intactBlobs(blobs: readonly PendingBlob[], content: Buffer): PendingBlob[] {
  let end = 0;
  return blobs.filter(({ digest, location }) => {
    const start = end;
    end += location.length;
    return digestOfBytes(content.subarray(start, end)) === digest;
  });
}
