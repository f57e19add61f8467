/** A server that says what the test tells it to, and the API that asks it. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { KubernetesApi } from '../../../src/execution/kubernetes/api.ts';
import type { OpenOptions } from '../../../src/execution/kubernetes/open-api.ts';
import { openKubernetes } from '../../../src/execution/kubernetes/open-api.ts';
import type { Certificates } from '../../support/kubernetes/certificates.ts';
import { makeCertificates } from '../../support/kubernetes/certificates.ts';
import type { ProtocolServer } from '../../support/kubernetes/protocol-server.ts';
import { startProtocolServer } from '../../support/kubernetes/protocol-server.ts';

export interface ApiRig {
  readonly folder: string;
  readonly server: ProtocolServer;
  /** Its certificates lie in the folder: `ca.crt`, `client.crt`, `client.key`. */
  readonly certificates: Certificates;
  /** Opens the API with what is said of user and cluster; a token unless said otherwise. */
  open(options?: RigOptions): Promise<KubernetesApi>;
  /** Throws where the server was asked what no server would take. */
  close(): Promise<void>;
}

export interface RigOptions extends Partial<Omit<OpenOptions, 'environment'>> {
  readonly user?: object;
  readonly cluster?: object;
  readonly environment?: Readonly<Record<string, string>>;
}

export async function startApiRig(): Promise<ApiRig> {
  const folder = mkdtempSync(join(tmpdir(), 'mlv-kubernetes-'));
  const certificates = certificatesOf();
  for (const [name, pair] of Object.entries(certificates)) {
    writeFileSync(join(folder, `${name}.crt`), pair.cert);
    writeFileSync(join(folder, `${name}.key`), pair.key);
  }
  const server = await startProtocolServer(certificates);
  const opened: KubernetesApi[] = [];
  return {
    folder,
    server,
    certificates,
    async open({ user = { token: 'right' }, cluster, environment, ...options } = {}) {
      const config = {
        'current-context': 'test',
        contexts: [{ name: 'test', context: { cluster: 'one', user: 'me', namespace: 'ml' } }],
        clusters: [{ name: 'one', cluster: { server: server.url, 'certificate-authority': 'ca.crt', ...cluster } }],
        users: [{ name: 'me', user }],
      };
      writeFileSync(join(folder, 'config'), JSON.stringify(config));
      const api = await openKubernetes({
        patienceMs: 2_000,
        ...options,
        environment: { PATH: process.env['PATH'], KUBECONFIG: join(folder, 'config'), ...environment },
      });
      opened.push(api);
      return api;
    },
    async close() {
      for (const api of opened) api.close();
      await server.close();
      rmSync(folder, { recursive: true, force: true });
      if (server.faults.length > 0) throw new Error(`the server found fault: ${server.faults.join('; ')}`);
    },
  };
}

let made: Certificates | undefined;

/** The same for all tests of a file. */
function certificatesOf(): Certificates {
  if (made !== undefined) return made;
  const folder = mkdtempSync(join(tmpdir(), 'mlv-certificates-'));
  try {
    made = makeCertificates(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
  return made;
}

/** An object as a server tells of it. */
export function jobOf(name: string, version: string, more: object = {}) {
  return { metadata: { name, uid: `uid-${name}`, resourceVersion: version }, ...more };
}

export async function failureOf(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new Error('it did not fail');
}
