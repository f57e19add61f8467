/** Kills at random times, judged by what stands on the disk: for machines without strace. */
import { spawn } from 'node:child_process';
import { lstatSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { BIN } from '../../support/mlv.ts';
import type { Command, Killer } from './killer.ts';

export const byClock: Killer = {
  async watch(command) {
    const whole = await run(command, undefined);
    if (whole.code !== 0) throw new Error(`mlv ${command.args.join(' ')} failed by itself:\n${whole.output}`);
    const finished = sizesBelow(command.folder);
    return async (again, random) => {
      const before = sizesBelow(again.folder);
      const { code, output } = await run(again, whole.ms * (0.3 + random.next(700) / 1000));
      const after = sizesBelow(again.folder);
      const counts = code === undefined && after !== before && after !== finished;
      return { aim: 'by time', phase: 'unknown: no strace', counts, output, code };
    };
  },
};

function run({ folder, args, env }: Command, killAfterMs: number | undefined) {
  const started = performance.now();
  const child = spawn(process.execPath, [BIN, '--no-progress', ...args], {
    cwd: join(folder, 'project'),
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
  }
  const timer = killAfterMs === undefined ? undefined : setTimeout(() => child.kill('SIGKILL'), killAfterMs);
  return new Promise<{ code: number | undefined; output: string; ms: number }>((resolve, reject) => {
    child.on('error', reject).on('close', (code) => {
      clearTimeout(timer);
      resolve({ code: code ?? undefined, output, ms: performance.now() - started });
    });
  });
}

/** Paths and sizes of all files. */
function sizesBelow(folder: string): string {
  return readdirSync(folder, { recursive: true })
    .map((path) => `${String(path)} ${lstatSync(join(folder, String(path)), { throwIfNoEntry: false })?.size}`)
    .sort()
    .join('\n');
}
