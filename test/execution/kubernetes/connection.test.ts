/** How a server is reached and trusted, and who it takes mlv for. */
import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { jobs } from '../../../src/execution/kubernetes/resources.ts';
import { sendJson, sendStatus } from '../../support/kubernetes/protocol-server.ts';
import { startSocksProxy } from '../../support/kubernetes/socks-proxy.ts';
import { startTunnelProxy } from '../../support/tunnel-proxy.ts';
import type { ApiRig, RigOptions } from './api-rig.ts';
import { failureOf, jobOf, startApiRig } from './api-rig.ts';

let rig: ApiRig;

beforeEach(async () => {
  rig = await startApiRig();
  rig.server.answer((_, response) => sendJson(response, jobOf('train', '1')));
});

afterEach(() => rig.close());

const TRAIN = { ...jobs('ml'), name: 'train' };

/** Asks once, with what is said of user and cluster. */
async function ask(options: RigOptions): Promise<unknown> {
  const api = await rig.open({ patienceMs: 0, ...options });
  return api.get(TRAIN);
}

function headers() {
  return rig.server.received.at(-1)?.headers ?? {};
}

describe('the server knows the user by', () => {
  test('name and password', async () => {
    await ask({ user: { username: 'me', password: 'p:w' } });
    expect(headers().authorization).toBe(`Basic ${Buffer.from('me:p:w').toString('base64')}`);
  });

  test('nothing at all', async () => {
    await ask({ user: {} });
    expect(headers().authorization).toBeUndefined();
  });

  test('a certificate, in files or as data', async () => {
    const { cert, key } = rig.certificates.client;
    const base64 = (text: string) => Buffer.from(text).toString('base64');
    await ask({ user: { 'client-certificate': 'client.crt', 'client-key': 'client.key' } });
    await ask({ user: { 'client-certificate-data': base64(cert), 'client-key-data': base64(key) } });
    expect(rig.server.received.map(({ peer }) => peer)).toEqual(['somebody', 'somebody']);
  });

  test('acts as somebody else', async () => {
    const extra = { 'Reason/why': ['nightly', 'by hand'] };
    await ask({
      user: { token: 'right', as: 'röbot', 'as-uid': '7', 'as-groups': ['a', 'b'], 'as-user-extra': extra },
    });
    expect(headers()).toMatchObject({
      authorization: 'Bearer right',
      'impersonate-user': Buffer.from('röbot').toString('latin1'),
      'impersonate-uid': '7',
      'impersonate-group': 'a, b',
      'impersonate-extra-reason%2fwhy': 'nightly, by hand',
    });
  });

  test('a token that cannot be one is not repeated', async () => {
    const error = await failureOf(ask({ user: { token: 'secret\nsecret' } }));
    expect(error).toMatchObject({ code: 'kubernetes-config-invalid' });
    expect(JSON.stringify(error)).not.toContain('secret');
  });
});

describe('a token in a file', () => {
  test('is read again when the server does not take it any more, and the connection kept', async () => {
    writeFileSync(join(rig.folder, 'token'), 'old\n');
    const api = await rig.open({ user: { tokenFile: 'token' } });
    rig.server.answer(({ headers: { authorization } }, response) =>
      authorization === 'Bearer new' ? sendJson(response, jobOf('train', '1')) : sendStatus(response, 401),
    );
    expect(await failureOf(api.get(TRAIN))).toMatchObject({
      code: 'kubernetes-unauthorized',
      hint: expect.stringContaining('kubectl auth whoami'),
    });
    // Where it is the same as before, asking again is of no use.
    expect(rig.server.received).toHaveLength(1);
    writeFileSync(join(rig.folder, 'token'), 'new\n');
    expect(await api.get(TRAIN)).toEqual(jobOf('train', '1'));
    expect(rig.server.received.map((one) => one.headers.authorization)).toEqual([
      'Bearer old',
      'Bearer old',
      'Bearer new',
    ]);
  });

  test('that is not there is named', async () => {
    expect(await failureOf(ask({ user: { tokenFile: 'none' } }))).toMatchObject({
      kind: 'io',
      message: expect.stringContaining(join(rig.folder, 'none')),
    });
  });
});

