import { mkdirSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'rolldown';
import { onCleanup } from './cleanup.mjs';
import { run as runCommand } from './processes.mjs';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));

/** Bundles a script that works with mlv's own modules, and runs it with `task`; the result is as `run` gives it, with `stdout`. */
export async function runWithOwnModules(script, task, options = {}) {
  // Inside the project, where what is not bundled can be resolved.
  const cache = join(ROOT, 'node_modules/.cache');
  mkdirSync(cache, { recursive: true });
  const file = join(cache, `mlv-bench-${process.pid}-${basename(fileURLToPath(script))}`);
  const remove = onCleanup(() => rmSync(file, { force: true }));
  await build({
    input: fileURLToPath(script),
    platform: 'node',
    external: ['@napi-rs/blake-hash'],
    logLevel: 'silent',
    output: { file, format: 'esm', codeSplitting: false },
  });
  const result = await runCommand(process.execPath, [file, JSON.stringify(task)], {
    cwd: ROOT,
    env: process.env,
    output: true,
    ...options,
  });
  remove();
  return result;
}
