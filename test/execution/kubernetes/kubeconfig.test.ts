import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { MlvError } from '../../../src/domain/errors.ts';
import type { ClusterAccess } from '../../../src/execution/kubernetes/kubeconfig.ts';
import { findCluster } from '../../../src/execution/kubernetes/kubeconfig.ts';
import type { Material } from '../../../src/execution/kubernetes/kubeconfig-file.ts';
import { writeFiles } from '../../support/folders.ts';
import type { KubeconfigSample } from '../../support/kubernetes/kubeconfig-samples.ts';
import { KUBECONFIG_SAMPLES } from '../../support/kubernetes/kubeconfig-samples.ts';

type Entries = Readonly<Record<string, unknown>>;

/** By sample, what client-go made of it, as `npm run test:harness` has checked where there is Go. */
const PRINTED = JSON.parse(readFileSync(new URL('clientcmd-printed.json', import.meta.url), 'utf8')) as Readonly<
  Record<string, Entries>
>;

/** client-go takes it, and refuses to connect. */
const STRICTER = new Set(['not verified, with a certificate to verify by']);

let home: string;

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'mlv-kubeconfig-'));
});

afterEach(() => rmSync(home, { recursive: true, force: true }));

function find({ files, listed, context }: Omit<KubeconfigSample, 'name'>): Promise<ClusterAccess> {
  writeFiles(home, files);
  const paths = listed?.map((path) => (path === '' ? '' : join(home, path))).join(delimiter);
  return findCluster({ environment: { HOME: home, KUBECONFIG: paths }, context });
}

async function failureOf(promise: Promise<unknown>): Promise<MlvError> {
  const error = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof MlvError)) throw new Error(`no MlvError but ${String(error)}`);
  return error;
}

describe('what client-go makes of a kubeconfig, mlv does:', () => {
  test.each(KUBECONFIG_SAMPLES.filter(({ name }) => 'host' in (PRINTED[name] ?? {}) && !STRICTER.has(name)))(
    '$name',
    async (sample) => {
      const access = await find(sample);
      const text = JSON.stringify({ ...minified(access), ...used(access) }).replaceAll(home, '/HOME');
      expect(JSON.parse(text)).toEqual(expectedOf(PRINTED[sample.name] ?? {}));
    },
  );

  test('what it refuses, with the reason, and nothing secret', async () => {
    const refused = KUBECONFIG_SAMPLES.filter(({ name }) => 'error' in (PRINTED[name] ?? {}) || STRICTER.has(name));
    const told: Record<string, string> = {};
    for (const { name, ...sample } of refused) {
      rmSync(home, { recursive: true });
      mkdirSync(home);
      const { code, message } = await failureOf(find(sample));
      told[name] = `${code}: ${message.replaceAll(home, '/HOME')}`;
    }
    expect(JSON.stringify(told)).not.toMatch(/secret-value|12345|abc/);
    expect(told).toMatchInlineSnapshot(`
      {
        "YAML that is none": "kubernetes-config-invalid: /HOME/.kube/config:2:1: not valid YAML (BAD_INDENT)",
        "a certificate without its key": "kubernetes-config-invalid: of the context "main" the user has a certificate or a key without the other",
        "a list": "kubernetes-config-invalid: /HOME/.kube/config: the file is not a map",
        "a name twice": "kubernetes-config-invalid: /HOME/.kube/config: user "dev" is there twice",
        "a number for a token": "kubernetes-config-invalid: /HOME/.kube/config: token of user "me" is not text: put it in quotes",
        "a plugin of v1 that does not say whether it asks": "kubernetes-config-invalid: of the context "main" the plugin "login" has no interactiveMode",
        "a plugin that asks in a way of its own": "kubernetes-config-invalid: of the context "main" the plugin "login" has an interactiveMode that is not Never, IfAvailable or Always",
        "a plugin without a command": "kubernetes-config-invalid: /HOME/.kube/config: exec of user "me" names no command",
        "a plugin without a version": "kubernetes-config-invalid: of the context "main" the plugin "login" has the apiVersion (none): mlv speaks client.authentication.k8s.io/v1 and v1beta1",
        "a token and a password": "kubernetes-config-invalid: of the context "main" the user has a token and a password: only one can be sent",
        "an empty file": "kubernetes-no-context: there is no Kubernetes context: no kubeconfig has any (looked for /HOME/.kube/config)",
        "base64 that is none": "kubernetes-config-invalid: /HOME/.kube/config: client-certificate-data of user "me" is not base64",
        "data and files": "kubernetes-config-invalid: /HOME/.kube/config: cluster "one" has both certificate-authority and certificate-authority-data",
        "files that are not there": "kubernetes-no-context: there is no Kubernetes context: no kubeconfig has any (looked for /HOME/none, /HOME/neither)",
        "no file": "kubernetes-no-context: there is no Kubernetes context: no kubeconfig has any (looked for /HOME/.kube/config)",
        "no server": "kubernetes-config-invalid: of the context "main" the cluster has no server",
        "not verified, with a certificate to verify by": "kubernetes-config-invalid: of the context "main" the cluster has certificates to trust, and is to be trusted without",
        "the context "astray" of many": "kubernetes-config-invalid: the context "astray" names the cluster "gone", which no kubeconfig has",
        "the context "none" of many": "kubernetes-no-context: there is no Kubernetes context "none"",
        "the context "stranger" of many": "kubernetes-config-invalid: the context "stranger" names the user "gone", whom no kubeconfig has",
        "with groups of nobody": "kubernetes-config-invalid: of the context "main" the user is to act with groups or an id of somebody, but not as whom ("as")",
      }
    `);
  });
});

