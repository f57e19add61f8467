/** A bucket as tests look at it and change it: without requests, signatures and rules. */
import { createHash } from 'node:crypto';
import { contentOf, readContent } from './content.ts';
import { type Bucket, deleteObject, fromKeyBytes, sortedKeys, type StoredObject, storeObject } from './store.ts';

/** What is known of one object. */
export interface ObjectView extends Omit<StoredObject, 'content'> {
  readonly size: number;
}

export interface BucketView {
  /** By key, in the order of a listing. */
  objects(): Map<string, ObjectView>;
  /** Multipart uploads that are neither completed nor aborted: key and number of parts. */
  uploads(): { key: string; parts: number }[];
  get(key: string): Promise<Buffer>;
  put(key: string, bytes: Buffer | string): Promise<void>;
  /** Other bytes under the same ETag, checksum and time. */
  corrupt(key: string, change?: (bytes: Buffer) => Buffer): Promise<void>;
  delete(key: string): Promise<void>;
}

export function viewBucket(bucket: Bucket, now: () => number): BucketView {
  const held = (key: string): StoredObject => {
    const object = bucket.objects.get(key);
    if (object === undefined) throw new Error(`${bucket.name} has no ${key}`);
    return object;
  };
  const get = async (key: string): Promise<Buffer> => {
    const chunks: Buffer[] = [];
    for await (const bytes of readContent(held(key).content)) chunks.push(bytes);
    return Buffer.concat(chunks);
  };
  return {
    objects() {
      const entries = sortedKeys(bucket).map((bytes): [string, ObjectView] => {
        const { content, ...object } = held(fromKeyBytes(bytes));
        return [object.key, { ...object, size: content.size }];
      });
      return new Map(entries);
    },
    uploads: () => Array.from(bucket.uploads.values(), ({ key, parts }) => ({ key, parts: parts.size })),
    get,
    async put(key, bytes) {
      const content = contentOf(Buffer.from(bytes as Buffer));
      const etag = createHash('md5').update(bytes).digest('hex');
      await storeObject(bucket, {
        key,
        content,
        etag,
        modified: now(),
        headers: { 'content-type': 'binary/octet-stream' },
        storageClass: 'STANDARD',
        encryption: undefined,
        kmsKeyId: undefined,
        requestPayer: undefined,
        checksum: undefined,
        parts: undefined,
      });
    },
    async corrupt(key, change = flipMiddle) {
      const content = contentOf(change(await get(key)));
      await storeObject(bucket, { ...held(key), content });
    },
    delete: (key) => deleteObject(bucket, key),
  };
}

function flipMiddle(bytes: Buffer): Buffer {
  const changed = Buffer.from(bytes);
  const middle = bytes.length >>> 1;
  changed[middle] = (changed[middle] ?? 0) ^ 1;
  return changed;
}
