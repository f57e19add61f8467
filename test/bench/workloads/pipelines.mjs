import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { versionOf } from '../harness/machine.mjs';
import { hasProgram, hermeticEnv, mlv, MLV, run as runCommand } from '../harness/processes.mjs';
import { findPythonTool } from '../harness/python-tools.mjs';
import { commitAll, git, makeRepository } from '../harness/repositories.mjs';
import { WrongResult } from '../harness/wrong-result.mjs';

export const pipelines = {
  title: 'stages: nothing to do, against DVC and make; what running one costs; several at once',
  run,
};

/** Stages side by side; each reads what one of the layer before it makes. */
const LAYER = 100;
const SLEEP_SECONDS = 0.5;
/** All stages read it: changed, it makes all of them stale. */
const SHARED = 'in/shared.txt';

async function run(bench) {
  const folder = bench.disks.scratch();
  const env = hermeticEnv(folder);
  const dvc = findPythonTool(bench, { program: 'dvc' });
  if (dvc !== undefined) console.log(`  DVC ${versionOf(dvc)}`);
  if (!hasProgram('make')) bench.skip('make', 'it is not installed');
  for (const count of bench.short ? [20] : [100, 1000]) await nothingToDo(bench, { folder, env, dvc, count });
  await overhead(bench, { folder, env, count: bench.short ? 5 : 100 });
  await sideBySide(bench, { folder, env, count: bench.short ? 4 : 16 });
}

/** All is up to date: what does it take to see that? */
async function nothingToDo(bench, { folder, env, dvc, count }) {
  const chain = chainOf(count);
  const repo = await makeRepository(join(folder, `mlv-${count}`));
  writeInputs(repo, chain);
  writeFileSync(join(repo, 'mlv.yaml'), declare(chain));
  bench.log(`running ${count} stages`);
  await mlv(repo, ['repro', '-j', '4'], env);
  commitAll(repo, 'all stages');
  const { stdout } = await mlv(repo, ['--json', 'plan'], env, { output: true });
  if (!JSON.parse(stdout).every(({ action }) => action === 'skip'))
    throw new WrongResult('not everything is up to date');

  const contenders = [
    async () => timesOf('node -e 0', await timed(process.execPath, ['-e', '0'], repo, env)),
    async () => timesOf('mlv repro', await timed(process.execPath, [MLV, 'repro'], repo, env)),
    async () => timesOf('mlv plan', await timed(process.execPath, [MLV, 'plan'], repo, env)),
  ];
  if (hasProgram('make')) {
    const made = join(folder, `make-${count}`);
    writeInputs(made, chain);
    writeFileSync(join(made, 'Makefile'), makefile(chain));
    execFileSync('make', ['--silent', '-j', '4'], { cwd: made });
    contenders.push(async () => [{ name: 'make', seconds: (await timed('make', [], made, env)).seconds }]);
  }
  if (dvc !== undefined) {
    const other = join(folder, `dvc-${count}`);
    await dvcRepository(other, chain, { dvc, env });
    for (const verb of ['repro', 'status'])
      contenders.push(async () => timesOf(`dvc ${verb}`, await timed(dvc, [verb], other, env)));
  }
  const what = `nothing to do over ${count} stages`;
  const medians = await bench.sample(what, contenders, bench.short ? {} : { samples: count > 100 ? 5 : 15 });
  if (count <= 100) bench.ratio({ what, medians, of: 'mlv repro', to: ['node -e 0'], goal: 3 });
  else {
    bench.judge({ what: `${what}: mlv repro, CPU seconds`, value: medians.get('mlv repro (CPU)'), goal: 1 });
    for (const verb of ['repro', 'status'])
      if (dvc !== undefined) bench.ratio({ what, medians, of: 'mlv repro', to: [`dvc ${verb}`], goal: 1 / 15 });
  }
  if (medians.has('make')) bench.ratio({ what, medians, of: 'mlv repro', to: ['make'] });
}

/** What mlv adds to each command: the same commands by a shell, one after another. */
async function overhead(bench, { folder, env, count }) {
  const names = Array.from({ length: count }, (_, index) => String(index).padStart(4, '0'));
  const kinds = {
    // Each a command of its own: of two that are the same the second takes the first one's result.
    'that only read': (name) => ({ name, cmd: `true ${name}`, deps: [SHARED], outs: [] }),
    'that make a file': (name) => ({
      name,
      cmd: `echo ${name} > out/${name}.txt`,
      deps: [SHARED],
      outs: [`out/${name}.txt`],
    }),
  };
  for (const [kind, stageOf] of Object.entries(kinds)) {
    const stages = names.map(stageOf);
    const repo = await makeRepository(join(folder, kind.replaceAll(' ', '-')));
    mkdirSync(join(repo, 'out'));
    writeInputs(repo, stages);
    writeFileSync(join(repo, 'mlv.yaml'), declare(stages));
    commitAll(repo, 'stages');
    const loop = stages.map(({ cmd }) => `sh -c ${JSON.stringify(cmd)}`).join('\n');
    const what = `${count} stages ${kind}, -j 1`;
    const medians = await bench.sample(what, [
      async () => [{ name: 'shell loop', ...(await timed('sh', ['-ec', loop], repo, env)) }],
      async (round) => {
        writeFileSync(join(repo, SHARED), `round ${round}\n`);
        return timesOf('mlv repro', await timed(process.execPath, [MLV, 'repro'], repo, env));
      },
    ]);
    bench.judge({
      what: `${what}: ms beside the command itself, for each`,
      value: ((medians.get('mlv repro') - medians.get('shell loop')) / count) * 1000,
      goal: bench.short ? undefined : 10,
      format: (value) => `${value.toFixed(1)} ms`,
    });
  }
}

