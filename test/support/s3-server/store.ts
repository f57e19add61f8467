/** Buckets, their objects and the uploads under way. */
import type { Checksum, ChecksumName, ChecksumType } from './checksums.ts';
import { type Content, discardContent } from './content.ts';
import { s3Error } from './errors.ts';

/** What a request said of an object beside its bytes. */
export interface ObjectFacts {
  /** Content-Type and the like, and `x-amz-meta-*`: returned as they came. */
  readonly headers: Readonly<Record<string, string>>;
  readonly storageClass: string;
  readonly encryption: string | undefined;
  readonly kmsKeyId: string | undefined;
  /** `x-amz-request-payer` of the request that made it. */
  readonly requestPayer: string | undefined;
}

export interface StoredObject extends ObjectFacts {
  readonly key: string;
  readonly content: Content;
  /** Without quotes. */
  readonly etag: string;
  /** Milliseconds, whole seconds. */
  readonly modified: number;
  readonly checksum: Checksum | undefined;
  /** Bytes of each part, of those made by parts. */
  readonly parts: readonly number[] | undefined;
}

export interface Part {
  readonly number: number;
  readonly content: Content;
  readonly etag: string;
  readonly modified: number;
  readonly checksum: Buffer | undefined;
}

export interface Upload extends ObjectFacts {
  readonly id: string;
  readonly key: string;
  readonly initiated: number;
  readonly checksum: { readonly name: ChecksumName; readonly type: ChecksumType } | undefined;
  readonly parts: Map<number, Part>;
}

export interface Bucket {
  readonly name: string;
  readonly region: string;
  readonly created: number;
  readonly objects: Map<string, StoredObject>;
  readonly uploads: Map<string, Upload>;
  /** Keys in the order of their bytes, as `keyBytes` writes them; undefined when keys came or went since. */
  sorted: readonly string[] | undefined;
}

interface Conditions {
  readonly ifMatch: string | undefined;
  readonly ifNoneMatch: string | undefined;
}

export function makeBucket(name: string, region: string, created: number): Bucket {
  return { name, region, created, objects: new Map(), uploads: new Map(), sorted: undefined };
}

/** A key with one character for each byte of its UTF-8: comparing such strings is comparing bytes. */
export function keyBytes(key: string): string {
  return /^[\0-\x7f]*$/.test(key) ? key : Buffer.from(key).toString('latin1');
}

export function fromKeyBytes(bytes: string): string {
  return /^[\0-\x7f]*$/.test(bytes) ? bytes : Buffer.from(bytes, 'latin1').toString();
}

export function sortedKeys(bucket: Bucket): readonly string[] {
  bucket.sorted ??= Array.from(bucket.objects.keys(), keyBytes).sort();
  return bucket.sorted;
}

export function findObject(bucket: Bucket, key: string): StoredObject {
  const object = bucket.objects.get(key);
  if (object === undefined) throw s3Error('NoSuchKey', { details: { Key: key } });
  return object;
}

export async function storeObject(bucket: Bucket, object: StoredObject): Promise<void> {
  const before = bucket.objects.get(object.key);
  if (before === undefined) bucket.sorted = undefined;
  bucket.objects.set(object.key, object);
  if (before !== undefined) await discardContent(before.content);
}

export async function deleteObject(bucket: Bucket, key: string): Promise<void> {
  const before = bucket.objects.get(key);
  if (before === undefined) return;
  bucket.objects.delete(key);
  bucket.sorted = undefined;
  await discardContent(before.content);
}

/**
 * Refuses a write that its conditions forbid. `atStart` is what was there when the request came: what changed since then is a
 * conflict, not a condition that did not hold.
 */
export function checkWrite(
  bucket: Bucket,
  key: string,
  { ifMatch, ifNoneMatch }: Conditions,
  atStart: StoredObject | undefined,
): void {
  if (ifMatch === undefined && ifNoneMatch === undefined) return;
  const current = bucket.objects.get(key);
  if (current !== atStart) throw s3Error('ConditionalRequestConflict', { details: { Key: key } });
  if (ifNoneMatch !== undefined) {
    if (ifNoneMatch !== '*') {
      throw s3Error('NotImplemented', { details: { Header: 'If-None-Match', additionalMessage: 'only * for writes' } });
    }
    if (current !== undefined) throw s3Error('PreconditionFailed', { details: { Condition: 'If-None-Match' } });
  }
  if (ifMatch !== undefined) {
    if (current === undefined) throw s3Error('NoSuchKey', { details: { Key: key } });
    if (!matchesEtag(ifMatch, current.etag)) {
      throw s3Error('PreconditionFailed', { details: { Condition: 'If-Match' } });
    }
  }
}

/** Whether a list of entity tags names this one. */
export function matchesEtag(list: string, etag: string): boolean {
  return list.split(',').some((each) => {
    const tag = each.trim().replace(/^W\//, '');
    return tag === '*' || tag === `"${etag}"` || tag === etag;
  });
}
