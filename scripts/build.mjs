// Bundles mlv into dist/: main.js (the command line), worker.js (worker threads), chunks that are loaded when they are
// used, the WebAssembly BLAKE3, and the licences of everything that went in.
import { cpSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'rolldown';

const PERMISSIVE = new Set([
  '0BSD',
  'Apache-2.0',
  'BlueOak-1.0.0',
  'BSD-2-Clause',
  'BSD-3-Clause',
  'ISC',
  'MIT',
  'Unlicense',
  'Zlib',
]);

const root = fileURLToPath(new URL('..', import.meta.url));
const dist = join(root, 'dist');
const require = createRequire(import.meta.url);

const { output } = await build({
  cwd: root,
  input: { main: 'src/cli/main.ts', worker: 'src/storage/worker.ts' },
  platform: 'node',
  external: [/^node:/, '@napi-rs/blake-hash'],
  resolve: { alias: { 'string-width': join(root, 'scripts/string-width.mjs') } },
  transform: { target: 'node20.19' },
  onLog(level, log) {
    // For one, a package that cannot be found is only a warning, and fails when a user gets there.
    // yargs resolves what a configuration extends by import.meta; mlv has no such configuration.
    if (log.code === 'EMPTY_IMPORT_META' && log.id?.includes('/node_modules/yargs/')) return;
    if (level === 'warn') throw new Error(log.message);
  },
  output: {
    dir: dist,
    // Loading a CommonJS module costs a third of what an ES module does, and status has a dozen of them.
    format: 'cjs',
    entryFileNames: '[name].js',
    chunkFileNames: '[name]-[hash].js',
    minify: { compress: true, mangle: false, codegen: true },
  },
});

const glue = require.resolve('blake3/dist/wasm/nodejs/blake3_js.js');
const wasm = require.resolve('blake3/dist/wasm/nodejs/blake3_js_bg.wasm');
cpSync(glue, join(dist, 'blake3_js.cjs'));
cpSync(wasm, join(dist, 'blake3_js_bg.wasm'));

writeFileSync(join(dist, 'package.json'), '{ "type": "commonjs" }\n');

const bundled = output.flatMap((file) => (file.type === 'chunk' ? file.moduleIds : []));
writeFileSync(join(dist, 'THIRD-PARTY-LICENSES.txt'), licences([...bundled, glue]));

const current = new Set(output.map((file) => file.fileName));
for (const name of readdirSync(dist)) {
  // Removed last and by name: another process may be running what an earlier build left here.
  if (name.endsWith('.js') && !current.has(name)) rmSync(join(dist, name));
}

/** The licence texts of the packages that these modules belong to. Throws where one is not permissive or not told. */
function licences(modules) {
  const folders = new Set(modules.map(packageFolder).filter((folder) => folder !== undefined));
  const texts = [...folders].map((folder) => {
    const { name, version, license } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
    if (!isPermissive(license)) throw new Error(`${name} ${version}: licence ${license} is not known to be permissive`);
    const file = readdirSync(folder).find((entry) => /^(licen[cs]e|copying)/i.test(entry));
    const text =
      file === undefined ? 'Its package carries no licence text.' : readFileSync(join(folder, file), 'utf8').trim();
    return `${name} ${version} (${license})\n\n${text}\n`;
  });
  // One package may be installed twice.
  return [...new Set(texts)].sort().join(`\n${'-'.repeat(80)}\n\n`);
}

/** Reads SPDX expressions as simple as `(MIT AND BSD-3-Clause)`, where every part has to be permissive. */
function isPermissive(license) {
  const parts = String(license)
    .replaceAll(/[()]/g, '')
    .split(/ AND | OR /);
  return parts.every((part) => PERMISSIVE.has(part));
}

/** The folder of the installed package that a module belongs to; undefined for mlv's own and the bundler's. */
function packageFolder(module) {
  return /^.*[\\/]node_modules[\\/](@[^\\/]+[\\/])?[^\\/]+/.exec(module)?.[0];
}