test('a server without a scheme is asked by https where something says how to trust it', async () => {
  const sample = (name: string) => KUBECONFIG_SAMPLES.find((one) => one.name === name) ?? { files: {} };
  const plain = await find(sample('a server without a scheme'));
  const trusted = await find(sample('a server without a scheme, to be verified'));
  expect([plain.server.href, trusted.server.href]).toEqual([
    'http://k8s.example.org:6443/',
    'https://k8s.example.org:6443/',
  ]);
});

test('the profile chooses context and namespace', async () => {
  writeFiles(home, {
    '.kube/config': JSON.stringify({
      contexts: [
        { name: 'main', context: { cluster: 'one', namespace: 'a' } },
        { name: 'spare', context: { cluster: 'one' } },
      ],
      clusters: [{ name: 'one', cluster: { server: 'https://one.example.org' } }],
    }),
  });
  const environment = { HOME: home };
  const chosen = async (context: string, namespace?: string) => {
    const access = await findCluster({ environment, context, namespace });
    return [access.context, access.namespace];
  };
  expect([await chosen('main'), await chosen('main', 'b'), await chosen('spare')]).toEqual([
    ['main', 'a'],
    ['main', 'b'],
    ['spare', 'default'],
  ]);
});

test('a context that is not there: names those that are, and the near one', async () => {
  writeFiles(home, {
    '.kube/config': JSON.stringify({
      contexts: [
        { name: 'production', context: {} },
        { name: 'dev', context: {} },
      ],
    }),
  });
  const environment = { HOME: home };
  const misspelt = await failureOf(findCluster({ environment, context: 'prodution' }));
  expect(misspelt).toMatchObject({
    code: 'kubernetes-no-context',
    kind: 'missing',
    message: 'there is no Kubernetes context "prodution"; did you mean "production"?',
    hint: expect.stringContaining('kubectl config use-context'),
    items: ['dev', 'production'],
  });
  const unchosen = await failureOf(findCluster({ environment }));
  expect([unchosen.message, unchosen.items]).toEqual(['no Kubernetes context is chosen', ['dev', 'production']]);
});

