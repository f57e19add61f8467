import type { Readable } from 'node:stream';
import { GetObjectCommand } from '@aws-sdk/client-s3';
import { AnswerBody } from '../platform/http-get.ts';
import { MlvError } from '../domain/errors.ts';
import type { ByteRange } from './home.ts';
import { objectShort, objectTooLarge } from './home.ts';
import { RangeOutside, readAnswer } from './s3-answer.ts';
import type { S3Store } from './s3-store.ts';
import { TransientError } from './transient-error.ts';

/** From a store that ignores ranges, so much is read and thrown away; more is refused. */
const MAX_SKIPPED = 64 << 20;
const SKIP_BYTES = 1 << 20;
/** Less in a minute is no transfer. */
const SLOW_MS = 60_000;
const SLOW_BYTES = 60 << 10;
/** Of as many objects it is known what they were when their first range was read. */
const MAX_ETAGS = 1000;

/** Reads from a bucket. */
export function openS3Reader(store: S3Store) {
  const { name, common, idleMs } = store;
  const etags = new Map<string, string>();

  function noteEtag(key: string, etag: string | undefined): void {
    if (etag === undefined || etags.has(key)) return;
    const [oldest] = etags.keys();
    if (etags.size >= MAX_ETAGS && oldest !== undefined) etags.delete(oldest);
    etags.set(key, etag);
  }

  /** Exactly the bytes of the range, all of one version of the object. Throws `object-short`, and what `S3Store.request` throws. */
  async function readRange(key: string, range: Required<ByteRange>, signal?: AbortSignal): Promise<Buffer> {
    const { offset, length, into } = range;
    const last = offset + length - 1;
    try {
      await store.request({ action: 's3:GetObject', key, bytes: length, signal }, async (client, stop) => {
        const etag = etags.get(key);
        const command = new GetObjectCommand({
          ...common,
          Key: store.keyOf(key),
          Range: `bytes=${offset}-${last}`,
          ...(etag !== undefined && { IfMatch: etag }),
        });
        store.sendDirectly?.(command, stop);
        const { Body, ContentRange, ContentLength, ETag } = await client
          .send(command, { abortSignal: stop })
          .catch((error: unknown) => {
            // Another version: it is read from now on. What was read before it is noticed by the digest.
            if (readAnswer(error).status !== 412) throw error;
            etags.delete(key);
            throw new TransientError('it has been replaced meanwhile', { cause: error, retryAfterMs: 0 });
          });
        const body = Body as Readable;
        const answer = checkRange({ contentRange: ContentRange, contentLength: ContentLength, offset, last });
        if (answer === 'short' || answer instanceof Error) {
          body.destroy();
          throw answer === 'short' ? objectShort(name, key) : answer;
        }
        noteEtag(key, ETag);
        await fill(body, into, { skip: answer.skip, mayBeLonger: answer.isWhole, idleMs, signal: stop });
      });
    } catch (error) {
      if (error instanceof RangeOutside) throw objectShort(name, key);
      throw error;
    }
    return into;
  }

  /** The whole object, of at most `limit` bytes. */
  function readWhole(key: string, limit: number, signal?: AbortSignal): Promise<Buffer> {
    return store.request({ action: 's3:GetObject', key, bytes: limit, signal }, async (client, stop) => {
      const command = new GetObjectCommand({ ...common, Key: store.keyOf(key) });
      const { Body, ContentLength } = await client.send(command, { abortSignal: stop });
      const body = Body as Readable;
      if (ContentLength === undefined || ContentLength > limit) {
        body.destroy();
        if (ContentLength === undefined) throw new TransientError('the store does not say how long it is');
        throw objectTooLarge(name, key, limit);
      }
      const bytes = Buffer.allocUnsafeSlow(ContentLength);
      await fill(body, bytes, { skip: 0, mayBeLonger: false, idleMs, signal: stop });
      return bytes;
    });
  }

  return { readRange, readWhole };
}

/** What an answer to a ranged request brings: how much of it comes before the range. */
function checkRange(answer: {
  readonly contentRange: string | undefined;
  readonly contentLength: number | undefined;
  readonly offset: number;
  readonly last: number;
}): { skip: number; isWhole: boolean } | 'short' | Error {
  const { contentRange, contentLength, offset, last } = answer;
  if (contentRange === undefined) {
    // The store does not do ranges, and sends everything.
    if (contentLength !== undefined && contentLength <= last) return 'short';
    return offset > MAX_SKIPPED ? noRanges() : { skip: offset, isWhole: true };
  }
  const [, first, end, total] = /^bytes (\d+)-(\d+)\/(\d+|\*)$/.exec(contentRange) ?? [];
  if (Number(first) !== offset) return new TransientError(`another range came than was asked for: ${contentRange}`);
  if (Number(end) === last) return { skip: 0, isWhole: false };
  if (Number(end) < last && Number(total) === Number(end) + 1) return 'short';
  return new TransientError(`another range came than was asked for: ${contentRange}`);
}

