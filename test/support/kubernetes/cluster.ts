/**
 * A Kubernetes cluster for tests, in this process: API server, Job controller, scheduler, garbage collection, and kubelets that really
 * run the containers' commands as local processes. Nothing of it outlives `close`. It behaves as Kubernetes 1.34 with containerd 2;
 * where that is a choice between versions, a comment beside it says so.
 */
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Account } from './access.ts';
import { type ApiServer, startApiServer } from './api-server.ts';
import type { Fault } from './faults.ts';
import { type Contents, furnish, namespacesOf } from './furnish.ts';
import { startGarbageCollection } from './garbage.ts';
import { type Image, openImages } from './images.ts';
import { startJobController } from './job-controller.ts';
import { type Kubelet, startKubelets } from './kubelet-double.ts';
import { type NewObject, openRegistry } from './registry.ts';
import { apiVersionOf, type ResourceName, resourceNamed, type Stored } from './resources.ts';
import { startScheduler } from './scheduler-double.ts';
import { type Key, openStore } from './store.ts';
import type { Order, Trouble } from './troubles.ts';

/** All of it can be written as JSON. */
export interface ClusterOptions extends Contents {
  /** By the names that pods use. `node:20-slim` and `busybox:1` unless told. */
  readonly images?: Readonly<Record<string, Image>>;
  /** Who may come: tokens, and client certificates by their common names. The token `token` may do everything, unless tokens are told. */
  readonly tokens?: Readonly<Record<string, Account>>;
  readonly users?: Readonly<Record<string, Account>>;
  /** PEM; HTTP where it is not told. */
  readonly tls?: { readonly key: string; readonly cert: string; readonly clientCa?: string };
  /** Fields that this cluster leaves out without a word: `jobs.spec.podReplacementPolicy`. */
  readonly drops?: readonly string[];
  readonly orders?: readonly Order[];
  readonly faults?: readonly Fault[];
  /** How long a second of deadlines, grace, `ttlSecondsAfterFinished` and `timeoutSeconds` takes; 1000 unless told. */
  readonly secondMs?: number;
  /** Before a failed pod is replaced the first time; 20 unless told. */
  readonly backoffMs?: number;
  /** Before an image, a volume or a variable that was missing is looked for again; 30 unless told. */
  readonly retryMs?: number;
  readonly bookmarkMs?: number;
}

export interface Cluster extends Pick<ApiServer, 'url' | 'port' | 'faults' | 'requests' | 'tokens' | 'cutStreams'> {
  /** A kubeconfig for the first token, with the context `test` and the first namespace; the text, and a file with it. */
  readonly kubeconfig: string;
  readonly kubeconfigFile: string;
  readonly namespace: string;
  /** Holds what pods wrote: `claims/NAMESPACE/NAME`, `pods/UID/volumes/NAME`. */
  readonly folder: string;
  /** What happens to pods at a moment to come. */
  order(order: Order): void;
  /** What happens to a pod at once; of the only one that has not ended unless it is named. */
  trouble(trouble: Trouble, of?: { pod?: string; container?: string }): Promise<void>;
  get<R extends ResourceName>(resource: R, name: string, namespace?: string): Stored[R] | undefined;
  list<R extends ResourceName>(resource: R, namespace?: string): Stored[R][];
  /** Past all access rules, with all others. */
  create<R extends ResourceName>(
    resource: R,
    object: Partial<NewObject> & { metadata: NewObject['metadata'] },
  ): Stored[R];
  change<R extends ResourceName>(resource: R, name: string, edit: (draft: Stored[R]) => void): void;
  delete(resource: ResourceName, name: string): void;
  /** The first object of the namespace that is as asked for, now or later. Rejects after so many milliseconds (10,000), telling all there are. */
  until<R extends ResourceName>(resource: R, test: (object: Stored[R]) => boolean, ms?: number): Promise<Stored[R]>;
  /** Forgets old versions: watches and pages from before are too old. */
  compact(): void;
  /** Ends all processes, and removes all files. */
  close(): Promise<void>;
}

const PATIENCE_MS = 10_000;

