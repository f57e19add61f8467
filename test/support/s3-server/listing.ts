/** The answers that list: objects, uploads under way, the parts of one, buckets. */
import { receiveNothing } from './body.ts';
import type { Call, ObjectCall, Reply } from './call.ts';
import { algorithmLabel } from './checksums.ts';
import { invalidArgument } from './facts.ts';
import { findUpload } from './multipart.ts';
import { type Bucket, fromKeyBytes, keyBytes, sortedKeys } from './store.ts';
import { encodeRfc3986 } from './target.ts';
import { xmlDocument, type XmlValue } from './xml.ts';

const MAX_LISTED = 1000;
const OWNER = { ID: '0'.repeat(64), DisplayName: 'test' };

/** One line of a listing, in the bytes of `keyBytes`: a key, or a prefix that stands for all below it. */
interface Line {
  readonly bytes: string;
  readonly isPrefix: boolean;
}

interface Page {
  readonly lines: readonly Line[];
  readonly isTruncated: boolean;
}

export async function listObjects(call: Call, bucket: Bucket): Promise<Reply> {
  await receiveNothing(call);
  const { query } = call.target;
  const encode = encoderOf(call);
  const maxKeys = countOf(call, 'max-keys');
  const prefix = query.get('prefix') ?? '';
  const delimiter = query.get('delimiter') ?? '';
  const token = query.get('continuation-token');
  const startAfter = query.get('start-after');
  const after = token === undefined ? keyBytes(startAfter ?? '') : fromToken(token);
  let { lines, isTruncated } = pageOf(call, bucket, {
    prefix: keyBytes(prefix),
    delimiter: keyBytes(delimiter),
    after,
    limit: maxKeys,
  });
  const last = lines.at(-1);
  if (call.fault?.kind === 'cut-listing') {
    lines = lines.slice(0, call.fault.keys);
    isTruncated = false;
  }
  if (call.fault?.kind === 'duplicate-keys') lines = lines.flatMap((line) => [line, line]);
  const body = xmlDocument('ListBucketResult', {
    Name: bucket.name,
    Prefix: encode(prefix),
    ...(delimiter === '' ? {} : { Delimiter: encode(delimiter) }),
    MaxKeys: maxKeys,
    ...(query.has('encoding-type') ? { EncodingType: 'url' } : {}),
    KeyCount: lines.length,
    IsTruncated: isTruncated,
    ...(token === undefined ? {} : { ContinuationToken: token }),
    ...(isTruncated && last !== undefined ? { NextContinuationToken: toToken(last) } : {}),
    ...(startAfter === undefined ? {} : { StartAfter: encode(startAfter) }),
    Contents: lines.filter((line) => !line.isPrefix).map((line) => describeObject(call, bucket, line, encode)),
    CommonPrefixes: lines.filter((line) => line.isPrefix).map((line) => ({ Prefix: encode(fromKeyBytes(line.bytes)) })),
  });
  return { status: 200, headers: { 'x-amz-bucket-region': bucket.region }, body };
}

export async function listUploads(call: Call, bucket: Bucket): Promise<Reply> {
  await receiveNothing(call);
  const { query } = call.target;
  if (query.has('delimiter')) throw invalidArgument('delimiter is not supported here', 'delimiter', '');
  const encode = encoderOf(call);
  const maxUploads = countOf(call, 'max-uploads');
  const prefix = query.get('prefix') ?? '';
  const keyMarker = query.get('key-marker') ?? '';
  const idMarker = query.get('upload-id-marker') ?? '';
  // Those of one key stay in the order in which they were begun.
  const found = [...bucket.uploads.values()]
    .filter(({ key }) => key.startsWith(prefix))
    .sort((a, b) => compare(keyBytes(a.key), keyBytes(b.key)));
  const marked = found.findIndex(({ key, id }) => key === keyMarker && id === idMarker);
  const rest =
    marked < 0
      ? found.filter(({ key }) => keyMarker === '' || compare(keyBytes(key), keyBytes(keyMarker)) > 0)
      : found.slice(marked + 1);
  const page = rest.slice(0, maxUploads);
  const last = page.at(-1);
  const isTruncated = rest.length > page.length;
  const body = xmlDocument('ListMultipartUploadsResult', {
    Bucket: bucket.name,
    KeyMarker: encode(keyMarker),
    UploadIdMarker: idMarker,
    ...(isTruncated && last !== undefined ? { NextKeyMarker: encode(last.key), NextUploadIdMarker: last.id } : {}),
    Prefix: encode(prefix),
    ...(query.has('encoding-type') ? { EncodingType: 'url' } : {}),
    MaxUploads: maxUploads,
    IsTruncated: isTruncated,
    Upload: page.map(({ key, id, initiated, storageClass, checksum }) => ({
      Key: encode(key),
      UploadId: id,
      Initiator: OWNER,
      Owner: OWNER,
      StorageClass: storageClass,
      Initiated: new Date(initiated).toISOString(),
      ...(checksum && { ChecksumAlgorithm: algorithmLabel(checksum.name), ChecksumType: checksum.type }),
    })),
  });
  return { status: 200, body };
}

