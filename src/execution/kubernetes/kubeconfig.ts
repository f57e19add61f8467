/** Which cluster, and as whom: from kubeconfig files as kubectl reads them, or from the pod that mlv runs in. */
import { readFile } from 'node:fs/promises';
import { isIPv6 } from 'node:net';
import { delimiter, join } from 'node:path';
import { hasErrorCode, MlvError } from '../../domain/errors.ts';
import { nearestName } from '../../domain/nearest-name.ts';
import { decodeText } from '../../platform/durable-write.ts';
import { ioError } from '../../platform/io-error.ts';
import type { Environment } from '../../workspace/open.ts';
import { homeOf } from '../../workspace/open.ts';
import type { KubeCluster, Kubeconfig, KubeUser } from './kubeconfig-file.ts';
import { invalidConfig, parseKubeconfig } from './kubeconfig-file.ts';

/** A cluster, and what to tell it. */
export interface ClusterAccess {
  /** As the kubeconfig calls it, or `in-cluster`. */
  readonly context: string;
  readonly namespace: string;
  /** Perhaps with a path, below which the API is. */
  readonly server: URL;
  readonly cluster: KubeCluster;
  readonly user: KubeUser;
}

export interface AccessOptions {
  readonly environment: Environment;
  /** Instead of the current one. */
  readonly context?: string | undefined;
  /** Instead of the context's. */
  readonly namespace?: string | undefined;
  /** Where a pod finds what its service account may use. */
  readonly accountFolder?: string;
}

const IN_CLUSTER = 'in-cluster';
const ACCOUNT_FOLDER = '/var/run/secrets/kubernetes.io/serviceaccount';
const DEFAULT_NAMESPACE = 'default';
const NOBODY: KubeUser = {
  certificate: undefined,
  key: undefined,
  token: undefined,
  tokenFile: undefined,
  username: undefined,
  password: undefined,
  impersonate: { user: undefined, uid: undefined, groups: [], extra: {} },
  plugin: undefined,
  provider: undefined,
};

/**
 * Finds the cluster: in the files that KUBECONFIG names, or `~/.kube/config`; where there are none, and no context is asked for, the
 * cluster that mlv runs in. Throws `kubernetes-no-context` (which names the contexts there are), `kubernetes-config-invalid`,
 * `kubernetes-auth-unsupported`, or an error of kind io that names the file.
 */
export async function findCluster(options: AccessOptions): Promise<ClusterAccess> {
  const { environment } = options;
  const paths = kubeconfigPaths(environment);
  const files = await Promise.all(paths.map(readKubeconfig));
  const config = merge(files.filter((file) => file !== undefined));
  const isEmpty = config.contexts.size === 0 && config.clusters.size === 0 && config.users.size === 0;
  const inside = isEmpty && options.context === undefined ? await readAccount(options) : undefined;
  return inside ?? select(config, paths, options);
}

function kubeconfigPaths(environment: Environment): string[] {
  const list = environment['KUBECONFIG'];
  if (list === undefined || list === '') return [join(homeOf(environment), '.kube', 'config')];
  return [...new Set(list.split(delimiter))].filter((path) => path !== '');
}

async function readKubeconfig(path: string): Promise<Kubeconfig | undefined> {
  const bytes = await readIfThere(path);
  return bytes && parseKubeconfig(decodeText(bytes, path), path);
}

async function readIfThere(path: string): Promise<Buffer | undefined> {
  try {
    // Not only files: KUBECONFIG may be a pipe, made by the shell.
    return await readFile(path);
  } catch (error) {
    if (hasErrorCode(error, 'ENOENT', 'ENOTDIR')) return undefined;
    throw ioError(error, 'read', path);
  }
}

/** The first file to say something says it, and what a name stands for is taken as a whole. */
function merge(files: readonly Kubeconfig[]): Kubeconfig {
  const firstOf = <T>(pick: (file: Kubeconfig) => ReadonlyMap<string, T>): Map<string, T> =>
    new Map(files.toReversed().flatMap((file) => [...pick(file)]));
  return {
    currentContext: files.find((file) => file.currentContext !== undefined)?.currentContext,
    clusters: firstOf((file) => file.clusters),
    users: firstOf((file) => file.users),
    contexts: firstOf((file) => file.contexts),
  };
}

function select(config: Kubeconfig, paths: readonly string[], options: AccessOptions): ClusterAccess {
  const name = options.context ?? config.currentContext;
  const context = name === undefined ? undefined : config.contexts.get(name);
  if (name === undefined || context === undefined) throw noContext(name, config, paths);
  const cluster = config.clusters.get(context.cluster ?? '');
  if (cluster === undefined)
    throw invalidConfig(`the context "${name}" names the cluster "${context.cluster ?? ''}", which no kubeconfig has`);
  const user = context.user === undefined ? NOBODY : config.users.get(context.user);
  if (user === undefined)
    throw invalidConfig(`the context "${name}" names the user "${context.user}", whom no kubeconfig has`);
  const problem = problemOf(cluster, user);
  if (problem !== undefined) throw invalidConfig(`of the context "${name}" ${problem}`);
  if (user.provider !== undefined) throw providerGone(context.user ?? '', user.provider);
  const namespace = options.namespace ?? context.namespace ?? DEFAULT_NAMESPACE;
  return { context: name, namespace, server: serverOf(cluster, user, name), cluster, user };
}

