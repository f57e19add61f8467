import { join } from 'node:path';
import { writeLarge } from '../harness/data.mjs';
import { findPythonTool } from '../harness/python-tools.mjs';
import { chooseS3Server } from '../harness/s3-servers.mjs';
import { makeSource, tripOfMlv, tripOfS5cmd, withServer } from '../harness/s3-trips.mjs';

export const s3Large = {
  title: 'push and fetch of one large file, against s5cmd with the same S3 server',
  run,
};

const GOAL = 1.2;
const SAMPLES = 3;

async function run(bench) {
  const program = findPythonTool(bench, { program: 's5cmd' });
  const server = chooseS3Server();
  const bytes = bench.short ? 40 << 20 : 4 * 2 ** 30;
  const [fs] = bench.fileSystems(['ext4']);
  const freshDisk = () => bench.disks.fresh({ fs, bytes: 4 * bytes + 2 ** 29, inodes: 10_000 });
  const source = freshDisk();
  bench.log('writing and adding the file');
  const repo = await makeSource(source.folder, (folder) => writeLarge(join(folder, 'model.bin'), bytes, 9));
  const contenders = [() => withServer({ server, freshDisk }, (there) => tripOfMlv(there, repo))];
  if (program !== undefined)
    contenders.push(() =>
      withServer({ server, freshDisk }, (there) => tripOfS5cmd(there, repo, program, { andFlush: true })),
    );

  const what = `one file of ${bytes / 2 ** 20} MiB`;
  const medians = await bench.sample(what, contenders, { samples: Math.min(bench.samples, SAMPLES) });
  if (program === undefined) return;
  bench.ratio({ what, medians, of: 'mlv push', to: ['s5cmd cp, up'], goal: GOAL });
  bench.ratio({ what, medians, of: 'mlv fetch', to: ['s5cmd cp, down'], goal: GOAL });
  // Mlv says that it is done when no loss of power can undo it.
  bench.ratio({ what, medians, of: 'mlv fetch', to: ['s5cmd cp, down, and sync'] });
}
