/**
 * Signature Version 4 in the Authorization header, as a server checks it.
 * https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
 */
import { createHash, createHmac } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { s3Error } from './errors.ts';
import { encodeRfc3986, type Operation, type Target } from './target.ts';

export interface Credential {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
  readonly mode?: 'read-only' | 'read-write';
  /** Operations that are refused besides. Without ListObjectsV2, a missing key answers AccessDenied, as on AWS. */
  readonly denied?: readonly Operation[];
  /** May be set while the server runs. */
  isExpired?: boolean;
}

/** What the signatures of chunks in the body go on from. */
export interface Signing {
  readonly key: Buffer;
  readonly time: string;
  readonly scope: string;
  readonly signature: string;
}

/** Who sends a request; nobody where it is not signed. */
export interface Identity {
  readonly credential: Credential | undefined;
  readonly signing: Signing | undefined;
}

interface SignedRequest {
  readonly method: string;
  readonly target: Target;
  readonly headers: IncomingHttpHeaders;
  readonly rawHeaders: readonly string[];
}

interface Checks {
  readonly credentials: readonly Credential[];
  /** The one that must be signed for. */
  readonly region: string;
  /** Milliseconds. */
  readonly now: number;
}

const ALGORITHM = 'AWS4-HMAC-SHA256';
const MAX_SKEW_MS = 15 * 60_000;
const AUTHORIZATION =
  /^AWS4-HMAC-SHA256\s+Credential=([^,\s]+)\s*,\s*SignedHeaders=([^,\s]+)\s*,\s*Signature=([0-9a-f]{64})$/;
const keys = new Map<string, Buffer>();

/** Throws the error that S3 answers with where the request is not what its sender signed. */
export function checkSignature(request: SignedRequest, { credentials, region, now }: Checks): Identity {
  const { headers } = request;
  const authorization = headers.authorization;
  if (authorization === undefined) return { credential: undefined, signing: undefined };
  const { accessKeyId, date, scope, signedHeaders, signature } = parseAuthorization(authorization, region);
  const credential = credentials.find((each) => each.accessKeyId === accessKeyId);
  if (credential === undefined) throw s3Error('InvalidAccessKeyId', { details: { AWSAccessKeyId: accessKeyId } });
  const time = requestTime(headers);
  if (time.slice(0, 8) !== date) {
    throw malformed(
      `Invalid credential date "${date}". This date is not the same as X-Amz-Date: "${time.slice(0, 8)}".`,
    );
  }
  checkClock(time, now);

  const given = headersOf(request.rawHeaders);
  const unsigned = [...given.keys()].filter(
    (name) => (name === 'host' || name.startsWith('x-amz-')) && !signedHeaders.includes(name),
  );
  if (unsigned.length > 0) {
    throw s3Error('AccessDenied', {
      message: 'There were headers present in the request which were not signed',
      details: { HeadersNotSigned: unsigned.join(', ') },
    });
  }
  const payload = headers['x-amz-content-sha256'];
  if (typeof payload !== 'string') {
    throw s3Error('InvalidRequest', { message: 'Missing required header for this request: x-amz-content-sha256' });
  }
  const canonical = [
    request.method,
    request.target.canonicalPath,
    canonicalQuery(request.target),
    ...signedHeaders.map((name) => `${name}:${given.get(name)?.join(',') ?? ''}`),
    '',
    signedHeaders.join(';'),
    payload,
  ].join('\n');
  const toSign = [ALGORITHM, time, scope, sha256(canonical)].join('\n');
  const key = signingKey(credential.secretAccessKey, date, region);
  if (hmac(key, toSign).toString('hex') !== signature) {
    throw s3Error('SignatureDoesNotMatch', {
      details: {
        AWSAccessKeyId: accessKeyId,
        StringToSign: toSign,
        SignatureProvided: signature,
        CanonicalRequest: canonical,
      },
    });
  }
  checkToken(credential, headers['x-amz-security-token']);
  return { credential, signing: { key, time, scope, signature } };
}

/** The signature of one chunk of a body, or of its trailer. */
export function chunkSignature(
  signing: Signing,
  label: 'PAYLOAD' | 'TRAILER',
  previous: string,
  hashes: readonly string[],
): string {
  const text = [`${ALGORITHM}-${label}`, signing.time, signing.scope, previous, ...hashes].join('\n');
  return hmac(signing.key, text).toString('hex');
}

export function sha256(text: string | Uint8Array): string {
  return createHash('sha256').update(text).digest('hex');
}

