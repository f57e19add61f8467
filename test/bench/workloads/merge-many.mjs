import { copyFileSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { imageName, writeMany } from '../harness/data.mjs';
import { settle } from '../harness/disks.mjs';
import { hermeticEnv, mlv } from '../harness/processes.mjs';
import { commitAll, git, makeRepository, touchBytes } from '../harness/repositories.mjs';
import { WrongResult } from '../harness/wrong-result.mjs';

export const mergeMany = {
  title: 'merging two versions of a million files with a hundred changes each',
  run,
};

const CHANGES = 100;
const GOAL_SECONDS = 1;

async function run(bench) {
  const files = bench.short ? 5_000 : 1_000_000;
  const folders = bench.short ? 5 : 1_000;
  const [fs] = bench.fileSystems(['ext4']);
  bench.log(`writing and adding ${files} files of 4 to 16 bytes`);
  const disk = bench.disks.fresh({ fs, bytes: 24 * 2 ** 30, inodes: files * 3 + 20_000 });
  const env = hermeticEnv(disk.folder);
  const repo = await makeRepository(join(disk.folder, 'repo'));
  writeMany(join(repo, 'data'), { files, folders, size: (index) => 4 + (index % 13), seed: 5 });
  const version = (name) => join(disk.folder, `${name}.mlv`);
  async function record(name, offset) {
    const changes = offset === undefined ? 0 : CHANGES;
    for (let at = 0; at < changes; at++) {
      const index = Math.floor((files * at) / CHANGES) + offset;
      touchBytes(join(repo, 'data', imageName(index, Math.ceil(files / folders))), name);
    }
    await mlv(repo, ['add', 'data'], env);
    commitAll(repo, name);
    copyFileSync(join(repo, 'data.mlv'), version(name));
  }
  await record('base');
  git(repo, 'switch', '--quiet', '-c', 'topic');
  await record('theirs', 3);
  git(repo, 'switch', '--quiet', 'main');
  await mlv(repo, ['checkout'], env);
  await record('ours', 23);

  async function merge() {
    settle(disk.folder);
    copyFileSync(version('ours'), version('result'));
    const versions = [version('base'), version('result'), version('theirs')];
    const measured = await mlv(repo, ['driver', 'pointer', ...versions, 'data.mlv'], env);
    const result = readFileSync(version('result'), 'utf8');
    if (!result.startsWith('version: 1\n') || result === readFileSync(version('ours'), 'utf8'))
      throw new WrongResult(`merged to ${result}`);
    return [{ name: 'mlv driver pointer', ...measured }];
  }

  const medians = await bench.sample(`${CHANGES} changes on each side of ${files} files`, [merge]);
  bench.judge({
    what: 'the process included',
    value: medians.get('mlv driver pointer'),
    goal: GOAL_SECONDS,
    format: (value) => `${value.toFixed(2)} s`,
  });
  disk.close();
}
