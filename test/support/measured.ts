/** What a command took. */
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { MlvResult, MlvRig } from './mlv.ts';

export interface Measured extends MlvResult {
  /** The most memory that its process ever held. */
  readonly megabytes: number;
  readonly seconds: number;
}

const TELL = `
const { isMainThread } = require('node:worker_threads');
if (isMainThread) process.on('exit', () =>
  require('node:fs').writeFileSync(process.env.TELL_MEMORY, String(process.resourceUsage().maxRSS)));
`;

/** Runs `mlv ARGS`, killed after a minute: a test that hangs tells nothing. */
export async function measured(rig: MlvRig, cwd: string, args: readonly string[]): Promise<Measured> {
  const folder = mkdtempSync(join(rig.folder, 'measured-'));
  const hook = join(folder, 'hook.cjs');
  const told = join(folder, 'kilobytes');
  writeFileSync(hook, TELL);
  writeFileSync(told, 'NaN');
  const start = performance.now();
  const running = rig.start(cwd, args, { env: { NODE_OPTIONS: `--require=${hook}`, TELL_MEMORY: told } });
  const killer = setTimeout(() => running.process.kill('SIGKILL'), 60_000);
  const result = await running.result;
  clearTimeout(killer);
  return {
    ...result,
    seconds: (performance.now() - start) / 1000,
    megabytes: Number(readFileSync(told, 'utf8')) / 1024,
  };
}