describe('a plugin', () => {
  /** Writes one that notes each run, and answers as it is told to. */
  function plugin(script: string, more: object = {}): object {
    const path = join(rig.folder, 'login');
    const note = `printf '%s|%s|%s\\n' "$*" "$EXTRA" "$KUBERNETES_EXEC_INFO" >> "${rig.folder}/runs"`;
    writeFileSync(path, `#!/bin/sh\n${note}\nruns=$(wc -l < "${rig.folder}/runs")\n${script}\n`);
    chmodSync(path, 0o755);
    const exec = {
      apiVersion: 'client.authentication.k8s.io/v1',
      command: './login',
      interactiveMode: 'Never',
      ...more,
    };
    return { exec };
  }

  function answer(status: string, version = 'v1'): string {
    return `printf '%s' '{"apiVersion":"client.authentication.k8s.io/${version}","kind":"ExecCredential","status":{'"${status}"'}}'`;
  }

  function runs(): string[] {
    const path = join(rig.folder, 'runs');
    return existsSync(path) ? readFileSync(path, 'utf8').trim().split('\n') : [];
  }

  const TOKEN = answer(`\\"token\\":\\"token-$runs\\"`);

  test('runs once, without a shell, and is told what it asks for', async () => {
    const extensions = [{ name: 'client.authentication.k8s.io/exec', extension: { audience: 'ml' } }];
    const user = plugin(TOKEN, {
      args: ['a b', '$HOME; exit 1'],
      env: [{ name: 'EXTRA', value: 'more' }],
      provideClusterInfo: true,
    });
    const api = await rig.open({ user, cluster: { 'tls-server-name': 'localhost', extensions } });
    await Promise.all([api.get(TRAIN), api.get(TRAIN), api.get(TRAIN)]);
    expect(rig.server.received.map((one) => one.headers.authorization)).toEqual(Array(3).fill('Bearer token-1'));
    const [run = '', ...others] = runs();
    const [args, extra, info = ''] = run.split('|');
    expect([args, extra, others]).toEqual(['a b $HOME; exit 1', 'more', []]);
    expect(JSON.parse(info)).toEqual({
      apiVersion: 'client.authentication.k8s.io/v1',
      kind: 'ExecCredential',
      spec: {
        interactive: false,
        cluster: {
          server: rig.server.url,
          'tls-server-name': 'localhost',
          'certificate-authority-data': Buffer.from(rig.certificates.ca.cert).toString('base64'),
          config: { audience: 'ml' },
        },
      },
    });
  });

  test('runs again when the server does not take what it gave', async () => {
    const api = await rig.open({ user: plugin(TOKEN) });
    rig.server.answer(({ headers: { authorization } }, response) =>
      authorization === 'Bearer token-2' ? sendJson(response, jobOf('train', '1')) : sendStatus(response, 401),
    );
    await Promise.all([api.get(TRAIN), api.get(TRAIN)]);
    expect(runs()).toHaveLength(2);
    rig.server.answer((_, response) => sendStatus(response, 401));
    expect(await failureOf(api.get(TRAIN))).toMatchObject({ code: 'kubernetes-unauthorized' });
    expect(runs()).toHaveLength(3);
  });

  test('runs again when what it gave has ended', async () => {
    const soon = new Date(Date.now() + 11_000).toISOString();
    const api = await rig.open({ user: plugin(answer(`\\"token\\":\\"t\\",\\"expirationTimestamp\\":\\"${soon}\\"`)) });
    await api.get(TRAIN);
    await api.get(TRAIN);
    expect(runs()).toHaveLength(1);
    await new Promise((resolve) => void setTimeout(resolve, 1_100));
    await api.get(TRAIN);
    expect(runs()).toHaveLength(2);
  });

  test('may give a certificate, and speak v1beta1', async () => {
    const pem = (text: string) => text.trim().replaceAll('\n', '\\\\n');
    const { cert, key } = rig.certificates.client;
    const status = `\\"clientCertificateData\\":\\"${pem(cert)}\\",\\"clientKeyData\\":\\"${pem(key)}\\"`;
    await ask({ user: plugin(answer(status, 'v1beta1'), { apiVersion: 'client.authentication.k8s.io/v1beta1' }) });
    expect(rig.server.received.map(({ peer }) => peer)).toEqual(['somebody']);
  });

  test('that is not there: its own hint, without colours', async () => {
    const exec = { apiVersion: 'client.authentication.k8s.io/v1', command: 'no-such-login', interactiveMode: 'Never' };
    const installHint = 'Install \u001b[31mit.\n';
    expect(await failureOf(ask({ user: { exec: { ...exec, installHint } } }))).toMatchObject({
      code: 'kubernetes-plugin-missing',
      message: 'the program "no-such-login", which the kubeconfig logs in by, is not there',
      hint: 'Install it.',
    });
    expect(await failureOf(ask({ user: { exec } }))).toMatchObject({ hint: 'Install it, or put it into the PATH.' });
  });

  test.each([
    ['fails', 'echo "token: 0123456789abcdef" >&2; echo "log in first" >&2; exit 3', 'it ended with 3'],
    ['says no JSON', 'echo secret-output', 'what it says is not JSON'],
    ['says something else', `echo '{"kind":"Pod"}'`, 'what it says is no ExecCredential'],
    [
      'speaks another version',
      answer('', 'v1beta1'),
      'it was asked in client.authentication.k8s.io/v1 and answers in another version',
    ],
    ['gives nothing', answer(''), 'it gives neither a token nor a certificate'],
    [
      'gives half',
      answer('\\"clientKeyData\\":\\"k\\",\\"token\\":\\"t\\"'),
      'it gives a certificate or a key without the other',
    ],
    [
      'gives no time',
      answer('\\"token\\":\\"t\\",\\"expirationTimestamp\\":\\"soon\\"'),
      'what it says of the end of its credential is no time',
    ],
    ['says too much', 'yes secret-output | head -c 3000000', 'it says more than a credential'],
  ])('that %s', async (_, script, reason) => {
    const error = await failureOf(ask({ user: plugin(script) }));
    expect(error).toMatchObject({
      code: 'kubernetes-plugin-failed',
      message: `the program "${join(rig.folder, 'login')}", which the kubeconfig logs in by, gives no credential: ${reason}`,
    });
    expect(JSON.stringify(error)).not.toMatch(/secret-output|0123456789abcdef/);
    if (script.includes('log in first')) expect(error).toMatchObject({ items: ['token: …', 'log in first'] });
  });

  test('that wants a terminal, where there is none', async () => {
    expect(await failureOf(ask({ user: plugin(TOKEN, { interactiveMode: 'Always' }) }))).toMatchObject({
      message: expect.stringContaining('it wants a terminal, and there is none'),
    });
    expect(runs()).toEqual([]);
  });

  test('is not asked by a user who has a token', async () => {
    await ask({ user: { token: 'right', ...plugin(TOKEN) } });
    expect([headers().authorization, runs()]).toEqual(['Bearer right', []]);
  });

  test('that takes its time does not hold up who stops waiting', async () => {
    const api = await rig.open({ user: plugin('exec sleep 5') });
    const signal = AbortSignal.timeout(100);
    const began = performance.now();
    expect(await failureOf(api.get(TRAIN, { signal }))).toMatchObject({ name: 'TimeoutError' });
    expect(performance.now() - began).toBeLessThan(3_000);
  });
});

