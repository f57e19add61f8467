/** Sending an answer, whole, or as a fault would have it. */
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { resetConnection } from './body.ts';
import type { Link, Reply, RequestRecord } from './call.ts';
import { heldBytes, readContent } from './content.ts';
import type { S3Error } from './errors.ts';
import type { FaultAction } from './faults.ts';
import { xmlDocument } from './xml.ts';

interface Answering {
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
  readonly record: RequestRecord;
  readonly requestId: string;
  /** Milliseconds by the server's clock. */
  readonly now: number;
  readonly fault: FaultAction | undefined;
  readonly downLink: Link;
}

const DRIP_MS = 50;

/** Resolves when all that will be sent has been given to the connection. */
export async function sendReply(answering: Answering, reply: Reply): Promise<void> {
  const { req, res, record, fault, downLink } = answering;
  const { start, end, bytes, size } = bodyOf(reply);
  const shown = fault?.kind === 'shorten' ? Math.min(fault.bytes, size) : size;
  const headers: Record<string, string> = {
    date: new Date(answering.now).toUTCString(),
    server: 'AmazonS3',
    'x-amz-request-id': answering.requestId.slice(0, 16).toUpperCase(),
    'x-amz-id-2': answering.requestId,
    ...(reply.body === undefined ? {} : { 'content-type': 'application/xml' }),
    ...reply.headers,
  };
  if (reply.status !== 204 && reply.status !== 304) headers['content-length'] = String(shown);
  if (shown < size && reply.status === 206) {
    headers['content-range'] = String(headers['content-range']).replace(/-\d+/, `-${start + shown - 1}`);
  }
  record.status = reply.status;
  // Who asked whether to go on, and was told no, may or may not send the body: the connection cannot be used again.
  if (req.headers.expect !== undefined && !record.wasContinued) headers['connection'] = 'close';
  if (fault?.kind === 'close-idle') res.once('finish', () => setImmediate(() => req.socket.destroy()));

  res.sendDate = false;
  res.writeHead(reply.status, headers);
  if (req.method === 'HEAD' || size === 0) {
    res.end();
    return;
  }
  const isPlain = downLink.pass === undefined && (fault === undefined || fault.kind === 'close-idle');
  if (isPlain && bytes !== undefined) {
    record.bytesOut += bytes.length;
    res.end(bytes);
    return;
  }
  const source =
    bytes === undefined && reply.content ? readContent(reply.content.content, start, end) : [bytes ?? Buffer.alloc(0)];
  await sendBody(answering, distort(source, fault, size), shown);
}

/** The answer that an error makes. */
export function errorReply(error: S3Error, resource: string, requestId: string): Reply {
  const body = xmlDocument('Error', {
    Code: error.code,
    Message: error.message,
    ...error.details,
    Resource: resource,
    RequestId: requestId.slice(0, 16).toUpperCase(),
    HostId: requestId,
  });
  return { status: error.status, headers: error.headers, body, error };
}

/** 200 at first, then blanks as S3 sends them while it works, then the error. */
export async function sendLateError({ res, record }: Answering, error: S3Error): Promise<void> {
  record.status = 200;
  record.code = error.code;
  res.writeHead(200, { 'content-type': 'application/xml' });
  const [head = '', body = ''] = xmlDocument('Error', { Code: error.code, Message: error.message }).split('\n');
  res.write(`${head}\n`);
  for (let round = 0; round < 3; round++) {
    await sleep(5);
    res.write('   ');
  }
  res.end(`\n${body}`);
}

function bodyOf({ body, content }: Reply): { start: number; end: number; size: number; bytes: Buffer | undefined } {
  if (content !== undefined) {
    const { start, end } = content;
    return { start, end, size: end - start, bytes: heldBytes(content.content)?.subarray(start, end) };
  }
  const bytes = Buffer.from(body ?? '');
  return { start: 0, end: bytes.length, size: bytes.length, bytes };
}

async function sendBody(
  { req, res, record, fault, downLink }: Answering,
  source: AsyncIterable<Buffer>,
  shown: number,
): Promise<void> {
  const cut = fault?.kind === 'truncate' ? fault.bytes : fault?.kind === 'reset' ? fault.afterResponseBytes : undefined;
  const limit = Math.min(cut ?? shown, shown);
  let sent = 0;
  for await (const chunk of source) {
    const bytes = chunk.subarray(0, limit - sent);
    sent += bytes.length;
    if (downLink.pass !== undefined) await downLink.pass(bytes.length);
    if (res.destroyed) return;
    record.bytesOut += bytes.length;
    if (!res.write(bytes)) await drained(res);
    if (sent >= limit) break;
  }
  if (cut === undefined) {
    res.end();
    return;
  }
  // What was written is to arrive before the end does.
  await new Promise<void>((resolve) => void req.socket.write('', () => resolve()));
  if (fault?.kind === 'reset') resetConnection(req);
  else req.socket.destroySoon();
}

/** Resolves when more can be written, or nothing ever can. */
async function drained(res: ServerResponse): Promise<void> {
  const over = new AbortController();
  const { signal } = over;
  await Promise.race([once(res, 'drain', { signal }), once(res, 'close', { signal })]);
  over.abort();
}

/** The body as it leaves: altered, or drop by drop. */
async function* distort(
  source: AsyncIterable<Buffer> | Iterable<Buffer>,
  fault: FaultAction | undefined,
  size: number,
): AsyncGenerator<Buffer> {
  const flipped = fault?.kind === 'alter' ? (fault.at ?? size >>> 1) : -1;
  let offset = 0;
  for await (let chunk of source) {
    if (flipped >= offset && flipped < offset + chunk.length) {
      chunk = Buffer.from(chunk);
      chunk[flipped - offset] = (chunk[flipped - offset] ?? 0) ^ 1;
    }
    offset += chunk.length;
    if (fault?.kind !== 'drip') {
      yield chunk;
      continue;
    }
    const step = Math.max(1, Math.round((fault.bytesPerSecond * DRIP_MS) / 1000));
    const pause = (step * 1000) / fault.bytesPerSecond;
    for (let at = 0; at < chunk.length; at += step) {
      yield chunk.subarray(at, at + step);
      await sleep(pause);
    }
  }
}
