/** One kubeconfig file. Imports `yaml`, which is slow to load: reach this file through a dynamic import only. */
import { dirname, isAbsolute, resolve, sep } from 'node:path';
import { LineCounter, parseDocument } from 'yaml';
import { MlvError } from '../../domain/errors.ts';

/** What lies in a file, or in the kubeconfig itself. */
export type Material = { readonly path: string } | { readonly data: Buffer };

export interface KubeCluster {
  readonly server: string | undefined;
  readonly tlsServerName: string | undefined;
  readonly isInsecure: boolean;
  readonly ca: Material | undefined;
  readonly proxyUrl: string | undefined;
  /** What the cluster tells plugins that ask for it: its extension `client.authentication.k8s.io/exec`. */
  readonly pluginConfig: unknown;
}

/** A program that gives credentials. */
export interface KubePlugin {
  readonly apiVersion: string | undefined;
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly installHint: string | undefined;
  readonly wantsCluster: boolean;
  readonly interactiveMode: string | undefined;
}

export interface KubeUser {
  readonly certificate: Material | undefined;
  readonly key: Material | undefined;
  readonly token: string | undefined;
  readonly tokenFile: string | undefined;
  readonly username: string | undefined;
  readonly password: string | undefined;
  readonly impersonate: Impersonation;
  readonly plugin: KubePlugin | undefined;
  /** The name of a provider that was once built into kubectl. */
  readonly provider: string | undefined;
}

export interface Impersonation {
  readonly user: string | undefined;
  readonly uid: string | undefined;
  readonly groups: readonly string[];
  readonly extra: Readonly<Record<string, readonly string[]>>;
}

export interface KubeContext {
  readonly cluster: string | undefined;
  readonly user: string | undefined;
  readonly namespace: string | undefined;
}

export interface Kubeconfig {
  readonly currentContext: string | undefined;
  readonly clusters: ReadonlyMap<string, KubeCluster>;
  readonly users: ReadonlyMap<string, KubeUser>;
  readonly contexts: ReadonlyMap<string, KubeContext>;
}

type Entries = Readonly<Record<string, unknown>>;

const PLUGIN_EXTENSION = 'client.authentication.k8s.io/exec';

/**
 * Reads the text of a kubeconfig, as kubectl does: what is empty counts as not there, paths are relative to the file's folder, fields
 * nobody knows are passed over. Throws `kubernetes-config-invalid`, whose message repeats nothing of the values.
 */
export function parseKubeconfig(text: string, path: string): Kubeconfig {
  const read = readerOf(path);
  const top = read.map(parseYaml(text, path), 'the file');
  return {
    currentContext: read.text(top, 'current-context', 'the file'),
    clusters: named(read, top, 'clusters', 'cluster', (entry, at) => ({
      server: read.text(entry, 'server', at),
      tlsServerName: read.text(entry, 'tls-server-name', at),
      isInsecure: read.flag(entry, 'insecure-skip-tls-verify', at),
      ca: read.material(entry, 'certificate-authority', at),
      proxyUrl: read.text(entry, 'proxy-url', at),
      pluginConfig: read.list(entry, 'extensions', at).find((extension) => extension['name'] === PLUGIN_EXTENSION)?.[
        'extension'
      ],
    })),
    users: named(read, top, 'users', 'user', (entry, at) => ({
      certificate: read.material(entry, 'client-certificate', at),
      key: read.material(entry, 'client-key', at),
      token: read.text(entry, 'token', at),
      tokenFile: read.path(entry, 'tokenFile', at),
      username: read.text(entry, 'username', at),
      password: read.text(entry, 'password', at),
      impersonate: {
        user: read.text(entry, 'as', at),
        uid: read.text(entry, 'as-uid', at),
        groups: read.texts(entry, 'as-groups', at),
        extra: extraOf(read, entry, at),
      },
      plugin: pluginOf(read, entry, at),
      provider: read.text(read.map(entry['auth-provider'], `auth-provider of ${at}`), 'name', at),
    })),
    contexts: named(read, top, 'contexts', 'context', (entry, at) => ({
      cluster: read.text(entry, 'cluster', at),
      user: read.text(entry, 'user', at),
      namespace: read.text(entry, 'namespace', at),
    })),
  };
}

/** The error for a kubeconfig that makes no sense. */
export function invalidConfig(message: string, cause?: unknown): MlvError {
  return new MlvError({
    code: 'kubernetes-config-invalid',
    kind: 'corrupt',
    message,
    hint: 'Correct the kubeconfig; "kubectl config view" shows what kubectl makes of it.',
    ...(cause !== undefined && { cause }),
  });
}

