// Bundles mlv into dist/: main.js (the command line), worker.js (worker threads), chunks that are loaded when they are
// used, live.mjs (what moves on a terminal), the WebAssembly BLAKE3, and the licences of everything that went in.
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

/** Only an ES module can wait while it loads, as the layout engine of ink does. */
const LIVE = /\/live\/screen\.ts$|^\.\/screen\.ts$/;

const root = fileURLToPath(new URL('..', import.meta.url));
const dist = join(root, 'dist');
const require = createRequire(import.meta.url);

const options = {
  cwd: root,
  platform: 'node',
  external: [/^node:/, '@napi-rs/blake-hash', LIVE],
  resolve: { alias: { 'string-width': join(root, 'scripts/string-width.mjs') } },
  transform: { target: 'node20.19' },
  onLog(level, log) {
    // yargs resolves what a configuration extends by import.meta; mlv has no such configuration.
    if (log.code === 'EMPTY_IMPORT_META' && log.id?.includes('/node_modules/yargs/')) return;
    // For one, a package that cannot be found is only a warning, and fails when a user gets there.
    if (level === 'warn') throw new Error(log.message);
  },
};

// What status needs beyond the start goes into one chunk: it is the command typed most, and each file costs half a millisecond.
const start = await loadedBy('src/cli/main.ts');
const status = [...(await loadedBy('src/cli/commands/status.ts')), ...(await loadedBy('src/workspace/open.ts'))];
const core = new Set(status.filter((id) => !start.includes(id)));

const written = {
  dir: dist,
  // Loading a CommonJS module costs a third of what an ES module does.
  format: 'cjs',
  paths: (id) => (LIVE.test(id) ? './live.mjs' : id),
  entryFileNames: '[name].js',
  chunkFileNames: '[name]-[hash].js',
  minify: { compress: true, mangle: false, codegen: true },
};
const { output: commandLine } = await build({
  ...options,
  input: { main: 'src/cli/main.ts' },
  preserveEntrySignatures: 'allow-extension',
  output: {
    ...written,
    codeSplitting: { includeDependenciesRecursively: false, groups: [{ name: 'core', test: (id) => core.has(id) }] },
  },
});
// Threads share no chunk with the command line: in those, main.js may be, and loading it runs a command.
const { output: worker } = await build({
  ...options,
  input: { worker: 'src/storage/worker.ts' },
  output: { ...written, chunkFileNames: 'worker-[name]-[hash].js' },
});
const { output: live } = await build({
  ...options,
  input: { live: 'src/cli/live/screen.ts' },
  external: [/^node:/],
  resolve: { alias: { 'is-in-ci': join(root, 'scripts/is-in-ci.mjs') } },
  plugins: [withoutDebugger()],
  transform: { ...options.transform, define: { 'process.env.NODE_ENV': '"production"' } },
  output: { ...written, format: 'esm', codeSplitting: false, entryFileNames: '[name].mjs' },
});
const glue = require.resolve('blake3/dist/wasm/nodejs/blake3_js.js');
const wasm = require.resolve('blake3/dist/wasm/nodejs/blake3_js_bg.wasm');

// What pods run travels in a ConfigMap: one file without any other beside it, as small as can be.
const { output: pod } = await build({
  ...options,
  input: { pod: 'src/execution/kubernetes/pod/main.ts' },
  external: [/^node:/],
  resolve: { mainFields: ['module', 'main'] },
  plugins: [forPods()],
  output: { ...written, codeSplitting: false, entryFileNames: '[name].cjs', minify: true },
});
const output = [...commandLine, ...worker, ...live, ...pod];

cpSync(glue, join(dist, 'blake3_js.cjs'));
cpSync(wasm, join(dist, 'blake3_js_bg.wasm'));

writeFileSync(join(dist, 'package.json'), '{ "type": "commonjs", "imports": { "#blake3-wasm": "./blake3_js.cjs" } }\n');

