import type { ListObjectsV2CommandOutput } from '@aws-sdk/client-s3';
import { DeleteObjectCommand, ListObjectsV2Command } from '@aws-sdk/client-s3';
import type { Home } from './home.ts';
import { headObject, putObject } from './s3-put.ts';
import { openS3Reader } from './s3-read.ts';
import type { S3HomeOptions } from './s3-store.ts';
import { openS3Store } from './s3-store.ts';
import { openS3Uploader } from './s3-upload.ts';
import { TransientError } from './transient-error.ts';

/** A remote in a bucket, of AWS or of any store that speaks S3. Nothing is asked of it until something is wanted. */
export function openS3Home(options: S3HomeOptions): Home {
  const store = openS3Store(options);
  const reader = openS3Reader(store);
  const uploader = openS3Uploader(store);

  function listPage(
    prefix: string,
    token: string | undefined,
    signal?: AbortSignal,
  ): Promise<ListObjectsV2CommandOutput> {
    return store.request({ action: 's3:ListBucket', key: prefix, signal }, async (client, stop) => {
      const command = new ListObjectsV2Command({
        ...store.common,
        Prefix: store.keyOf(prefix),
        EncodingType: 'url',
        ...(token !== undefined && { ContinuationToken: token }),
      });
      const page = await client.send(command, { abortSignal: stop });
      const next = page.NextContinuationToken;
      if (page.IsTruncated === true && (next === undefined || next === '' || next === token)) {
        throw new TransientError('the listing is cut short: the store says that there is more, and not how to get it');
      }
      return page;
    });
  }

  return {
    name: store.name,
    limits: options.engine.limits,

    async *list(prefix, signal) {
      const start = store.keyOf('').length;
      const seen = new Set<string>();
      let token: string | undefined;
      do {
        signal?.throwIfAborted();
        const page = await listPage(prefix, token, signal);
        const isEncoded = page.EncodingType === 'url';
        for (const { Key = '', Size = 0, LastModified } of page.Contents ?? []) {
          const key = (isEncoded ? decodeKey(Key) : Key).slice(start);
          // Consoles make "folders": empty objects whose key ends so.
          if (key === '' || key.endsWith('/') || seen.has(key)) continue;
          seen.add(key);
          yield { key, size: Size, modified: LastModified?.getTime() ?? 0 };
        }
        token = page.IsTruncated === true ? page.NextContinuationToken : undefined;
      } while (token !== undefined);
    },

    size: (key, signal) => headObject(store, key, signal),

    async read(key, { offset, length, into = Buffer.allocUnsafeSlow(length) }, signal) {
      signal?.throwIfAborted();
      // There is no range of no bytes.
      return length === 0 ? into : reader.readRange(key, { offset, length, into }, signal);
    },

    readAll: (key, limit, signal) => reader.readWhole(key, limit, signal),

    clone: async () => false,

    write: (key, chunks, signal) => putObject(store, key, chunks, signal),

    writeFile: (key, source, signal) => uploader.uploadFile(key, source, signal),

    async delete(key, signal) {
      await store.request({ action: 's3:DeleteObject', key, signal }, (client, stop) =>
        client.send(new DeleteObjectCommand({ ...store.common, Key: store.keyOf(key) }), { abortSignal: stop }),
      );
    },
  };
}

/** In a listing with `encoding-type=url` a space may be a plus sign, and a plus sign never is itself. */
function decodeKey(key: string): string {
  return decodeURIComponent(key.replaceAll('+', '%20'));
}
