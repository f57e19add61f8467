import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { crc32 } from 'node:zlib';
import type { S3Client, UploadPartCommand } from '@aws-sdk/client-s3';
import { HeadObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { ConditionFailed, NotSupported, readAnswer } from './s3-answer.ts';
import type { S3Store } from './s3-store.ts';

/** Stores an object; what is there already, and as long, stays as it is. */
export async function putObject(
  store: S3Store,
  key: string,
  chunks: readonly Buffer[],
  signal?: AbortSignal,
): Promise<void> {
  const length = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
  const hash = store.payloadHash(chunks);
  const put = (): Promise<void> => {
    const checksum = checksumOf(store, chunks);
    return storing(store, key, { length, signal }, (condition) =>
      store.request({ action: 's3:PutObject', key, bytes: length, signal }, async (client, stop) => {
        const command = new PutObjectCommand({
          ...store.common,
          ...store.stored,
          ...condition,
          ...checksum,
          Key: store.keyOf(key),
          ContentType: 'application/octet-stream',
          Body: bodyOf(chunks),
          ContentLength: length,
        });
        signPayload(command, hash);
        await client.send(command, { abortSignal: stop });
      }),
    );
  };
  try {
    await put();
  } catch (error) {
    if (!(error instanceof NotSupported) || store.traits().crc32 === false) throw error;
    store.learn({ crc32: false });
    await put();
  }
}

/**
 * Calls `store` with a condition that keeps it from replacing what is there, where the bucket heeds one. What is there and
 * has another length must be damaged, and is replaced.
 */
export async function storing(
  store: S3Store,
  key: string,
  { length, signal }: { readonly length: number; readonly signal?: AbortSignal | undefined },
  send: (condition: { IfNoneMatch?: '*' }) => Promise<void>,
): Promise<void> {
  if (store.traits().conditionalWrites === false) return send({});
  try {
    await send({ IfNoneMatch: '*' });
  } catch (error) {
    if (error instanceof ConditionFailed) {
      if ((await headObject(store, key, signal)) !== length) await send({});
      return;
    }
    if (!(error instanceof NotSupported)) throw error;
    await send({});
    store.learn({ conditionalWrites: false });
  }
}

/** Size in bytes; undefined when there is no such key. */
export function headObject(store: S3Store, key: string, signal?: AbortSignal): Promise<number | undefined> {
  return store.request({ action: 's3:GetObject', key, signal }, (client, stop) => askSize(store, key, client, stop));
}

/** The same within a request. */
export async function askSize(
  store: S3Store,
  key: string,
  client: S3Client,
  signal: AbortSignal,
): Promise<number | undefined> {
  try {
    const command = new HeadObjectCommand({ ...store.common, Key: store.keyOf(key) });
    return (await client.send(command, { abortSignal: signal })).ContentLength ?? 0;
  } catch (error) {
    if (readAnswer(error).status === 404) return undefined;
    throw error;
  }
}

/** What lets the store notice that a body was damaged on its way. */
export function checksumOf(
  store: S3Store,
  chunks: readonly Buffer[],
): { ChecksumCRC32: string } | { ContentMD5: string } {
  if (store.traits().crc32 !== false) {
    return { ChecksumCRC32: encodeCrc32(chunks.reduce((sum, chunk) => crc32(chunk, sum), 0)) };
  }
  const hash = createHash('md5');
  for (const chunk of chunks) hash.update(chunk);
  return { ContentMD5: hash.digest('base64') };
}

/** As S3 writes it. */
export function encodeCrc32(sum: number): string {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(sum);
  return bytes.toString('base64');
}

/** Signs a body by a hash that is known, so that it is not read once more for each try. */
export function signPayload({ middlewareStack }: PutObjectCommand | UploadPartCommand, hash: string): void {
  (middlewareStack as PutObjectCommand['middlewareStack']).add(
    (next) => (args) => {
      const { headers } = args.request as { headers: Record<string, string> };
      headers['x-amz-content-sha256'] = hash;
      return next(args);
    },
    { step: 'build', name: 'signPayload' },
  );
}

/** Several chunks are sent as they are: joining them would take their memory once more. */
function bodyOf(chunks: readonly Buffer[]): Buffer | Readable {
  const filled = chunks.filter(({ length }) => length > 0);
  return filled.length > 1 ? Readable.from(filled) : (filled[0] ?? Buffer.alloc(0));
}
