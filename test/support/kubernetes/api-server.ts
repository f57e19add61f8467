/** Kubernetes' API server for tests: HTTP or HTTPS on loopback, strict, with failures on demand. It behaves as 1.34 unless told. */
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import { type Account, identify, type Identity, isAllowed, notAllowed } from './access.ts';
import { perform, type Reply, reviewAccess, subjectOf } from './answer.ts';
import { type FaultAction, type Faults, openFaults, type StreamEnd } from './faults.ts';
import type { Pod } from './objects.ts';
import { type Registry, requireObject } from './registry.ts';
import { type LogSource, prepareLog } from './serve-log.ts';
import { failure, StatusError } from './status.ts';
import { openStreams, type Stream } from './stream.ts';
import { parseTarget, type Target } from './target.ts';
import { prepareWatch, type WatchTiming } from './watch.ts';

export interface ApiServerOptions {
  readonly tokens: Readonly<Record<string, Account>>;
  /** By the common name of their client certificates. */
  readonly users?: Readonly<Record<string, Account>>;
  readonly tls?: { readonly key: string; readonly cert: string; readonly clientCa?: string };
  readonly timing: WatchTiming;
  readonly logs: LogSource;
}

/** A request as it came, and how it was answered. */
export interface RequestRecord {
  readonly method: string;
  readonly path: string;
  readonly query: Readonly<Record<string, string>>;
  readonly userAgent: string;
  verb?: string;
  resource?: string;
  subresource?: string;
  name?: string;
  user?: string;
  /** 0 until there is one, and where none was sent. */
  status: number;
}

export interface ApiServer {
  readonly url: string;
  readonly port: number;
  readonly faults: Faults;
  readonly requests: RequestRecord[];
  /** Can be changed at any time. */
  readonly tokens: Map<string, Account>;
  /** Ends the watches and logs that are open; gives how many. */
  cutStreams(how: StreamEnd, of?: { resource?: string; subresource?: string }): number;
  close(): Promise<void>;
}

const BODY_LIMIT = 3 << 20;
const GZIP_FROM = 128 << 10;

/** Listens on a free port of 127.0.0.1. */
export async function startApiServer(registry: Registry, options: ApiServerOptions): Promise<ApiServer> {
  const faults = openFaults();
  const streams = openStreams();
  const requests: RequestRecord[] = [];
  const tokens = new Map(Object.entries(options.tokens));
  const users = new Map(Object.entries(options.users ?? {}));

  async function answer(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const { pathname, searchParams } = new URL(req.url ?? '/', 'http://localhost');
    const record: RequestRecord = {
      method: req.method ?? '',
      path: pathname,
      query: Object.fromEntries(searchParams),
      userAgent: req.headers['user-agent'] ?? '',
      status: 0,
    };
    requests.push(record);
    res.on('close', () => {
      if (res.headersSent) record.status = res.statusCode;
    });
    const warnings: string[] = [];
    let fault: FaultAction | undefined;
    try {
      const body = await readBody(req);
      const identity = identify(req, { tokens, users, now: registry.now() });
      record.user = identity.user;
      const general = answerGeneral(pathname, req.method ?? '', { body, identity });
      const target = general === undefined ? parseTarget(req.method ?? '', req.url ?? '/') : undefined;
      if (general === undefined && target === undefined) {
        sendText(res, 404, '404 page not found\n');
        return;
      }
      const subject =
        target === undefined
          ? { verb: 'other', resource: pathname, subresource: '', name: '' }
          : subjectFor(target, body);
      Object.assign(record, subject);
      fault = faults.take({ ...subject, user: identity.user });
      if (await endsEarly(fault, req, res)) return;
      if (fault?.kind === 'warning') warnings.push(fault.text);
      if (target === undefined) sendJson(req, res, { reply: general ?? { status: 404, body: '' }, warnings, fault });
      else serve({ req, res, target, body, identity, warnings, fault });
    } catch (error) {
      if (res.destroyed) return;
      const known = error instanceof StatusError ? error : failure(500, `Internal error occurred: ${String(error)}`);
      sendJson(req, res, { reply: { status: known.code, body: known.body }, warnings, fault });
    }
  }

  function serve(call: {
    req: IncomingMessage;
    res: ServerResponse;
    target: Target;
    body: Buffer;
    identity: Identity;
    warnings: string[];
    fault: FaultAction | undefined;
  }): void {
    const { req, res, target, body, identity, warnings, fault } = call;
    const attempt = {
      verb: target.verb,
      resource: target.type.name,
      subresource: target.subresource,
      group: target.type.group,
      namespace: target.namespace,
      name: target.name,
    };
    if (!isAllowed(identity, attempt)) throw notAllowed(identity, attempt);
    const feed = streamFeed(target);
    if (feed !== undefined) {
      const type = target.verb === 'watch' ? 'application/json' : 'text/plain';
      feed(streams.open({ req, res, target, fault, type }));
      return;
    }
    if (target.subresource === 'log') {
      res.writeHead(204).end();
      return;
    }
    const contentType = (req.headers['content-type'] ?? '').replace(/;.*$/, '').trim();
    const reply = perform({ target, body, contentType, warnings }, registry);
    if (fault?.kind === 'lose-answer') req.socket.resetAndDestroy();
    else sendJson(req, res, { reply, warnings, fault });
  }

  function streamFeed(target: Target): ((stream: Stream) => void) | undefined {
    if (target.verb === 'watch') return prepareWatch(registry.store, target, options.timing);
    if (target.subresource !== 'log') return undefined;
    const { namespace, name } = target;
    const pod: Pod = requireObject(registry.store, { resource: 'pods', namespace, name });
    return prepareLog(pod, target, options.logs);
  }

  const listener: RequestListener = (req, res) => {
    void answer(req, res);
  };
  const { tls } = options;
  const server =
    tls === undefined
      ? createServer(listener)
      : createTlsServer(
          {
            key: tls.key,
            cert: tls.cert,
            ...(tls.clientCa === undefined ? {} : { ca: tls.clientCa, requestCert: true, rejectUnauthorized: false }),
          },
          listener,
        );
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http${tls === undefined ? '' : 's'}://127.0.0.1:${port}`,
    port,
    faults,
    requests,
    tokens,
    cutStreams: (how, of) => streams.cut(how, of),
    async close() {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
}

function subjectFor(
  target: Target,
  body: Buffer,
): { verb: string; resource: string; subresource: string; name: string } {
  const { verb, type, subresource } = target;
  return { verb, resource: type.name, subresource, name: subjectOf(target, body) };
}

/** What is not about stored objects. */
function answerGeneral(
  path: string,
  method: string,
  { body, identity }: { body: Buffer; identity: Identity },
): Reply | undefined {
  if (path === '/version')
    return { status: 200, body: { major: '1', minor: '34', gitVersion: 'v1.34.1', platform: 'linux/amd64' } };
  if (path === '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews' && method === 'POST')
    return reviewAccess(body, identity);
  return undefined;
}

async function readBody(req: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of req as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length <= BODY_LIMIT) chunks.push(chunk);
  }
  if (length > BODY_LIMIT) throw failure(413, `Request entity too large: limit is ${BODY_LIMIT}`);
  return Buffer.concat(chunks);
}

