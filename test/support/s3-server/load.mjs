// The server for plain Node, which cannot read TypeScript: bundles it into one file and imports that.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build } from 'rolldown';

/**
 * What `server.ts` exports.
 * @returns {Promise<typeof import('./server.ts')>}
 */
export async function loadS3Server() {
  const input = fileURLToPath(new URL('server.ts', import.meta.url));
  const folder = mkdtempSync(join(tmpdir(), 's3-server-code-'));
  try {
    const file = join(folder, 'server.mjs');
    await build({ input, platform: 'node', logLevel: 'silent', output: { file, format: 'esm' } });
    return await import(pathToFileURL(file).href);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
