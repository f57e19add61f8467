import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { crc32 } from 'node:zlib';
import type { S3Client, UploadPartCommand } from '@aws-sdk/client-s3';
import { HeadObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { MlvError } from '../domain/errors.ts';
import { ConditionFailed, NotSupported, readAnswer } from './s3-answer.ts';
import type { S3Store } from './s3-store.ts';

/** What the store compares the bytes that arrive with: CRC32, or MD5 where it does not know that. */
interface BodyChecksum {
  readonly ChecksumCRC32?: string;
  readonly ContentMD5?: string;
}

/** The checksum of a body, computed before it is sent. */
export function checksumOf(chunks: readonly Buffer[], hasCrc32: boolean): BodyChecksum {
  if (hasCrc32) return { ChecksumCRC32: encodeCrc32(chunks.reduce((sum, chunk) => crc32(chunk, sum), 0)) };
  const hash = createHash('md5');
  for (const chunk of chunks) hash.update(chunk);
  return { ContentMD5: hash.digest('base64') };
}

/** A CRC32 as headers and listings of parts have it. */
export function encodeCrc32(sum: number): string {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(sum);
  return bytes.toString('base64');
}

/** Makes a command carry the hash of its body, which the SDK would otherwise take of a copy. */
export function signPayload(command: PutObjectCommand | UploadPartCommand, hash: string): void {
  const { middlewareStack } = command as PutObjectCommand;
  middlewareStack.add(
    (next) => (args) => {
      (args.request as { headers: Record<string, string> }).headers['x-amz-content-sha256'] = hash;
      return next(args);
    },
    { step: 'build', name: 'payloadHash' },
  );
}

/** Size in bytes of an object; undefined when there is none. */
export function headObject(store: S3Store, key: string, signal?: AbortSignal): Promise<number | undefined> {
  return store.request({ action: 's3:GetObject', key, signal }, (client, stop) => askSize(store, key, client, stop));
}

/** The same within another request's try. */
export async function askSize(
  store: S3Store,
  key: string,
  client: S3Client,
  stop: AbortSignal,
): Promise<number | undefined> {
  const command = new HeadObjectCommand({ ...store.common, Key: store.keyOf(key) });
  try {
    return (await client.send(command, { abortSignal: stop })).ContentLength ?? 0;
  } catch (error) {
    if (readAnswer(error).status !== 404) throw error;
    return undefined;
  }
}

/** Stores an object in one request; one of the same size that is there already does as well. */
export async function putObject(
  store: S3Store,
  key: string,
  chunks: readonly Buffer[],
  signal?: AbortSignal,
): Promise<void> {
  const length = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
  const hash = store.payloadHash(chunks);
  await storing(store, key, { length, signal }, ({ hasCrc32, ...condition }) => {
    const checksum = checksumOf(chunks, hasCrc32);
    return store.request({ action: 's3:PutObject', key, bytes: length, signal }, async (client, stop) => {
      const command = new PutObjectCommand({
        ...store.common,
        ...store.stored,
        ...checksum,
        ...condition,
        Key: store.keyOf(key),
        Body: bodyOf(chunks),
        ContentLength: length,
        ContentType: 'application/octet-stream',
      });
      signPayload(command, hash);
      await client.send(command, { abortSignal: stop });
    });
  });
}

/** The pieces of a body without a copy of them. */
function bodyOf(chunks: readonly Buffer[]): Buffer | Readable {
  const [first, ...others] = chunks.filter(({ length }) => length > 0);
  if (first === undefined) return Buffer.alloc(0);
  return others.length === 0 ? first : Readable.from([first, ...others]);
}

/** With what a request to store something is sent. */
export interface StoringTerms {
  readonly IfNoneMatch?: '*';
  readonly hasCrc32: boolean;
}

/**
 * Calls `send` so that it stores an object where there is none, or one of another size. What the store turns out not to know
 * is done without, and noted when that helped.
 */
export async function storing(
  store: S3Store,
  key: string,
  object: { readonly length: number; readonly signal?: AbortSignal | undefined },
  send: (terms: StoringTerms) => Promise<void>,
): Promise<void> {
  let mayReplace = false;
  let { conditionalWrites = true, crc32: hasCrc32 = true } = store.traits();
  for (;;) {
    const isConditional = conditionalWrites && !mayReplace;
    try {
      await send({ hasCrc32, ...(isConditional && { IfNoneMatch: '*' }) });
      break;
    } catch (error) {
      if (error instanceof ConditionFailed && isConditional) {
        if ((await headObject(store, key, object.signal)) === object.length) break;
        mayReplace = true;
      } else if (!(error instanceof NotSupported)) throw error;
      else if (isConditional && !/checksum/i.test(error.message)) conditionalWrites = false;
      else if (hasCrc32) hasCrc32 = false;
      else throw notSupported(store, key, error);
    }
  }
  if (!conditionalWrites && store.traits().conditionalWrites !== false) store.learn({ conditionalWrites });
  if (!hasCrc32 && store.traits().crc32 !== false) store.learn({ crc32: hasCrc32 });
}

/** When a store cannot do what storing takes, with nothing left to do without. */
export function notSupported({ name }: S3Store, key: string, cause: NotSupported): MlvError {
  return new MlvError({
    code: 'remote-write-failed',
    kind: 'unsupported',
    message: `the store of ${name} cannot do what storing ${key} takes: ${cause.message}`,
    hint: 'Settings that it may not know: sse, kmsKeyId, storageClass, requesterPays.',
    cause,
  });
}