export async function listParts(call: ObjectCall): Promise<Reply> {
  await receiveNothing(call);
  const upload = findUpload(call);
  const maxParts = countOf(call, 'max-parts');
  const marker = countOf(call, 'part-number-marker', { absent: 0, max: Infinity });
  const rest = [...upload.parts.values()].filter((part) => part.number > marker).sort((a, b) => a.number - b.number);
  const page = rest.slice(0, maxParts);
  const { checksum } = upload;
  const body = xmlDocument('ListPartsResult', {
    Bucket: call.bucket.name,
    Key: call.key,
    UploadId: upload.id,
    PartNumberMarker: marker,
    NextPartNumberMarker: page.at(-1)?.number ?? 0,
    MaxParts: maxParts,
    IsTruncated: rest.length > page.length,
    Part: page.map((part) => ({
      PartNumber: part.number,
      LastModified: new Date(part.modified).toISOString(),
      ETag: `"${part.etag}"`,
      Size: part.content.size,
      ...(checksum && part.checksum
        ? { [`Checksum${algorithmLabel(checksum.name)}`]: part.checksum.toString('base64') }
        : {}),
    })),
    Initiator: OWNER,
    Owner: OWNER,
    StorageClass: upload.storageClass,
    ...(checksum && { ChecksumAlgorithm: algorithmLabel(checksum.name), ChecksumType: checksum.type }),
  });
  return { status: 200, body };
}

export function bucketList(buckets: Iterable<Bucket>): XmlValue {
  const all = Array.from(buckets, ({ name, created }) => ({
    Name: name,
    CreationDate: new Date(created).toISOString(),
  }));
  return { Owner: OWNER, Buckets: { Bucket: all } };
}

function pageOf(
  call: Call,
  bucket: Bucket,
  { prefix, delimiter, after, limit }: { prefix: string; delimiter: string; after: string; limit: number },
): Page {
  const sorted = sortedKeys(bucket);
  const newest = call.fault?.kind === 'stale-listing' ? call.fault.after : Infinity;
  // A page may have ended with a prefix that stands for many keys.
  const isPrefix = delimiter !== '' && after.startsWith(prefix) && after.indexOf(delimiter, prefix.length) >= 0;
  const skipped = isPrefix && after.endsWith(delimiter) ? after : undefined;
  const lines: Line[] = [];
  for (let index = lowerBound(sorted, after > prefix ? after : prefix); index < sorted.length; index++) {
    const bytes = sorted[index] ?? '';
    if (!bytes.startsWith(prefix)) break;
    if (bytes <= after || (skipped !== undefined && bytes.startsWith(skipped))) continue;
    if ((bucket.objects.get(fromKeyBytes(bytes))?.modified ?? 0) > newest) continue;
    const end = delimiter === '' ? -1 : bytes.indexOf(delimiter, prefix.length);
    const line = end < 0 ? bytes : bytes.slice(0, end + delimiter.length);
    if (end >= 0 && lines.at(-1)?.bytes === line) continue;
    if (lines.length >= limit) return { lines, isTruncated: limit > 0 };
    lines.push({ bytes: line, isPrefix: end >= 0 });
  }
  return { lines, isTruncated: false };
}

function describeObject(call: Call, bucket: Bucket, line: Line, encode: (text: string) => string): XmlValue {
  const key = fromKeyBytes(line.bytes);
  const object = bucket.objects.get(key);
  if (object === undefined) throw new Error(`${key}: listed, but not there`);
  const { modified, etag, checksum, content, storageClass } = object;
  return {
    Key: encode(key),
    LastModified: new Date(modified).toISOString(),
    ETag: `"${etag}"`,
    ...(checksum && { ChecksumAlgorithm: algorithmLabel(checksum.name), ChecksumType: checksum.type }),
    Size: content.size,
    ...(call.target.query.get('fetch-owner') === 'true' ? { Owner: OWNER } : {}),
    StorageClass: storageClass,
  };
}

/** The first place whose key is not below this one. */
function lowerBound(sorted: readonly string[], key: string): number {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((sorted[middle] ?? '') < key) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** A number of at most 1000, larger ones cut down as S3 does. Throws InvalidArgument. */
function countOf(call: Call, name: string, { absent = MAX_LISTED, max = MAX_LISTED } = {}): number {
  const text = call.target.query.get(name);
  if (text === undefined) return absent;
  if (!/^\d{1,9}$/.test(text))
    throw invalidArgument(`Provided ${name} not an integer or within integer range`, name, text);
  return Math.min(Number(text), max);
}

/** With `encoding-type=url` S3 writes a space as `+` and leaves slashes. */
function encoderOf(call: Call): (text: string) => string {
  const type = call.target.query.get('encoding-type');
  if (type === undefined) return (text) => text;
  if (type !== 'url') throw invalidArgument('Invalid Encoding Method specified in Request', 'encoding-type', type);
  return (text) => encodeRfc3986(text).replaceAll('%2F', '/').replaceAll('%20', '+');
}

/** Opaque on purpose: no client may take one for a key. */
function toToken({ bytes }: Line): string {
  return Buffer.from(`1/${bytes}`, 'latin1').toString('base64');
}

function fromToken(token: string): string {
  const text = Buffer.from(token, 'base64').toString('latin1');
  if (text.startsWith('1/')) return text.slice(2);
  throw invalidArgument('The continuation token provided is incorrect', 'continuation-token', token);
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
