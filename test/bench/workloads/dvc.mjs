import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { writeLarge, writeMany } from '../harness/data.mjs';
import { settle } from '../harness/disks.mjs';
import { versionOf } from '../harness/machine.mjs';
import { hermeticEnv, MLV, run as runCommand } from '../harness/processes.mjs';
import { findPythonTool } from '../harness/python-tools.mjs';
import { commitAll, git, requireSame } from '../harness/repositories.mjs';

export const againstDvc = {
  title: 'add, status, push, pull and checkout, against DVC on the same data and a folder remote',
  run,
};

/** Between 4 and 100 KB, most of them small, as thumbnails and labels are. */
const mixedSize = (index) => 4_000 + Math.floor(96_000 * (((index * 7_919) % 1_000) / 1_000) ** 2);
const STEPS = ['add', 'status', 'push', 'pull', 'checkout'];

async function run(bench) {
  const dvc = findPythonTool(bench, { program: 'dvc' });
  if (dvc === undefined) return;
  console.log(`  DVC ${versionOf(dvc)}`);
  const [fs] = bench.fileSystems(['ext4']);
  const many = bench.short ? 200 : 20_000;
  const large = bench.short ? 8 << 20 : 256 << 20;
  const sets = {
    [`${many} files of 4 to 100 KB`]: (folder) =>
      writeMany(folder, { files: many, folders: 100, size: mixedSize, seed: 6 }),
    [`4 files of ${large >> 20} MiB`]: (folder) => {
      for (let index = 0; index < 4; index++) writeLarge(join(folder, `shard-${index}.tar`), large, 7 + index);
    },
  };
  const tools = { mlv: { command: process.execPath, first: [MLV] }, dvc: { command: dvc, first: [] } };
  for (const [what, write] of Object.entries(sets)) {
    bench.log(`writing ${what}`);
    const first = bench.disks.fresh({ fs, bytes: 16 * 2 ** 30, inodes: many * 10 + 20_000 });
    write(join(first.folder, 'repo/data'));
    const frozen = bench.disks.freeze(first);
    const contenders = Object.entries(tools).map(([name, tool]) => async () => {
      const disk = bench.disks.thaw(frozen);
      const measured = await trip(disk.folder, name, tool);
      disk.close();
      return measured;
    });
    const medians = await bench.sample(what, contenders);
    frozen.close();
    for (const step of STEPS) bench.ratio({ what, medians, of: `mlv ${step}`, to: [`dvc ${step}`] });
  }
}

/** The whole way once with one tool, each step timed. */
async function trip(folder, name, { command, first }) {
  const repo = join(folder, 'repo');
  const clone = join(folder, 'clone');
  const env = hermeticEnv(folder);
  const measured = [];
  const call = (cwd, args) => runCommand(command, [...first, ...args], { cwd, env, memory: true });
  const timed = async (cwd, args) => {
    settle(folder);
    measured.push({ name: `${name} ${args[0]}`, ...(await call(cwd, args)) });
  };

  settle(folder, join(repo, 'data'));
  git(repo, 'init', '--quiet', '--initial-branch=main');
  await call(repo, ['init']);
  await call(repo, ['remote', 'add', '-d', 'store', join(folder, 'remote')]);
  if (name === 'dvc') mkdirSync(join(folder, 'remote'));
  await timed(repo, ['add', 'data']);
  commitAll(repo, 'data');
  await timed(repo, ['status']);
  await timed(repo, ['push']);
  git(folder, 'clone', '--quiet', 'repo', 'clone');
  await timed(clone, ['pull']);
  requireSame(join(repo, 'data'), join(clone, 'data'));
  rmSync(join(clone, 'data'), { recursive: true });
  await timed(clone, ['checkout']);
  requireSame(join(repo, 'data'), join(clone, 'data'));
  return measured;
}
