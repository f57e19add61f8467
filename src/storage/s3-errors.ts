import { MlvError } from '../domain/errors.ts';
import { objectMissing } from './home.ts';
import type { S3Answer } from './s3-answer.ts';
import { ConditionFailed, isExpired, NotSupported, RangeOutside, readAnswer, told, UploadGone } from './s3-answer.ts';
import { TransientError } from './transient-error.ts';

/** What was asked of a bucket, as IAM calls it. */
export type S3Action =
  | 's3:ListBucket'
  | 's3:GetObject'
  | 's3:PutObject'
  | 's3:DeleteObject'
  | 's3:AbortMultipartUpload';

/** What a message about a request may say. */
export interface S3Context {
  /** `s3://bucket/prefix` */
  readonly name: string;
  readonly bucket: string;
  /** Undefined for AWS. */
  readonly endpoint: string | undefined;
  /** The profile that gives the credentials, where one was named. */
  readonly profile: string | undefined;
  readonly action: S3Action;
  readonly key: string;
}

const THROTTLES = new Set([
  'SlowDown',
  'Throttling',
  'ThrottlingException',
  'RequestLimitExceeded',
  'TooManyRequestsException',
  'ServiceUnavailable',
  'ReducedByHalf',
]);
const PASSING = new Set([
  'RequestTimeout',
  'RequestTimeoutException',
  'TimeoutError',
  'BadDigest',
  'InvalidDigest',
  'XAmzContentSHA256Mismatch',
  'XAmzContentChecksumMismatch',
  'IncompleteBody',
  'OperationAborted',
  'ConditionalRequestConflict',
  'ECONNRESET',
  'ECONNABORTED',
  'EPIPE',
  'ETIMEDOUT',
  'ERR_STREAM_PREMATURE_CLOSE',
]);
const UNREACHED = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EAI_FAIL',
  'EHOSTUNREACH',
  'EHOSTDOWN',
  'ENETUNREACH',
  'ENETDOWN',
]);
const WRONG_KEYS = new Set([
  'InvalidAccessKeyId',
  'InvalidClientTokenId',
  'UnrecognizedClientException',
  'InvalidToken',
]);
const FULL = new Set([
  'QuotaExceeded',
  'XMinioStorageFull',
  'XMinioAdminBucketQuotaExceeded',
  'EntityTooLargeQuota',
  'InsufficientStorage',
  'ENOSPC',
]);
const TLS = /^(?:CERT_|ERR_TLS|ERR_SSL|SELF_SIGNED|DEPTH_ZERO|UNABLE_TO_(?:VERIFY|GET)|HOSTNAME_MISMATCH|EPROTO$)/;

/** What to throw for what the SDK threw; an `MlvError`, `TransientError` or one of the signs above. */
export function s3Error(error: unknown, context: S3Context): unknown {
  if (error instanceof MlvError || error instanceof TransientError) return error;
  if (!(error instanceof Error)) return error;
  const answer = readAnswer(error);
  return (
    passing(answer, error) ??
    sign(answer, error) ??
    credentialError(answer, context, error) ??
    refusal(answer, context, error)
  );
}

function passing(answer: S3Answer, cause: Error): TransientError | undefined {
  const { code, status, headers } = answer;
  const message = told(answer);
  if (FULL.has(code) || TLS.test(code)) return undefined;
  if (UNREACHED.has(code) || /did not establish a connection/.test(answer.message)) {
    return new TransientError(message, {
      cause,
      isUnreachable: true,
      hint: 'Is the network up, the endpoint right? Behind a proxy, set HTTPS_PROXY.',
    });
  }
  const isThrottle = status === 429 || status === 503 || THROTTLES.has(code);
  const isServer = status !== undefined && status >= 500 && ![501, 505, 507].includes(status);
  // A success that makes no sense was cut short, or garbled, on its way.
  const isGarbled = (status !== undefined && status < 300) || code.startsWith('HPE_');
  if (!isThrottle && !isServer && !isGarbled && status !== 408 && !PASSING.has(code)) return undefined;
  return new TransientError(message, { cause, isThrottle, retryAfterMs: retryAfter(headers['retry-after']) });
}

