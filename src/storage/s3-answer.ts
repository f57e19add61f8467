import { MlvError } from '../domain/errors.ts';

/** What the SDK's errors tell, as far as they do. */
export interface S3Answer {
  /** The store's own word for it, or that of the SDK or the network. */
  readonly code: string;
  readonly status: number | undefined;
  readonly message: string;
  readonly headers: Readonly<Record<string, string>>;
  /** The region that the bucket is in, where the store says so. */
  readonly region: string | undefined;
  /** The clock was found to be wrong, and the next try will be right. */
  readonly isClockCorrected: boolean;
}

/** What a caller may have an answer to; where it has none, an error like others. */
class Sign extends MlvError {
  constructor(reason?: string, options: { readonly cause?: unknown } = {}) {
    super({
      code: 'remote-unsupported',
      kind: 'unsupported',
      message: `the store does not do what was asked of it${reason === undefined ? '' : `: ${reason}`}`,
      hint: 'Is the endpoint that of a store that speaks S3? Objects in an archive class have to be restored first.',
      cause: options.cause,
    });
  }
}

/** A condition that did not hold: the key is taken, or it is not any more what it was. */
export class ConditionFailed extends Sign {}
/** The upload in parts that the request belongs to is not there. */
export class UploadGone extends Sign {}
/** The store does not know something that the request used. */
export class NotSupported extends Sign {}
/** The object ends before the range begins. */
export class RangeOutside extends Sign {}

const EXPIRED = new Set(['ExpiredToken', 'ExpiredTokenException', 'TokenRefreshRequired', 'RequestExpired']);
const MAX_MESSAGE = 300;
/** It becomes part of a host name. */
const REGION = /^[A-Za-z0-9][A-Za-z0-9-]{0,62}$/;

/** Reads whatever the SDK threw. */
export function readAnswer(error: unknown): S3Answer {
  const given = (typeof error === 'object' && error !== null ? error : {}) as {
    readonly name?: string;
    readonly code?: string;
    readonly Code?: string;
    readonly Region?: string;
    readonly message?: string;
    readonly $metadata?: { readonly httpStatusCode?: number; readonly clockSkewCorrected?: boolean };
    readonly $response?: { readonly statusCode?: number; readonly headers?: Record<string, string> };
  };
  const headers = given.$response?.headers ?? {};
  const status = given.$metadata?.httpStatusCode ?? given.$response?.statusCode;
  const code = plain(given.code ?? given.Code ?? given.name ?? 'Error');
  return {
    code,
    status,
    message: plain(given.message ?? ''),
    headers,
    region: [headers['x-amz-bucket-region'], given.Region].find((region) => REGION.test(region ?? '')),
    isClockCorrected: given.$metadata?.clockSkewCorrected === true,
  };
}

/** True when new credentials may help. */
export function isExpired({ code }: S3Answer): boolean {
  return EXPIRED.has(code);
}

/** The same in a few words, for messages. */
export function told({ code, status, message }: S3Answer): string {
  const words = message === '' || message === code || message === 'UnknownError' ? '' : `: ${message}`;
  const named = code === 'Error' || code === 'Unknown' || code === 'UnknownError' || /^\d+$/.test(code) ? '' : code;
  return (
    `${[named, status === undefined ? '' : `(${status})`].filter((part) => part !== '').join(' ')}${words}` ||
    'no reason given'
  );
}

/** On one line, and without what a store or proxy may repeat of the request: signatures and session tokens. */
function plain(message: string): string {
  return message
    .replaceAll(/[\x00-\x1f\x7f]+/g, ' ')
    .replaceAll(/(?<=signature=)[0-9a-f]+/gi, '…')
    .replaceAll(/[\w+/=%-]{100,}/g, '…')
    .trim()
    .slice(0, MAX_MESSAGE);
}
