// The S3 servers that transfers are measured against, each in a process of its own: versitygw, which was not written here,
// from a folder of MLV_S3_SERVERS or the PATH; the strict one of the tests where there is none, and where requests are counted.
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { createServer } from 'node:net';
import { delimiter, join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { onCleanup } from './cleanup.mjs';

export const BUCKET = 'data';
const ACCESS_KEY = 'AKIDTESTTESTTESTTEST';
const SECRET_KEY = 'secret-of-the-bench';
const START_MS = 20_000;
const STRICT_SERVER = fileURLToPath(new URL('../../support/s3-server/run.mjs', import.meta.url));
const DISCARDING_SERVER = fileURLToPath(new URL('discarding-s3.mjs', import.meta.url));
const DELAY_PROXY = fileURLToPath(new URL('delay-proxy.mjs', import.meta.url));

/** What tools need to find a server, beside what they need anyway. */
export function s3Env(endpoint) {
  return {
    AWS_ACCESS_KEY_ID: ACCESS_KEY,
    AWS_SECRET_ACCESS_KEY: SECRET_KEY,
    AWS_REGION: 'us-east-1',
    AWS_DEFAULT_REGION: 'us-east-1',
    AWS_EC2_METADATA_DISABLED: 'true',
    AWS_ENDPOINT_URL: endpoint,
    S3_ENDPOINT_URL: endpoint,
  };
}

/** Which server it will be, told once. `start(folder)` gives one with an empty bucket, that keeps everything in the folder. */
export function chooseS3Server() {
  const folders = [process.env.MLV_S3_SERVERS, process.env.PATH].flatMap((list) => list?.split(delimiter) ?? []);
  const program = folders.map((folder) => join(folder, 'versitygw')).find((path) => existsSync(path));
  console.log(
    `  server: ${program === undefined ? 'the strict one of the tests (versitygw is not installed)' : 'versitygw'}`,
  );
  return { start: (folder) => (program === undefined ? startStrict(folder) : startVersity(program, folder)) };
}

/** Gives back `endpoint`, `close()`, and `counts()`: what was asked since the last time. */
export function startStrict(folder) {
  const options = {
    buckets: [BUCKET],
    credentials: [{ accessKeyId: ACCESS_KEY, secretAccessKey: SECRET_KEY }],
    folder,
  };
  return startScript(STRICT_SERVER, options);
}

/** A server that has objects of so many bytes, and keeps nothing. The same. */
export function startDiscarding(length) {
  return startScript(DISCARDING_SERVER, { length });
}

/** All say first where they listen. */
async function startScript(script, options) {
  const child = startChild(process.execPath, [script, JSON.stringify(options)], 'pipe');
  const lines = createInterface({ input: child.process.stdout })[Symbol.asyncIterator]();
  const next = async () => JSON.parse((await lines.next()).value);
  const { endpoint } = await next();
  return {
    endpoint,
    close: child.close,
    counts() {
      child.process.stdin.write('\n');
      return next();
    },
  };
}

async function startVersity(program, folder) {
  mkdirSync(join(folder, BUCKET));
  const port = await freePort();
  const credentials = ['--access', ACCESS_KEY, '--secret', SECRET_KEY];
  // Without keep-alive, which every store has, it would be connections that are measured.
  const args = [...credentials, '--port', `127.0.0.1:${port}`, '--quiet', '--keep-alive', 'posix', folder];
  const child = startChild(program, args, 'ignore');
  const endpoint = `http://127.0.0.1:${port}`;
  for (const end = Date.now() + START_MS; !(await answers(endpoint)); await sleep(20)) {
    if (Date.now() > end || child.process.exitCode !== null) throw new Error('versitygw did not start');
  }
  return { endpoint, close: child.close };
}

/** A line to a server: whatever goes either way comes so many milliseconds later. */
export function startDelay(endpoint, delayMs) {
  return startScript(DELAY_PROXY, { port: Number(new URL(endpoint).port), delayMs });
}

function startChild(command, args, stdio) {
  const child = spawn(command, args, { stdio: [stdio, stdio, 'ignore'], env: { PATH: process.env.PATH } });
  const ended = new Promise((resolve, reject) => child.once('close', resolve).once('error', reject));
  ended.catch(() => {});
  const kill = onCleanup(() => child.kill('SIGKILL'));
  return {
    process: child,
    async close() {
      kill();
      await ended;
    },
  };
}

async function answers(endpoint) {
  return fetch(endpoint).then(
    () => true,
    () => false,
  );
}

function freePort() {
  return new Promise((resolve, reject) => {
    const server = createServer().once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}