function parseAuthorization(
  authorization: string,
  region: string,
): { accessKeyId: string; date: string; scope: string; signedHeaders: string[]; signature: string } {
  if (!authorization.startsWith(`${ALGORITHM} `)) {
    throw s3Error('InvalidRequest', {
      message: `The authorization mechanism you have provided is not supported. Please use ${ALGORITHM}.`,
    });
  }
  const [, credential = '', names = '', signature = ''] = AUTHORIZATION.exec(authorization) ?? [];
  const parts = credential.split('/');
  const [date = '', signedFor, service, terminal] = parts.slice(-4);
  const signedHeaders = names.split(';');
  if (parts.length < 5 || !/^\d{8}$/.test(date) || terminal !== 'aws4_request') throw malformed('');
  if (signedHeaders.join() !== [...new Set(signedHeaders)].sort().join() || names !== names.toLowerCase()) {
    throw malformed('SignedHeaders are not sorted, or not in lower case.');
  }
  if (service !== 's3') throw malformed(`incorrect service "${service}". This endpoint belongs to "s3".`);
  if (signedFor !== region) {
    throw s3Error('AuthorizationHeaderMalformed', {
      message: `The authorization header is malformed; the region '${signedFor}' is wrong; expecting '${region}'`,
      details: { Region: region },
    });
  }
  const scope = parts.slice(-4).join('/');
  return { accessKeyId: parts.slice(0, -4).join('/'), date, scope, signedHeaders, signature };
}

/** The region that a request is signed for; undefined where it is not signed. */
export function signedRegion(headers: IncomingHttpHeaders): string | undefined {
  return /^AWS4-HMAC-SHA256\s+Credential=[^,\s]+\/([^/,\s]+)\/[^/,\s]+\/aws4_request/.exec(
    headers.authorization ?? '',
  )?.[1];
}

function malformed(what: string): Error {
  return s3Error('AuthorizationHeaderMalformed', { message: `The authorization header is malformed; ${what}` });
}

function requestTime(headers: IncomingHttpHeaders): string {
  const time = headers['x-amz-date'];
  if (typeof time === 'string' && /^\d{8}T\d{6}Z$/.test(time)) return time;
  const date = Date.parse(headers.date ?? '');
  if (time !== undefined || Number.isNaN(date)) {
    throw s3Error('AccessDenied', { message: 'AWS authentication requires a valid Date or x-amz-date header' });
  }
  return new Date(date).toISOString().replaceAll(/[-:]|\.\d+/g, '');
}

function checkClock(time: string, now: number): void {
  const sent = Date.parse(time.replace(/^(....)(..)(..)T(..)(..)(..)Z$/, '$1-$2-$3T$4:$5:$6Z'));
  // Written so that a time that is none is refused too.
  if (Math.abs(sent - now) <= MAX_SKEW_MS) return;
  throw s3Error('RequestTimeTooSkewed', {
    details: {
      RequestTime: time,
      ServerTime: new Date(now).toISOString().replace(/\.\d+/, ''),
      MaxAllowedSkewMilliseconds: String(MAX_SKEW_MS),
    },
  });
}

function checkToken(credential: Credential, token: string | string[] | undefined): void {
  if (token !== credential.sessionToken) throw s3Error('InvalidToken', { details: { 'Token-0': String(token) } });
  if (credential.isExpired === true) throw s3Error('ExpiredToken', { details: { 'Token-0': String(token) } });
}

/** Names in lower case, values trimmed, inner spaces one. */
function headersOf(raw: readonly string[]): Map<string, string[]> {
  const found = new Map<string, string[]>();
  for (let index = 0; index < raw.length; index += 2) {
    const name = (raw[index] ?? '').toLowerCase();
    const value = (raw[index + 1] ?? '').trim().replaceAll(/ {2,}/g, ' ');
    const before = found.get(name);
    if (before === undefined) found.set(name, [value]);
    else before.push(value);
  }
  return found;
}

function canonicalQuery({ parameters }: Target): string {
  return parameters
    .map(([name, value]) => [encodeRfc3986(name), encodeRfc3986(value)] as const)
    .sort(([a, x], [b, y]) => (a < b ? -1 : a > b ? 1 : x < y ? -1 : 1))
    .map(([name, value]) => `${name}=${value}`)
    .join('&');
}

function signingKey(secret: string, date: string, region: string): Buffer {
  const id = `${secret}\n${date}\n${region}`;
  let key = keys.get(id);
  if (key === undefined) {
    key = hmac(hmac(hmac(hmac(`AWS4${secret}`, date), region), 's3'), 'aws4_request');
    keys.set(id, key);
  }
  return key;
}

function hmac(key: string | Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest();
}
