import { writeMany } from '../harness/data.mjs';
import { startStrict } from '../harness/s3-servers.mjs';
import { makeSource, withServer } from '../harness/s3-trips.mjs';
import { MLV } from '../harness/processes.mjs';
import { WrongResult } from '../harness/wrong-result.mjs';

export const s3Noop = {
  title: 'push with nothing new: requests, counted by the strict server, for few files and for many',
  run,
};

async function run(bench) {
  const sizes = bench.short ? [100, 2_000] : [1_000, 100_000];
  const requests = [];
  for (const files of sizes) requests.push(await requestsOfPush(bench, files));
  const [few, many] = requests;
  bench.judge({
    what: `requests of a push with nothing new, ${sizes[1]} files, more than with ${sizes[0]}`,
    value: many - few,
    goal: 0,
  });
}

async function requestsOfPush(bench, files) {
  const [fs] = bench.fileSystems(['ext4']);
  const freshDisk = () => bench.disks.fresh({ fs, bytes: 4 * 2 ** 30, inodes: files * 3 + 20_000 });
  const source = freshDisk();
  bench.log(`writing and adding ${files} files`);
  const repo = await makeSource(source.folder, (folder) =>
    writeMany(folder, { files, folders: 100, size: () => 4096, seed: 12 }),
  );
  let asked = 0;
  const contender = () =>
    withServer({ server: { start: startStrict }, freshDisk }, async ({ timed, counts }) => {
      const push = (name) => timed(name, process.execPath, [MLV, 'push'], repo);
      const first = await push('mlv push, first');
      if (!(await counts()).requests.PutObject) throw new WrongResult('the first push sent nothing');
      const second = await push('mlv push, nothing new');
      const { requests } = await counts();
      asked = Object.values(requests).reduce((sum, count) => sum + count, 0);
      console.log(`    ${files} files: ${JSON.stringify(requests)}`);
      return [first, second];
    });
  await bench.sample(`push of ${files} files`, [contender], { samples: 1 });
  source.close();
  return asked;
}
