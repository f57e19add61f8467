/** One request on its way through the server, and what it is answered with. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Content, Spill } from './content.ts';
import type { S3Error } from './errors.ts';
import type { FaultAction } from './faults.ts';
import type { Identity } from './signature.ts';
import type { Bucket } from './store.ts';
import type { Operation, Target } from './target.ts';

/** What the server noted of a request. */
export interface RequestRecord {
  readonly method: string;
  /** Undefined where the request was none of S3's. */
  operation: Operation | undefined;
  bucket: string | undefined;
  key: string | undefined;
  query: Readonly<Record<string, string>>;
  readonly headers: IncomingMessage['headers'];
  /** Milliseconds by the server's clock. */
  readonly at: number;
  /** 0 until it is answered, and where it never is. */
  status: number;
  /** The code of the error. */
  code: string | undefined;
  /** Whether it asked before it sent its body, and was told to. */
  wasContinued: boolean;
  /** Of the bodies, as they went over the wire. */
  bytesIn: number;
  bytesOut: number;
}

/** What holds for all requests. */
export interface Rules {
  /** Refuses parts, the last apart, of unequal sizes, as R2 does. */
  readonly equalParts: boolean;
  readonly requesterPays: boolean;
  /** Refuses writes without encryption, or without this kind of it. */
  readonly requireEncryption: boolean | 'AES256' | 'aws:kms';
  /** ETags that are no MD5, as with KMS. */
  readonly opaqueEtags: boolean;
}

/** What one link to the server lets through. */
export interface Link {
  /** Resolves when so many bytes are through; undefined where nothing limits it. */
  readonly pass: ((bytes: number) => Promise<void>) | undefined;
}

export interface Call {
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
  readonly target: Target;
  readonly operation: Operation;
  readonly identity: Identity;
  readonly fault: FaultAction | undefined;
  readonly record: RequestRecord;
  readonly rules: Rules;
  readonly spill: Spill;
  readonly upLink: Link;
  /** Milliseconds by the server's clock, whole seconds. */
  now(): number;
  /** A text of 32 hexadecimal digits that was not given before, the same in every run. */
  nextId(kind: string): string;
}

export interface ObjectCall extends Call {
  readonly bucket: Bucket;
  readonly key: string;
}

/** The answer to a request. */
export interface Reply {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** XML, unless the headers say otherwise. */
  readonly body?: Buffer | string;
  /** What GetObject and HeadObject send, or would. Held until it is sent. */
  readonly content?: { readonly content: Content; readonly start: number; readonly end: number };
  readonly error?: S3Error;
}

/** A header that came at most once. */
export function headerOf(call: Call, name: string): string | undefined {
  const value = call.req.headers[name];
  return Array.isArray(value) ? value.join(',') : value;
}