describe('in a pod', () => {
  const environment = () => ({ HOME: home, KUBERNETES_SERVICE_HOST: 'fd00::1', KUBERNETES_SERVICE_PORT: '443' });

  beforeEach(() => writeFiles(home, { 'account/token': 'abc', 'account/ca.crt': 'ca', 'account/namespace': 'team\n' }));

  test('the service account is used', async () => {
    const accountFolder = join(home, 'account');
    const access = await findCluster({ environment: environment(), accountFolder });
    const { context, namespace, server } = access;
    expect({ context, namespace, server: server.href }).toEqual({
      context: 'in-cluster',
      namespace: 'team',
      server: 'https://[fd00::1]/',
    });
    expect(access.cluster.ca).toEqual({ path: join(accountFolder, 'ca.crt') });
    expect(access.user.tokenFile).toBe(join(accountFolder, 'token'));
  });

  test('a kubeconfig goes before it, and a context is looked for there alone', async () => {
    const options = { environment: environment(), accountFolder: join(home, 'account') };
    await expect(findCluster({ ...options, context: 'main' })).rejects.toMatchObject({ code: 'kubernetes-no-context' });
    writeFileSync(
      join(home, 'config'),
      JSON.stringify({
        'current-context': 'main',
        contexts: [{ name: 'main', context: { cluster: 'one' } }],
        clusters: [{ name: 'one', cluster: { server: 'https://one.example.org' } }],
      }),
    );
    const access = await findCluster({
      ...options,
      environment: { ...options.environment, KUBECONFIG: join(home, 'config') },
    });
    expect(access.context).toBe('main');
  });

  test('without a token there is no cluster', async () => {
    const options = { environment: environment(), accountFolder: join(home, 'elsewhere') };
    await expect(findCluster(options)).rejects.toMatchObject({ code: 'kubernetes-no-context' });
  });
});

test.each([
  ['gcp', 'gke-gcloud-auth-plugin'],
  ['azure', 'kubelogin convert-kubeconfig'],
  ['oidc', 'kubectl oidc-login'],
])('the auth-provider %s: says what took its place', async (provider, hint) => {
  writeFiles(home, {
    '.kube/config': JSON.stringify({
      'current-context': 'main',
      contexts: [{ name: 'main', context: { cluster: 'one', user: 'me' } }],
      clusters: [{ name: 'one', cluster: { server: 'https://one.example.org' } }],
      users: [{ name: 'me', user: { 'auth-provider': { name: provider, config: { 'id-token': 'secret' } } } }],
    }),
  });
  const error = await failureOf(findCluster({ environment: { HOME: home } }));
  expect(error.code).toBe('kubernetes-auth-unsupported');
  expect(error.hint).toContain(hint);
});

function dataOf(name: string, material: Material | undefined): Entries {
  if (material === undefined) return {};
  return 'path' in material ? { [name]: material.path } : { [`${name}-data`]: material.data.toString('base64') };
}

/** In kubectl's words. */
function minified({ cluster, user, namespace }: ClusterAccess): Entries {
  const { impersonate, plugin } = user;
  return {
    namespace,
    cluster: {
      server: cluster.server,
      'tls-server-name': cluster.tlsServerName,
      'insecure-skip-tls-verify': cluster.isInsecure || undefined,
      'proxy-url': cluster.proxyUrl,
      ...dataOf('certificate-authority', cluster.ca),
    },
    user: {
      token: user.token,
      tokenFile: user.tokenFile,
      username: user.username,
      password: user.password,
      ...dataOf('client-certificate', user.certificate),
      ...dataOf('client-key', user.key),
      as: impersonate.user,
      'as-uid': impersonate.uid,
      'as-groups': impersonate.groups.length === 0 ? undefined : impersonate.groups,
      'as-user-extra': Object.keys(impersonate.extra).length === 0 ? undefined : impersonate.extra,
    },
    exec: plugin && {
      apiVersion: plugin.apiVersion,
      command: plugin.command,
      args: plugin.args,
      env: plugin.env,
      installHint: plugin.installHint ?? '',
      wantsCluster: plugin.wantsCluster,
      interactiveMode: plugin.interactiveMode ?? 'IfAvailable',
      config: cluster.pluginConfig ?? null,
    },
  };
}

function used({ server }: ClusterAccess): Entries {
  return { host: server.href.replace(/^https?:\/\//, '') };
}

function expectedOf({ minified: shown, host, namespace, exec }: Entries): Entries {
  const { clusters, users } = shown as {
    clusters: readonly [{ cluster: Entries }];
    users: readonly { user: Entries }[] | null;
  };
  const { extensions: _, ...cluster } = clusters[0].cluster;
  const { exec: __, ...user } = users?.[0]?.user ?? {};
  const plugin = exec as undefined | { args: unknown; env: readonly { name: string; value: string }[] | null };
  return {
    namespace,
    cluster,
    user,
    ...(plugin && {
      exec: {
        ...plugin,
        args: plugin.args ?? [],
        env: Object.fromEntries((plugin.env ?? []).map(({ name, value }) => [name, value])),
      },
    }),
    host: `${String(host)
      .replace(/^https?:\/\//, '')
      .replace(/\/$/, '')}/`,
  };
}
