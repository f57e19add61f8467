/** What bytes are where, counted without mlv's code. Of its packages only the hash function is used. */
import { lstatSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { blake3 } from '@napi-rs/blake-hash';
import type { BucketView } from './s3-server/bucket-view.ts';

export interface Audit {
  /** Bytes of what should be there and is not. */
  readonly lost: number;
  /** Bytes that are not what their name says, or that something names and nobody has. */
  readonly wrong: number;
}

/** Blobs by digest, with their bytes, of a cache that keeps each in a file of its own. */
export function readLooseCache(cache: string): Map<string, Buffer> {
  const folder = join(cache, 'b3');
  const blobs = new Map<string, Buffer>();
  for (const start of lstatSync(folder, { throwIfNoEntry: false }) === undefined ? [] : readdirSync(folder)) {
    for (const rest of readdirSync(join(folder, start)))
      blobs.set(start + rest, readFileSync(join(folder, start, rest)));
  }
  return blobs;
}

/** A remote in a bucket: its objects by their keys, without the prefix. */
export async function readBucket(bucket: BucketView, prefix: string): Promise<Map<string, Buffer>> {
  const objects = new Map<string, Buffer>();
  for (const key of bucket.objects().keys()) objects.set(key.slice(prefix.length), await bucket.get(key));
  return objects;
}

/** The same of a remote in a folder. */
export function readStore(folder: string): Map<string, Buffer> {
  const names = readdirSync(folder, { recursive: true }).map(String);
  const files = names.filter((name) => !name.startsWith('tmp/') && lstatSync(join(folder, name)).isFile());
  return new Map(files.map((name) => [name, readFileSync(join(folder, name))]));
}

/** Looks at every object of a remote and every row of every index; `wanted` are the digests that are to be there. */
export function auditRemote(objects: ReadonlyMap<string, Buffer>, wanted: ReadonlyMap<string, Buffer>): Audit {
  const good = new Set<string>();
  let wrong = 0;
  for (const [key, bytes] of objects) {
    if (key.startsWith('objects/') && key.slice('objects/ab/'.length) !== hash(bytes)) wrong += bytes.length;
    if (!/^index\/[0-9a-f]{64}$/.test(key)) continue;
    for (const { digest, path, offset, length } of rowsOf(bytes)) {
      const content = objects.get(path)?.subarray(offset, offset + length);
      if (content !== undefined && hash(content) === digest) good.add(digest);
      else wrong += length;
    }
  }
  let lost = 0;
  for (const [digest, { length }] of wanted) if (!good.has(digest)) lost += length;
  return { lost, wrong };
}

/** Compares files with what they are to be, and a cache with the names of its blobs. */
export function auditFiles(root: string, files: Readonly<Record<string, Buffer>>, cache: string): Audit {
  let [lost, wrong] = [0, 0];
  for (const [path, bytes] of Object.entries(files)) {
    const file = join(root, path);
    const found = lstatSync(file, { throwIfNoEntry: false }) === undefined ? undefined : readFileSync(file);
    if (found?.equals(bytes) === true) continue;
    lost += bytes.length;
    wrong += found?.length ?? 0;
  }
  for (const [digest, bytes] of readLooseCache(cache)) if (hash(bytes) !== digest) wrong += bytes.length;
  return { lost, wrong };
}

function hash(bytes: Buffer): string {
  return Buffer.from(blake3(bytes)).toString('hex');
}

/** The rows of an index, as docs/formats.md has them. */
function rowsOf(bytes: Buffer): { digest: string; path: string; offset: number; length: number }[] {
  const [rows = 0, keys = 0, roots = 0, replaced = 0] = [20, 24, 28, 32].map((at) => bytes.readUInt32LE(at));
  const blocks = Math.ceil((rows + keys + roots) / 128);
  const body = 64 + 32 * replaced + 40 * Math.ceil(blocks / 128) + 40 * blocks;
  const pathOf = (number: number): string => {
    const at = body + 48 * (rows + number);
    const [digest, nonce] = [bytes.toString('hex', at, at + 32), bytes.toString('hex', at + 32, at + 40)];
    const suffix = /^0+$/.test(nonce) ? '' : `.${nonce}`;
    return `${bytes[at + 40] === 1 ? 'objects' : 'packs'}/${digest.slice(0, 2)}/${digest}${suffix}`;
  };
  return Array.from({ length: rows }, (_, row) => {
    const at = body + 48 * row;
    return {
      digest: bytes.toString('hex', at, at + 32),
      path: pathOf(bytes.readUInt32LE(at + 32)),
      offset: bytes.readUIntLE(at + 36, 6),
      length: bytes.readUIntLE(at + 42, 6),
    };
  });
}
