// Bundles the fuzzer and all parsers into a folder of its own, and runs it there; the arguments are environment variables (main.ts).
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build } from 'rolldown';

const root = fileURLToPath(new URL('../..', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'mlv-fuzz-code-'));
try {
  // The hash function is found as from the project itself.
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'));
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }\n');
  await build({
    cwd: root,
    input: { main: 'test/fuzz/main.ts', worker: 'test/fuzz/worker.ts' },
    platform: 'node',
    external: [/^node:/, '@napi-rs/blake-hash'],
    logLevel: 'silent',
    output: {
      dir: folder,
      format: 'esm',
      entryFileNames: '[name].js',
      chunkFileNames: '[name].js',
      // What is under test in one file, whose coverage counts: mlv's own, and the libraries that it gives what people commit.
      codeSplitting: { groups: [{ name: 'parsers', test: (id) => !id.startsWith(join(root, 'test')) }] },
    },
  });
  process.chdir(root);
  await import(pathToFileURL(join(folder, 'main.js')).href);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
