import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { VERSION } from '../../src/domain/version.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));

let folder: string;

/** What the package ships, in a folder where no other package can be found. */
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'mlv-bundle-'));
  for (const part of ['bin', 'dist', 'package.json']) {
    cpSync(join(root, part), join(folder, part), { recursive: true });
  }
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('starts where no other package is installed', () => {
  const stdout = execFileSync(process.execPath, [join(folder, 'bin/mlv.js'), 'version'], { cwd: folder });
  expect(stdout.toString()).toContain(VERSION);
});

test('brings the WebAssembly BLAKE3 along', () => {
  const script = `
    const out = new Uint8Array(32);
    require('node:module').createRequire(process.argv[1])('#blake3-wasm').hash(new Uint8Array(0), out);
    process.stdout.write(Buffer.from(out).toString('hex'));
  `;
  const stdout = execFileSync(process.execPath, ['-e', script, join(folder, 'dist/main.js')]);
  expect(stdout.toString()).toBe('af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262');
});

/** A ConfigMap has room for 1 MiB, and is sent as JSON. */
const POD_BYTES = 900 * 1024;

test('what pods run is one file that fits into a ConfigMap', () => {
  const text = readFileSync(join(folder, 'dist/pod.cjs'), 'utf8');
  console.log(`dist/pod.cjs has ${Buffer.byteLength(text)} bytes, ${Buffer.byteLength(JSON.stringify(text))} as JSON`);
  expect(Buffer.byteLength(text)).toBeLessThan(POD_BYTES);
  expect(Buffer.byteLength(JSON.stringify(text))).toBeLessThan(POD_BYTES);
  const builtIn = new Set(builtinModules);
  // The words of an error name two more.
  const required = [...text.matchAll(/\b(?:require|import)\(["'`]([^"'`]+)["'`]\)/g)].map(([, name = '']) => name);
  const others = [...new Set(required)].filter((name) => !builtIn.has(name.replace(/^node:/, '')));
  expect(others.sort()).toEqual(['@aws-sdk/signature-v4-crt', '@aws-sdk/signature-v4a']);
});

test('what pods run needs nothing beside it, and nothing of the environment', () => {
  const alone = join(folder, 'alone');
  mkdirSync(alone);
  cpSync(join(folder, 'dist/pod.cjs'), join(alone, 'pod.cjs'));
  const log = join(alone, 'log');
  const env = { MLV_WORK: alone, MLV_JOB_UID: '0f0e0d0c-1234-5678-9abc-def012345678', MLV_TERMINATION_LOG: log };
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(alone, 'pod.cjs'), 'fetch'], {
    cwd: alone,
    env,
  });
  const line =
    '{"code":"pod-usage","message":"MLV_TASK is not set","hint":"mlv starts this program in pods of its own; it is not meant to be run by hand."}\n';
  expect({ status, stdout: stdout.toString(), stderr: stderr.toString() }).toEqual({
    status: 64,
    stdout: '',
    stderr: line,
  });
  expect(readFileSync(log, 'utf8')).toBe(line);
});

test('tells whose code it carries', () => {
  const text = readFileSync(join(folder, 'dist/THIRD-PARTY-LICENSES.txt'), 'utf8');
  expect(text).toMatch(/^blake3 [\d.]+ \(MIT\)\n\n.*Permission is hereby granted/ms);
  // Of what pods run alone, too.
  expect(text).toMatch(/^@aws-sdk\/client-s3 [\d.]+ \(Apache-2\.0\)$/m);
});

test('says what to do where it was not built', () => {
  const bare = join(folder, 'bare');
  cpSync(join(root, 'bin'), join(bare, 'bin'), { recursive: true });
  cpSync(join(root, 'package.json'), join(bare, 'package.json'));
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(bare, 'bin/mlv.js'), 'version']);
  expect({ status, stdout: stdout.toString(), stderr: stderr.toString() }).toEqual({
    status: 1,
    stdout: '',
    stderr: 'mlv is not built: run "npm run build" in its folder\n',
  });
});

test('says which Node it needs', () => {
  const old = `Object.defineProperty(process.versions, 'node', { value: '18.20.0' });`;
  const { status, stderr } = spawnSync(process.execPath, [
    '--import',
    `data:text/javascript,${encodeURIComponent(old)}`,
    join(folder, 'bin/mlv.js'),
    'version',
  ]);
  expect({ status, stderr: stderr.toString() }).toEqual({
    status: 1,
    stderr: 'mlv needs Node 20.19 or later, this is 18.20.0\n',
  });
});
