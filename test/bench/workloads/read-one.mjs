import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { megabytes } from '../harness/bench.mjs';
import { runWithOwnModules } from '../harness/own-modules.mjs';
import { hermeticEnv, MLV, mlv, run as runCommand } from '../harness/processes.mjs';
import { commitAll, makeRepository } from '../harness/repositories.mjs';
import { traceMlv, whyNoTrace } from '../harness/trace.mjs';
import { WrongResult } from '../harness/wrong-result.mjs';

export const readOne = {
  title:
    'ls of a folder, cat and get of one file out of a million on a folder remote, nothing cached: time, and what is read',
  run,
};

/** The root, and the pages around the path together; for a file, its bytes. */
const TREE_READS = 2;

async function run(bench) {
  const files = bench.short ? 20_000 : 1_000_000;
  const wanted = Array.from({ length: bench.samples }, (_, index) =>
    Math.floor((files * (index + 0.37)) / bench.samples),
  );
  const folder = bench.disks.scratch();
  const remote = join(folder, 'remote');
  bench.log(`writing the trees and indexes of a remote with ${files} blobs`);
  const builder = new URL('../build-remote.mjs', import.meta.url);
  const made = JSON.parse((await runWithOwnModules(builder, { remote, files, wanted })).stdout);
  const env = hermeticEnv(folder);
  const traces = new Map();

  const contender = (name, argsFor, check) => async (round) => {
    const file = made.wanted[round];
    const args = argsFor(`data/${file.path}`);
    const fresh = async (kind) => {
      const clone = await makeRepository(join(folder, `${name}-${kind}-${round}`));
      writeFileSync(join(clone, 'data.mlv'), made.pointer);
      await mlv(clone, ['remote', 'add', '-d', 'store', remote], env);
      commitAll(clone, 'data');
      return clone;
    };
    const timed = await fresh('timed');
    const measured = await runCommand(process.execPath, [MLV, ...args], {
      cwd: timed,
      env,
      memory: true,
      output: true,
    });
    check({ clone: timed, file, stdout: measured.stdout });
    if (whyNoTrace() === undefined) {
      const { filesOpened, bytesRead } = traceMlv(await fresh('traced'), args, env, remote);
      traces.set(name, [
        ...(traces.get(name) ?? []),
        { packs: filesOpened.filter((path) => path.startsWith(join(remote, 'packs'))).length, bytesRead },
      ]);
    }
    return [{ name: `mlv ${name}`, seconds: measured.seconds, peak: measured.peak }];
  };

  await bench.sample(`one of ${files} files`, [
    contender(
      'ls',
      (path) => ['ls', dirname(path)],
      ({ stdout }) => requireSame(stdout.trimEnd().split('\n').length, 1000, 'lines'),
    ),
    contender(
      'ls of all',
      () => ['ls', 'data'],
      ({ stdout }) => requireSame(stdout.trimEnd().split('\n').length, Math.ceil(files / 1000), 'lines'),
    ),
    contender(
      'cat',
      (path) => ['cat', path],
      // All but the number in front is text.
      ({ stdout, file }) => requireSame(stdout.length >= file.bytes - 4, true, 'as long'),
    ),
    contender(
      'get',
      (path) => ['get', path, '-o', 'got'],
      ({ clone, file }) => requireSame(shaOf(join(clone, 'got')), file.sha, 'content'),
    ),
  ]);
  if (whyNoTrace() !== undefined) {
    bench.skip('what is read', whyNoTrace());
    return;
  }
  for (const [name, taken] of traces) {
    const most = (key) => Math.max(...taken.map((each) => each[key]));
    const goal = name === 'ls of all' ? undefined : TREE_READS + (name === 'ls' ? 0 : 1);
    bench.judge({ what: `mlv ${name}: reads of packs, the most of all samples`, value: most('packs'), goal });
    bench.judge({ what: `mlv ${name}: bytes read of the remote`, value: most('bytesRead'), format: megabytes });
  }
}

function shaOf(path) {
  return createHash('sha256').update(readFileSync(path)).digest('hex');
}

function requireSame(found, expected, what) {
  if (found !== expected) throw new WrongResult(`${found} ${what}, and not ${expected}`);
}