export async function startCluster(options: ClusterOptions = {}): Promise<Cluster> {
  const {
    secondMs = 1000,
    backoffMs = 20,
    retryMs = 30,
    bookmarkMs = 60_000,
    tokens = { token: { user: 'admin' } },
  } = options;
  const folder = mkdtempSync(join(tmpdir(), 'kubernetes-'));
  const store = openStore();
  const registry = openRegistry({ store, now: Date.now, drops: options.drops ?? [] });
  const namespace = namespacesOf(options)[0]?.name ?? 'default';
  furnish(options, create);
  let kubelet: Kubelet | undefined;
  const api = await startApiServer(registry, {
    tokens,
    ...(options.users === undefined ? {} : { users: options.users }),
    ...(options.tls === undefined ? {} : { tls: options.tls }),
    timing: { bookmarkMs, secondMs },
    logs: (pod, container) => kubelet?.log(pod, container),
  });
  for (const fault of options.faults ?? []) api.faults.add(fault);
  const images = openImages(options.images ?? { 'node:20-slim': {}, 'busybox:1': {} });
  const serviceEnv = { KUBERNETES_SERVICE_HOST: '127.0.0.1', KUBERNETES_SERVICE_PORT: String(api.port) };
  const kubelets = startKubelets(registry, { images, root: folder, secondMs, retryMs, serviceEnv });
  kubelet = kubelets;
  for (const order of options.orders ?? []) kubelets.order(order);
  const controllers = [
    startJobController(registry, { secondMs, backoffMs }),
    startScheduler(registry, { storageClasses: options.storageClasses ?? ['standard'] }),
    startGarbageCollection(registry, { secondMs }),
  ];
  const kubeconfig = kubeconfigOf({
    url: api.url,
    token: Object.keys(tokens)[0] ?? '',
    namespace,
    ca: options.tls?.cert,
  });
  const kubeconfigFile = join(folder, 'kubeconfig');
  writeFileSync(kubeconfigFile, kubeconfig, { mode: 0o600 });

  function create<R extends ResourceName>(
    resource: R,
    object: Partial<NewObject> & { metadata: NewObject['metadata'] },
  ): Stored[R] {
    const type = resourceNamed(resource);
    const metadata = { ...(type.isNamespaced ? { namespace } : {}), ...object.metadata };
    return registry.create(resource, { apiVersion: apiVersionOf(type), kind: type.kind, ...object, metadata });
  }

  function key<R extends ResourceName>(resource: R, name: string, inside = namespace): Key<R> {
    return { resource, name, namespace: resourceNamed(resource).isNamespaced ? inside : '' };
  }

  return {
    url: api.url,
    port: api.port,
    faults: api.faults,
    requests: api.requests,
    tokens: api.tokens,
    cutStreams: (how, of) => api.cutStreams(how, of),
    kubeconfig,
    kubeconfigFile,
    namespace,
    folder,
    order: (order) => kubelets.order(order),
    async trouble(trouble, { pod: name, container } = {}) {
      const open = store.list('pods').filter(({ status }) => !['Succeeded', 'Failed'].includes(status.phase));
      const chosen = name === undefined ? open : open.filter(({ metadata }) => metadata.name.includes(name));
      const [pod] = chosen;
      if (pod === undefined || chosen.length > 1)
        throw new Error(`${chosen.length} pods are called ${name ?? 'anything'}`);
      await kubelets.trouble(pod, trouble, container);
    },
    get: (resource, name, inside) => store.get(key(resource, name, inside)),
    list: (resource, inside = namespace) =>
      store.list(resource, resourceNamed(resource).isNamespaced ? { namespace: inside } : {}),
    create,
    change(resource, name, edit) {
      store.change(key(resource, name), edit);
    },
    delete(resource, name) {
      registry.delete(key(resource, name), { propagationPolicy: 'Background' });
    },
    until(resource, test, ms = PATIENCE_MS) {
      const find = (): Stored[typeof resource] | undefined => store.list(resource).find(test);
      return new Promise((resolve, reject) => {
        const stop = store.onChange((change) => {
          if (change.resource === resource) settle();
        });
        const timer = setTimeout(() => {
          stop();
          reject(new Error(`not in ${ms} ms: ${JSON.stringify(store.list(resource), undefined, 1)}`));
        }, ms);
        function settle(): void {
          const found = find();
          if (found === undefined) return;
          stop();
          clearTimeout(timer);
          resolve(found);
        }
        settle();
      });
    },
    compact: () => store.compact(),
    async close() {
      for (const controller of controllers) controller.close();
      await api.close();
      await kubelets.close();
    },
  };
}

function kubeconfigOf({
  url,
  token,
  namespace,
  ca,
}: {
  url: string;
  token: string;
  namespace: string;
  ca: string | undefined;
}): string {
  const authority = ca === undefined ? {} : { 'certificate-authority-data': Buffer.from(ca).toString('base64') };
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'test',
    clusters: [{ name: 'double', cluster: { server: url, ...authority } }],
    users: [{ name: 'tester', user: { token } }],
    contexts: [{ name: 'test', context: { cluster: 'double', user: 'tester', namespace } }],
  };
  // JSON is YAML.
  return `${JSON.stringify(config, undefined, 2)}\n`;
}
