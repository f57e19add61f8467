import type { FileHandle } from 'node:fs/promises';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import type { CompletedPart, Part } from '@aws-sdk/client-s3';
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  ListPartsCommand,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { digestFromBytes } from '../domain/digest.ts';
import { MlvError } from '../domain/errors.ts';
import type { PooledBuffer } from '../platform/buffer-pool.ts';
import { digestOfBytes, hashEngine } from '../platform/hash.ts';
import { forEachParallel } from '../platform/parallel.ts';
import { sourceGone } from './folder-copy.ts';
import type { FileSource } from './home.ts';
import { sourceDamaged } from './home.ts';
import { ConditionFailed, NotSupported, UploadGone } from './s3-answer.ts';
import { askSize, checksumOf, encodeCrc32, headObject, putObject, signPayload, storing } from './s3-put.ts';
import type { S3Store } from './s3-store.ts';
import type { UploadNote } from './s3-upload-notes.ts';
import { openUploadNotes } from './s3-upload-notes.ts';
import { isSameFile, isSamePart, readPart } from './s3-upload-source.ts';
import { TransientError } from './transient-error.ts';

const MEBIBYTE = 1 << 20;
/** Parts of this size went fastest; smaller files go in one request. */
const PART_BYTES = 16 * MEBIBYTE;
/** S3 takes 10,000. */
const MAX_PARTS = 9_000;
/** Parts of one file under way. */
const PARTS_AHEAD = 6;
/** An upload may be ended by others, or by a rule of the bucket, while it is under way; again and again it is not. */
const MAX_STARTS = 3;

interface ReadPart {
  readonly number: number;
  readonly memory: PooledBuffer;
  readonly crc32: string;
}

/** All parts but the last have this size. */
export function partBytesFor(length: number): number {
  return Math.max(PART_BYTES, Math.ceil(length / MAX_PARTS / MEBIBYTE) * MEBIBYTE);
}

