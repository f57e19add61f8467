import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'rolldown';

/** Makes a script under `test/` and all that it imports into one file that plain Node can run. Gives its path back. */
export async function bundleChild(script: URL, folder: string): Promise<string> {
  const file = join(folder, 'child.mjs');
  await build({ input: fileURLToPath(script), platform: 'node', logLevel: 'silent', output: { file, format: 'esm' } });
  return file;
}
