/** What a request to the API server carries: who asks, and by what certificate. */
import { readFile } from 'node:fs/promises';
import { ioError } from '../../platform/io-error.ts';
import type { Environment } from '../../workspace/open.ts';
import type { PluginCredential } from './exec-plugin.ts';
import { readMaterial, runPlugin } from './exec-plugin.ts';
import type { ClusterAccess } from './kubeconfig.ts';
import { invalidConfig } from './kubeconfig-file.ts';

export interface Credential {
  readonly headers: Readonly<Record<string, string | readonly string[]>>;
  readonly tls: {
    readonly ca: string | undefined;
    readonly cert: string | undefined;
    readonly key: string | undefined;
  };
}

export interface Credentials {
  /** What holds now; files are read again after a minute, a plugin runs again when its credential is about to end. */
  current(signal?: AbortSignal): Promise<Credential>;
  /** What holds instead of one that the server did not take; undefined where there is nothing else. */
  renewed(refused: Credential, signal?: AbortSignal): Promise<Credential | undefined>;
}

export interface CredentialOptions {
  readonly access: ClusterAccess;
  readonly environment: Environment;
  readonly isInteractive: boolean;
}

/** Service account tokens are replaced by new ones well before their end; client-go reads them again as often. */
const FILES_MS = 60_000;
/** A credential that ends so soon is not used any more. */
const MARGIN_MS = 10_000;

/** Reads nothing yet. */
export function createCredentials(options: CredentialOptions): Credentials {
  const { access, environment, isInteractive } = options;
  const { user, cluster } = access;
  let held: { readonly credential: Credential; readonly until: number } | undefined;
  let plugged: PluginCredential | undefined;
  let lastToken: string | undefined;
  let loading: Promise<Credential> | undefined;

  async function fromPlugin(isAnew: boolean): Promise<PluginCredential | undefined> {
    // Who has a token or password uses that, as with kubectl.
    if (user.plugin === undefined || user.token !== undefined || user.username !== undefined) return undefined;
    const hasEnded = (plugged?.expires ?? Number.POSITIVE_INFINITY) - MARGIN_MS < Date.now();
    if (plugged === undefined || hasEnded || isAnew)
      plugged = await runPlugin({ plugin: user.plugin, cluster, environment, isInteractive });
    return plugged;
  }

  /** A file goes before the token beside it, and one that cannot be read any more leaves the last. */
  async function token(): Promise<string | undefined> {
    if (user.tokenFile === undefined) return user.token;
    try {
      const text = (await readFile(user.tokenFile, 'utf8')).trim();
      if (text !== '') lastToken = text;
    } catch (error) {
      if (lastToken === undefined && user.token === undefined) throw ioError(error, 'read', user.tokenFile);
    }
    return lastToken ?? user.token;
  }

  async function load(isAnew: boolean): Promise<Credential> {
    const plugin = await fromPlugin(isAnew);
    const [ca, cert, key] = await Promise.all(
      [cluster.ca, user.certificate, user.key].map(async (part) => part && (await readMaterial(part)).toString('utf8')),
    );
    const authorization = authorizationOf((await token()) ?? plugin?.token, access);
    const credential: Credential = {
      headers: { ...(authorization !== undefined && { authorization }), ...impersonation(access) },
      tls: { ca, cert: cert ?? plugin?.certificate?.cert, key: key ?? plugin?.certificate?.key },
    };
    // The same object as long as nothing has changed: connections are kept by it.
    const isSame = held !== undefined && JSON.stringify(held.credential) === JSON.stringify(credential);
    const ends = (plugin?.expires ?? Number.POSITIVE_INFINITY) - MARGIN_MS;
    held = {
      credential: isSame && held !== undefined ? held.credential : credential,
      until: Math.min(Date.now() + FILES_MS, Math.max(ends, Date.now())),
    };
    return held.credential;
  }

  /** One at a time: a plugin may ask somebody. */
  function loadOnce(isAnew: boolean): Promise<Credential> {
    loading ??= load(isAnew).finally(() => {
      loading = undefined;
    });
    return loading;
  }

  return {
    current: async (signal) =>
      held !== undefined && Date.now() < held.until ? held.credential : unlessAborted(loadOnce(false), signal),
    async renewed(refused, signal) {
      if (held !== undefined && held.credential !== refused) return held.credential;
      const credential = await unlessAborted(loadOnce(true), signal);
      return credential === refused ? undefined : credential;
    },
  };
}

function authorizationOf(token: string | undefined, { user, context }: ClusterAccess): string | undefined {
  if (token === undefined) {
    if (user.username === undefined && user.password === undefined) return undefined;
    return `Basic ${Buffer.from(`${user.username ?? ''}:${user.password ?? ''}`).toString('base64')}`;
  }
  if (!/^[\x21-\x7e]+$/.test(token))
    throw invalidConfig(`the token for the context "${context}" has blanks or other characters that no token has`);
  return `Bearer ${token}`;
}

/** https://kubernetes.io/docs/reference/access-authn-authz/authentication/#user-impersonation */
function impersonation({ user: { impersonate } }: ClusterAccess): Readonly<Record<string, string | readonly string[]>> {
  const { user, uid, groups, extra } = impersonate;
  if (user === undefined) return {};
  return {
    'impersonate-user': asHeader(user),
    ...(uid !== undefined && { 'impersonate-uid': asHeader(uid) }),
    ...(groups.length > 0 && { 'impersonate-group': groups.map(asHeader) }),
    ...Object.fromEntries(
      Object.entries(extra).map(([key, values]) => [
        `impersonate-extra-${encodeURIComponent(key.toLowerCase())}`,
        values.map(asHeader),
      ]),
    ),
  };
}

/** In UTF-8, as Go's clients send it. */
function asHeader(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1');
}

/** Somebody else may wait for the same. */
async function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise;
  signal.throwIfAborted();
  let stop = (): void => {};
  const aborted = new Promise<never>((_, reject) => {
    stop = () => reject(signal.reason as Error);
    signal.addEventListener('abort', stop, { once: true });
  });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener('abort', stop);
  }
}
