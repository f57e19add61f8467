import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
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

test('tells whose code it carries', () => {
  const text = readFileSync(join(folder, 'dist/THIRD-PARTY-LICENSES.txt'), 'utf8');
  expect(text).toMatch(/^blake3 [\d.]+ \(MIT\)\n\n.*Permission is hereby granted/ms);
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
