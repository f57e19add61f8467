/** S3 servers that were not written here, as far as this machine has them. */
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';

export interface RealServer {
  readonly endpoint: string;
  /** The same under a name, below which buckets have names of their own. No resolver knows them. */
  readonly namedEndpoint: string;
  createBucket(bucket: string): Promise<void>;
  stop(): Promise<void>;
}

export const ACCESS_KEY = 'AKIDTESTTESTTESTTEST';
export const SECRET_KEY = 'secret-of-the-tests';

const START_MS = 20_000;
const DOMAIN = 's3.localhost';

/** What starts each server; all take the credentials above. */
const COMMANDS: Readonly<Record<string, (port: number, folder: string) => readonly string[]>> = {
  versitygw: (port, folder) => [
    '--access',
    ACCESS_KEY,
    '--secret',
    SECRET_KEY,
    '--port',
    `127.0.0.1:${port}`,
    '--virtual-domain',
    `${DOMAIN}:${port}`,
    'posix',
    folder,
  ],
  minio: (port, folder) => ['server', '--quiet', '--address', `127.0.0.1:${port}`, folder],
  moto_server: (port) => ['-H', '127.0.0.1', '-p', String(port)],
};

/** Every server that there are tests for; `start` where one of the folders of `MLV_S3_SERVERS` has it. */
export function findServers(): { name: string; start: (() => Promise<RealServer>) | undefined }[] {
  const folders = (process.env['MLV_S3_SERVERS'] ?? '').split(delimiter).filter((folder) => folder !== '');
  return Object.keys(COMMANDS).map((name) => {
    const program = folders.map((folder) => join(folder, name)).find((path) => existsSync(path));
    return { name, start: program === undefined ? undefined : () => startServer(name, program) };
  });
}

/** Starts a server on loopback, with an empty store. */
async function startServer(name: string, program: string): Promise<RealServer> {
  const port = await freePort();
  const folder = mkdtempSync(join(tmpdir(), `mlv-${name}-`));
  mkdirSync(join(folder, 'data'));
  const server = spawn(program, COMMANDS[name]?.(port, join(folder, 'data')) ?? [], {
    cwd: folder,
    stdio: 'ignore',
    env: {
      PATH: process.env['PATH'],
      HOME: folder,
      MINIO_ROOT_USER: ACCESS_KEY,
      MINIO_ROOT_PASSWORD: SECRET_KEY,
      MINIO_DOMAIN: DOMAIN,
    },
  });
  const ended = new Promise<void>((resolve) => server.once('close', () => resolve()));
  const endpoint = `http://127.0.0.1:${port}`;
  for (const until = Date.now() + START_MS; !(await answers(endpoint)); await sleep(50)) {
    if (Date.now() > until || server.exitCode !== null) throw new Error(`${name} did not start`);
  }
  return {
    endpoint,
    namedEndpoint: `http://${DOMAIN}:${port}`,
    async createBucket(bucket) {
      const credentials = { accessKeyId: ACCESS_KEY, secretAccessKey: SECRET_KEY };
      const client = new S3Client({ endpoint, region: 'us-east-1', forcePathStyle: true, credentials });
      await client.send(new CreateBucketCommand({ Bucket: bucket }));
      client.destroy();
    },
    async stop() {
      server.kill('SIGKILL');
      await ended;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function answers(endpoint: string): Promise<boolean> {
  return fetch(endpoint).then(
    () => true,
    () => false,
  );
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });
}