function sign({ code, status, message }: S3Answer, cause: Error): Error | undefined {
  if (code === 'NoSuchUpload') return new UploadGone(undefined, { cause });
  if (status === 412 || status === 304 || code === 'PreconditionFailed')
    return new ConditionFailed(undefined, { cause });
  if (status === 416 || code === 'InvalidRange') return new RangeOutside(undefined, { cause });
  const isUnknown = status === 501 || code === 'NotImplemented';
  const isRefused =
    status === 400 && /if-none-match|conditional|checksum|not (?:supported|implemented)/i.test(cause.message);
  return isUnknown || isRefused ? new NotSupported(message || undefined, { cause }) : undefined;
}

function credentialError(answer: S3Answer, { name, endpoint, profile }: S3Context, cause: Error): MlvError | undefined {
  const { code, message } = answer;
  const isProvider = code === 'CredentialsProviderError' || code === 'TokenProviderError';
  if (isExpired(answer) || (isProvider && /expired|aws sso login/i.test(message))) {
    return new MlvError({
      code: 'credentials-expired',
      kind: 'refused',
      message: `the credentials for ${name} have expired`,
      hint: `Renew them: "aws sso login${profile === undefined ? '' : ` --profile ${profile}`}" for SSO; otherwise set AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN anew, or the profile in ~/.aws. Then run the command again: it goes on where it stopped.`,
      cause,
    });
  }
  if (isProvider) {
    return new MlvError({
      code: 'credentials-missing',
      kind: 'refused',
      message: `there are no credentials for ${name}: ${message}`,
      hint: 'Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name a profile of ~/.aws: mlv remote modify --local NAME profile PROFILE',
      cause,
    });
  }
  if (WRONG_KEYS.has(code) || code === 'SignatureDoesNotMatch') {
    return new MlvError({
      code: 'credentials-wrong',
      kind: 'refused',
      message: `${endpoint ?? 'AWS'} does not accept the credentials for ${name}: ${told(answer)}`,
      hint:
        code === 'SignatureDoesNotMatch'
          ? 'The secret key does not belong to the access key, or a proxy changes requests on their way.'
          : 'Is it the right profile ("mlv remote modify --local NAME profile PROFILE"), the right endpoint? "aws sts get-caller-identity" shows who AWS takes you for.',
      cause,
    });
  }
  return undefined;
}

