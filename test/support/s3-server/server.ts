/** An S3 server for tests: on loopback, strict, with failures on demand. Nothing of it outlives `close`. */
import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { resetConnection } from './body.ts';
import type { Link, Reply, RequestRecord, Rules } from './call.ts';
import { dropContent, openSpill } from './content.ts';
import { perform } from './dispatch.ts';
import { errorNamed, S3Error, s3Error } from './errors.ts';
import { type FaultAction, type Faults, openFaults } from './faults.ts';
import { type BucketView, viewBucket } from './bucket-view.ts';
import { errorReply, sendLateError, sendReply } from './send.ts';
import { checkSignature, type Credential, type Identity, signedRegion } from './signature.ts';
import { type Bucket, makeBucket } from './store.ts';
import { type Operation, operationOf, parseTarget, type Target } from './target.ts';

export interface S3ServerOptions extends Partial<Rules> {
  /** Names; with a region where it is not the server's. */
  readonly buckets: readonly (string | { readonly name: string; readonly region: string })[];
  readonly credentials: readonly Credential[];
  readonly region?: string;
  /** Milliseconds. */
  readonly now?: () => number;
  /** Waited before each request is looked at. */
  readonly latencyMs?: number;
  /** In each direction, all connections together. */
  readonly bytesPerSecond?: number;
  /** Reading and listing need no signature. */
  readonly publicRead?: boolean;
  /** Where bodies over 64 KiB go, in a folder of their own; the system's temporary folder unless told. */
  readonly folder?: string;
  readonly tls?: { readonly key: string | Buffer; readonly cert: string | Buffer };
}

export interface S3Server {
  readonly endpoint: string;
  readonly port: number;
  /** Every request so far, in the order they came. */
  readonly requests: RequestRecord[];
  readonly faults: Faults;
  /** Added to the server's clock, in milliseconds. */
  clockOffsetMs: number;
  /** What is in a bucket, past all rules; the first one unless told. */
  bucket(name?: string): BucketView;
  /** Ends all connections, and removes all that was kept. */
  close(): Promise<void>;
}

const MEMORY_BYTES = 64 << 10;

/** Listens on a free port of 127.0.0.1. */
export async function startS3Server(options: S3ServerOptions): Promise<S3Server> {
  const { region = 'us-east-1', now = Date.now, tls } = options;
  const spill = openSpill(MEMORY_BYTES, options.folder);
  const faults = openFaults();
  const requests: RequestRecord[] = [];
  const buckets = new Map<string, Bucket>();
  const links = { up: openLink(options.bytesPerSecond), down: openLink(options.bytesPerSecond) };
  const rules: Rules = {
    equalParts: options.equalParts ?? false,
    requesterPays: options.requesterPays ?? false,
    requireEncryption: options.requireEncryption ?? false,
    opaqueEtags: options.opaqueEtags ?? false,
  };
  const service = { buckets, region, publicRead: options.publicRead ?? false };
  let offset = 0;
  let ids = 0;
  const clock = (): number => now() + offset;
  const wholeSeconds = (): number => Math.floor(clock() / 1000) * 1000;
  const nextId = (kind: string): string => createHash('md5').update(`${kind} ${ids++}`).digest('hex');
  for (const each of options.buckets) {
    const bucket = typeof each === 'string' ? { name: each, region } : each;
    buckets.set(bucket.name, makeBucket(bucket.name, bucket.region, wholeSeconds()));
  }

  async function answer(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const record = newRecord(req, clock());
    requests.push(record);
    const requestId = nextId('request');
    let fault: FaultAction | undefined;
    let reply: Reply;
    try {
      if (options.latencyMs !== undefined) await sleep(options.latencyMs);
      const target = parseTarget(req.url ?? '/', req.headers.host ?? '');
      Object.assign(record, { bucket: target.bucket, key: target.key, query: Object.fromEntries(target.query) });
      const operation = readOperation(req, target);
      record.operation = operation;
      const key = target.key ?? target.query.get('prefix') ?? '';
      fault = faults.take({ method: req.method ?? '', operation, key });
      if (await endsEarly(fault, req)) return;
      const identity = identify(req, target);
      const request = { req, res, target, operation, identity, fault, record };
      reply = await perform({ ...request, rules, spill, upLink: links.up, now: wholeSeconds, nextId }, service);
    } catch (error) {
      if (req.socket.destroyed) return;
      const known = error instanceof S3Error ? error : s3Error('InternalError', { message: String(error) });
      record.code = known.code;
      reply = errorReply(known, (req.url ?? '').replace(/\?.*$/, ''), requestId);
    }
    try {
      const answering = { req, res, record, requestId, now: clock(), fault, downLink: links.down };
      if (fault?.kind === 'lose-answer') resetConnection(req);
      else if (fault?.kind === 'late-error') await sendLateError(answering, errorNamed(200, fault.code));
      else await sendReply(answering, reply);
    } finally {
      if (reply.content !== undefined) await dropContent(reply.content.content);
    }
  }

  /** What the request asks for. A wrong signature is told before anything that S3 does not know. */
  function readOperation(req: IncomingMessage, target: Target): Operation {
    try {
      return operationOf(req.method ?? '', target, req.headers);
    } catch (error) {
      identify(req, target);
      throw error;
    }
  }

  /** Checks the signature for the region that the bucket is in. */
  function identify(req: IncomingMessage, target: Target): Identity {
    const home = buckets.get(target.bucket ?? '')?.region ?? region;
    const signedFor = signedRegion(req.headers) === region ? region : home;
    const headers = { 'x-amz-bucket-region': home };
    try {
      const { method = '', rawHeaders } = req;
      const request = { method, target, headers: req.headers, rawHeaders };
      const identity = checkSignature(request, { credentials: options.credentials, region: signedFor, now: clock() });
      if (identity.credential !== undefined && signedFor !== home) {
        throw s3Error('PermanentRedirect', {
          details: { Bucket: target.bucket ?? '', Endpoint: `s3.${home}.amazonaws.com` },
        });
      }
      return identity;
    } catch (error) {
      if (!(error instanceof S3Error) || !['PermanentRedirect', 'AuthorizationHeaderMalformed'].includes(error.code)) {
        throw error;
      }
      const { status, code, message, details } = error;
      throw new S3Error(status, code, { message, details, headers });
    }
  }

  const listener: RequestListener = (req, res) => {
    // What fails here is a connection that is gone.
    answer(req, res).catch(() => req.socket.destroy());
  };
  const server = tls === undefined ? createServer() : createTlsServer(tls);
  // Nothing is to end by chance: idle connections stay, slow ones may be slow.
  Object.assign(server, { keepAliveTimeout: 0, requestTimeout: 0, headersTimeout: 0, timeout: 0 });
  server.on('request', listener);
  server.on('checkContinue', listener);
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;

  return {
    endpoint: `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${port}`,
    port,
    requests,
    faults,
    get clockOffsetMs() {
      return offset;
    },
    set clockOffsetMs(ms) {
      offset = ms;
    },
    bucket(name) {
      const bucket = name === undefined ? [...buckets.values()][0] : buckets.get(name);
      if (bucket === undefined) throw new Error(`there is no bucket ${name}`);
      return viewBucket(bucket, wholeSeconds);
    },
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => void server.close(resolve));
      spill.close();
    },
  };
}

