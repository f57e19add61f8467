import { join } from 'node:path';
import { writeMany } from '../harness/data.mjs';
import { hermeticEnv, mlv, run as runCommand } from '../harness/processes.mjs';
import { commitAll, makeRepository } from '../harness/repositories.mjs';

export const startUp = {
  title: 'mlv version, and mlv status in a small repository, against node -e 0',
  run,
};

/** One run is a moment's work, and noisy: many are needed. */
const SAMPLES = 25;

async function run(bench) {
  const folder = bench.disks.scratch();
  const env = hermeticEnv(folder);
  const repo = await makeRepository(join(folder, 'repo'));
  writeMany(join(repo, 'data'), { files: 100, folders: 5, size: () => 4096, seed: 3 });
  writeMany(join(repo, 'labels'), { files: 1, folders: 1, size: () => 10_000, seed: 4 });
  await mlv(repo, ['add', 'data', 'labels'], env);
  commitAll(repo, 'data');
  // Polling for memory would be measured too.
  const measure = async (args) => mlv(repo, args, env, { memory: false });

  const medians = await bench.sample(
    'start-up',
    [
      async () => [{ name: 'node -e 0', ...(await runCommand(process.execPath, ['-e', '0'], { cwd: repo, env })) }],
      async () => [{ name: 'mlv version', ...(await measure(['version'])) }],
      async () => [{ name: 'mlv status', ...(await measure(['status'])) }],
    ],
    { samples: bench.short ? 3 : Math.max(SAMPLES, bench.samples) },
  );
  bench.ratio({ what: 'start-up', medians, of: 'mlv version', to: ['node -e 0'], goal: 1.5 });
  bench.ratio({ what: 'small repository', medians, of: 'mlv status', to: ['node -e 0'], goal: 2.5 });
}
