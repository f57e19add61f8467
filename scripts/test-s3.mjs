// The contract suite of buckets against S3 servers that were not written here: npm run test:s3 [-- OPTIONS OF VITEST]
// A server in one of the folders of MLV_S3_SERVERS is taken from there; others are installed into a temporary folder, where
// pip or go can do it in time. What cannot be had is told, and its tests are skipped: that is no failure.
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';

const LIMIT_MS = 100_000;
const given = (process.env.MLV_S3_SERVERS ?? '').split(delimiter).filter((folder) => folder !== '');
const folder = mkdtempSync(join(tmpdir(), 'mlv-s3-servers-'));
const venv = join(folder, 'moto');

/** Programs, how each is installed, and the folder it is in then. */
const SERVERS = [
  {
    name: 'moto_server',
    folder: join(venv, 'bin'),
    steps: [
      ['python3', '-m', 'venv', venv],
      [
        join(venv, 'bin', 'python'),
        '-m',
        'pip',
        'install',
        '--quiet',
        '--disable-pip-version-check',
        'moto[s3]==5.2.5',
        'flask==3.1.3',
        'flask-cors==6.0.5',
      ],
    ],
  },
  { name: 'versitygw', folder, steps: [['go', 'install', 'github.com/versity/versitygw/cmd/versitygw@v1.8.0']] },
  // Building it takes longer than all else together.
  { name: 'minio', folder, steps: undefined },
];

process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(130));

const folders = [...given];
for (const server of SERVERS) {
  const reason = given.some((each) => existsSync(join(each, server.name))) ? undefined : await install(server);
  if (reason === undefined) console.log(`tested: ${server.name}`);
  else console.log(`skipped: ${server.name}, because ${reason}`);
  folders.push(server.folder);
}
const withServers = { ...process.env, MLV_S3_SERVERS: folders.join(delimiter) };
const vitest = spawn('npx', ['vitest', 'run', 's3-real-servers', ...process.argv.slice(2)], {
  env: withServers,
  stdio: 'inherit',
});
process.exitCode = await new Promise((resolve) => vitest.once('close', (code) => resolve(code ?? 1)));

/** Why there is no such server now; undefined where there is. */
async function install({ name, folder: place, steps }) {
  if (steps === undefined) return 'it is only taken from a folder that MLV_S3_SERVERS names';
  const until = Date.now() + LIMIT_MS;
  for (const step of steps) {
    const problem = await run(step, until - Date.now());
    if (problem !== undefined) return `"${step[0]}" could not install it: ${problem}`;
  }
  return existsSync(join(place, name)) ? undefined : 'the installation brought no such program';
}

/** What went wrong; undefined where nothing did. What it started ends with it. */
function run([program, ...args], limit) {
  return new Promise((resolve) => {
    let told = '';
    const env = { ...process.env, GOBIN: folder, PIP_NO_INPUT: '1' };
    const child = spawn(program, args, { cwd: folder, env, detached: true, stdio: ['ignore', 'ignore', 'pipe'] });
    const timer = setTimeout(() => {
      settle(`it took more than ${LIMIT_MS / 1000} s`);
      process.kill(-child.pid, 'SIGKILL');
    }, limit);
    child.stderr.setEncoding('utf8').on('data', (text) => {
      told = text.trim().split('\n').at(-1) || told;
    });
    child.once('error', (error) => settle(error.message));
    child.once('close', (code) => settle(code === 0 ? undefined : told || `exit code ${code}`));
    function settle(problem) {
      clearTimeout(timer);
      resolve(problem);
    }
  });
}
