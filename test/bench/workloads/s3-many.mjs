import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { writeMany } from '../harness/data.mjs';
import { versionOf } from '../harness/machine.mjs';
import { hermeticEnv, run as runCommand } from '../harness/processes.mjs';
import { findPythonTool } from '../harness/python-tools.mjs';
import { commitAll, git } from '../harness/repositories.mjs';
import { BUCKET, chooseS3Server } from '../harness/s3-servers.mjs';
import { makeSource, tripOfDvc, tripOfMlv, tripOfS5cmd, withServer } from '../harness/s3-trips.mjs';

export const s3Many = {
  title: 'push, fetch and pull of many small files, against s5cmd and cp -r, with the same S3 server',
  run: againstS5cmd,
};

export const s3Dvc = {
  title: 'push and fetch of many small files, against DVC with the same S3 server',
  run: againstDvc,
};

const FILE_BYTES = 10 << 10;
const GOALS = { s5cmd: 1 / 5, dvc: 1 / 20, pull: 1.3 };
/** A trip of s5cmd takes longer than 20 s, one of DVC ten minutes. */
const SAMPLES = { s5cmd: 3, dvc: 1 };

async function againstS5cmd(bench) {
  const server = chooseS3Server();
  const files = countFiles(bench);
  const program = findPythonTool(bench, { program: 's5cmd' });
  const { source, freshDisk } = makeDisks(bench, files);
  const repo = await makeSource(source.folder, (folder) => writeFiles(folder, files));
  const place = { server, freshDisk };
  const contenders = [() => withServer(place, (there) => tripOfMlv(there, repo, { andPull: true }))];
  if (program !== undefined) contenders.push(() => withServer(place, (there) => tripOfS5cmd(there, repo, program)));

  const what = `${files} files of 10 KiB`;
  const medians = await bench.sample(what, contenders, { samples: Math.min(bench.samples, SAMPLES.s5cmd) });
  source.close();
  if (program !== undefined) {
    bench.ratio({ what, medians, of: 'mlv push', to: ['s5cmd cp, up'], goal: GOALS.s5cmd });
    bench.ratio({ what, medians, of: 'mlv fetch', to: ['s5cmd cp, down'], goal: GOALS.s5cmd });
  }
  bench.ratio({ what, medians, of: 'mlv pull', to: ['mlv fetch', 'cp -r'], goal: GOALS.pull });
}

async function againstDvc(bench) {
  const program = findPythonTool(bench, { program: 'dvc', requirement: 'dvc[s3]' });
  if (program === undefined) return;
  console.log(`  DVC ${versionOf(program)}`);
  const server = chooseS3Server();
  const files = countFiles(bench);
  const { source, freshDisk } = makeDisks(bench, files);
  const repo = await makeSource(source.folder, (folder) => writeFiles(folder, files));
  const repoOfDvc = await makeSourceOfDvc(join(source.folder, 'dvc'), files, program);
  const place = { server, freshDisk };
  const contenders = [
    () => withServer(place, (there) => tripOfMlv(there, repo)),
    () => withServer(place, (there) => tripOfDvc(there, repoOfDvc, program)),
  ];
  const what = `${files} files of 10 KiB`;
  const medians = await bench.sample(what, contenders, { samples: Math.min(bench.samples, SAMPLES.dvc) });
  source.close();
  bench.ratio({ what, medians, of: 'mlv push', to: ['dvc push'], goal: GOALS.dvc });
  bench.ratio({ what, medians, of: 'mlv fetch', to: ['dvc fetch'], goal: GOALS.dvc });
}

async function makeSourceOfDvc(repo, files, program) {
  const env = hermeticEnv(repo);
  const call = (...args) => runCommand(program, args, { cwd: repo, env });
  mkdirSync(repo);
  git(repo, 'init', '--quiet', '--initial-branch=main');
  await call('init', '--quiet');
  writeFiles(join(repo, 'data'), files);
  await call('remote', 'add', '-d', 'store', `s3://${BUCKET}/dvc`);
  await call('add', '--quiet', 'data');
  commitAll(repo, 'data');
  return repo;
}

function countFiles({ short }) {
  return short ? 1_000 : 100_000;
}

function writeFiles(folder, files) {
  writeMany(folder, { files, folders: Math.ceil(files / 1_000), size: () => FILE_BYTES, seed: 8 });
}

function makeDisks(bench, files) {
  const [fs] = bench.fileSystems(['ext4']);
  const freshDisk = () => bench.disks.fresh({ fs, bytes: 16 * 2 ** 30, inodes: files * 6 + 20_000 });
  bench.log(`writing and adding ${files} files`);
  return { source: freshDisk(), freshDisk };
}
