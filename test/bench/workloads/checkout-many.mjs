import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { writeMany } from '../harness/data.mjs';
import { settle } from '../harness/disks.mjs';
import { hermeticEnv, mlv, run as runCommand } from '../harness/processes.mjs';
import { commitAll, makeRepository, requireSame } from '../harness/repositories.mjs';

export const checkoutMany = {
  title: 'check out many small files, against cp -r',
  run,
};

const GOAL = 1.3;

async function run(bench) {
  const files = bench.short ? 2_000 : 100_000;
  for (const fs of bench.fileSystems(['ext4', 'xfs'])) await onFileSystem(bench, fs, files);
}

async function onFileSystem(bench, fs, files) {
  const { disks } = bench;
  bench.log(`writing and adding ${files} files of 4 KiB`);
  const size = { fs, bytes: 8 * 2 ** 30, inodes: files * 3 + 10_000 };
  const data = { files, folders: 100, size: () => 4096, seed: 1 };
  const adding = disks.fresh(size);
  const repo = await makeRepository(join(adding.folder, 'repo'));
  writeMany(join(repo, 'data'), data);
  await mlv(repo, ['add', 'data'], hermeticEnv(adding.folder));
  commitAll(repo, 'data');

  // A disk on which nothing was ever deleted: the original files, and the repository without its workspace files.
  const first = disks.fresh(size);
  writeMany(join(first.folder, 'plain'), data);
  execFileSync('sh', [
    '-c',
    'mkdir "$2/repo" && tar -C "$1" --exclude=./data -cf - . | tar -C "$2/repo" -xf -',
    'sh',
    repo,
    first.folder,
  ]);
  adding.close();
  const frozen = disks.freeze(first);

  async function withMlv() {
    const disk = disks.thaw(frozen);
    const clone = join(disk.folder, 'repo');
    settle(disk.folder, join(disk.folder, 'plain'), join(clone, '.git'));
    const measured = await mlv(clone, ['checkout', 'data'], hermeticEnv(disk.folder));
    requireSame(join(disk.folder, 'plain'), join(clone, 'data'));
    disk.close();
    return [{ name: 'mlv checkout', ...measured }];
  }

  async function withTools() {
    const disk = disks.thaw(frozen);
    settle(disk.folder, join(disk.folder, 'plain'), join(disk.folder, 'repo/.git'));
    const measured = await runCommand('cp', ['-r', 'plain', 'copy'], {
      cwd: disk.folder,
      env: hermeticEnv(disk.folder),
    });
    disk.close();
    return [{ name: 'cp -r', ...measured }];
  }

  const medians = await bench.sample(`check out ${files} files of 4 KiB, ${fs}`, [withMlv, withTools]);
  frozen.close();
  bench.ratio({ what: fs, medians, of: 'mlv checkout', to: ['cp -r'], goal: GOAL });
}
