/** Requests to an API server: TLS as the kubeconfig says, proxies, deadlines, the credential that holds. No retries. */
import { setMaxListeners } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { Agent as HttpAgent, request as httpRequest } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { isIP } from 'node:net';
import type { PeerCertificate } from 'node:tls';
import { checkServerIdentity } from 'node:tls';
import { hasErrorCode, MlvError } from '../../domain/errors.ts';
import { proxyFor, throughProxy } from '../../storage/http-proxy.ts';
import { TransientError } from '../../storage/transient-error.ts';
import type { Environment } from '../../workspace/open.ts';
import type { Credential } from './credentials.ts';
import type { ClusterAccess } from './kubeconfig.ts';
import { invalidConfig } from './kubeconfig-file.ts';
import { printable } from './server-text.ts';

export interface ApiRequest {
  readonly method: 'GET' | 'POST' | 'PATCH' | 'DELETE';
  /** Below the server's, with its query. */
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** So long the answer may take to begin, and so long it may then be silent. Without it: for ever, while the connection lives. */
  readonly silenceMs: number | undefined;
  /** Silence is part of the answer: only its begin is waited for. */
  readonly isStream?: boolean;
  readonly signal: AbortSignal;
}

export interface ApiAnswer {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  /** Bytes as they come; throws `TransientError` when they are cut off, the signal's reason when that is aborted. */
  readonly body: AsyncIterable<Buffer>;
  /** Gives up what has not been read. */
  discard(): void;
}

export interface Connection {
  /** Throws `TransientError`, `kubernetes-unreachable` for what trying again does not mend, or the signal's reason. */
  send(request: ApiRequest, credential: Credential): Promise<ApiAnswer>;
  close(): void;
}

const CONNECT_MS = 15_000;
/** A connection on which nobody answers these is found dead after some ten more seconds. */
const KEEP_ALIVE_MS = 15_000;
const KEPT = 8;
const UNREACHED = [
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EAI_FAIL',
  'EHOSTUNREACH',
  'EHOSTDOWN',
  'ENETUNREACH',
  'ENETDOWN',
];
const TLS = /^(?:CERT_|ERR_TLS|ERR_SSL|ERR_OSSL|SELF_SIGNED|DEPTH_ZERO|UNABLE_TO_|HOSTNAME_MISMATCH|EPROTO$)/;

/** Connects when something is sent. Throws `kubernetes-config-invalid` or `proxy-invalid` for a proxy that is none. */
export function createConnection(access: ClusterAccess, environment: Environment): Connection {
  const { server } = access;
  const isTls = server.protocol === 'https:';
  const proxy = proxyOf(access, environment);
  let agent: { readonly for: Credential['tls']; readonly agent: HttpAgent } | undefined;

  function agentFor({ tls }: Credential): HttpAgent {
    if (agent?.for === tls) return agent.agent;
    if (agent !== undefined) retire(agent.agent);
    const made = isTls ? new HttpsAgent({ ...KEEPING, ...tlsOptions(access, tls) }) : new HttpAgent(KEEPING);
    agent = { for: tls, agent: proxy === undefined ? made : throughProxy(made, proxy) };
    return agent.agent;
  }

  return {
    send: (request, credential) => send(access, request, credential, agentFor(credential)),
    close: () => agent?.agent.destroy(),
  };
}

/** Streams that are under way go on. */
function retire(agent: HttpAgent): void {
  agent.maxFreeSockets = 0;
  for (const sockets of Object.values(agent.freeSockets)) for (const socket of sockets ?? []) socket.destroy();
}

const KEEPING = { keepAlive: true, keepAliveMsecs: KEEP_ALIVE_MS, maxFreeSockets: KEPT };

function tlsOptions({ cluster }: ClusterAccess, { ca, cert, key }: Credential['tls']) {
  const name = cluster.tlsServerName;
  return {
    ...(ca !== undefined && { ca }),
    ...(cert !== undefined && { cert, key }),
    ...(cluster.isInsecure && { rejectUnauthorized: false }),
    // An address is no name that a client may ask for; certificates may have it all the same.
    ...(name !== undefined && {
      servername: isIP(name) === 0 ? name : '',
      checkServerIdentity: (_: string, certificate: PeerCertificate) => checkServerIdentity(name, certificate),
    }),
  };
}

/** As kubectl chooses it: what the kubeconfig says, or what the environment does, but never for this machine. */
function proxyOf({ cluster, server, context }: ClusterAccess, environment: Environment): URL | undefined {
  const { proxyUrl } = cluster;
  if (proxyUrl !== undefined) {
    const url = URL.canParse(proxyUrl) ? new URL(proxyUrl) : undefined;
    if (url !== undefined && /^(?:https?|socks5h?):$/.test(url.protocol)) return url;
    throw invalidConfig(`of the context "${context}" the proxy-url is not the address of an http or socks5 proxy`);
  }
  const host = server.hostname.replace(/^\[|\]$/g, '');
  if (host === 'localhost' || host === '::1' || host.startsWith('127.')) return undefined;
  return proxyFor(server, { ...environment, ALL_PROXY: undefined, all_proxy: undefined });
}

