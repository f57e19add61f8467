/** Credentials from a program that the kubeconfig names: the protocol client.authentication.k8s.io, v1 and v1beta1. */
import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { hasErrorCode, MlvError } from '../../domain/errors.ts';
import { ioError } from '../../platform/io-error.ts';
import type { Environment } from '../../workspace/open.ts';
import type { KubeCluster, KubePlugin, Material } from './kubeconfig-file.ts';
import { printable, withoutSecrets } from './server-text.ts';

export interface PluginOptions {
  readonly plugin: KubePlugin;
  readonly cluster: KubeCluster;
  readonly environment: Environment;
  /** Whether somebody can answer the plugin's questions: it is given the terminal then. */
  readonly isInteractive: boolean;
}

export interface PluginCredential {
  readonly token: string | undefined;
  /** PEM, with its key. */
  readonly certificate: { readonly cert: string; readonly key: string } | undefined;
  /** Milliseconds since 1970; undefined for as long as the server takes it. */
  readonly expires: number | undefined;
}

const ANSWER_BYTES = 1 << 20;
const KEPT_ERROR_BYTES = 4 << 10;
/** Somebody may have to log in with a browser first. */
const LONGEST_MS = 5 * 60_000;

/**
 * Runs the plugin, without a shell. Throws `kubernetes-plugin-missing` (with the plugin's own hint), `kubernetes-plugin-failed`; nothing
 * it said on standard output is ever repeated.
 */
export async function runPlugin(options: PluginOptions): Promise<PluginCredential> {
  const { plugin, isInteractive } = options;
  const { interactiveMode = 'IfAvailable' } = plugin;
  if (interactiveMode === 'Always' && !isInteractive) throw failed(plugin, 'it wants a terminal, and there is none');
  const hasTerminal = isInteractive && interactiveMode !== 'Never';
  const { status, output, said } = await start(options, hasTerminal, {
    ...options.environment,
    ...plugin.env,
    KUBERNETES_EXEC_INFO: JSON.stringify({
      apiVersion: plugin.apiVersion,
      kind: 'ExecCredential',
      spec: { interactive: hasTerminal, ...(plugin.wantsCluster && { cluster: await clusterInfo(options.cluster) }) },
    }),
  });
  if (status !== 0) throw failed(plugin, `it ended with ${status}`, said);
  return readCredential(plugin, output);
}

function start(options: PluginOptions, hasTerminal: boolean, env: Environment) {
  const { plugin } = options;
  return new Promise<{ status: string | number; output: string; said: string }>((resolve, reject) => {
    const child = spawn(plugin.command, plugin.args, {
      env: { ...env },
      stdio: [hasTerminal ? 'inherit' : 'ignore', 'pipe', options.isInteractive ? 'inherit' : 'pipe'],
      windowsHide: true,
    });
    const late = setTimeout(() => end(`it did not end within ${LONGEST_MS / 60_000} minutes`), LONGEST_MS);
    const output: Buffer[] = [];
    let said = Buffer.alloc(0);
    let bytes = 0;

    function end(reason: string): void {
      child.kill('SIGKILL');
      child.stdout?.destroy();
      child.stderr?.destroy();
      reject(failed(plugin, reason));
    }

    child.stdout?.on('data', (piece: Buffer) => {
      bytes += piece.length;
      if (bytes > ANSWER_BYTES) return end('it says more than a credential');
      output.push(piece);
    });
    child.stderr?.on('data', (piece: Buffer) => {
      said = Buffer.concat([said, piece]).subarray(-KEPT_ERROR_BYTES);
    });
    child.once('error', (error) => {
      clearTimeout(late);
      reject(notStarted(plugin, error));
    });
    child.once('close', (code, signal) => {
      clearTimeout(late);
      resolve({
        status: code ?? signal ?? '?',
        output: Buffer.concat(output).toString('utf8'),
        said: said.toString('utf8'),
      });
    });
  });
}

async function clusterInfo(cluster: KubeCluster): Promise<object> {
  const { server, tlsServerName, isInsecure, ca, proxyUrl, pluginConfig } = cluster;
  return {
    server,
    ...(tlsServerName !== undefined && { 'tls-server-name': tlsServerName }),
    ...(isInsecure && { 'insecure-skip-tls-verify': true }),
    ...(ca && { 'certificate-authority-data': (await readMaterial(ca)).toString('base64') }),
    ...(proxyUrl !== undefined && { 'proxy-url': proxyUrl }),
    config: pluginConfig ?? null,
  };
}

/** Throws an error of kind io that names the file. */
export async function readMaterial(material: Material): Promise<Buffer> {
  if ('data' in material) return material.data;
  try {
    return await readFile(material.path);
  } catch (error) {
    throw ioError(error, 'read', material.path);
  }
}

function readCredential(plugin: KubePlugin, output: string): PluginCredential {
  const answer = asRecord(parse(plugin, output));
  if (answer?.['kind'] !== 'ExecCredential') throw failed(plugin, 'what it says is no ExecCredential');
  if (answer['apiVersion'] !== plugin.apiVersion)
    throw failed(plugin, `it was asked in ${plugin.apiVersion} and answers in another version`);
  const status = asRecord(answer['status']);
  const text = (key: string): string | undefined => {
    const value = status?.[key];
    return typeof value === 'string' && value !== '' ? value : undefined;
  };
  const [token, cert, key] = [text('token')?.trim(), text('clientCertificateData'), text('clientKeyData')];
  if (token === undefined && cert === undefined) throw failed(plugin, 'it gives neither a token nor a certificate');
  if ((cert === undefined) !== (key === undefined))
    throw failed(plugin, 'it gives a certificate or a key without the other');
  const expires = text('expirationTimestamp');
  if (expires !== undefined && Number.isNaN(Date.parse(expires)))
    throw failed(plugin, 'what it says of the end of its credential is no time');
  return {
    token,
    certificate: cert === undefined || key === undefined ? undefined : { cert, key },
    expires: expires === undefined ? undefined : Date.parse(expires),
  };
}

function parse(plugin: KubePlugin, output: string): unknown {
  try {
    return JSON.parse(output);
  } catch {
    throw failed(plugin, 'what it says is not JSON'); // without the cause, which repeats a piece of it
  }
}

function asRecord(value: unknown): Readonly<Record<string, unknown>> | undefined {
  return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : undefined;
}

function notStarted(plugin: KubePlugin, cause: Error): MlvError {
  const hint = plugin.installHint === undefined ? undefined : printable(plugin.installHint);
  if (hasErrorCode(cause, 'ENOENT'))
    return new MlvError({
      code: 'kubernetes-plugin-missing',
      kind: 'missing',
      message: `the program "${plugin.command}", which the kubeconfig logs in by, is not there`,
      hint: hint ?? 'Install it, or put it into the PATH.',
    });
  return failed(plugin, `it cannot be started: ${cause.message}`);
}

function failed(plugin: KubePlugin, reason: string, said = ''): MlvError {
  const lines = said
    .split('\n')
    .map(printable)
    .filter((line) => line !== '');
  return new MlvError({
    code: 'kubernetes-plugin-failed',
    kind: 'io',
    message: `the program "${plugin.command}", which the kubeconfig logs in by, gives no credential: ${reason}`,
    hint: 'Log in again as your cluster wants it, and see that kubectl works: kubectl auth whoami',
    items: lines.slice(-10).map(withoutSecrets),
  });
}
