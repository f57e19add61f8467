import { join } from 'node:path';
import { writeLarge, writeMany } from '../harness/data.mjs';
import { findPythonTool } from '../harness/python-tools.mjs';
import { chooseS3Server } from '../harness/s3-servers.mjs';
import { makeSource, tripOfMlv, tripOfS5cmd, withServer } from '../harness/s3-trips.mjs';

export const s3Latency = {
  title: 'push and fetch over a line of 30 ms there and back, against s5cmd with the same S3 server',
  run,
};

/** Each direction. */
const DELAY_MS = 15;
const GOALS = { many: 1 / 5, large: 1.2 };
const SAMPLES = 3;

async function run(bench) {
  const program = findPythonTool(bench, { program: 's5cmd' });
  const server = chooseS3Server();
  const files = bench.short ? 500 : 20_000;
  const bytes = bench.short ? 40 << 20 : 2 ** 30;
  const sets = {
    [`${files} files of 10 KiB, 30 ms`]: {
      goal: GOALS.many,
      write: (folder) => writeMany(folder, { files, folders: 20, size: () => 10 << 10, seed: 10 }),
    },
    [`one file of ${bytes / 2 ** 20} MiB, 30 ms`]: {
      goal: GOALS.large,
      write: (folder) => writeLarge(join(folder, 'model.bin'), bytes, 11),
    },
  };
  const [fs] = bench.fileSystems(['ext4']);
  const freshDisk = () => bench.disks.fresh({ fs, bytes: 8 * 2 ** 30, inodes: files * 6 + 20_000 });
  for (const [what, { goal, write }] of Object.entries(sets)) {
    bench.log(`writing and adding ${what}`);
    const source = freshDisk();
    const repo = await makeSource(source.folder, write);
    const place = { server, freshDisk, delayMs: DELAY_MS };
    const contenders = [() => withServer(place, (there) => tripOfMlv(there, repo))];
    if (program !== undefined) contenders.push(() => withServer(place, (there) => tripOfS5cmd(there, repo, program)));
    const medians = await bench.sample(what, contenders, { samples: Math.min(bench.samples, SAMPLES) });
    source.close();
    if (program === undefined) continue;
    bench.ratio({ what, medians, of: 'mlv push', to: ['s5cmd cp, up'], goal });
    bench.ratio({ what, medians, of: 'mlv fetch', to: ['s5cmd cp, down'], goal });
  }
}
