/** A client that sends whatever it is told, and objects for it to send. */
import { request, type IncomingHttpHeaders, type IncomingMessage } from 'node:http';
import { createInterface } from 'node:readline';
import { onTestFinished } from 'vitest';
import { type Cluster, type ClusterOptions, startCluster } from './cluster.ts';
import type { Container, JobSpec, KubeObject, Pod, PodSpec } from './objects.ts';

type Address = Pick<Cluster, 'port'>;

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** Decoded where it is JSON. */
  readonly body: Body;
}

/** Enough of every answer for tests to read it. */
type Body = KubeObject & {
  message: string;
  reason: string;
  code: number;
  details: Record<string, unknown>;
  items: KubeObject[];
  metadata: { continue?: string; remainingItemCount?: number };
  [key: string]: unknown;
};

export interface RawCall {
  readonly method?: string;
  /** With the query. */
  readonly path: string;
  /** `token` unless told; none where it is empty. */
  readonly token?: string;
  readonly type?: string;
  /** Sent as JSON, unless it is a text. */
  readonly body?: unknown;
}

export const PODS = '/api/v1/namespaces/ml/pods';
export const JOBS = '/apis/batch/v1/namespaces/ml/jobs';
export const CONFIG_MAPS = '/api/v1/namespaces/ml/configmaps';
const MERGE = 'application/merge-patch+json';

/** A cluster for one test, in which a second of deadlines and graces takes 20 ms. */
export async function startRig(options: ClusterOptions = {}): Promise<Cluster> {
  const cluster = await startCluster({ secondMs: 20, backoffMs: 5, retryMs: 5, ...options });
  onTestFinished(() => cluster.close());
  return cluster;
}

/** Sends a request, and reads its whole answer. Rejects where the connection breaks. */
export async function send(cluster: Address, call: RawCall): Promise<Answer> {
  const response = await open(cluster, call);
  const chunks: Buffer[] = [];
  for await (const chunk of response as AsyncIterable<Buffer>) chunks.push(chunk);
  const text = Buffer.concat(chunks).toString();
  const isJson = response.headers['content-type'] === 'application/json';
  return {
    status: response.statusCode ?? 0,
    headers: response.headers,
    body: (isJson ? JSON.parse(text) : text) as Body,
  };
}

export function post(cluster: Address, path: string, body: unknown): Promise<Answer> {
  return send(cluster, { method: 'POST', path, body });
}

export function patch(cluster: Address, path: string, body: unknown): Promise<Answer> {
  return send(cluster, { method: 'PATCH', path, body, type: MERGE });
}

/** Lines of an answer that goes on. */
export interface Lines {
  /** The next one; undefined where the answer has ended as it should. Rejects where the connection breaks. */
  next(): Promise<string | undefined>;
  close(): void;
}

/** Sends a request whose answer goes on, and reads it line by line. */
export async function follow(cluster: Address, path: string): Promise<Lines> {
  const response = await open(cluster, { path });
  if (response.statusCode !== 200) throw new Error(`answered ${response.statusCode}`);
  const failed = new Promise<never>((_, reject) => {
    response.on('error', reject);
  });
  failed.catch(() => undefined);
  const lines = createInterface({ input: response })[Symbol.asyncIterator]();
  return {
    async next() {
      const { done, value } = await Promise.race([lines.next(), failed]);
      return done === true ? undefined : value;
    },
    close: () => response.destroy(),
  };
}

/** Of a watch: how many events are told, each as `ADDED name`. */
export async function takeEvents(lines: Lines, count: number): Promise<string[]> {
  const events: string[] = [];
  while (events.length < count) {
    const line = await lines.next();
    if (line === undefined) return [...events, 'END'];
    const { type, object } = JSON.parse(line) as { type: string; object: KubeObject & { code?: number } };
    events.push(`${type} ${object.metadata.name ?? object.code ?? object.metadata.resourceVersion}`);
  }
  return events;
}

/** A Job of one container with a shell command, and whatever else is told. */
export function job(
  name: string,
  command: string,
  {
    spec = {},
    pod = {},
    container = {},
  }: { spec?: Partial<JobSpec>; pod?: Partial<PodSpec>; container?: Partial<Container> } = {},
): unknown {
  return {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: { name },
    spec: {
      ...spec,
      template: { spec: { restartPolicy: 'Never', containers: [shell('main', command, container)], ...pod } },
    },
  };
}

/** Makes the pod `p`, or another. */
export function runPod(cluster: Cluster, spec: Partial<PodSpec>, metadata: Partial<Pod['metadata']> = {}): void {
  cluster.create('pods', { metadata: { name: 'p', ...metadata }, spec: { restartPolicy: 'Never', ...spec } });
}

/** A pod, once one has ended. */
export function podEnd(cluster: Cluster): Promise<Pod> {
  return cluster.until('pods', ({ status }) => status.phase === 'Succeeded' || status.phase === 'Failed');
}

/** What the pod `p` printed, of its log as it is asked for. */
export async function logOf(cluster: Cluster, query = ''): Promise<string> {
  return (await send(cluster, { path: `${PODS}/p/log?${query}` })).body as unknown as string;
}

export function shell(name: string, command: string, more: Partial<Container> = {}): Container {
  return { name, image: 'busybox:1', command: ['/bin/sh', '-c', command], ...more };
}

export function configMap(name: string, data: Record<string, string>, more: Record<string, unknown> = {}): unknown {
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name }, data, ...more };
}

function open(
  { port }: Address,
  { method = 'GET', path, token = 'token', type = 'application/json', body }: RawCall,
): Promise<IncomingMessage> {
  const text = body === undefined || typeof body === 'string' ? (body ?? '') : JSON.stringify(body);
  return new Promise((resolve, reject) => {
    const sent = request({
      host: '127.0.0.1',
      port,
      method,
      path,
      agent: false,
      headers: {
        ...(token === '' ? {} : { authorization: `Bearer ${token}` }),
        // Node sends no length with the body of a DELETE by itself.
        ...(body === undefined ? {} : { 'content-type': type, 'content-length': Buffer.byteLength(text) }),
      },
    });
    sent.on('error', reject);
    sent.on('response', resolve);
    sent.end(text);
  });
}
