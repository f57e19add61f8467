/**
 * Takes the lock `work` in a folder. `hold` keeps it for ever, and says so. `count N` takes it N times, each time adding
 * one to the file `count`, and fails when it meets another living process in there.
 */
import { mkdirSync, readdirSync, readFileSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { writeFileDurably } from '../../src/platform/durable-write.ts';
import type { Lock } from '../../src/platform/lock.ts';
import { withLock } from '../../src/platform/lock.ts';

const [folder = '', mode, times = '1', heartbeatMs = '5000'] = process.argv.slice(2);
const options = { command: `test ${mode}`, waitMs: 20_000, heartbeatMs: Number(heartbeatMs) };
const count = join(folder, 'count');

if (mode === 'hold') {
  await withLock(folder, 'work', options, async () => {
    process.stdout.write('held\n');
    await sleep(600_000);
  });
} else {
  for (let time = 0; time < Number(times); time++) await withLock(folder, 'work', options, addOne);
}

async function addOne(lock: Lock): Promise<void> {
  const own = join(folder, `inside-${process.pid}`);
  mkdirSync(own);
  for (const file of readdirSync(folder)) {
    const pid = /^inside-(\d+)$/.exec(file)?.[1];
    if (pid === undefined || pid === String(process.pid)) continue;
    if (isAlive(pid)) throw new Error(`process ${pid} holds the lock, too`);
    rmdirSync(join(folder, file));
  }
  const before = Number(readFileSync(count, 'utf8'));
  await sleep(Math.random() * 4);
  writeFileDurably(count, String(before + 1), { beforeRename: () => lock.assertHeld() });
  rmdirSync(own);
}

function isAlive(pid: string): boolean {
  try {
    return !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, 'latin1'));
  } catch {
    return false;
  }
}