/** Stores files of any size in a bucket, those of many parts so that a later run can go on. */
export function openS3Uploader(store: S3Store) {
  const notes = openUploadNotes(join(store.folder, 'uploads'));
  const { pool } = store.engine.limits;

  /** As `Home.writeFile` has it. */
  async function uploadFile(key: string, source: FileSource, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    if ((await headObject(store, key, signal)) === source.length) return notes.forget(key);
    const file = await open(source.path, 'r').catch((error: unknown) => sourceGone(error, source));
    try {
      if (source.length <= PART_BYTES) return await uploadWhole(key, { source, file, signal });
      for (let starts = 1; ; starts++) {
        try {
          return await uploadParts(key, { source, file, signal });
        } catch (error) {
          if (starts === MAX_STARTS || !canBeginAnew(error)) throw uploadEnded(error, key);
          notes.forget(key);
        }
      }
    } finally {
      await file.close();
    }
  }

  async function uploadWhole(key: string, { source, file, signal }: FileUpload): Promise<void> {
    const memory = await pool.take(source.length, signal);
    try {
      const before = await file.stat();
      await readPart(file, memory.bytes, source, 0);
      const found = digestOfBytes(memory.bytes);
      if (found !== source.digest || !isSameFile(before, await file.stat())) throw sourceDamaged(source);
      await putObject(store, key, [memory.bytes], signal);
    } finally {
      memory.release();
    }
  }

  async function uploadParts(key: string, { source, file, signal }: FileUpload): Promise<void> {
    const before = await file.stat();
    const { note, stored } = await begin(key, source, signal);
    const { hasCrc32 } = note;
    const hasher = hashEngine().createHasher();
    const done: CompletedPart[] = [];
    const complete = (number: number, etag: string | undefined, sum: string): void => {
      done.push({ PartNumber: number, ETag: etag, ...(hasCrc32 && { ChecksumCRC32: sum }) });
    };

    /** Reads and hashes in order; what the store has already is not sent. */
    async function* missingParts(): AsyncGenerator<ReadPart> {
      for (let offset = 0, number = 1; offset < source.length; offset += note.partBytes, number++) {
        const memory = await pool.take(Math.min(note.partBytes, source.length - offset), signal);
        let isHandedOver = false;
        try {
          await readPart(file, memory.bytes, source, offset);
          hasher.update(memory.bytes);
          const sum = encodeCrc32(crc32(memory.bytes));
          const there = stored.get(number);
          if (there !== undefined && isSamePart(there, memory.bytes, sum)) {
            complete(number, there.ETag, sum);
          } else {
            yield { number, memory, crc32: sum };
            isHandedOver = true;
          }
        } finally {
          if (!isHandedOver) memory.release();
        }
      }
    }

    await forEachParallel(missingParts(), { jobs: PARTS_AHEAD, signal }, async (part, stop) => {
      try {
        complete(part.number, await sendPart(note, part, stop), part.crc32);
      } finally {
        part.memory.release();
      }
    }).catch(async (error: unknown) => {
      if (error instanceof MlvError && error.code === 'source-damaged') await abort(note);
      throw error;
    });
    if (digestFromBytes(hasher.digest()) !== source.digest || !isSameFile(before, await file.stat())) {
      await abort(note);
      throw sourceDamaged(source);
    }
    done.sort((a, b) => (a.PartNumber ?? 0) - (b.PartNumber ?? 0));
    await finish(note, done, signal);
    notes.forget(key);
  }

  /** Goes on with what an earlier run began, where the store still has it, or begins. */
  async function begin(
    key: string,
    source: FileSource,
    signal?: AbortSignal,
  ): Promise<{ note: UploadNote; stored: Map<number, Part> }> {
    const { digest, length } = source;
    const wanted = { key, digest, length, partBytes: partBytesFor(length) };
    const note = notes.find(wanted);
    if (note !== undefined) {
      try {
        return { note, stored: await listParts(note, signal) };
      } catch (error) {
        if (!(error instanceof UploadGone)) throw error;
      }
    }
    const hasCrc32 = store.traits().crc32 !== false;
    const begun = { ...wanted, uploadId: await create(key, hasCrc32, signal), hasCrc32 };
    notes.keep(begun);
    return { note: begun, stored: new Map() };
  }

  function create(key: string, hasCrc32: boolean, signal?: AbortSignal): Promise<string> {
    return store.request({ action: 's3:PutObject', key, signal }, async (client, stop) => {
      const command = new CreateMultipartUploadCommand({
        ...store.common,
        ...store.stored,
        Key: store.keyOf(key),
        ContentType: 'application/octet-stream',
        ...(hasCrc32 && { ChecksumAlgorithm: 'CRC32', ChecksumType: 'COMPOSITE' }),
      });
      const { UploadId } = await client.send(command, { abortSignal: stop });
      if (UploadId === undefined) throw new TransientError('the upload got no name');
      return UploadId;
    });
  }

  async function listParts({ key, uploadId }: UploadNote, signal?: AbortSignal): Promise<Map<number, Part>> {
    const parts = new Map<number, Part>();
    for (let marker: string | undefined; ;) {
      const after = marker;
      const page = await store.request({ action: 's3:PutObject', key, signal }, (client, stop) =>
        client.send(
          new ListPartsCommand({
            ...store.common,
            Key: store.keyOf(key),
            UploadId: uploadId,
            ...(after !== undefined && { PartNumberMarker: after }),
          }),
          { abortSignal: stop },
        ),
      );
      for (const part of page.Parts ?? []) if (part.PartNumber !== undefined) parts.set(part.PartNumber, part);
      marker = page.NextPartNumberMarker;
      if (page.IsTruncated !== true || marker === undefined || marker === after) return parts;
    }
  }

  /** Returns the part's ETag. */
  async function sendPart(note: UploadNote, part: ReadPart, signal: AbortSignal): Promise<string | undefined> {
    const { bytes } = part.memory;
    const hash = store.payloadHash([bytes]);
    const checksum = note.hasCrc32 ? { ChecksumCRC32: part.crc32 } : checksumOf(store, [bytes]);
    const request = { action: 's3:PutObject', key: note.key, bytes: bytes.length, signal } as const;
    return store.request(request, async (client, stop) => {
      const command = new UploadPartCommand({
        ...store.common,
        ...checksum,
        Key: store.keyOf(note.key),
        UploadId: note.uploadId,
        PartNumber: part.number,
        Body: bytes,
        ContentLength: bytes.length,
      });
      signPayload(command, hash);
      return (await client.send(command, { abortSignal: stop })).ETag;
    });
  }

  /** When nobody knows how an earlier try ended, what is there decides. */
  async function finish(note: UploadNote, parts: CompletedPart[], signal?: AbortSignal): Promise<void> {
    const { key, uploadId, length } = note;
    let isUnclear = false;
    let isSecond = false;
    await storing(store, key, { length, signal }, async (condition) => {
      try {
        await store.request({ action: 's3:PutObject', key, bytes: length, signal }, async (client, stop) => {
          if (isUnclear && (await askSize(store, key, client, stop)) === length) return;
          isUnclear = true;
          const command = new CompleteMultipartUploadCommand({
            ...store.common,
            ...condition,
            Key: store.keyOf(key),
            UploadId: uploadId,
            MultipartUpload: { Parts: parts },
          });
          await client.send(command, { abortSignal: stop });
        });
      } catch (error) {
        isSecond = error instanceof ConditionFailed;
        if (!(error instanceof UploadGone) || (await headObject(store, key, signal)) !== length) throw error;
      }
    });
    if (isSecond) await abort(note);
  }

  /** Parts that nobody will complete cost money; that they could not be removed is no reason to fail. */
  async function abort({ key, uploadId }: UploadNote): Promise<void> {
    notes.forget(key);
    await store
      .request({ action: 's3:AbortMultipartUpload', key }, (client, stop) =>
        client.send(new AbortMultipartUploadCommand({ ...store.common, Key: store.keyOf(key), UploadId: uploadId }), {
          abortSignal: stop,
        }),
      )
      .catch(() => {});
  }

  /** True when the upload is there no more, or the store turned out not to take its checksums. */
  function canBeginAnew(error: unknown): boolean {
    if (!(error instanceof NotSupported)) return error instanceof UploadGone;
    const mayHelp = store.traits().crc32 !== false;
    if (mayHelp) store.learn({ crc32: false });
    return mayHelp;
  }

  function uploadEnded(error: unknown, key: string): unknown {
    if (!(error instanceof UploadGone || error instanceof NotSupported)) return error;
    return new MlvError({
      code: 'remote-write-failed',
      kind: 'io',
      message: `the upload of ${key} to ${store.name} was ended by the store: ${error.message || 'it has no such upload'}`,
      hint: 'Does a rule of the bucket end uploads after too short a time?',
      cause: error,
    });
  }

  return { uploadFile };
}

interface FileUpload {
  readonly source: FileSource;
  readonly file: FileHandle;
  readonly signal: AbortSignal | undefined;
}