/** What kubectl would refuse, too. */
function problemOf({ isInsecure, ca }: KubeCluster, user: KubeUser): string | undefined {
  const { certificate, key, token, username, password, impersonate, plugin } = user;
  if (isInsecure && ca !== undefined) return 'the cluster has certificates to trust, and is to be trusted without';
  if ((certificate === undefined) !== (key === undefined))
    return 'the user has a certificate or a key without the other';
  if (token !== undefined && (username !== undefined || password !== undefined))
    return 'the user has a token and a password: only one can be sent';
  if (impersonate.user === undefined && (impersonate.uid !== undefined || impersonate.groups.length > 0))
    return 'the user is to act with groups or an id of somebody, but not as whom ("as")';
  if (impersonate.user === undefined && Object.keys(impersonate.extra).length > 0)
    return 'the user is to act with extra fields of somebody, but not as whom ("as")';
  if (plugin === undefined) return undefined;
  if (!/^client\.authentication\.k8s\.io\/v1(?:beta1)?$/.test(plugin.apiVersion ?? ''))
    return `the plugin "${plugin.command}" has the apiVersion ${plugin.apiVersion ?? '(none)'}: mlv speaks client.authentication.k8s.io/v1 and v1beta1`;
  if (plugin.interactiveMode === undefined && plugin.apiVersion?.endsWith('/v1') === true)
    return `the plugin "${plugin.command}" has no interactiveMode`;
  if (!['Never', 'IfAvailable', 'Always', undefined].includes(plugin.interactiveMode))
    return `the plugin "${plugin.command}" has an interactiveMode that is not Never, IfAvailable or Always`;
  return undefined;
}

function serverOf(cluster: KubeCluster, user: KubeUser, context: string): URL {
  const { server, ca, isInsecure } = cluster;
  if (server === undefined) throw invalidConfig(`of the context "${context}" the cluster has no server`);
  const isTls = ca !== undefined || isInsecure || user.certificate !== undefined;
  const text = /^https?:\/\//i.test(server) ? server : `${isTls ? 'https' : 'http'}://${server}`;
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || url.username !== '' || url.password !== '')
    throw invalidConfig(`of the context "${context}" the server is not an address as https://host:6443`);
  return url;
}

function noContext(name: string | undefined, { contexts }: Kubeconfig, paths: readonly string[]): MlvError {
  const names = [...contexts.keys()].sort();
  const near = name === undefined ? undefined : nearestName(name, names);
  const looked = paths.join(', ');
  const message =
    names.length === 0
      ? `there is no Kubernetes context${name === undefined ? '' : ` "${name}"`}: no kubeconfig has any (looked for ${looked})`
      : name === undefined
        ? 'no Kubernetes context is chosen'
        : `there is no Kubernetes context "${name}"${near === undefined ? '' : `; did you mean "${near}"?`}`;
  return new MlvError({
    code: 'kubernetes-no-context',
    kind: 'missing',
    message,
    hint:
      names.length === 0
        ? 'Get a kubeconfig from whoever runs the cluster, and name it in KUBECONFIG or put it at ~/.kube/config.'
        : 'Name one of these in the profile: mlv config kubernetes.NAME.context CONTEXT. Or choose one: kubectl config use-context CONTEXT',
    items: names,
  });
}

function providerGone(user: string, provider: string): MlvError {
  const successors: Readonly<Record<string, string>> = {
    gcp: 'Install gke-gcloud-auth-plugin, and run "gcloud container clusters get-credentials CLUSTER" again.',
    azure: 'Install kubelogin, and run "kubelogin convert-kubeconfig".',
    oidc: 'Use a plugin instead: "kubectl oidc-login setup" (kubelogin) tells what to put under exec.',
  };
  return new MlvError({
    code: 'kubernetes-auth-unsupported',
    kind: 'unsupported',
    message: `the user "${user}" of the kubeconfig logs in by the auth-provider "${provider}", which mlv does not have`,
    hint: successors[provider] ?? 'Give the user a token, a certificate or a plugin (exec).',
  });
}

/** What every pod is given; undefined outside of one. */
async function readAccount(options: AccessOptions): Promise<ClusterAccess | undefined> {
  const { environment, accountFolder = ACCOUNT_FOLDER } = options;
  const host = environment['KUBERNETES_SERVICE_HOST'];
  const port = environment['KUBERNETES_SERVICE_PORT'];
  const tokenFile = join(accountFolder, 'token');
  if (!host || !port || (await readIfThere(tokenFile)) === undefined) return undefined;
  const ca = join(accountFolder, 'ca.crt');
  const server = `https://${isIPv6(host) ? `[${host}]` : host}:${port}`;
  const own = (await readIfThere(join(accountFolder, 'namespace')))?.toString('utf8').trim();
  return {
    context: IN_CLUSTER,
    namespace: options.namespace ?? (own || DEFAULT_NAMESPACE),
    server: new URL(server),
    cluster: {
      server,
      tlsServerName: undefined,
      isInsecure: false,
      ca: (await readIfThere(ca)) === undefined ? undefined : { path: ca },
      proxyUrl: undefined,
      pluginConfig: undefined,
    },
    user: { ...NOBODY, tokenFile },
  };
}
