import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { runWithOwnModules } from '../harness/own-modules.mjs';
import { hermeticEnv, MLV, mlv, run as runCommand } from '../harness/processes.mjs';
import { git, makeRepository } from '../harness/repositories.mjs';
import { WrongResult } from '../harness/wrong-result.mjs';

export const compareVersions = {
  title: 'diff of two versions that differ in ten files; log over many commits, against git log',
  run,
};

const CHANGES = 10;
const DIFF_SECONDS = 1;
const LOG_RATIO = 3;

async function run(bench) {
  const folder = bench.disks.scratch();
  const env = hermeticEnv(folder);
  await diffOfTwo(bench, join(folder, 'diff'), env);
  // Of the commits of a project, some change its data; all is the hardest.
  for (const every of [10, 1]) await logOfMany(bench, { root: join(folder, `log-${every}`), env, every });
}

async function pointersOf(root, task) {
  const builder = new URL('../build-versions.mjs', import.meta.url);
  const made = await runWithOwnModules(builder, { cache: join(root, '.git/mlv/cache'), ...task });
  return JSON.parse(made.stdout);
}

async function diffOfTwo(bench, root, env) {
  const files = bench.short ? 5_000 : 1_000_000;
  bench.log(`writing two trees of ${files} files`);
  const repo = await makeRepository(root);
  const pointers = await pointersOf(repo, { files, perFolder: 1000, versions: 2, changes: CHANGES });
  importCommits(repo, env, pointers);
  const medians = await bench.sample(`diff of two versions of ${files} files`, [
    async () => [{ name: 'mlv diff', ...(await mlv(repo, ['diff', 'HEAD~1', 'HEAD'], env)) }],
  ]);
  const told = execFileSync(process.execPath, [MLV, '--json', 'diff', 'HEAD~1', 'HEAD'], { cwd: repo, env });
  const { result } = JSON.parse(told.toString().trimEnd().split('\n').at(-1));
  if (result.modified !== CHANGES) throw new WrongResult(`diff tells ${result.modified} files, not ${CHANGES}`);
  bench.judge({
    what: 'diff, seconds',
    value: medians.get('mlv diff'),
    goal: bench.short ? undefined : DIFF_SECONDS,
    format: (value) => `${value.toFixed(2)} s`,
  });
}

async function logOfMany(bench, { root, env, every }) {
  const commits = bench.short ? 100 : 10_000;
  const repo = await makeRepository(root);
  const pointers = await pointersOf(repo, { files: 1000, perFolder: 100, versions: commits / every, changes: 1 });
  importCommits(
    repo,
    env,
    Array.from({ length: commits }, (_, index) => (index % every === 0 ? pointers[index / every] : undefined)),
  );
  const medians = await bench.sample(`log over ${commits} commits, data changed in every ${every}.`, [
    async () => [{ name: 'git log', ...(await runCommand('git', ['log', '--', 'data.mlv'], { cwd: repo, env })) }],
    async () => [{ name: 'mlv log', ...(await mlv(repo, ['log', 'data'], env)) }],
  ]);
  const versions = execFileSync(process.execPath, [MLV, '--json', 'log', 'data'], { cwd: repo, env, maxBuffer: 1e9 });
  const { result } = JSON.parse(versions.toString().trimEnd().split('\n').at(-1));
  if (result.versions !== commits / every || result.unknown !== 0) throw new WrongResult('log tells other versions');
  bench.ratio({
    what: `log, data changed in every ${every}.`,
    medians,
    of: 'mlv log',
    to: ['git log'],
    goal: LOG_RATIO,
  });
}

/** A commit each; one without a pointer changes another file. */
function importCommits(repo, env, pointers) {
  const parts = [];
  for (const [index, pointer] of pointers.entries()) {
    const path = pointer === undefined ? `src/file-${index % 50}` : 'data.mlv';
    const content = pointer ?? `${index}\n`;
    const from = index === 0 ? 'from refs/heads/main^0\n' : '';
    const time = 1_700_000_000 + index * 60;
    parts.push(
      `commit refs/heads/main\ncommitter Ada <ada@example.com> ${time} +0000\ndata 7\nversion\n${from}M 100644 inline ${path}\ndata ${content.length}\n${content}\n`,
    );
  }
  execFileSync('git', ['fast-import', '--quiet'], { cwd: repo, env, input: parts.join('') });
  git(repo, 'reset', '--quiet', '--hard');
}