function refusal(answer: S3Answer, context: S3Context, cause: Error): MlvError {
  const { code, status } = answer;
  const { name, bucket, endpoint, action, key } = context;
  const isWrite = action === 's3:PutObject' || action === 's3:DeleteObject' || action === 's3:AbortMultipartUpload';
  const make = (error: string, message: string, hint: string, kind: 'io' | 'missing' | 'refused' = 'io'): MlvError =>
    new MlvError({ code: error, kind, message, hint, cause });

  if (code === 'RequestTimeTooSkewed' || code === 'RequestInTheFuture') {
    return make(
      'clock-wrong',
      `this machine's clock is ${clockError(answer.headers['date'])}, and ${name} does not accept requests from another time`,
      'Set the clock, best by NTP.',
      'refused',
    );
  }
  if (TLS.test(code)) {
    return make(
      'remote-unreachable',
      `no trusted connection to ${endpoint ?? 'AWS'}: ${told(answer)}`,
      /WRONG_VERSION|EPROTO/.test(code)
        ? 'Does the endpoint speak plain http? Then it begins with http://.'
        : 'Where its certificate is your own, give that of whoever signed it: AWS_CA_BUNDLE=/path/to/ca.pem',
    );
  }
  if (code === 'NoSuchBucket' || (action === 's3:ListBucket' && status === 404)) {
    return make(
      'remote-missing',
      `there is no bucket "${bucket}"${endpoint === undefined ? '' : ` at ${endpoint}`}`,
      `Create it (mlv does not): aws s3 mb s3://${bucket}${endpoint === undefined ? '' : ` --endpoint-url ${endpoint}`}. Or correct the URL: mlv remote modify NAME url s3://BUCKET/PREFIX`,
      'missing',
    );
  }
  if (status === 404) return objectMissing(name, key, cause);
  if (FULL.has(code) || status === 507) {
    return make(
      'remote-full',
      `no room left at ${name} for ${key}: ${told(answer)}`,
      'Make room there and push again: what has arrived is not sent again.',
    );
  }
  if (code === 'InvalidStorageClass') {
    return make(
      'remote-setting-wrong',
      `${name} has no such storage class: ${told(answer)}`,
      'Correct it: mlv remote modify NAME storageClass CLASS',
    );
  }
  if (/kms/i.test(code) || /kms:/i.test(answer.message)) {
    return make(
      'remote-kms-denied',
      `the key that encrypts ${name} may not be used for ${key}: ${told(answer)}`,
      `Ask its owner for ${isWrite ? 'kms:GenerateDataKey and kms:Decrypt' : 'kms:Decrypt'}, or correct it: mlv remote modify NAME kmsKeyId KEY`,
      'refused',
    );
  }
  const isElsewhere = answer.region !== undefined && (status === 307 || status === 400);
  if (isElsewhere || status === 301 || code === 'PermanentRedirect' || code === 'AuthorizationHeaderMalformed') {
    return make(
      'remote-region-wrong',
      `the bucket "${bucket}" is in another region${answer.region === undefined ? '' : `: ${answer.region}`}`,
      `Set it: mlv remote modify NAME region ${answer.region ?? 'REGION'}`,
    );
  }
  if (status === 403) {
    const right = `Ask for ${action} on ${action === 's3:ListBucket' ? `arn:aws:s3:::${bucket}` : 'its objects'}.`;
    const payer = 'Where whoever asks pays: mlv remote modify NAME requesterPays true.';
    const hint = isWrite
      ? `${right} ${payer} Where everything has to be encrypted: mlv remote modify NAME sse AES256 (or aws:kms)`
      : `${right} ${payer}`;
    if (isWrite)
      return make(
        'remote-not-writable',
        `${name} may not be written to (${action} on ${key}): ${told(answer)}`,
        hint,
        'refused',
      );
    return make(
      'remote-denied',
      `${name} may not be read (${action} on ${key === '' ? 'the bucket' : key}): ${told(answer)}`,
      hint,
      'refused',
    );
  }
  return make(
    isWrite ? 'remote-write-failed' : 'remote-read-failed',
    `cannot ${isWrite ? 'write' : 'read'} ${key === '' ? name : `${key} at ${name}`}: ${told(answer)}`,
    'The store refuses the request. Are endpoint, region and path style right? "mlv config --show-origin" shows them.',
  );
}

/** How far this machine's clock is from the store's, in words. */
function clockError(date: string | undefined): string {
  const minutes = Math.round((Date.parse(date ?? '') - Date.now()) / 60_000);
  if (!Number.isFinite(minutes) || minutes === 0) return 'wrong';
  const [count, unit] =
    Math.abs(minutes) < 120 ? [Math.abs(minutes), 'minute'] : [Math.round(Math.abs(minutes) / 60), 'hour'];
  return `${count} ${unit}${count === 1 ? '' : 's'} ${minutes > 0 ? 'behind' : 'ahead'}`;
}

/** Milliseconds of a `Retry-After` header, which is in seconds or a date. */
function retryAfter(header: string | undefined): number | undefined {
  if (header === undefined) return undefined;
  const ms = /^\d+$/.test(header) ? Number(header) * 1000 : Date.parse(header) - Date.now();
  return Number.isFinite(ms) && ms > 0 ? ms : undefined;
}
