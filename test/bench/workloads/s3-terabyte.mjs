import { rmSync } from 'node:fs';
import { runWithOwnModules } from '../harness/own-modules.mjs';
import { s3Env, startDiscarding } from '../harness/s3-servers.mjs';
import { WrongResult } from '../harness/wrong-result.mjs';

export const s3Terabyte = {
  title: 'memory and parts of objects that no disk here can hold: a sparse file, a server that keeps nothing',
  run,
};

const GIGABYTE = 2 ** 30;
const SCRIPT = new URL('../transfer-zeros.mjs', import.meta.url);
/** Of what is too long to wait for, so much goes each way. */
const SEEN_BYTES = 16 * GIGABYTE;
const MOST_PARTS = 10_000;

/**
 * Simulated are the source, which is a sparse file, the server, which throws away what it gets and makes up what it sends, and
 * the disk that a fetch writes to, which forgets what was written. Mlv's part is all real: reading, hashing, checksums,
 * signatures, requests, bookkeeping. Not part of it are the cache, the trees and the index of a push.
 */
async function run(bench) {
  const whole = (bench.short ? 1 : 48) * GIGABYTE;
  const begun = 1024 * GIGABYTE;
  const most = bench.short ? GIGABYTE : SEEN_BYTES;
  const digest = (await runWithOwnModules(SCRIPT, { way: 'hash', length: whole })).stdout.trim();
  const nothing = '0'.repeat(64);
  for (const way of ['push', 'fetch']) {
    await bench.sample(
      way,
      [
        () => transfer(bench, { way, length: whole, digest }),
        () => transfer(bench, { way, length: begun, digest: nothing, most }),
      ],
      { samples: 1 },
    );
  }
}

async function transfer(bench, task) {
  const folder = bench.disks.scratch();
  const server = await startDiscarding(task.length);
  const measured = await runWithOwnModules(
    SCRIPT,
    { ...task, folder },
    { env: { ...process.env, ...s3Env(server.endpoint) }, memory: true },
  );
  const counts = await server.counts();
  await server.close();
  rmSync(folder, { recursive: true });
  const size = `${task.length / GIGABYTE} GiB`;
  const name = `${task.way} ${size}${task.most === undefined ? '' : `, the first ${task.most / GIGABYTE}`}`;
  if (task.way === 'push') judgeParts(bench, { task, counts, size });
  return [{ name, seconds: measured.seconds, peak: measured.peak }];
}

function judgeParts(bench, { task, counts, size }) {
  const { parts, partBytes, completed, complaint } = counts;
  if (complaint !== undefined) throw new WrongResult(complaint);
  if (task.most === undefined && completed !== 1) throw new WrongResult(`the upload of ${size} was not completed`);
  console.log(`    ${size}: ${parts} parts sent, of ${partBytes / 2 ** 20} MiB`);
  bench.judge({ what: `parts of ${size}`, value: Math.ceil(task.length / partBytes), goal: MOST_PARTS });
}
