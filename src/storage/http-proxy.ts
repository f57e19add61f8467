import { once } from 'node:events';
import type { Agent as HttpAgent } from 'node:http';
import { request as httpRequest } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { BlockList, isIP } from 'node:net';
import type { Duplex } from 'node:stream';
import { connect as tlsConnect } from 'node:tls';
import { callbackify } from 'node:util';
import { MlvError } from '../domain/errors.ts';
import { openSocksTunnel } from './socks-tunnel.ts';
import { TransientError } from './transient-error.ts';

type Environment = Readonly<Record<string, string | undefined>>;

const CONNECT_MS = 10_000;
const LOOK = 'Look at HTTPS_PROXY, HTTP_PROXY and NO_PROXY.';
const NAME_AND_PASSWORD =
  'It wants a name and password, or other ones: HTTPS_PROXY (HTTP_PROXY for plain http) may hold them, http://USER:PASSWORD@HOST:PORT.';

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

/** `NO_PROXY` lists hosts and domains, with all that is below them, perhaps with a port, and ranges of addresses; `*` is everything. */
function isExcepted(hostname: string, port: string, list: string): boolean {
  const host = hostname.replace(/^\[|\]$/g, '').toLowerCase();
  return list
    .toLowerCase()
    .split(/[\s,]+/)
    .some((entry) => {
      if (entry === '*') return true;
      if (entry.includes('/')) return isInRange(host, entry);
      // An address of IPv6 has colons of its own; with a port it stands in brackets.
      const isBare = entry.split(':').length > 2 && !entry.startsWith('[');
      const [, name = entry, itsPort] = isBare ? [] : (/^\[?([^\]]*?)\]?(?::(\d+))?$/.exec(entry) ?? []);
      const domain = name.replace(/^\*?\.+/, '').replace(/\.$/, '');
      if (domain === '' || (itsPort !== undefined && itsPort !== port)) return false;
      return host === domain || host.endsWith(`.${domain}`);
    });
}

/** Whether an address is in a range as `10.0.0.0/8`. */
function isInRange(host: string, range: string): boolean {
  const [, network = '', bits] = /^(.+)\/(\d{1,3})$/.exec(range) ?? [];
  const version = isIP(host);
  if (version === 0 || isIP(network) !== version || Number(bits) > (version === 4 ? 32 : 128)) return false;
  const type = version === 4 ? 'ipv4' : 'ipv6';
  const list = new BlockList();
  list.addSubnet(network, Number(bits), type);
  return list.check(host, type);
}

/** Makes an agent reach its hosts through tunnels, of an http or a socks5 proxy. */
export function throughProxy<T extends HttpAgent>(agent: T, proxy: URL): T {
  const isTls = agent instanceof HttpsAgent;
  const connect = async (options: { host: string; port: number; servername?: string }): Promise<Duplex> => {
    const host = options.host.includes(':') ? `[${options.host}]` : options.host;
    const socket = proxy.protocol.startsWith('socks5')
      ? await openSocksTunnel(proxy, options.host, options.port, CONNECT_MS)
      : await openTunnel(proxy, `${host}:${options.port}`);
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
