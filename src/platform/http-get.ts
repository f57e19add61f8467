import { Readable } from 'node:stream';
import type { Connection, ConnectionOptions } from './http-connection.ts';
import { openConnection } from './http-connection.ts';

export interface GetRequest {
  readonly isTls: boolean;
  readonly host: string;
  readonly port: number;
  /** As it is sent, with its query. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
}

export interface GetAnswer {
  readonly status: number;
  /** Names in lower case; of several with one name, all values with commas between. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: AnswerBody;
}

export interface GetterOptions extends Pick<ConnectionOptions, 'ca' | 'connectMs'> {
  /** Connections that are kept for later. */
  readonly kept: number;
  /** So long an answer may take to begin. */
  readonly answerMs: number;
}

const MAX_HEAD_BYTES = 64 << 10;
const HEAD_END = '\r\n\r\n';
const LINE_END = '\r\n';

/**
 * Sends GET by HTTP/1.1 (RFC 9112). Unlike `node:http` it can put content straight where it is wanted, which for large objects takes
 * half the time and a third of the CPU. Redirects, proxies, compression and trailers it knows nothing of. Throws what the network
 * throws; an answer that is none has a code `HPE_…`, as with `node:http`.
 */
export function createGetter(options: GetterOptions) {
  const { kept, answerMs, ...connecting } = options;
  const idle = new Map<string, Connection[]>();

  function keep(origin: string, connection: Connection): void {
    const others = idle.get(origin) ?? [];
    idle.set(origin, others);
    if (others.length >= kept) return connection.destroy();
    others.push(connection);
    connection.rest(() => {
      const at = others.indexOf(connection);
      if (at >= 0) others.splice(at, 1);
    });
  }

  return async ({ isTls, host, port, path, headers }: GetRequest, signal: AbortSignal): Promise<GetAnswer> => {
    signal.throwIfAborted();
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`);
    const head = [`GET ${path} HTTP/1.1`, ...lines];
    if (head.some((line) => /[^\t\x20-\x7e\x80-\xff]/.test(line))) throw new Error('a request with control characters');
    const origin = `${isTls} ${host}:${port}`;
    const connection = idle.get(origin)?.pop() ?? openConnection({ isTls, host, port, ...connecting });
    connection.wake();
    const abort = (): void => connection.destroy(signal.reason as Error);
    signal.addEventListener('abort', abort, { once: true });
    const late = setTimeout(() => connection.destroy(unanswered(answerMs)), answerMs);
    try {
      connection.write(head.join(LINE_END) + HEAD_END);
      const answer = await readHead(connection);
      const body = new AnswerBody(openContent(connection, answer), (isWhole, error) => {
        signal.removeEventListener('abort', abort);
        if (isWhole && answer.isKept && connection.waiting.length === 0) keep(origin, connection);
        else connection.destroy(error);
      });
      return { status: answer.status, headers: answer.headers, body };
    } catch (error) {
      signal.removeEventListener('abort', abort);
      connection.destroy();
      throw error;
    } finally {
      clearTimeout(late);
    }
  };
}

/** Content on its way: a stream, or, where the server says how much it is, filled into memory. */
export class AnswerBody extends Readable {
  readonly #content: Content;
  readonly #onEnd: (isWhole: boolean, error?: Error) => void;
  #isWhole = false;

  constructor(content: Content, onEnd: (isWhole: boolean, error?: Error) => void) {
    super();
    this.#content = content;
    this.#onEnd = onEnd;
    // Whoever fills memory from it learns by that what went wrong.
    this.on('error', () => {});
    if (content.left() === 0) this.#end();
  }

  /** How many bytes are still to come; undefined where the server does not say. */
  get left(): number | undefined {
    return this.#content.left();
  }

  /** Bytes of it that have come so far, in a stream with what divides them. */
  get received(): number {
    return this.#content.received();
  }

  /** Fills the whole buffer, of at most `left` bytes. It may be read as a stream before, or after, not meanwhile. */
  async fill(into: Buffer): Promise<void> {
    await this.#content.fill(into);
    if (this.left === 0) this.#end();
  }

  override _read(): void {
    void this.#pushNext();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    if (!this.#isWhole) this.#onEnd(false, error ?? undefined);
    this.#isWhole = true;
    done(error);
  }

  async #pushNext(): Promise<void> {
    try {
      const piece = await this.#content.next();
      if (piece === undefined || this.left === 0) this.#end();
      this.push(piece ?? null);
    } catch (error) {
      this.destroy(error as Error);
    }
  }

  #end(): void {
    if (!this.#isWhole) this.#onEnd(true);
    this.#isWhole = true;
  }
}

interface Head {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  /** Whether the connection can be used again. */
  readonly isKept: boolean;
}

async function readHead(connection: Connection): Promise<Head> {
  for (;;) {
    const text = await readUpTo(connection, HEAD_END);
    const [first = '', ...lines] = text.split(LINE_END);
    const [, minor, code] = /^HTTP\/1\.([01]) (\d{3})(?: |$)/.exec(first) ?? [];
    if (code === undefined) throw malformed('INVALID_CONSTANT', 'an answer that is not HTTP');
    const status = Number(code);
    if (status < 200) continue; // "go on", which nobody asked about
    const headers: Record<string, string> = Object.create(null);
    for (const line of lines) {
      const [, name = '', value = ''] = /^([!#$%&'*+.^_`|~\w-]+):[ \t]*(.*?)[ \t]*$/.exec(line) ?? [];
      if (name === '') throw malformed('INVALID_HEADER_TOKEN', 'an answer with a malformed header');
      const key = name.toLowerCase();
      headers[key] = key in headers ? `${headers[key]}, ${value}` : value;
    }
    const connectionHeader = headers['connection']?.toLowerCase() ?? '';
    const mayBeKept = minor === '1' ? !connectionHeader.includes('close') : connectionHeader.includes('keep-alive');
    return { status, headers, isKept: mayBeKept && ('content-length' in headers || 'transfer-encoding' in headers) };
  }
}

