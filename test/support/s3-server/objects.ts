/** PutObject, GetObject, HeadObject, DeleteObject, DeleteObjects. */
import { receiveBody, receiveNothing, receiveXml } from './body.ts';
import { type Call, headerOf, type ObjectCall, type Reply } from './call.ts';
import { type Checksum, CHECKSUM_NAMES } from './checksums.ts';
import { discardContent, holdContent } from './content.ts';
import { s3Error } from './errors.ts';
import { encryptionHeaders, etagOf, objectFacts, refuseEncryptionHeaders } from './facts.ts';
import {
  type Bucket,
  checkWrite,
  deleteObject,
  findObject,
  matchesEtag,
  type StoredObject,
  storeObject,
} from './store.ts';
import { childText, parseXml, xmlDocument } from './xml.ts';

const MAX_DELETED = 1000;

export async function putObject(call: ObjectCall): Promise<Reply> {
  const { bucket, key } = call;
  const facts = objectFacts(call);
  const conditions = { ifMatch: headerOf(call, 'if-match'), ifNoneMatch: headerOf(call, 'if-none-match') };
  const atStart = bucket.objects.get(key);
  checkWrite(bucket, key, conditions, atStart);
  const { content, md5, checksum } = await receiveBody(call);
  try {
    checkWrite(bucket, key, conditions, atStart);
  } catch (error) {
    await discardContent(content);
    throw error;
  }
  const object: StoredObject = {
    ...facts,
    key,
    content,
    etag: etagOf(call, md5, facts),
    modified: call.now(),
    checksum: checksum && { name: checksum.name, value: checksum.value.toString('base64'), type: 'FULL_OBJECT' },
    parts: undefined,
  };
  await storeObject(bucket, object);
  const headers = { etag: `"${object.etag}"`, ...encryptionHeaders(object), ...checksumHeaders(object.checksum) };
  return { status: 200, headers };
}

/** GetObject and HeadObject: the server leaves the body out of what answers HEAD. */
export async function getObject(call: ObjectCall): Promise<Reply> {
  await receiveNothing(call);
  refuseEncryptionHeaders(call);
  if (call.target.query.has('partNumber')) throw s3Error('NotImplemented', { details: { Header: 'partNumber' } });
  const object = findVisible(call);
  const { content } = object;
  const described = {
    etag: `"${object.etag}"`,
    'last-modified': new Date(object.modified).toUTCString(),
    'accept-ranges': 'bytes',
  };
  if (!checkRead(call, object)) return { status: 304, headers: described };
  if (call.operation === 'GetObject' && /^(GLACIER|DEEP_ARCHIVE)$/.test(object.storageClass)) {
    throw s3Error('InvalidObjectState', { details: { StorageClass: object.storageClass } });
  }
  const range = call.fault?.kind === 'ignore-range' ? undefined : requestedRange(call, content.size);
  const headers = {
    ...object.headers,
    ...described,
    ...encryptionHeaders(object),
    ...(object.storageClass === 'STANDARD' ? {} : { 'x-amz-storage-class': object.storageClass }),
    // The checksum is that of the whole.
    ...(headerOf(call, 'x-amz-checksum-mode') === 'ENABLED' && range === undefined
      ? checksumHeaders(object.checksum)
      : {}),
  };
  holdContent(content);
  if (range === undefined) return { status: 200, headers, content: { content, start: 0, end: content.size } };
  return {
    status: 206,
    headers: { ...headers, 'content-range': `bytes ${range.start}-${range.end - 1}/${content.size}` },
    content: { content, ...range },
  };
}

export async function deleteOne(call: ObjectCall): Promise<Reply> {
  await receiveNothing(call);
  const ifMatch = headerOf(call, 'if-match');
  const current = call.bucket.objects.get(call.key);
  if (current !== undefined) checkWrite(call.bucket, call.key, { ifMatch, ifNoneMatch: undefined }, current);
  await deleteObject(call.bucket, call.key);
  return { status: 204 };
}

export async function deleteMany(call: Call, bucket: Bucket): Promise<Reply> {
  const hasDigest = CHECKSUM_NAMES.some((name) => headerOf(call, `x-amz-checksum-${name}`) !== undefined);
  if (headerOf(call, 'content-md5') === undefined && !hasDigest && headerOf(call, 'x-amz-trailer') === undefined) {
    throw s3Error('InvalidRequest', {
      message: 'Missing required header for this request: Content-MD5 OR x-amz-checksum-*',
    });
  }
  const request = parseXml(await receiveXml(call), 'Delete');
  const keys = request.children
    .filter(({ name }) => name === 'Object')
    .map((element) => childText(element, 'Key') ?? '');
  if (keys.length === 0 || keys.length > MAX_DELETED || keys.includes('')) throw s3Error('MalformedXML');
  for (const key of keys) await deleteObject(bucket, key);
  const isQuiet = childText(request, 'Quiet') === 'true';
  return { status: 200, body: xmlDocument('DeleteResult', { Deleted: isQuiet ? [] : keys.map((Key) => ({ Key })) }) };
}

export function checksumHeaders(checksum: Checksum | undefined): Record<string, string> {
  if (checksum === undefined) return {};
  return { [`x-amz-checksum-${checksum.name}`]: checksum.value, 'x-amz-checksum-type': checksum.type };
}

/** Who may not list is not told either whether a key is missing. */
function findVisible(call: ObjectCall): StoredObject {
  const { credential } = call.identity;
  if (call.bucket.objects.has(call.key) || credential?.denied?.includes('ListObjectsV2') !== true) {
    return findObject(call.bucket, call.key);
  }
  throw s3Error('AccessDenied');
}

/** False where the client has it already. Throws PreconditionFailed. */
function checkRead(call: ObjectCall, { etag, modified }: StoredObject): boolean {
  const failed = (condition: string): Error => s3Error('PreconditionFailed', { details: { Condition: condition } });
  const time = (name: string): number => Date.parse(headerOf(call, name) ?? '');
  const [ifMatch, ifNoneMatch] = [headerOf(call, 'if-match'), headerOf(call, 'if-none-match')];
  if (ifMatch !== undefined) {
    if (!matchesEtag(ifMatch, etag)) throw failed('If-Match');
  } else if (modified > time('if-unmodified-since')) throw failed('If-Unmodified-Since');
  if (ifNoneMatch !== undefined) return !matchesEtag(ifNoneMatch, etag);
  return !(modified <= time('if-modified-since'));
}

/** Undefined where the whole is asked for, also by what is no range that S3 knows. Throws InvalidRange. */
function requestedRange(call: Call, size: number): { start: number; end: number } | undefined {
  const text = headerOf(call, 'range');
  const [, first = '', last = ''] = /^bytes=(\d*)-(\d*)$/.exec(text ?? '') ?? [];
  if (text === undefined || (first === '' && last === '')) return undefined;
  if (first !== '' && last !== '' && Number(last) < Number(first)) return undefined;
  const start = first === '' ? Math.max(size - Number(last), 0) : Number(first);
  const end = first === '' || last === '' ? size : Math.min(Number(last) + 1, size);
  if (start < end) return { start, end };
  throw s3Error('InvalidRange', {
    details: { RangeRequested: text, ActualObjectSize: String(size) },
    headers: { 'content-range': `bytes */${size}` },
  });
}
