import { MlvError } from '../domain/errors.ts';
import type { Room } from '../platform/room.ts';
import type { TransferLimits } from './request-engine.ts';

/** A stored object as a listing tells of it. */
export interface StoredObject {
  readonly key: string;
  readonly size: number;
  /** Milliseconds since 1970, by the store's clock; only to be compared with others of the same store. */
  readonly modified: number;
}

/** Bytes of a local file, and what they must hash to. */
export interface FileSource {
  readonly path: string;
  readonly offset: number;
  readonly length: number;
  readonly digest: string;
}

export interface ByteRange {
  readonly offset: number;
  readonly length: number;
  readonly into?: Buffer;
}

/**
 * Where a remote's bytes are: a folder or a bucket. Keys are relative, with slashes. What is under a key never changes, so
 * storing under a key that is taken, by as many bytes, does nothing and succeeds (a bucket may use a conditional request);
 * by another number of bytes it replaces what must be damaged. An object appears whole or not at all, and is durable when
 * the promise resolves.
 *
 * Errors: `remote-missing` (the folder or bucket itself), `object-missing`, `object-short` (it ends before the range does),
 * `remote-not-writable`, `remote-read-failed`, `remote-write-failed`, `remote-full`; an aborted signal's reason.
 */
export interface Home {
  /** How messages name it: the folder, or `s3://bucket/prefix`. */
  readonly name: string;
  /** What transfers may use at once; undefined where no request engine bounds them. */
  readonly limits?: TransferLimits;
  /**
   * A moment that is not later than now, in milliseconds since 1970 by the clock that dates what is stored: of the store's last answer.
   * May write, so only for those who do. Throws `remote-no-clock` as well.
   */
  time(signal?: AbortSignal): Promise<number>;
  /** Room at the store, where that is bounded and known; and whether files at `path` can share their blocks with what is stored. */
  room?(): Room | undefined;
  sharesBlocks?(path: string): boolean;
  /** Everything whose key starts with `prefix`, in no order, without what is still being written. */
  list(prefix: string, signal?: AbortSignal): AsyncIterable<StoredObject>;
  /** Size in bytes; undefined when there is no such key. */
  size(key: string, signal?: AbortSignal): Promise<number | undefined>;
  /** Exactly the bytes of the range, not compared with any hash; in `into`, where that is given, which has their length. */
  read(key: string, range: ByteRange, signal?: AbortSignal): Promise<Buffer>;
  /** The whole object; one of more than `limit` bytes is refused with `object-too-large`. */
  readAll(key: string, limit: number, signal?: AbortSignal): Promise<Buffer>;
  /** Makes the file at `path`, which must not exist, a copy that shares the store's disk blocks. False where that cannot be done. */
  clone(key: string, path: string): Promise<boolean>;
  write(key: string, chunks: readonly Buffer[], signal?: AbortSignal): Promise<void>;
  /**
   * Stores part of a file of any size, in bounded memory of its own (of `limits`, where there are any). What is stored is
   * what was hashed: bytes that are not what the digest says never get the key, and `source-damaged` is thrown.
   */
  writeFile(key: string, source: FileSource, signal?: AbortSignal): Promise<void>;
  /** Removes an object; one that is not there is fine. */
  delete(key: string, signal?: AbortSignal): Promise<void>;
}

export function objectMissing(home: string, key: string, cause?: unknown): MlvError {
  return new MlvError({
    code: 'object-missing',
    kind: 'missing',
    message: `${key} is not at ${home}`,
    hint: 'Push again from a clone that has the data.',
    cause,
  });
}

export function objectShort(home: string, key: string): MlvError {
  return new MlvError({
    code: 'object-short',
    kind: 'corrupt',
    message: `${key} at ${home} is shorter than it was when it was stored`,
    hint: 'Restore that file of the remote from a copy.',
  });
}

export function objectTooLarge(home: string, key: string, limit: number): MlvError {
  return new MlvError({
    code: 'object-too-large',
    kind: 'corrupt',
    message: `${key} at ${home} has more than the ${limit} bytes that it may have`,
    hint: 'It was not written by mlv. Restore that file of the remote from a copy.',
  });
}

export function sourceDamaged(source: FileSource): MlvError {
  return new MlvError({
    code: 'source-damaged',
    kind: 'corrupt',
    message: `b3:${source.digest} is damaged in the cache: ${source.path}`,
    hint: 'Fetch it from a remote that has it, or add the file again.',
  });
}