/** Does what comes before the request is looked at; whether that was all. */
async function endsEarly(fault: FaultAction | undefined, req: IncomingMessage, res: ServerResponse): Promise<boolean> {
  switch (fault?.kind) {
    case 'delay':
      await sleep(fault.ms);
      return false;
    case 'hang':
      return true;
    case 'reset':
      req.socket.resetAndDestroy();
      return true;
    case 'raw':
      sendText(res, fault.status, fault.body, fault.type);
      return true;
    case 'status': {
      const { code, retryAfter, message = defaultMessage(code), reason } = fault;
      if (retryAfter !== undefined) res.setHeader('retry-after', String(retryAfter));
      throw failure(code, message, {
        ...(reason === undefined ? {} : { reason }),
        ...(retryAfter === undefined ? {} : { details: { retryAfterSeconds: retryAfter } }),
      });
    }
    case 'cut':
    case 'lose-answer':
    case 'truncate':
    case 'warning':
    case undefined:
      return false;
  }
  return false;
}

function defaultMessage(code: number): string {
  if (code === 401) return 'Unauthorized';
  if (code === 429) return 'the server has received too many requests and has asked us to try again later';
  return code === 503 ? 'apiserver not ready' : 'Internal error occurred: etcdserver: request timed out';
}

function sendText(res: ServerResponse, status: number, body: string, type = 'text/plain; charset=utf-8'): void {
  res.writeHead(status, { 'content-type': type, 'content-length': Buffer.byteLength(body) }).end(body);
}

function sendJson(
  req: IncomingMessage,
  res: ServerResponse,
  { reply, warnings, fault }: { reply: Reply; warnings: readonly string[]; fault: FaultAction | undefined },
): void {
  let body = Buffer.from(`${JSON.stringify(reply.body)}\n`);
  const headers: Record<string, string | string[]> = {
    'content-type': 'application/json',
    'cache-control': 'no-cache, private',
  };
  if (warnings.length > 0) headers['warning'] = warnings.map((text) => `299 - ${JSON.stringify(text)}`);
  if (body.length > GZIP_FROM && req.headers['accept-encoding']?.includes('gzip') === true) {
    body = gzipSync(body);
    headers['content-encoding'] = 'gzip';
  }
  res.writeHead(reply.status, { ...headers, 'content-length': String(body.length) });
  if (fault?.kind !== 'truncate') res.end(body);
  else res.write(body.subarray(0, fault.bytes), () => req.socket.destroy());
}
