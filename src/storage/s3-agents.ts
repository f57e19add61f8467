import { readFileSync } from 'node:fs';
import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { rootCertificates } from 'node:tls';
import { MlvError } from '../domain/errors.ts';
import { proxyFor, throughProxy } from './http-proxy.ts';

type Environment = Readonly<Record<string, string | undefined>>;

const KEEP_ALIVE_MS = 15_000;

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