describe('the server is trusted', () => {
  test('by the certificate of the kubeconfig, given as data', async () => {
    const data = Buffer.from(rig.certificates.ca.cert).toString('base64');
    expect(
      await ask({ cluster: { 'certificate-authority': undefined, 'certificate-authority-data': data } }),
    ).toBeDefined();
  });

  test('not by that of another', async () => {
    const error = await failureOf(ask({ cluster: { 'certificate-authority': 'client.crt' } }));
    expect(error).toMatchObject({
      code: 'kubernetes-unreachable',
      message: expect.stringContaining(`no trusted connection to ${rig.server.url}`),
      hint: expect.stringContaining('certificate-authority-data'),
    });
    expect(rig.server.received).toEqual([]);
  });

  test('by another name, if the certificate has it', async () => {
    expect(await ask({ cluster: { 'tls-server-name': 'k8s.example.org' } })).toBeDefined();
    expect(
      await ask({ cluster: { 'tls-server-name': '127.0.0.1', server: `https://localhost:${rig.server.port}` } }),
    ).toBeDefined();
    expect(await failureOf(ask({ cluster: { 'tls-server-name': 'other.example.org' } }))).toMatchObject({
      code: 'kubernetes-unreachable',
      hint: expect.stringContaining('"tls-server-name"'),
    });
  });

  test('without any, if the kubeconfig wants it so', async () => {
    expect(
      await ask({ cluster: { 'certificate-authority': undefined, 'insecure-skip-tls-verify': true } }),
    ).toBeDefined();
  });

  test('unless it does not speak TLS', async () => {
    const proxy = await startTunnelProxy();
    const server = `https://127.0.0.1:${new URL(proxy.url).port}`;
    expect(await failureOf(ask({ cluster: { server } }))).toMatchObject({ code: 'kubernetes-unreachable' });
    proxy.close();
  });
});

