import { renameSync } from 'node:fs';
import { join } from 'node:path';
import { writeMany } from '../harness/data.mjs';
import { settle } from '../harness/disks.mjs';
import { hasProgram, hermeticEnv, mlv, run as runCommand } from '../harness/processes.mjs';
import { makeRepository, pointerHash, requireSame } from '../harness/repositories.mjs';
import { WrongResult } from '../harness/wrong-result.mjs';

export const addMany = {
  title: 'add many small files, against cp -r plus b3sum over the same files',
  run,
};

const GOAL = 0.3;

/** `cp` and `b3sum` neither flush nor keep anything durable; mlv does, and the time is in its figure. */
async function run(bench) {
  const files = bench.short ? 2_000 : 100_000;
  for (const fs of bench.fileSystems(['ext4', 'xfs'])) await onFileSystem(bench, fs, files);
}

async function onFileSystem(bench, fs, files) {
  const { disks } = bench;
  bench.log(`writing ${files} files of 4 KiB`);
  const first = disks.fresh({ fs, bytes: 8 * 2 ** 30, inodes: files * 3 + 10_000 });
  await makeRepository(join(first.folder, 'repo'));
  writeMany(join(first.folder, 'repo/data'), { files, folders: 100, size: () => 4096, seed: 1 });
  const frozen = disks.freeze(first);
  const hashes = new Set();

  async function withMlv(round) {
    const disk = disks.thaw(frozen);
    const repo = join(disk.folder, 'repo');
    settle(disk.folder, join(repo, 'data'));
    const measured = await mlv(repo, ['add', 'data'], hermeticEnv(disk.folder));
    hashes.add(pointerHash(repo, 'data'));
    if (round === 0) await requireComplete(repo, hermeticEnv(disk.folder));
    disk.close();
    return [{ name: 'mlv add', ...measured }];
  }

  async function withTools() {
    const disk = disks.thaw(frozen);
    settle(disk.folder, join(disk.folder, 'repo/data'));
    const measured = await copyAndHash(disk.folder, 'repo/data');
    disk.close();
    return measured;
  }

  const medians = await bench.sample(`add ${files} files of 4 KiB, ${fs}`, [withMlv, withTools]);
  frozen.close();
  if (hashes.size !== 1) throw new WrongResult(`the same data got ${hashes.size} hashes`);
  bench.ratio({ what: fs, medians, of: 'mlv add', to: ['cp -r', ...b3sumNames(medians)], goal: GOAL });
}

/** What was added comes back the same. */
async function requireComplete(repo, env) {
  renameSync(join(repo, 'data'), join(repo, 'original'));
  await mlv(repo, ['checkout', 'data'], env);
  requireSame(join(repo, 'original'), join(repo, 'data'));
}

async function copyAndHash(cwd, data) {
  const env = hermeticEnv(cwd);
  const measured = [{ name: 'cp -r', ...(await runCommand('cp', ['-r', data, 'copy'], { cwd, env })) }];
  if (!hasProgram('b3sum')) return measured;
  for (const [name, options] of [
    ['b3sum, 1 thread', '--num-threads 1'],
    ['b3sum', ''],
  ]) {
    const script = `find ${data} -type f -print0 | xargs -0 b3sum ${options}`;
    measured.push({ name, ...(await runCommand('sh', ['-c', script], { cwd, env })) });
  }
  return measured;
}

/** The faster of the two counts. Without b3sum, cp -r alone is the reference, which is harder to beat. */
function b3sumNames(medians) {
  return medians.has('b3sum') ? [['b3sum, 1 thread', 'b3sum']] : [];
}
