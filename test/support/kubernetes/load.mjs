// The cluster for plain Node, which cannot read TypeScript: bundles it into one file and imports that.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build } from 'rolldown';

/**
 * What `commands.ts` exports.
 * @returns {Promise<typeof import('./commands.ts')>}
 */
export async function loadCluster() {
  const source = new URL('commands.ts', import.meta.url).href;
  const folder = mkdtempSync(join(tmpdir(), 'kubernetes-code-'));
  try {
    const file = join(folder, 'cluster.mjs');
    await build({
      input: fileURLToPath(source),
      platform: 'node',
      logLevel: 'silent',
      // Packages are looked for from where the sources are.
      transform: { define: { 'import.meta.url': JSON.stringify(source) } },
      output: { file, format: 'esm' },
    });
    return await import(pathToFileURL(file).href);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
