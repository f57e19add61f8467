/** Taking a request's body in, and holding it to everything that its headers promise. */
import type { IncomingMessage } from 'node:http';
import { type Call, headerOf } from './call.ts';
import {
  algorithmLabel,
  announcedChecksum,
  announcedMd5,
  type ChecksumName,
  checksumValue,
  type Digester,
  digester,
} from './checksums.ts';
import { decodeChunked } from './chunked.ts';
import { type Content, discardContent, readContent } from './content.ts';
import { s3Error } from './errors.ts';
import { sha256 } from './signature.ts';

export interface Received {
  readonly content: Content;
  /** Undefined where nobody needs it: ETags are opaque, and no Content-MD5 was sent. */
  readonly md5: Buffer | undefined;
  readonly checksum: { readonly name: ChecksumName; readonly value: Buffer } | undefined;
}

const MAX_BODY = 5 * 2 ** 30;
const MAX_XML = 4 << 20;
const NOTHING = sha256('');
const UNSIGNED = 'UNSIGNED-PAYLOAD';
const STREAMING = /^STREAMING-(UNSIGNED-PAYLOAD|AWS4-HMAC-SHA256-PAYLOAD)(-TRAILER)?$/;

/** The body of PutObject and UploadPart. In CompleteMultipartUpload checksum headers are about the object instead. What was kept of it is deleted where it is not what was promised. */
export async function receiveBody(call: Call, { isChecksumOfBody } = { isChecksumOfBody: true }): Promise<Received> {
  const { headers } = call.req;
  const promisedMd5 = announcedMd5(headers);
  const announced = isChecksumOfBody ? announcedChecksum(headers) : undefined;
  const payload = headerOf(call, 'x-amz-content-sha256') ?? UNSIGNED;
  const length = bodyLength(call, payload);
  if (length > MAX_BODY) throw s3Error('EntityTooLarge', { details: { ProposedSize: String(length) } });

  const md5 = promisedMd5 !== undefined || !call.rules.opaqueEtags ? digester('md5') : undefined;
  const sha = /^[0-9a-f]{64}$/.test(payload) ? digester('sha256') : undefined;
  const checksum = announced === undefined ? undefined : digester(announced.name);
  const digesters = [md5, sha, checksum].filter((each): each is Digester => each !== undefined);
  let expected = announced?.expected;
  const source = bodySource(call, payload, (fields) => {
    const text = announced === undefined ? undefined : fields.get(`x-amz-checksum-${announced.name}`);
    if (announced === undefined || text === undefined) return;
    expected = checksumValue(announced.name, text);
  });
  const content = await call.spill.keep(source, (bytes) => {
    for (const each of digesters) each.update(bytes);
  });
  try {
    if (content.size !== length) throw s3Error('IncompleteBody');
    const found = { md5: md5?.digest(), sha256: sha?.digest(), checksum: checksum?.digest() };
    if (found.sha256 !== undefined && found.sha256.toString('hex') !== payload)
      throw shaMismatch(payload, found.sha256);
    if (promisedMd5 !== undefined && found.md5?.equals(promisedMd5) !== true) {
      throw s3Error('BadDigest', {
        message: 'The Content-MD5 you specified did not match what we received.',
        details: {
          ExpectedDigest: promisedMd5.toString('base64'),
          CalculatedDigest: String(found.md5?.toString('base64')),
        },
      });
    }
    if (announced === undefined || found.checksum === undefined) {
      return { content, md5: found.md5, checksum: undefined };
    }
    if (expected?.equals(found.checksum) !== true) {
      throw s3Error('BadDigest', {
        message: `The ${algorithmLabel(announced.name)} you specified did not match the calculated checksum.`,
      });
    }
    return { content, md5: found.md5, checksum: { name: announced.name, value: found.checksum } };
  } catch (error) {
    await discardContent(content);
    throw error;
  }
}

/** The body of a request that carries XML. Throws MalformedXML where it is too large. */
export async function receiveXml(call: Call, options?: { readonly isChecksumOfBody: boolean }): Promise<string> {
  if (Number(headerOf(call, 'content-length') ?? 0) > MAX_XML) throw s3Error('MalformedXML');
  const { content } = await receiveBody(call, options);
  const chunks: Buffer[] = [];
  for await (const bytes of readContent(content)) chunks.push(bytes);
  await discardContent(content);
  return Buffer.concat(chunks).toString('utf8');
}

