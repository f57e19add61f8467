import { join } from 'node:path';
import { writeMany } from '../harness/data.mjs';
import { settle } from '../harness/disks.mjs';
import { hermeticEnv, mlv, run as runCommand } from '../harness/processes.mjs';
import { commitAll, makeRepository } from '../harness/repositories.mjs';
import { traceMlv, whyNoTrace } from '../harness/trace.mjs';
import { WrongResult } from '../harness/wrong-result.mjs';

export const statusMany = {
  title: 'status with nothing changed, against find -printf; and it reads no file',
  run,
};

const GOAL = 3;
/** Longer than the time in which a file's date says nothing, so that the first status can vouch for all of them. */
const RACY_MS = 3_000;

/** Nothing is written, so one disk serves all samples. */
async function run(bench) {
  const files = bench.short ? 2_000 : 100_000;
  const [fs] = bench.fileSystems(['ext4']);
  bench.log(`writing and adding ${files} files of 4 KiB`);
  const disk = bench.disks.fresh({ fs, bytes: 8 * 2 ** 30, inodes: files * 3 + 10_000 });
  const repo = await makeRepository(join(disk.folder, 'repo'));
  const env = hermeticEnv(disk.folder);
  writeMany(join(repo, 'data'), { files, folders: 100, size: () => 4096, seed: 1 });
  await new Promise((resolve) => setTimeout(resolve, RACY_MS));
  await mlv(repo, ['add', 'data'], env);
  commitAll(repo, 'data');
  settle(disk.folder);

  async function withMlv() {
    const { stdout, ...measured } = await mlv(repo, ['status', '--json'], env, { output: true });
    const { items, clean } = JSON.parse(stdout);
    if (!clean || items[0]?.files !== files) throw new WrongResult(`status says ${stdout}`);
    return [{ name: 'mlv status', ...measured }];
  }

  async function withTools() {
    const args = ['data', '-printf', '%s %T@\\n'];
    return [{ name: 'find -printf', ...(await runCommand('find', args, { cwd: repo, env })) }];
  }

  const medians = await bench.sample(`status of ${files} files, ${fs}`, [withMlv, withTools]);
  bench.ratio({ what: fs, medians, of: 'mlv status', to: ['find -printf'], goal: GOAL });

  const reason = whyNoTrace();
  if (reason !== undefined) bench.skip('data files opened by status', reason);
  else {
    const { filesOpened } = traceMlv(repo, ['status'], env, join(repo, 'data'));
    bench.judge({ what: 'data files opened by status', value: filesOpened.length, goal: 0 });
  }
  disk.close();
}
