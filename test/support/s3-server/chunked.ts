/**
 * The content encoding `aws-chunked`: a body in chunks, each signed or not, with a trailer or not.
 * https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html and sigv4-streaming-trailers.html
 */
import { createHash } from 'node:crypto';
import { s3Error } from './errors.ts';
import { chunkSignature, sha256, type Signing } from './signature.ts';

interface ChunkedOptions {
  /** Set where every chunk carries a signature. */
  readonly signing: Signing | undefined;
  /** The names that `x-amz-trailer` announces, in lower case; undefined where there must be no trailer. */
  readonly trailers: readonly string[] | undefined;
  /** Gets the trailer before the stream ends. */
  readonly onTrailer: (fields: ReadonlyMap<string, string>) => void;
}

const MIN_CHUNK = 8192;
const MAX_LINE = 16_384;

/** The bytes within the chunks. Throws S3's error at the first that is not as signed or not well-formed. */
export async function* decodeChunked(
  source: AsyncIterable<Buffer>,
  { signing, trailers, onTrailer }: ChunkedOptions,
): AsyncGenerator<Buffer> {
  const reader = new LineReader(source);
  let previous = signing?.signature ?? '';
  let isShort = false;
  for (;;) {
    const [, digits = '', signature] = /^([0-9a-fA-F]{1,8})(?:;chunk-signature=([0-9a-f]{64}))?$/.exec(
      await reader.line(),
    ) ?? [''];
    if (digits === '' || (signing === undefined) !== (signature === undefined)) throw incomplete();
    const size = Number.parseInt(digits, 16);
    // Only the last one with bytes may be short.
    if (isShort && size > 0) throw s3Error('InvalidChunkSizeError');
    isShort = size < MIN_CHUNK;
    const hash = signing === undefined ? undefined : createHash('sha256');
    for await (const bytes of reader.take(size)) {
      hash?.update(bytes);
      yield bytes;
    }
    if (signing !== undefined && hash !== undefined) {
      const expected = chunkSignature(signing, 'PAYLOAD', previous, [sha256(''), hash.digest('hex')]);
      if (expected !== signature) throw s3Error('SignatureDoesNotMatch');
      previous = expected;
    }
    if (size === 0) break;
    if ((await reader.line()) !== '') throw incomplete();
  }
  if (trailers === undefined) {
    if ((await reader.line()) !== '') throw incomplete();
  } else {
    const fields = await readTrailer(reader, previous, signing);
    if ([...fields.keys()].sort().join() !== [...trailers].sort().join()) throw s3Error('MalformedTrailerError');
    onTrailer(fields);
  }
  if (!(await reader.isAtEnd())) throw incomplete();
}

async function readTrailer(
  reader: LineReader,
  previous: string,
  signing: Signing | undefined,
): Promise<Map<string, string>> {
  const fields = new Map<string, string>();
  for (let line = await reader.line(); line !== ''; line = await reader.line()) {
    const [, name = '', value = ''] = /^([\w-]+):\s*(.*?)\s*$/.exec(line) ?? [];
    if (name === '') throw s3Error('MalformedTrailerError');
    fields.set(name.toLowerCase(), value);
  }
  if (signing !== undefined) {
    const given = fields.get('x-amz-trailer-signature');
    fields.delete('x-amz-trailer-signature');
    const canonical = Array.from(fields, ([name, value]) => `${name}:${value}\n`)
      .sort()
      .join('');
    if (chunkSignature(signing, 'TRAILER', previous, [sha256(canonical)]) !== given) {
      throw s3Error('SignatureDoesNotMatch');
    }
  }
  return fields;
}

function incomplete(): Error {
  return s3Error('IncompleteBody');
}

class LineReader {
  readonly #source: AsyncIterator<Buffer>;
  #held: Buffer = Buffer.alloc(0);

  constructor(source: AsyncIterable<Buffer>) {
    this.#source = source[Symbol.asyncIterator]();
  }

  /** Up to the next CR LF, without it. */
  async line(): Promise<string> {
    for (;;) {
      const end = this.#held.indexOf('\r\n');
      if (end >= 0) {
        const line = this.#held.toString('latin1', 0, end);
        this.#held = this.#held.subarray(end + 2);
        return line;
      }
      if (this.#held.length > MAX_LINE || !(await this.#more())) throw incomplete();
    }
  }

  async *take(size: number): AsyncGenerator<Buffer> {
    for (let left = size; left > 0;) {
      if (this.#held.length === 0 && !(await this.#more())) throw incomplete();
      const bytes = this.#held.subarray(0, left);
      this.#held = this.#held.subarray(bytes.length);
      left -= bytes.length;
      if (bytes.length > 0) yield bytes;
    }
  }

  async isAtEnd(): Promise<boolean> {
    return this.#held.length === 0 && !(await this.#more());
  }

  async #more(): Promise<boolean> {
    const { done, value } = await this.#source.next();
    if (done === true) return false;
    this.#held = this.#held.length === 0 ? value : Buffer.concat([this.#held, value]);
    return true;
  }
}
