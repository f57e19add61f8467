import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { Agent as HttpAgent, request as httpRequest } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import type { Duplex } from 'node:stream';
import { connect as tlsConnect, rootCertificates } from 'node:tls';
import { callbackify } from 'node:util';
import { MlvError } from '../domain/errors.ts';
import { TransientError } from './transient-error.ts';

type Environment = Readonly<Record<string, string | undefined>>;

const CONNECT_MS = 10_000;
const KEEP_ALIVE_MS = 15_000;
const LOOK = 'Look at HTTPS_PROXY, HTTP_PROXY and NO_PROXY.';
const NAME_AND_PASSWORD =
  'It wants a name and password, or other ones: HTTPS_PROXY (HTTP_PROXY for plain http) may hold them, http://USER:PASSWORD@HOST:PORT.';

/** Connections that are used again, through a proxy and with private certificates where the environment says so. */
export function createAgents(endpoint: URL | undefined, environment: Environment, sockets: number) {
  const proxy = proxyFor(endpoint, environment);
  const options = { keepAlive: true, keepAliveMsecs: KEEP_ALIVE_MS, maxSockets: sockets, ...certificates(environment) };
  if (proxy === undefined) return { httpAgent: new HttpAgent(options), httpsAgent: new HttpsAgent(options) };
  return {
    httpAgent: throughProxy(new HttpAgent(options), proxy),
    httpsAgent: throughProxy(new HttpsAgent(options), proxy),
  };
}

/** The certificates to trust beside the usual ones; giving any replaces the usual ones, so those come along. */
export function certificates(environment: Environment): { ca?: string[] } {
  const bundle = environment['AWS_CA_BUNDLE'];
  if (bundle === undefined || bundle === '') return {};
  const extra = environment['NODE_EXTRA_CA_CERTS'];
  const files = extra === undefined || extra === '' ? [bundle] : [bundle, extra];
  return { ca: [...rootCertificates, ...files.map(readCertificates)] };
}

function readCertificates(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    throw new MlvError({
      code: 'ca-bundle-unreadable',
      kind: 'io',
      message: `cannot read the certificates that AWS_CA_BUNDLE or NODE_EXTRA_CA_CERTS names: ${path}`,
      hint: 'Correct the variable, or unset it.',
      cause,
    });
  }
}

/** The proxy for an address (without one, AWS over https), as curl chooses it; undefined for none. Throws `proxy-invalid`. */
export function proxyFor(endpoint: URL | undefined, environment: Environment): URL | undefined {
  const { protocol, hostname, port } = endpoint ?? new URL('https://amazonaws.com');
  const isHttps = protocol === 'https:';
  const names = isHttps ? ['https_proxy', 'HTTPS_PROXY'] : ['http_proxy', 'HTTP_PROXY'];
  const found = [...names, 'all_proxy', 'ALL_PROXY'].map((name) => environment[name]).find((value) => value);
  if (found === undefined || found === '') return undefined;
  const withoutProxy = environment['no_proxy'] || environment['NO_PROXY'] || '';
  if (isExcepted(hostname, port || (isHttps ? '443' : '80'), withoutProxy)) return undefined;
  const text = found.includes('://') ? found : `http://${found}`;
  const proxy = URL.canParse(text) ? new URL(text) : undefined;
  if (proxy?.protocol === 'http:' || proxy?.protocol === 'https:') return proxy;
  throw new MlvError({
    code: 'proxy-invalid',
    kind: 'usage',
    message: `${isHttps ? 'HTTPS_PROXY' : 'HTTP_PROXY'} is not the address of an http proxy`,
    hint: 'It looks like http://proxy.example.org:3128. SOCKS is not supported.',
  });
}

/** `NO_PROXY` lists hosts and domains, with all that is below them, perhaps with a port; `*` is everything. */
function isExcepted(hostname: string, port: string, list: string): boolean {
  const host = hostname.replace(/^\[|\]$/g, '').toLowerCase();
  return list
    .toLowerCase()
    .split(/[\s,]+/)
    .some((entry) => {
      if (entry === '*') return true;
      // An address of IPv6 has colons of its own; with a port it stands in brackets.
      const isBare = entry.split(':').length > 2 && !entry.startsWith('[');
      const [, name = entry, itsPort] = isBare ? [] : (/^\[?([^\]]*?)\]?(?::(\d+))?$/.exec(entry) ?? []);
      const domain = name.replace(/^\*?\.+/, '').replace(/\.$/, '');
      if (domain === '' || (itsPort !== undefined && itsPort !== port)) return false;
      return host === domain || host.endsWith(`.${domain}`);
    });
}

/** Makes an agent reach its hosts through tunnels. */
function throughProxy<T extends HttpAgent>(agent: T, proxy: URL): T {
  const isTls = agent instanceof HttpsAgent;
  const connect = async (options: { host: string; port: number; servername?: string }): Promise<Duplex> => {
    const host = options.host.includes(':') ? `[${options.host}]` : options.host;
    const socket = await openTunnel(proxy, `${host}:${options.port}`);
    if (!isTls) return socket;
    const secure = tlsConnect({ ...options, socket });
    await once(secure, 'secureConnect');
    return secure;
  };
  return Object.assign(agent, { createConnection: callbackify(connect) });
}

function openTunnel(proxy: URL, target: string): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    const fail = (reason: string, { cause, hint = LOOK }: { cause?: Error; hint?: string } = {}): void =>
      reject(
        new TransientError(`the proxy ${proxy.host} ${reason}`, {
          cause,
          isUnreachable: true,
          hint,
        }),
      );
    const credentials = `${decodeURIComponent(proxy.username)}:${decodeURIComponent(proxy.password)}`;
    const request = (proxy.protocol === 'https:' ? httpsRequest : httpRequest)({
      host: proxy.hostname.replace(/^\[|\]$/g, ''),
      port: proxy.port || (proxy.protocol === 'https:' ? 443 : 80),
      method: 'CONNECT',
      path: target,
      agent: false,
      timeout: CONNECT_MS,
      headers: {
        host: target,
        ...(proxy.username !== '' && { 'proxy-authorization': `Basic ${Buffer.from(credentials).toString('base64')}` }),
      },
    });
    request.once('connect', ({ statusCode }, socket) => {
      socket.setTimeout(0);
      if (statusCode === 200) return resolve(socket);
      socket.destroy();
      fail(
        `refused to connect to ${target}: it answered ${statusCode}`,
        statusCode === 407 ? { hint: NAME_AND_PASSWORD } : {},
      );
    });
    request.once('response', (response) => {
      response.destroy();
      fail(`is no proxy: it answered ${response.statusCode} to CONNECT`);
    });
    request.once('timeout', () => request.destroy(new Error('no answer')));
    request.once('error', (error) => fail(`cannot be reached: ${error.message}`, { cause: error }));
    request.end();
  });
}