/** Makes sure that a request which is to carry nothing was signed as that. */
export async function receiveNothing(call: Call): Promise<void> {
  const { headers } = call.req;
  const payload = headerOf(call, 'x-amz-content-sha256') ?? UNSIGNED;
  if ((headers['content-length'] ?? '0') === '0' && headers['transfer-encoding'] === undefined) {
    payloadKind(payload);
    if (payload !== NOTHING && payload !== UNSIGNED) throw shaMismatch(payload, Buffer.from(NOTHING, 'hex'));
    return;
  }
  const { content } = await receiveBody(call);
  await discardContent(content);
}

function bodySource(
  call: Call,
  payload: string,
  onTrailer: (fields: ReadonlyMap<string, string>) => void,
): AsyncIterable<Buffer> {
  if (call.req.headers.expect !== undefined) {
    call.res.writeContinue();
    call.record.wasContinued = true;
  }
  const raw = rawBody(call);
  const kind = payloadKind(payload);
  if (kind === undefined) return raw;
  const { signing } = call.identity;
  if (kind.isSigned && signing === undefined) throw s3Error('AccessDenied');
  const names = headerOf(call, 'x-amz-trailer')
    ?.toLowerCase()
    .split(/\s*,\s*/);
  if (kind.hasTrailer !== (names !== undefined)) throw s3Error('MalformedTrailerError');
  return decodeChunked(raw, { signing: kind.isSigned ? signing : undefined, trailers: names, onTrailer });
}

async function* rawBody(call: Call): AsyncGenerator<Buffer> {
  const { record, fault, req, upLink } = call;
  const limit = fault?.kind === 'reset' ? fault.afterRequestBytes : undefined;
  // An answer still has to go out on this connection when the rest of the body is of no interest.
  const chunks: AsyncIterable<Buffer> = req.iterator({ destroyOnReturn: false });
  for await (const chunk of chunks) {
    record.bytesIn += chunk.length;
    if (limit !== undefined && record.bytesIn >= limit) {
      resetConnection(req);
      throw s3Error('IncompleteBody');
    }
    if (upLink.pass !== undefined) await upLink.pass(chunk.length);
    yield chunk;
  }
}

/** Ends a connection so that the other side sees it break. */
export function resetConnection({ socket }: IncomingMessage): void {
  if ('encrypted' in socket) socket.destroy();
  else socket.resetAndDestroy();
}

/** The length that the object is to have. */
function bodyLength(call: Call, payload: string): number {
  const { headers } = call.req;
  const isChunked = headers['transfer-encoding'] !== undefined;
  if (payloadKind(payload) !== undefined) {
    if (!(headers['content-encoding'] ?? '').split(/\s*,\s*/).includes('aws-chunked')) {
      throw s3Error('InvalidRequest', { message: 'A streaming payload needs Content-Encoding: aws-chunked' });
    }
    if (!isChunked) wholeNumber(headers['content-length']);
    return wholeNumber(headerOf(call, 'x-amz-decoded-content-length'));
  }
  if (isChunked) throw s3Error('NotImplemented', { details: { Header: 'Transfer-Encoding' } });
  return wholeNumber(headers['content-length']);
}

function wholeNumber(text: string | undefined): number {
  if (text === undefined || !/^\d{1,15}$/.test(text)) throw s3Error('MissingContentLength');
  return Number(text);
}

/** How a body comes in chunks of its own; undefined where it does not. Throws InvalidArgument. */
function payloadKind(payload: string): { isSigned: boolean; hasTrailer: boolean } | undefined {
  if (payload === UNSIGNED || /^[0-9a-f]{64}$/.test(payload)) return undefined;
  const [, kind, trailer] = STREAMING.exec(payload) ?? [];
  if (kind === undefined || (kind === UNSIGNED && trailer === undefined)) {
    throw s3Error('InvalidArgument', {
      message:
        'x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-UNSIGNED-PAYLOAD-TRAILER, STREAMING-AWS4-HMAC-SHA256-PAYLOAD, STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER or a valid sha256 value.',
      details: { ArgumentName: 'x-amz-content-sha256', ArgumentValue: payload },
    });
  }
  return { isSigned: kind !== UNSIGNED, hasTrailer: trailer !== undefined };
}

function shaMismatch(claimed: string, found: Buffer): Error {
  return s3Error('XAmzContentSHA256Mismatch', {
    details: { ClientComputedContentSHA256: claimed, S3ComputedContentSHA256: found.toString('hex') },
  });
}