function send(
  { server }: ClusterAccess,
  { method, path, headers = {}, body, silenceMs, isStream = false, signal }: ApiRequest,
  credential: Credential,
  agent: HttpAgent,
): Promise<ApiAnswer> {
  signal.throwIfAborted();
  setMaxListeners(0, signal); // one follows many logs at once
  return new Promise((resolve, reject) => {
    const isTls = server.protocol === 'https:';
    const request = (isTls ? httpsRequest : httpRequest)({
      agent,
      method,
      host: server.hostname.replace(/^\[|\]$/g, ''),
      port: server.port || (isTls ? 443 : 80),
      path: server.pathname.replace(/\/+$/, '') + path,
      headers: {
        accept: 'application/json, */*',
        'user-agent': 'mlv',
        ...(body !== undefined && { 'content-length': Buffer.byteLength(body) }),
        ...headers,
        ...(Object.fromEntries(
          Object.entries(credential.headers).map(([name, value]) => [
            name,
            typeof value === 'string' ? value : [...value],
          ]),
        ) satisfies Record<string, string | string[]>),
      },
    });
    const abort = (): void => void request.destroy(signal.reason as Error);
    const connecting = setTimeout(
      () => request.destroy(late('did not accept the connection', CONNECT_MS, 'ETIMEDOUT')),
      CONNECT_MS,
    );
    signal.addEventListener('abort', abort, { once: true });

    request.once('socket', (socket) => {
      socket.setKeepAlive(true, KEEP_ALIVE_MS);
      const ready = (): void => {
        clearTimeout(connecting);
        if (silenceMs !== undefined)
          request.setTimeout(silenceMs, () => request.destroy(late('says nothing', silenceMs, 'ESILENT')));
      };
      // Through a proxy it is there when it is handed over.
      if (socket.connecting) socket.once(isTls ? 'secureConnect' : 'connect', ready);
      else ready();
    });
    request.once('response', (response) => {
      if (isStream) request.setTimeout(0);
      resolve({
        status: response.statusCode ?? 0,
        headers: response.headers,
        body: readOn(response, signal),
        discard: () => void response.destroy(),
      });
    });
    // There may be more than one.
    request.on('error', (error) => reject(signal.aborted ? (signal.reason as Error) : networkError(server, error)));
    request.once('close', () => {
      clearTimeout(connecting);
      signal.removeEventListener('abort', abort);
    });
    request.end(body);
  });

  async function* readOn(response: IncomingMessage, stop: AbortSignal): AsyncGenerator<Buffer> {
    try {
      for await (const piece of response) yield piece as Buffer;
    } catch (error) {
      stop.throwIfAborted();
      throw networkError(server, error);
    }
  }
}

function late(what: string, ms: number, code: string): Error {
  return Object.assign(new Error(`${what} within ${Math.round(ms / 1000)} s`), { code });
}

function networkError(server: URL, cause: unknown): unknown {
  if (cause instanceof MlvError || cause instanceof TransientError || !(cause instanceof Error)) return cause;
  const code = 'code' in cause ? String(cause.code) : '';
  if (TLS.test(code)) return untrusted(server, code, cause);
  if (code.startsWith('ERR_INVALID') || code === 'ERR_UNESCAPED_CHARACTERS') return cause; // what was to be sent is wrong: a bug
  const isUnreachable = hasErrorCode(cause, ...UNREACHED, 'ETIMEDOUT');
  return new TransientError(printable(cause.message), {
    cause,
    isUnreachable,
    hint: 'Is the network up, and the VPN? "kubectl cluster-info" asks the same server. Behind a proxy, set HTTPS_PROXY.',
  });
}

function untrusted(server: URL, code: string, cause: Error): MlvError {
  const isOurs = /ALERT|EPROTO|ERR_SSL/.test(code) && /certificate|handshake|unknown ca/i.test(cause.message);
  return new MlvError({
    code: 'kubernetes-unreachable',
    kind: 'io',
    // OpenSSL's own messages are of lines in its source.
    message: `no trusted connection to ${server.origin}: ${printable('reason' in cause ? String(cause.reason) : cause.message)}`,
    hint: /WRONG_VERSION|PACKET_LENGTH/.test(code)
      ? 'Does the server speak plain http? Then its address in the kubeconfig begins with http://.'
      : isOurs
        ? 'The server does not take the client certificate of the kubeconfig: get a new kubeconfig from whoever runs the cluster.'
        : code === 'ERR_TLS_CERT_ALTNAME_INVALID'
          ? 'Its certificate is for another name: "tls-server-name" of the kubeconfig says by which to know it.'
          : 'Its certificate is signed by somebody the kubeconfig does not name: "certificate-authority-data" is to be that of this cluster.',
    cause,
  });
}
