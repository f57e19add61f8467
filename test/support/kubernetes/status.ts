/** Errors as the API server tells them: `Status` objects. Wording and reasons as in apimachinery's api/errors of 1.34. */
import { apiVersionOf, qualified, type ResourceType } from './resources.ts';

export interface Cause {
  readonly reason: string;
  readonly message: string;
  readonly field: string;
}

interface StatusDetails {
  readonly name?: string;
  readonly group?: string;
  readonly kind?: string;
  readonly uid?: string;
  readonly causes?: readonly Partial<Cause>[];
  readonly retryAfterSeconds?: number;
}

export interface StatusBody {
  readonly kind: 'Status';
  readonly apiVersion: 'v1';
  readonly metadata: { readonly continue?: string };
  readonly status: 'Failure' | 'Success';
  readonly message?: string;
  readonly reason?: string;
  readonly details?: StatusDetails;
  readonly code?: number;
}

/** Thrown by whatever refuses a request; told to the client as it is. */
export class StatusError extends Error {
  readonly body: StatusBody;

  constructor(body: StatusBody) {
    super(body.message);
    this.body = body;
  }

  get code(): number {
    return this.body.code ?? 500;
  }
}

const REASONS: Readonly<Record<number, string>> = {
  400: 'BadRequest',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'NotFound',
  405: 'MethodNotAllowed',
  409: 'Conflict',
  410: 'Expired',
  413: 'RequestEntityTooLarge',
  415: 'UnsupportedMediaType',
  422: 'Invalid',
  429: 'TooManyRequests',
  500: 'InternalError',
  503: 'ServiceUnavailable',
  504: 'Timeout',
};

export function failure(
  code: number,
  message: string,
  {
    reason = REASONS[code] ?? 'Unknown',
    details,
    next,
  }: { reason?: string; details?: StatusDetails; next?: string } = {},
): StatusError {
  return new StatusError({
    kind: 'Status',
    apiVersion: 'v1',
    metadata: next === undefined ? {} : { continue: next },
    status: 'Failure',
    message,
    reason,
    ...(details === undefined ? {} : { details }),
    code,
  });
}

export function notFound(type: ResourceType, name: string): StatusError {
  return failure(404, `${qualified(type)} "${name}" not found`, { details: detailsOf(type, name) });
}

export function alreadyExists(type: ResourceType, name: string, isLeaving: boolean): StatusError {
  const details = detailsOf(type, name);
  const head = isLeaving ? 'object is being deleted: ' : '';
  return failure(409, `${head}${qualified(type)} "${name}" already exists`, { reason: 'AlreadyExists', details });
}

export function conflict(type: ResourceType, name: string, why: string): StatusError {
  const message = `Operation cannot be fulfilled on ${qualified(type)} "${name}": ${why}`;
  return failure(409, message, { details: detailsOf(type, name) });
}

export function forbidden(type: ResourceType, name: string, why: string): StatusError {
  const subject = name === '' ? qualified(type) : `${qualified(type)} "${name}"`;
  return failure(403, `${subject} is forbidden: ${why}`, { details: detailsOf(type, name) });
}

/** 422 with every cause; more than one are told in brackets. */
export function invalid(type: ResourceType, name: string, causes: readonly Cause[]): StatusError {
  const kind = type.group === '' ? type.kind : `${type.kind}.${type.group}`;
  const told = causes.map(({ field, message }) => `${field}: ${message}`);
  const text = told.length === 1 ? told.join('') : `[${told.join(', ')}]`;
  const details = { name, ...(type.group === '' ? {} : { group: type.group }), kind: type.kind, causes };
  return failure(422, `${kind} "${name}" is invalid: ${text}`, { details });
}

/** What decoding says of an object that its schema does not fit. */
export function undecodable({ kind }: Pick<ResourceType, 'kind'>, why: string): StatusError {
  return failure(400, `${kind} in version "v1" cannot be handled as a ${kind}: ${why}`);
}

/** That the resource version asked for is not kept any more. */
export function expired(asked: number, oldest: number): StatusError {
  return failure(410, `too old resource version: ${asked} (${oldest})`);
}

export function success(type: ResourceType, { name, uid }: { name: string; uid: string }): StatusBody {
  const details = { name, ...(type.group === '' ? {} : { group: type.group }), kind: type.name, uid };
  return { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', details };
}

/** Of a list, without its items. */
export function listHead(type: ResourceType): { kind: string; apiVersion: string } {
  return { kind: `${type.kind}List`, apiVersion: apiVersionOf(type) };
}

function detailsOf(type: ResourceType, name: string): StatusDetails {
  return { ...(name === '' ? {} : { name }), ...(type.group === '' ? {} : { group: type.group }), kind: type.name };
}
