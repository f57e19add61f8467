import { DeleteObjectCommand, ListObjectsV2Command } from '@aws-sdk/client-s3';
import { MlvError } from '../domain/errors.ts';
import { DESCRIPTION_KEY } from '../domain/remote-layout.ts';
import type { Home } from './home.ts';
import { noClock } from './s3-clock.ts';
import { headObject, putObject } from './s3-put.ts';
import { openS3Reader } from './s3-read.ts';
import type { S3HomeOptions } from './s3-store.ts';
import { openS3Store } from './s3-store.ts';
import { openS3Uploader } from './s3-upload.ts';
import { TransientError } from './transient-error.ts';

/** A remote in a bucket. Nothing is asked of it until something is wanted. */
export function openS3Home(options: S3HomeOptions): Home {
  const store = openS3Store(options);
  const reader = openS3Reader(store);
  const uploader = openS3Uploader(store);

  function listPage(prefix: string, token: string | undefined, signal: AbortSignal | undefined) {
    const command = {
      ...store.common,
      Prefix: store.keyOf(prefix),
      EncodingType: 'url' as const,
      ...(token !== undefined && { ContinuationToken: token }),
    };
    return store.request({ action: 's3:ListBucket', key: '', signal }, async (client, stop) => {
      const page = await client.send(new ListObjectsV2Command(command), { abortSignal: stop });
      const next = page.NextContinuationToken || undefined;
      if (page.IsTruncated === true && (next === undefined || next === token)) {
        throw new TransientError('a listing came that does not say how it goes on');
      }
      return page;
    });
  }

  return {
    name: store.name,
    limits: store.engine.limits,

    async time(signal) {
      if (store.answeredAt() === undefined) await headObject(store, DESCRIPTION_KEY, signal);
      const time = store.answeredAt();
      if (time === undefined) throw noClock(store.name);
      return time;
    },

    async *list(prefix, signal) {
      const skipped = store.keyOf('').length;
      const seen = new Set<string>();
      const tokens = new Set<string>();
      let token: string | undefined;
      do {
        const page = await listPage(prefix, token, signal);
        for (const { Key = '', Size = 0, LastModified } of page.Contents ?? []) {
          const key = page.EncodingType === 'url' ? decodeKey(Key) : Key;
          // Consoles make "folders": empty objects whose key ends so.
          if (key.endsWith('/') || seen.has(key)) continue;
          seen.add(key);
          yield { key: key.slice(skipped), size: Size, modified: LastModified?.getTime() ?? 0 };
        }
        token = page.IsTruncated === true ? page.NextContinuationToken : undefined;
        if (token !== undefined && tokens.has(token)) throw circular(store.name);
        if (token !== undefined) tokens.add(token);
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
      const command = { ...store.common, Key: store.keyOf(key) };
      await store.request({ action: 's3:DeleteObject', key, signal }, (client, stop) =>
        client.send(new DeleteObjectCommand(command), { abortSignal: stop }),
      );
    },
  };
}

/** As forms are encoded. What is not so encoded is no key of mlv, and stays as it is. */
function decodeKey(key: string): string {
  try {
    return decodeURIComponent(key.replaceAll('+', ' '));
  } catch {
    return key;
  }
}

function circular(name: string): MlvError {
  return new MlvError({
    code: 'remote-read-failed',
    kind: 'io',
    message: `a listing of ${name} comes back to where it was, and never ends`,
    hint: 'Is the endpoint that of a store that speaks S3?',
  });
}