interface Content {
  /** Bytes to come; undefined where that is not known. */
  left(): number | undefined;
  received(): number;
  /** The next bytes; undefined at the end. */
  next(): Promise<Buffer | undefined>;
  fill(into: Buffer): Promise<void>;
}

function openContent(connection: Connection, head: Head): Content {
  const before = connection.received() - connection.waiting.length;
  return { received: () => connection.received() - before, ...openEncoded(connection, head) };
}

function openEncoded(connection: Connection, { status, headers }: Head): Omit<Content, 'received'> {
  const encoding = headers['transfer-encoding'];
  const length = headers['content-length'];
  if (status === 204 || status === 304) return openCounted(connection, 0);
  if (encoding !== undefined) {
    if (encoding.toLowerCase() !== 'chunked' || length !== undefined)
      throw malformed('INVALID_TRANSFER_ENCODING', 'an answer of which it is not clear how long it is');
    return openChunked(connection);
  }
  if (length === undefined) return openUntilClosed(connection);
  if (!/^\d{1,15}$/.test(length)) throw malformed('INVALID_CONTENT_LENGTH', 'an answer with a malformed length');
  return openCounted(connection, Number(length));
}

function openCounted(connection: Connection, length: number): Omit<Content, 'received'> {
  let left = length;
  return {
    left: () => left,
    async next() {
      if (left === 0) return undefined;
      await waitForSome(connection);
      const piece = connection.take(Math.min(left, connection.waiting.length));
      left -= piece.length;
      return piece;
    },
    async fill(into) {
      if (into.length > left) throw new Error('more was asked for than comes');
      await connection.fill(into);
      left -= into.length;
    },
  };
}

function openUntilClosed(connection: Connection): Omit<Content, 'received'> {
  return {
    left: () => undefined,
    async next() {
      if (connection.waiting.length === 0 && !(await connection.more())) return undefined;
      return connection.take(connection.waiting.length);
    },
    fill: unknownLength,
  };
}

function openChunked(connection: Connection): Omit<Content, 'received'> {
  let left = 0;
  let isFirst = true;
  let isEnded = false;
  return {
    left: () => undefined,
    async next() {
      if (isEnded) return undefined;
      if (left === 0) {
        if (!isFirst && (await readUpTo(connection, LINE_END)) !== '') throw badChunk();
        isFirst = false;
        const [, size] = /^([0-9a-f]{1,12})[ \t]*(?:;.*)?$/i.exec(await readUpTo(connection, LINE_END)) ?? [];
        if (size === undefined) throw badChunk();
        left = Number.parseInt(size, 16);
        if (left === 0) {
          if ((await readUpTo(connection, LINE_END)) !== '') throw badChunk();
          isEnded = true;
          return undefined;
        }
      }
      await waitForSome(connection);
      const piece = connection.take(Math.min(left, connection.waiting.length));
      left -= piece.length;
      return piece;
    },
    fill: unknownLength,
  };
}

function unknownLength(): Promise<never> {
  throw new Error('content of unknown length can only be streamed');
}

async function waitForSome(connection: Connection): Promise<void> {
  if (connection.waiting.length === 0 && !(await connection.more())) {
    throw Object.assign(new Error('the connection was closed'), { code: 'ECONNRESET' });
  }
}

/** The text before the mark, which is taken too. */
async function readUpTo(connection: Connection, mark: string): Promise<string> {
  for (let from = 0; ;) {
    const at = connection.waiting.indexOf(mark, from, 'latin1');
    if (at >= 0) return connection.take(at + mark.length).toString('latin1', 0, at);
    from = Math.max(0, connection.waiting.length - mark.length);
    if (from > MAX_HEAD_BYTES) throw malformed('HEADER_OVERFLOW', 'an answer whose headers do not end');
    if (!(await connection.more())) {
      const reason = connection.waiting.length === 0 ? 'without an answer' : 'in the middle of an answer';
      throw Object.assign(new Error(`the connection was closed ${reason}`), { code: 'ECONNRESET' });
    }
  }
}

function badChunk(): Error {
  return malformed('INVALID_CHUNK_SIZE', 'an answer whose parts do not fit together');
}

function malformed(code: string, message: string): Error {
  return Object.assign(new Error(message), { code: `HPE_${code}` });
}

function unanswered(milliseconds: number): Error {
  return Object.assign(new Error(`no answer within ${milliseconds} ms`), { name: 'TimeoutError' });
}