describe('it is reached through', () => {
  const server = () => `https://k8s.example.org:${rig.server.port}`;

  test('the proxy of the kubeconfig, whatever NO_PROXY says', async () => {
    const proxy = await startTunnelProxy();
    const cluster = { server: server(), 'proxy-url': proxy.url };
    expect(await ask({ cluster, environment: { NO_PROXY: '*' } })).toBeDefined();
    expect(proxy.asked).toEqual([
      `k8s.example.org:${rig.server.port} Basic ${Buffer.from('user:pass word').toString('base64')}`,
    ]);
    proxy.close();
  });

  test('that of the environment, which this machine and exceptions are not asked through', async () => {
    const proxy = await startTunnelProxy();
    const environment = { HTTPS_PROXY: proxy.url, NO_PROXY: '10.0.0.0/8,.internal', ALL_PROXY: 'socks4://nowhere' };
    expect(await ask({ cluster: { server: server() }, environment })).toBeDefined();
    expect(proxy.asked).toHaveLength(1);
    expect(await ask({ environment })).toBeDefined();
    expect(proxy.asked).toHaveLength(1);
    proxy.close();
  });

  test('a SOCKS5 proxy, which looks up the name', async () => {
    const proxy = await startSocksProxy();
    const at = `127.0.0.1:${proxy.port}`;
    expect(await ask({ cluster: { server: server(), 'proxy-url': `socks5://${at}` } })).toBeDefined();
    expect(await ask({ cluster: { 'proxy-url': `socks5h://${at}` } })).toBeDefined();
    expect(proxy.asked).toEqual([`k8s.example.org:${rig.server.port}`, `127.0.0.1:${rig.server.port}`]);
    proxy.close();
  });

  test('a SOCKS5 proxy with a login', async () => {
    const proxy = await startSocksProxy({ login: 'me:p w' });
    const through = (login: string) =>
      ask({ cluster: { server: server(), 'proxy-url': `socks5://${login}127.0.0.1:${proxy.port}` } });
    expect(await through('me:p%20w@')).toBeDefined();
    expect(proxy.asked).toEqual([`me:p w k8s.example.org:${rig.server.port}`]);
    const refused = [await failureOf(through('me:secret@')), await failureOf(through(''))];
    expect(refused.map((error) => (error as Error).message.replace(/.*: the proxy \S+ /, ''))).toEqual([
      'cannot be used: it does not accept the name and password',
      'cannot be used: it wants a name and password',
    ]);
    expect(JSON.stringify(refused)).not.toContain('secret');
    proxy.close();
  });

  test('a SOCKS5 proxy that refuses, is not there, or is none', async () => {
    const proxy = await startSocksProxy({ reply: 5 });
    const http = await startTunnelProxy();
    const ports = [proxy.port, 1, new URL(http.url).port];
    const told: unknown[] = [];
    for (const port of ports)
      told.push(await failureOf(ask({ cluster: { server: server(), 'proxy-url': `socks5://127.0.0.1:${port}` } })));
    expect(told.map((error) => (error as { code: string }).code)).toEqual(Array(3).fill('kubernetes-unreachable'));
    expect((told[0] as Error).message).toContain('the connection was refused');
    expect((told[2] as Error).message).toContain('it does not speak SOCKS5');
    proxy.close();
    http.close();
  });

  test('no proxy of another kind', async () => {
    const cluster = { 'proxy-url': 'ftp://user:secret@proxy' };
    const error = await failureOf(ask({ cluster }));
    expect(error).toMatchObject({ code: 'kubernetes-config-invalid' });
    expect(JSON.stringify(error)).not.toContain('secret');
  });
});

test('the API may lie below a path', async () => {
  await ask({ cluster: { server: `${rig.server.url}/k8s/clusters/c-1/` } });
  expect(rig.server.received[0]?.path).toBe('/k8s/clusters/c-1/apis/batch/v1/namespaces/ml/jobs/train');
});