writeFileSync(join(dist, 'mlv.schema.json'), await pipelineSchema());

const bundled = output.flatMap((file) => (file.type === 'chunk' ? file.moduleIds : []));
writeFileSync(join(dist, 'THIRD-PARTY-LICENSES.txt'), licences([...bundled, glue]));

const current = new Set(output.map((file) => file.fileName));
for (const name of readdirSync(dist)) {
  // Removed last and by name: another process may be running what an earlier build left here.
  if (name.endsWith('.js') && !current.has(name)) rmSync(join(dist, name));
}

/** Where a variable DEV says so, ink would look for a debugger, and for its own package. */
function withoutDebugger() {
  const stubs = { 'utils.js': 'export const isDev = () => false;', 'devtools.js': 'export {};' };
  return { name: 'without-debugger', load: (id) => stubs[/\/ink\/build\/([^/]+)$/.exec(id)?.[1] ?? ''] };
}

/**
 * What a pod needs not, or otherwise. Its threads run the same file. Native BLAKE3 is nothing to look for: what would be found might be the
 * stage's. There is no Git, and no YAML. Of credentials there are those of the environment, of web identities, of the container and of the
 * machine: profiles can name programs to be run.
 */
function forPods() {
  const inlined = readFileSync(glue, 'utf8').replace(
    /^const path = .*\nconst bytes = .*$/m,
    `const bytes = Buffer.from('${readFileSync(wasm).toString('base64')}', 'base64');`,
  );
  const without = (name) => `export const ${name} = () => { throw new Error('not in pods'); };`;
  const provider = (name) =>
    `export const ${name} = () => async () => { throw Object.assign(new Error('not in pods'), { tryNextLink: true }); };`;
  const instead = [
    [/\/src\/workspace\/worker-entry\.ts$/, 'export const workerEntry = () => new URL(import.meta.url);'],
    [
      /\/src\/platform\/blake3-bindings\.ts$/,
      `import glue from ${JSON.stringify(glue)};\n${without('requireNative')}\nexport const requireWebAssembly = () => glue;`,
    ],
    [/\/blake3\/dist\/wasm\/nodejs\/blake3_js\.js$/, inlined],
    [/\/src\/git\/open\.ts$/, without('openGit')],
    [/\/src\/domain\/settings-document\.ts$/, without('parseSettings')],
    [/\/src\/domain\/pointer-document\.ts$/, without('parsePointer')],
    [/\/@aws-sdk\/credential-provider-sso\/dist-[^/]+\/index\.js$/, provider('fromSSO')],
    [/\/@aws-sdk\/credential-provider-ini\/dist-[^/]+\/index\.js$/, provider('fromIni')],
    [/\/@aws-sdk\/credential-provider-process\/dist-[^/]+\/index\.js$/, provider('fromProcess')],
  ];
  return { name: 'for-pods', load: (id) => instead.find(([pattern]) => pattern.test(id))?.[1] };
}

/** What editors complete pipeline files by, made of what the reader checks by. */
async function pipelineSchema() {
  const input = 'src/domain/pipeline-json-schema.ts';
  const { output: chunks } = await build({ ...options, input, write: false, output: { format: 'esm' } });
  const { pipelineJsonSchema } = await import(`data:text/javascript,${encodeURIComponent(chunks[0].code)}`);
  return pipelineJsonSchema();
}

/** The modules that importing this one loads at once. */
async function loadedBy(input) {
  const { output: chunks } = await build({ ...options, input, write: false, output: { format: 'cjs' } });
  const [entry, ...others] = chunks.filter((file) => file.type === 'chunk');
  const byName = new Map([entry, ...others].map((chunk) => [chunk.fileName, chunk]));
  const seen = new Set([entry.fileName]);
  for (const name of seen) for (const imported of byName.get(name)?.imports ?? []) seen.add(imported);
  return [...seen].flatMap((name) => byName.get(name)?.moduleIds ?? []);
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
