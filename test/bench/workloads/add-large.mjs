import { renameSync } from 'node:fs';
import { join } from 'node:path';
import { writeLarge } from '../harness/data.mjs';
import { settle } from '../harness/disks.mjs';
import { hasProgram, hermeticEnv, mlv, run as runCommand } from '../harness/processes.mjs';
import { makeRepository, pointerHash, requireSame } from '../harness/repositories.mjs';
import { WrongResult } from '../harness/wrong-result.mjs';

export const addLarge = {
  title: 'add one large file, against cp plus one-thread b3sum',
  run,
};

const GOAL = 1.2;

async function run(bench) {
  const bytes = bench.short ? 64 << 20 : 4 * 2 ** 30;
  for (const fs of bench.fileSystems(['ext4', 'xfs'])) await onFileSystem(bench, fs, bytes);
}

async function onFileSystem(bench, fs, bytes) {
  const hashes = new Set();

  /** A new disk with the file, which is in memory as it would be for somebody who just made it. */
  async function prepare() {
    const disk = bench.disks.fresh({ fs, bytes: 4 * bytes + 2 ** 30, inodes: 10_000 });
    const repo = await makeRepository(join(disk.folder, 'repo'));
    writeLarge(join(repo, 'model.bin'), bytes, 2);
    settle(disk.folder, join(repo, 'model.bin'));
    return { disk, repo, env: hermeticEnv(disk.folder) };
  }

  async function withMlv(round) {
    const { disk, repo, env } = await prepare();
    const measured = await mlv(repo, ['add', 'model.bin'], env);
    hashes.add(pointerHash(repo, 'model.bin').replace('b3:', ''));
    if (round === 0) {
      renameSync(join(repo, 'model.bin'), join(repo, 'original'));
      await mlv(repo, ['checkout', 'model.bin'], env);
      requireSame(join(repo, 'original'), join(repo, 'model.bin'));
    }
    disk.close();
    return [{ name: 'mlv add', ...measured }];
  }

  async function withTools() {
    const { disk, repo, env } = await prepare();
    const options = { cwd: repo, env };
    const measured = [{ name: 'cp', ...(await runCommand('cp', ['model.bin', 'copy.bin'], options)) }];
    if (hasProgram('b3sum')) {
      const hashing = await runCommand('b3sum', ['--num-threads', '1', '--no-names', 'model.bin'], {
        ...options,
        output: true,
      });
      hashes.add(hashing.stdout.trim());
      measured.push({ name: 'b3sum, 1 thread', ...hashing });
    }
    // Not part of the reference: what it takes cp's bytes to reach the disk, where mlv's are when it returns.
    measured.push({ name: 'sync after cp', ...(await runCommand('sync', ['copy.bin'], options)) });
    disk.close();
    return measured;
  }

  const medians = await bench.sample(`add one file of ${bytes / 2 ** 20} MiB, ${fs}`, [withMlv, withTools]);
  if (hashes.size !== 1) throw new WrongResult(`the same file got ${hashes.size} hashes`);
  const reference = ['cp', 'b3sum, 1 thread'].filter((name) => medians.has(name));
  bench.ratio({ what: fs, medians, of: 'mlv add', to: reference, goal: GOAL });
  bench.ratio({ what: `${fs}, flushed`, medians, of: 'mlv add', to: [...reference, 'sync after cp'] });
}
