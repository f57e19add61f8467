/** A client that sends whatever it is told, right or wrong. Its signatures are made apart from the server's code. */
import { createHash, createHmac } from 'node:crypto';
import { request, type IncomingHttpHeaders } from 'node:http';
import { type S3Server, type S3ServerOptions, startS3Server } from './server.ts';
import type { Credential } from './signature.ts';

type Address = Pick<S3Server, 'port'>;

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  /** Of the error in the body. */
  readonly code: string | undefined;
}

export interface RawRequest {
  readonly method?: string;
  /** As it goes over the wire, with the query. */
  readonly url: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Buffer | string;
}

export interface Signer {
  readonly credential?: Credential;
  readonly region?: string;
  /** Milliseconds. */
  readonly at?: number;
  /** Headers that are left out of the signature. */
  readonly unsigned?: readonly string[];
}

export const OWNER: Credential = { accessKeyId: 'OWNER', secretAccessKey: 'owner/secret' };
export const READER: Credential = { accessKeyId: 'READER', secretAccessKey: 'reader/secret', mode: 'read-only' };

/** A server with the bucket `data`. */
export function startRig(options: Partial<S3ServerOptions> = {}): Promise<S3Server> {
  return startS3Server({ buckets: ['data'], credentials: [OWNER, READER], ...options });
}

/** Sends a request as it is. Rejects where the connection breaks. */
export function send({ port }: Address, { method = 'GET', url, headers = {}, body }: RawRequest): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const host = headers['host'] ?? `127.0.0.1:${port}`;
    const sent = request({ port, host: '127.0.0.1', method, path: url, headers: { ...headers, host }, agent: false });
    sent.on('error', reject);
    sent.on('response', (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => {
        const bytes = Buffer.concat(chunks);
        const code = /<Error><Code>([^<]*)</.exec(bytes.toString())?.[1];
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body: bytes, code });
      });
    });
    sent.end(body);
  });
}

/** Signs a request and sends it. */
export function sendSigned(server: Address, raw: RawRequest, signer: Signer = {}): Promise<Answer> {
  return send(server, sign(raw, { host: `127.0.0.1:${server.port}`, ...signer }));
}

/** Adds what Signature Version 4 needs; headers that are there already stay. */
export function sign(
  raw: RawRequest,
  { credential = OWNER, region = 'us-east-1', at = Date.now(), unsigned = [], host = '' }: Signer & { host?: string },
): RawRequest {
  const { method = 'GET', url, body = '' } = raw;
  const hasLength = method !== 'GET' && method !== 'HEAD' && raw.headers?.['transfer-encoding'] === undefined;
  const time = new Date(at).toISOString().replaceAll(/[-:]|\.\d+/g, '');
  const headers: Record<string, string> = {
    host,
    'x-amz-date': time,
    'x-amz-content-sha256': hex(body),
    ...(hasLength ? { 'content-length': String(Buffer.byteLength(body)) } : {}),
    ...(credential.sessionToken === undefined ? {} : { 'x-amz-security-token': credential.sessionToken }),
    ...raw.headers,
  };
  const names = Object.keys(headers)
    .filter((name) => !unsigned.includes(name))
    .sort();
  const [path = '', query = ''] = url.split('?');
  const canonical = [
    method,
    path,
    query
      .split('&')
      .map((part) => (part === '' || part.includes('=') ? part : `${part}=`))
      .sort()
      .join('&'),
    ...names.map((name) => `${name}:${headers[name]}`),
    '',
    names.join(';'),
    headers['x-amz-content-sha256'],
  ].join('\n');
  const scope = `${time.slice(0, 8)}/${region}/s3/aws4_request`;
  const text = `AWS4-HMAC-SHA256\n${headers['x-amz-date']}\n${scope}\n${hex(canonical)}`;
  const key = scope.split('/').reduce<Buffer>(mac, Buffer.from(`AWS4${credential.secretAccessKey}`));
  const signature = mac(key, text).toString('hex');
  const authorization = `AWS4-HMAC-SHA256 Credential=${credential.accessKeyId}/${scope}, SignedHeaders=${names.join(';')}, Signature=${signature}`;
  return { ...raw, headers: { ...headers, authorization } };
}

function mac(key: Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest();
}

function hex(body: Buffer | string): string {
  return createHash('sha256').update(body).digest('hex');
}
