/** What a request is about: bucket, key, parameters, and which of S3's operations that makes. */
import type { IncomingHttpHeaders } from 'node:http';
import { s3Error } from './errors.ts';

const OPERATIONS = [
  'AbortMultipartUpload',
  'CompleteMultipartUpload',
  'CreateBucket',
  'CreateMultipartUpload',
  'DeleteObject',
  'DeleteObjects',
  'GetBucketLocation',
  'GetObject',
  'HeadBucket',
  'HeadObject',
  'ListBuckets',
  'ListMultipartUploads',
  'ListObjectsV2',
  'ListParts',
  'PutObject',
  'UploadPart',
] as const;

export type Operation = (typeof OPERATIONS)[number];

export interface Target {
  /** Encoded as the signature wants it. */
  readonly canonicalPath: string;
  /** Decoded, in the order they came. */
  readonly parameters: readonly (readonly [name: string, value: string])[];
  readonly query: ReadonlyMap<string, string>;
  readonly bucket: string | undefined;
  readonly key: string | undefined;
}

const MAX_KEY_BYTES = 1024;
const VIRTUAL_HOST = /^(.+?)\.(?:s3(?:[.-][a-z0-9-]+)?\.)?(?:localhost|amazonaws\.com)$/;
const BARE_HOST = /^(?:s3(?:[.-][a-z0-9-]+)?\.)?(?:localhost|amazonaws\.com)$/;
/** Parameters that make another operation of a request. */
const SUBRESOURCES = new Set(
  'accelerate acl analytics attributes cors encryption intelligent-tiering inventory legal-hold lifecycle logging metadataTable metrics notification object-lock ownershipControls policy policyStatus publicAccessBlock replication requestPayment restore retention select tagging torrent versioning versions versionId website'.split(
    ' ',
  ),
);

/** Reads path-style and virtual-host-style addresses. Throws InvalidURI, KeyTooLongError. */
export function parseTarget(url: string, host: string): Target {
  const mark = url.indexOf('?');
  const path = decode(mark < 0 ? url : url.slice(0, mark));
  const parameters = mark < 0 ? [] : parseQuery(url.slice(mark + 1));
  const virtual = virtualBucket(host);
  const rest = path.slice(1);
  const slash = rest.indexOf('/');
  const bucket = virtual ?? (slash < 0 ? rest : rest.slice(0, slash));
  const key = virtual === undefined ? (slash < 0 ? '' : rest.slice(slash + 1)) : rest;
  if (Buffer.byteLength(key) > MAX_KEY_BYTES) {
    throw s3Error('KeyTooLongError', {
      details: { Size: String(Buffer.byteLength(key)), MaxSizeAllowed: String(MAX_KEY_BYTES) },
    });
  }
  return {
    canonicalPath: encodeRfc3986(path).replaceAll('%2F', '/'),
    parameters,
    query: new Map(parameters),
    bucket: bucket === '' ? undefined : bucket,
    key: key === '' ? undefined : key,
  };
}

/** The operation that method, address and headers make. Throws NotImplemented, MethodNotAllowed. */
export function operationOf(method: string, { bucket, key, query }: Target, headers: IncomingHttpHeaders): Operation {
  const other = [...query.keys()].find((name) => SUBRESOURCES.has(name));
  if (other !== undefined || query.has('X-Amz-Signature')) throw notImplemented(other ?? 'X-Amz-Signature');
  if (headers['x-amz-copy-source'] !== undefined) throw notImplemented('x-amz-copy-source');
  const operation = key !== undefined ? onObject(method, query) : onBucket(method, bucket, query);
  if (operation === undefined)
    throw s3Error('MethodNotAllowed', { details: { Method: method, ResourceType: 'OBJECT' } });
  return operation;
}

/** RFC 3986 as SigV4 has it: everything but letters, digits, `-`, `.`, `_` and `~`. */
export function encodeRfc3986(text: string): string {
  if (/^[\w.~-]*$/.test(text)) return text;
  return encodeURIComponent(text).replaceAll(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

function onObject(method: string, query: ReadonlyMap<string, string>): Operation | undefined {
  const isPart = query.has('uploadId');
  if (method === 'GET') return isPart ? 'ListParts' : 'GetObject';
  if (method === 'HEAD') return 'HeadObject';
  if (method === 'PUT') {
    if (isPart !== query.has('partNumber')) {
      throw s3Error('InvalidArgument', { message: 'This operation does not accept a partNumber without an uploadId' });
    }
    return isPart ? 'UploadPart' : 'PutObject';
  }
  if (method === 'POST' && query.has('uploads')) return 'CreateMultipartUpload';
  if (method === 'POST' && isPart) return 'CompleteMultipartUpload';
  if (method === 'DELETE') return isPart ? 'AbortMultipartUpload' : 'DeleteObject';
  return undefined;
}

function onBucket(
  method: string,
  bucket: string | undefined,
  query: ReadonlyMap<string, string>,
): Operation | undefined {
  if (bucket === undefined) return method === 'GET' ? 'ListBuckets' : undefined;
  if (method === 'HEAD') return 'HeadBucket';
  if (method === 'PUT') return 'CreateBucket';
  if (method === 'POST' && query.has('delete')) return 'DeleteObjects';
  if (method !== 'GET') return undefined;
  if (query.has('location')) return 'GetBucketLocation';
  if (query.has('uploads')) return 'ListMultipartUploads';
  if (query.get('list-type') === '2') return 'ListObjectsV2';
  throw notImplemented('ListObjects (version 1)');
}

function notImplemented(what: string): Error {
  return s3Error('NotImplemented', { details: { Header: what } });
}

function virtualBucket(host: string): string | undefined {
  const name = host.replace(/:\d+$/, '').toLowerCase();
  return BARE_HOST.test(name) ? undefined : VIRTUAL_HOST.exec(name)?.[1];
}

function parseQuery(text: string): [string, string][] {
  return text
    .split('&')
    .filter((part) => part !== '')
    .map((part) => {
      const equals = part.indexOf('=');
      return equals < 0 ? [decode(part), ''] : [decode(part.slice(0, equals)), decode(part.slice(equals + 1))];
    });
}

/** S3 takes a `+` that was not encoded for a space, in paths too: a client that forgets to encode it gets another key. */
function decode(text: string): string {
  if (/^[\w./~-]*$/.test(text)) return text;
  if (/[^\x21-\x7e]/.test(text)) throw s3Error('InvalidURI', { details: { URI: text } });
  try {
    return decodeURIComponent(text.replaceAll('+', ' '));
  } catch {
    throw s3Error('InvalidURI', { details: { URI: text } });
  }
}
