// Writes fixtures/formats/ anew from today's code. Only for a deliberate change of a format: what was written before must stay readable.
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const vitest = fileURLToPath(new URL('../node_modules/vitest/vitest.mjs', import.meta.url));
const { status } = spawnSync(process.execPath, [vitest, 'run', 'test/formats/fixtures.test.ts'], {
  cwd: fileURLToPath(new URL('..', import.meta.url)),
  env: { ...process.env, MLV_UPDATE_FIXTURES: '1' },
  stdio: 'inherit',
});
process.exitCode = status ?? 1;