/** Stages that wait, four at once, take a quarter of the time. */
async function sideBySide(bench, { folder, env, count }) {
  const repo = await makeRepository(join(folder, 'sleepers'));
  const stages = Array.from({ length: count }, (_, index) => ({
    name: `sleep${index}`,
    cmd: `sleep ${SLEEP_SECONDS}`,
    deps: [SHARED],
    outs: [],
  }));
  writeInputs(repo, stages);
  writeFileSync(join(repo, 'mlv.yaml'), declare(stages));
  commitAll(repo, 'stages');
  const what = `${count} stages that sleep, -j 4`;
  const medians = await bench.sample(
    what,
    [
      async () => [
        { name: 'mlv repro -j 4', ...(await timed(process.execPath, [MLV, 'repro', '--force', '-j', '4'], repo, env)) },
      ],
    ],
    bench.short ? {} : { samples: 3 },
  );
  bench.judge({
    what: `${what}: time / ideal`,
    value: medians.get('mlv repro -j 4') / ((count / 4) * SLEEP_SECONDS),
    goal: bench.short ? undefined : 1.1,
    format: (value) => `${value.toFixed(3)}×`,
  });
}

/** Each copies what one of the layer before it made, and reads an input of its own and one that all share. */
function chainOf(count) {
  return Array.from({ length: count }, (_, index) => {
    const name = `s${String(index).padStart(4, '0')}`;
    const before = index < LAYER ? [] : [`out/s${String(index - LAYER).padStart(4, '0')}.txt`];
    const own = `in/${name}.txt`;
    return {
      name,
      cmd: `cp ${own} out/${name}.txt`,
      deps: [...before, own, SHARED],
      outs: [`out/${name}.txt`],
    };
  });
}

function writeInputs(root, stages) {
  for (const folder of ['in', 'out']) mkdirSync(join(root, folder), { recursive: true });
  for (const path of new Set(stages.flatMap(({ deps }) => deps)))
    if (path.startsWith('in/')) writeFileSync(join(root, path), `${path}\n`);
}

/** For mlv.yaml and dvc.yaml alike. */
function declare(stages) {
  const list = (key, paths) =>
    paths.length === 0 ? '' : `    ${key}:\n${paths.map((path) => `    - ${path}\n`).join('')}`;
  return `stages:\n${stages.map(({ name, cmd, deps, outs }) => `  "${name}":\n    cmd: ${JSON.stringify(cmd)}\n${list('deps', deps)}${list('outs', outs)}`).join('')}`;
}

function makefile(stages) {
  const all = stages.flatMap(({ outs }) => outs).join(' ');
  return `all: ${all}\n${stages.map(({ cmd, deps, outs }) => `${outs.join(' ')}: ${deps.join(' ')}\n\t@${cmd}\n`).join('')}`;
}

/** As `dvc repro` leaves it, which would take an hour for a thousand stages: lock file, outputs, cache. */
async function dvcRepository(root, stages, { dvc, env }) {
  mkdirSync(root, { recursive: true });
  git(root, 'init', '--quiet', '--initial-branch=main');
  await runCommand(dvc, ['init', '--quiet'], { cwd: root, env });
  writeInputs(root, stages);
  writeFileSync(join(root, 'dvc.yaml'), declare(stages));
  writeFileSync(join(root, 'out/.gitignore'), stages.map(({ name }) => `/${name}.txt\n`).join(''));
  const entry = (path) => {
    const bytes = readFileSync(join(root, path));
    const md5 = createHash('md5').update(bytes).digest('hex');
    return {
      md5,
      bytes,
      text: `    - path: ${path}\n      hash: md5\n      md5: ${md5}\n      size: ${bytes.length}\n`,
    };
  };
  let lock = "schema: '2.0'\nstages:\n";
  for (const { name, cmd, deps, outs } of stages) {
    for (const out of outs) {
      writeFileSync(join(root, out), readFileSync(join(root, `in/${name}.txt`)));
      const { md5, bytes } = entry(out);
      const kept = join(root, '.dvc/cache/files/md5', md5.slice(0, 2));
      mkdirSync(kept, { recursive: true });
      writeFileSync(join(kept, md5.slice(2)), bytes);
    }
    const part = (key, paths) =>
      `    ${key}:\n${paths
        .toSorted()
        .map((path) => entry(path).text)
        .join('')}`;
    lock += `  ${name}:\n    cmd: ${cmd}\n${part('deps', deps)}${part('outs', outs)}`;
  }
  writeFileSync(join(root, 'dvc.lock'), lock);
  commitAll(root, 'all stages');
  const { stdout } = await runCommand(dvc, ['status'], { cwd: root, env, output: true });
  if (!stdout.includes('up to date')) throw new WrongResult(`DVC is not up to date: ${stdout.slice(0, 300)}`);
}

/** Runs a command to its end, under a shell that tells of its CPU time. */
async function timed(command, args, cwd, env) {
  const words = ['sh', '-c', '"$0" "$@" > /dev/null && times', command, ...args];
  const { seconds, stdout } = await runCommand('env', words, { cwd, env, output: true });
  const [user = '', system = ''] = stdout.trim().split('\n').at(-1)?.split(' ') ?? [];
  return { seconds, cpu: secondsOf(user) + secondsOf(system) };
}

function timesOf(name, { seconds, cpu }) {
  return [
    { name, seconds },
    { name: `${name} (CPU)`, seconds: cpu },
  ];
}

/** `0m1.250000s`. */
function secondsOf(text) {
  const [minutes = '0', seconds = '0'] = text.split('m');
  return Number(minutes) * 60 + Number.parseFloat(seconds);
}