function noRanges(): MlvError {
  return new MlvError({
    code: 'remote-read-failed',
    kind: 'unsupported',
    message: 'the store, or a proxy before it, sends whole objects where a part was asked for',
    hint: 'Turn off what rewrites requests on the way, or use another endpoint.',
  });
}

/**
 * Fills the buffer from a body, after so many bytes that are thrown away. A body that ends early, brings more, or hardly
 * comes at all is given up with a `TransientError`.
 */
async function fill(
  body: Readable,
  into: Buffer,
  options: FillOptions & { readonly idleMs: number; readonly signal: AbortSignal },
): Promise<void> {
  const { idleMs, signal } = options;
  const progress = { bytes: 0 };
  const direct = body instanceof AnswerBody && body.left !== undefined ? body : undefined;
  const stopWatching = watch(body, { idleMs, received: () => direct?.received ?? progress.bytes });
  const abort = (): void => void body.destroy(signal.reason as Error);
  signal.addEventListener('abort', abort, { once: true });
  try {
    if (direct === undefined) await fillFromStream(body, into, { ...options, progress });
    else await fillDirectly(direct, into, options);
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof TransientError) throw error;
    const bytes = Math.min(into.length, direct?.received ?? progress.bytes);
    throw new TransientError(`the connection broke off after ${bytes} of ${into.length} bytes`, { cause: error });
  } finally {
    stopWatching();
    signal.removeEventListener('abort', abort);
    body.destroy();
  }
}

interface FillOptions {
  /** So many bytes come before. */
  readonly skip: number;
  readonly mayBeLonger: boolean;
}

async function fillDirectly(body: AnswerBody, into: Buffer, { skip, mayBeLonger }: FillOptions): Promise<void> {
  const { left = 0 } = body;
  if (left < skip + into.length) throw new TransientError(`only ${left - skip} of ${into.length} bytes come`);
  if (left > skip + into.length && !mayBeLonger) throw new TransientError('more came than was announced');
  const skipped = Buffer.allocUnsafeSlow(Math.min(skip, SKIP_BYTES));
  for (let rest = skip; rest > 0; rest -= SKIP_BYTES) await body.fill(skipped.subarray(0, rest));
  await body.fill(into);
}

async function fillFromStream(
  body: Readable,
  into: Buffer,
  options: FillOptions & { readonly progress: { bytes: number } },
): Promise<void> {
  const { mayBeLonger, progress } = options;
  let { skip } = options;
  const take = (chunk: Buffer): boolean => {
    const wanted = chunk.subarray(Math.min(skip, chunk.length));
    skip -= chunk.length - wanted.length;
    if (progress.bytes + wanted.length > into.length && !mayBeLonger) {
      throw new TransientError('more came than was announced');
    }
    progress.bytes += wanted.copy(into, progress.bytes);
    return progress.bytes === into.length && mayBeLonger;
  };
  // By events: iterating over a body joins the chunks that wait, which copies them once more.
  await new Promise<void>((resolve, reject) => {
    body.once('end', resolve);
    body.once('error', reject);
    body.once('close', () => reject(new Error('closed')));
    body.on('data', (chunk: Buffer) => {
      try {
        if (take(chunk)) resolve();
      } catch (error) {
        reject(error);
      }
    });
  });
  if (progress.bytes < into.length) throw new TransientError(`only ${progress.bytes} of ${into.length} bytes came`);
}

/** Destroys a body that has stopped, or drips. */
function watch(body: Readable, { idleMs, received }: { idleMs: number; received: () => number }): () => void {
  let last = { bytes: 0, at: performance.now() };
  let slow = last;
  const timer = setInterval(() => {
    const [bytes, at] = [received(), performance.now()];
    if (bytes > last.bytes) last = { bytes, at };
    if (at - last.at >= idleMs) body.destroy(new TransientError(`nothing came for ${Math.round(idleMs / 1000)} s`));
    if (at - slow.at < SLOW_MS) return;
    if (bytes - slow.bytes < SLOW_BYTES) body.destroy(new TransientError('hardly anything came for a minute'));
    slow = { bytes, at };
  }, idleMs / 4);
  return () => clearInterval(timer);
}