function parseYaml(text: string, path: string): unknown {
  const lineCounter = new LineCounter();
  try {
    // The package's messages repeat pieces of the file, which may be secret: only its codes are told.
    const document = parseDocument(text, { prettyErrors: false, lineCounter, logLevel: 'silent' });
    const [error] = document.errors;
    if (error === undefined) return document.toJS();
    const { line, col } = lineCounter.linePos(error.pos[0]);
    throw invalidConfig(`${path}:${line}:${col}: not valid YAML (${error.code})`);
  } catch (error) {
    if (error instanceof MlvError) throw error;
    throw invalidConfig(`${path}: not valid YAML`); // nested too deeply, or aliases without end
  }
}

function readerOf(path: string) {
  const folder = dirname(resolve(path));

  function wrong(at: string, what: string): never {
    throw invalidConfig(`${path}: ${at} ${what}`);
  }

  function map(value: unknown, at: string): Entries {
    if (value === undefined || value === null) return {};
    if (typeof value !== 'object' || Array.isArray(value)) return wrong(at, 'is not a map');
    return value as Entries;
  }

  function items(entry: Entries, key: string, at: string): readonly unknown[] {
    const value = entry[key] ?? [];
    return Array.isArray(value) ? value : wrong(`${key} of ${at}`, 'is not a list');
  }

  function asText(value: unknown, at: string): string | undefined {
    if (value === undefined || value === null || value === '') return undefined;
    return typeof value === 'string' ? value : wrong(at, 'is not text: put it in quotes');
  }

  const text = (entry: Entries, key: string, at: string): string | undefined => asText(entry[key], `${key} of ${at}`);

  function fromHere(entry: Entries, key: string, at: string): string | undefined {
    const value = text(entry, key, at);
    return value === undefined || isAbsolute(value) ? value : resolve(folder, value);
  }

  return {
    map,
    text,
    path: fromHere,
    wrong,
    list: (entry: Entries, key: string, at: string) =>
      items(entry, key, at).map((item) => map(item, `${key} of ${at}`)),
    texts: (entry: Entries, key: string, at: string) =>
      items(entry, key, at).map((item) => asText(item, `${key} of ${at}`) ?? ''),
    /** A program is looked for in the PATH unless its name has a folder. */
    program: (entry: Entries, key: string, at: string) =>
      (text(entry, key, at)?.includes(sep) === true ? fromHere : text)(entry, key, at),
    flag(entry: Entries, key: string, at: string): boolean {
      const value = entry[key] ?? false;
      return typeof value === 'boolean' ? value : wrong(`${key} of ${at}`, 'is neither true nor false');
    },
    material(entry: Entries, key: string, at: string): Material | undefined {
      const data = text(entry, `${key}-data`, at);
      const file = fromHere(entry, key, at);
      if (data !== undefined && file !== undefined) return wrong(at, `has both ${key} and ${key}-data`);
      if (data === undefined) return file === undefined ? undefined : { path: file };
      if (!/^[A-Za-z0-9+/\s]+={0,2}\s*$/.test(data)) return wrong(`${key}-data of ${at}`, 'is not base64');
      return { data: Buffer.from(data, 'base64') };
    },
  };
}

type Reader = ReturnType<typeof readerOf>;

function named<T>(
  read: Reader,
  top: Entries,
  list: string,
  kind: string,
  make: (entry: Entries, at: string) => T,
): ReadonlyMap<string, T> {
  const found = new Map<string, T>();
  for (const item of read.list(top, list, 'the file')) {
    const name = read.text(item, 'name', `an entry of ${list}`) ?? '';
    const at = `${kind} "${name}"`;
    if (found.has(name)) read.wrong(at, 'is there twice');
    found.set(name, make(read.map(item[kind], at), at));
  }
  return found;
}

function pluginOf(read: Reader, entry: Entries, user: string): KubePlugin | undefined {
  if (entry['exec'] === undefined || entry['exec'] === null) return undefined;
  const at = `exec of ${user}`;
  const exec = read.map(entry['exec'], at);
  const command = read.program(exec, 'command', at);
  if (command === undefined) return read.wrong(at, 'names no command');
  return {
    apiVersion: read.text(exec, 'apiVersion', at),
    command,
    args: read.texts(exec, 'args', at),
    env: Object.fromEntries(
      read
        .list(exec, 'env', at)
        .map((pair) => [
          read.text(pair, 'name', `env of ${at}`) ?? read.wrong(`env of ${at}`, 'has an entry without a name'),
          read.text(pair, 'value', `env of ${at}`) ?? '',
        ]),
    ),
    installHint: read.text(exec, 'installHint', at),
    wantsCluster: read.flag(exec, 'provideClusterInfo', at),
    interactiveMode: read.text(exec, 'interactiveMode', at),
  };
}

function extraOf(read: Reader, entry: Entries, at: string): Readonly<Record<string, readonly string[]>> {
  const extra = read.map(entry['as-user-extra'], `as-user-extra of ${at}`);
  return Object.fromEntries(Object.keys(extra).map((key) => [key, read.texts(extra, key, `as-user-extra of ${at}`)]));
}