function newRecord(req: IncomingMessage, at: number): RequestRecord {
  const { method = '', headers } = req;
  const nothing: { operation: Operation | undefined } & Pick<RequestRecord, 'bucket' | 'key' | 'code'> = {
    operation: undefined,
    bucket: undefined,
    key: undefined,
    code: undefined,
  };
  return { method, headers, at, ...nothing, query: {}, status: 0, wasContinued: false, bytesIn: 0, bytesOut: 0 };
}

/** What a fault does before the request is looked at. True where there is to be no answer. */
async function endsEarly(fault: FaultAction | undefined, req: IncomingMessage): Promise<boolean> {
  switch (fault?.kind) {
    case 'answer':
      throw errorNamed(fault.status, fault.code, {
        ...(fault.message === undefined ? {} : { message: fault.message }),
        headers: fault.retryAfter === undefined ? {} : { 'retry-after': String(fault.retryAfter) },
      });
    case 'redirect':
      throw s3Error(fault.status === 301 ? 'PermanentRedirect' : 'TemporaryRedirect', {
        headers: {
          ...(fault.location === undefined ? {} : { location: fault.location }),
          ...(fault.region === undefined ? {} : { 'x-amz-bucket-region': fault.region }),
        },
      });
    case 'delay':
      await sleep(fault.ms);
      return false;
    case 'hang':
      req.resume();
      return true;
    case 'reset':
      if (fault.afterRequestBytes !== undefined || fault.afterResponseBytes !== undefined) return false;
      resetConnection(req);
      return true;
    case 'lose-answer':
      if (fault.isPerformed) return false;
      for await (const _ of req);
      resetConnection(req);
      return true;
    case 'late-error':
      if (!fault.isPerformed) throw s3Error('InternalError');
      return false;
    case 'close-idle':
    case 'truncate':
    case 'shorten':
    case 'alter':
    case 'ignore-range':
    case 'drip':
    case 'cut-listing':
    case 'duplicate-keys':
    case 'stale-listing':
    case undefined:
      return false;
  }
  return false;
}

/** A line that all connections share. */
function openLink(bytesPerSecond: number | undefined): Link {
  if (bytesPerSecond === undefined) return { pass: undefined };
  let free = 0;
  return {
    async pass(bytes) {
      const now = performance.now();
      free = Math.max(free, now) + (bytes * 1000) / bytesPerSecond;
      if (free - now > 1) await sleep(free - now);
    },
  };
}
