// The main job of mlv on real data: three people, a Git server and a remote, in a temporary folder of its own.
// Prints every command before it runs it; stops, with exit code 1, at the first thing that is not as it should be.
//   npm run demo              with a folder as remote
//   npm run demo:s3           with a bucket, of a server that this starts: the strict one that the tests use
//   npm run demo -- --keep    leaves the folder for a look around
import { execFileSync, spawn } from 'node:child_process';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join, relative } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const SAMPLE = fileURLToPath(new URL('../fixtures/penguins', import.meta.url));
const VEGA = fileURLToPath(new URL('../node_modules/vega-datasets', import.meta.url));
const BIN = fileURLToPath(new URL('../bin/mlv.js', import.meta.url));
const WIDTH = 80;
const PEOPLE = { ada: 'Ada', ben: 'Ben', cleo: 'Cleo' };
const CREDENTIALS = { accessKeyId: 'AKIADEMODEMODEMODEMO', secretAccessKey: 'known-to-this-demo-alone' };

const folder = realpathSync(mkdtempSync(join(tmpdir(), 'mlv-demo-')));
const isKept = process.argv.includes('--keep');
const isColoured = hasColour();
const [bold, faint, red, green, cyan] = [
  [1, 22],
  [2, 22],
  [31, 39],
  [32, 39],
  [36, 39],
].map(paint);
const shown = [];
/** Something is not as it should be; anything else that is thrown is a bug in the demo. */
class Failure extends Error {}

process.on('exit', () => {
  if (!isKept) rmSync(folder, { recursive: true, force: true });
});
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(130));

const store = process.argv.includes('--s3') ? await bucketStore() : folderStore();

try {
  prepare();
  const start = performance.now();
  await story();
  closing((performance.now() - start) / 1000);
} catch (error) {
  console.log(`\n${red('✗')} ${bold('The demo failed:')} ${error instanceof Failure ? error.message : error.stack}`);
  if (!isKept) console.log('  npm run demo -- --keep leaves the folder for a look around');
  process.exitCode = 1;
} finally {
  await store.close();
}

async function story() {
  const original = filesOf(join(VEGA, 'data'));
  print(
    `${bold('mlv')} versions data beside Git: here ${bold(summary(original))} of real data make the trip.`,
    faint(`All of it happens in ${folder}${isKept ? '' : ', deleted at the end'}.`),
  );

  section('1  Ada puts data under version control');
  await run('ada', 'git init --quiet', 'Any Git repository will do.');
  git('ada', 'symbolic-ref', 'HEAD', 'refs/heads/main');
  git('ada', 'remote', 'add', 'origin', '../server.git');
  await run('ada', 'mlv init', 'Once for each project: settings, and a place for the data inside .git.');
  await run('ada', 'cp -R "$VEGA/data" data', 'The data: tables, maps and images of the vega-datasets package.');
  await run('ada', 'mlv add data', 'Stores the bytes, and writes a small pointer to them.');
  await run('ada', 'cat data.mlv', 'The pointer is all that Git needs: the hash names every byte of the folder.');
  await run('ada', 'git commit --quiet -m "Track the data"', 'The pointer is committed like code.');
  await run('ada', 'git ls-files', 'What Git has: three small text files, and no data.');
  check(
    'Git has the pointer, and none of the data',
    git('ada', 'ls-files') === '.gitignore\n.mlv/config.yaml\ndata.mlv\n',
  );

  section('2  She shares it');
  for (const [command, why] of store.setUp) await run('ada', command, why);
  await run(
    'ada',
    'git commit --quiet -m "Name the remote"',
    'The settings are in Git, so whoever clones has the remote, too.',
  );
  await run('ada', 'mlv push', 'Data first, so that nobody gets a pointer to data that is not there.');
  await run('ada', 'git push --quiet --set-upstream origin main', 'Then the commits, to the Git server.');
  await run('ada', 'mlv push', 'A second time there is nothing to send: that costs one look at the remote.');

  section('3  Ben gets the same bytes');
  await run('ben', 'git clone --quiet ../server.git .', 'A clone brings the pointer.');
  await run('ben', 'mlv pull', 'This brings the data, every byte compared with its hash.');
  same('Ben has what was published', original, dataOf('ben'));
  await run('ben', 'mlv status', 'Nothing differs; files are looked at, not read.');

  section('4  He changes it');
  await run('ben', 'echo "ZZZ,Demo Field,Nowhere,NA,USA,0.0,0.0" >> data/airports.csv', 'He adds a line,');
  await run('ben', 'rm data/7zip.png', 'deletes a file,');
  await run('ben', 'head -n 100 data/flights-airport.csv > data/flights-sample.csv', 'and makes a new one.');
  await run('ben', 'mlv status', 'mlv tells what differs.');
  await run('ben', 'mlv commit', 'Records the edits as a new version: what is as it was is not stored again.');
  await run('ben', 'git commit --quiet -m "Add an airport and a sample"', 'The new pointer goes into Git.');
  const before = store.bytes();
  await run('ben', 'mlv push && git push --quiet', 'Only what is new travels.');
  const sent = store.bytes() - before;
  check(
    `The store grew by ${size(sent)} for a new version of ${size(total(dataOf('ben')))}`,
    sent > 0 && sent < 1_000_000,
  );

  section('5  Ada gets his version, and her own one back');
  await run('ada', 'git pull --quiet', 'Brings the new pointer.');
  await run('ada', 'mlv pull', 'Brings the data that it names, and takes away what he deleted.');
  same('Ada has what Ben has', dataOf('ben'), dataOf('ada'));
  await run('ada', 'git checkout --quiet HEAD~1', 'Every version stays within reach: Git has the pointer,');
  await run('ada', 'mlv checkout', 'and the cache on her machine has its data.');
  same('Ada has her first version again', original, dataOf('ada'));
  await run('ada', 'git checkout --quiet main && mlv checkout', 'Back to the newest.');
  same('Ada has the newest again', dataOf('ben'), dataOf('ada'));

  section('6  Cleo needs one file, and adds another');
  await run('cleo', 'git clone --quiet ../server.git .', 'A third clone.');
  await run('cleo', 'mlv pull data/stocks.csv', 'Only this file is fetched, and the page that tells where it is.');
  const cleos = dataOf('cleo');
  same('Cleo has that file alone', new Map([['stocks.csv', original.get('stocks.csv')]]), cleos);
  await run('cleo', 'head -n 20 data/stocks.csv > data/stocks-head.csv', 'She makes a new file,');
  await run('cleo', 'mlv add data/stocks-head.csv', 'and adds it to a folder of which she has next to nothing.');
  await run('cleo', 'git commit --quiet -m "Add the first stocks"', 'A commit,');
  await run('cleo', 'mlv push && git push --quiet', 'and it is shared.');
  const expected = new Map([...dataOf('ben'), ['stocks-head.csv', dataOf('cleo').get('stocks-head.csv')]]);
  await run('ben', 'git pull --quiet && mlv pull', 'Ben gets it.');
  same('Ben has all he had and her file', expected, dataOf('ben'));
  await run('ben', 'git log --format="%h  %<(5)%an %s"', 'Who changed what is where it always was: in Git.');

  await pipelineStory();
}

async function pipelineStory() {
  section('7  Ada makes models of it');
  await run('ada', 'git pull --quiet && mlv pull', 'The newest version of everything,');
  await run('ada', 'cp -R "$SAMPLE"/. . && cat mlv.yaml', 'and a pipeline of five stages, in plain Node.');
  await run('ada', 'mlv dag', 'How its stages hang together.');
  await run('ada', 'mlv plan', 'What would run, and why.');
  await run('ada', 'mlv repro -j 2', 'This runs it, both models at once.');
  await run('ada', 'mlv metrics show', 'How good they are.');
  await run('ada', 'mlv repro', 'A second time nothing is to be done.');
  check(
    'Nothing runs twice',
    outcomes('ada').every(({ type }) => type === 'up-to-date'),
  );
  await run(
    'ada',
    'git add . && git commit --quiet -m "Two models"',
    'mlv.lock says what was made from what: it is committed, too.',
  );

  section('8  She changes a parameter');
  await run(
    'ada',
    'sed -i.bak "s/neighbours: 5/neighbours: 15/" params.yaml && rm params.yaml.bak',
    'More neighbours for one of the models.',
  );
  await run('ada', 'mlv plan', 'That concerns two stages out of five.');
  await run('ada', 'mlv repro', 'They run, and nothing else.');
  await run('ada', 'mlv params diff', 'What she changed,');
  await run('ada', 'mlv metrics diff', 'and what came of it.');
  await run('ada', 'git commit --quiet --all -m "More neighbours"', 'A commit,');
  await run('ada', 'mlv push --run-cache && git push --quiet', 'and all of it is shared, results with it.');

  section('9  Ben runs nothing');
  await run('ben', 'git pull --quiet && mlv pull --run-cache', 'He gets data, models and results.');
  await run('ben', 'mlv repro', 'Everything is as it was made.');
  check(
    'Ben has nothing to run',
    outcomes('ben').every(({ type }) => type === 'up-to-date'),
  );
  await run(
    'ben',
    'sed -i.bak "s/neighbours: 15/neighbours: 5/" params.yaml && rm params.yaml.bak',
    'He wonders what it was before.',
  );
  await run('ben', 'mlv repro --pull', 'Ada has run that: her result is taken, and nothing runs.');
  await run('ben', 'git diff --stat HEAD', 'The old lines of mlv.lock, and the old metrics.');
}

/** What `mlv repro` does with each stage. */
function outcomes(person) {
  const lines = execFileSync(process.execPath, [BIN, '--json', 'repro'], {
    cwd: join(folder, person),
    env: environment(person),
    encoding: 'utf8',
  });
  return lines
    .trim()
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line));
}

/** The folder of the demo: an `mlv` command, a home without settings, a Git server, and a folder for each person. */
function prepare() {
  for (const name of ['bin', 'home', 'server.git', ...Object.keys(PEOPLE)]) mkdirSync(join(folder, name));
  const words = [process.execPath, BIN].map((word) => `'${word.replaceAll("'", `'\\''`)}'`);
  writeFileSync(join(folder, 'bin/mlv'), `#!/bin/sh\nexec ${words.join(' ')} "$@"\n`);
  chmodSync(join(folder, 'bin/mlv'), 0o755);
  git('server.git', 'init', '--quiet', '--bare');
  git('server.git', 'symbolic-ref', 'HEAD', 'refs/heads/main');
}

/** What the remote is, and how many bytes it has. */
function folderStore() {
  return {
    setUp: [['mlv remote add -d store ../store', 'Where the data goes: here a folder, such as a mounted disk.']],
    environment: {},
    bytes: () => total(filesOf(join(folder, 'store'))),
    close: async () => {},
  };
}

async function bucketStore() {
  const { loadS3Server } = await import('../test/support/s3-server/load.mjs');
  const { startS3Server } = await loadS3Server();
  const server = await startS3Server({ buckets: ['team'], credentials: [CREDENTIALS] });
  return {
    setUp: [
      ['mlv remote add -d store s3://team/data', 'Where the data goes: here a bucket,'],
      [`mlv remote modify store endpoint ${server.endpoint}`, 'of a store that is not AWS.'],
    ],
    // Credentials never come from mlv's own settings.
    environment: {
      AWS_ACCESS_KEY_ID: CREDENTIALS.accessKeyId,
      AWS_SECRET_ACCESS_KEY: CREDENTIALS.secretAccessKey,
      AWS_EC2_METADATA_DISABLED: 'true',
    },
    bytes: () => [...server.bucket().objects().values()].reduce((sum, object) => sum + object.size, 0),
    close: () => server.close(),
  };
}

/** Shows a command and why it is run, runs it as a shell would, and fails where it does. */
async function run(person, command, why) {
  print('', faint(`  ${why}`), `  ${faint(`${person} $`)} ${cyan(command)}`);
  const child = spawn('sh', ['-c', command], {
    cwd: join(folder, person),
    env: environment(person),
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  for (const stream of [child.stdout, child.stderr]) {
    createInterface({ input: stream }).on('line', (line) => console.log(`    ${line}`.trimEnd()));
  }
  const code = await new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', resolve);
  });
  if (code !== 0) throw new Failure(`"${command}" ended with ${code ?? 'a signal'}`);
}

/** What Git prints; not shown. */
function git(person, ...args) {
  return execFileSync('git', args, { cwd: join(folder, person), env: environment(person), encoding: 'utf8' });
}

/** Nothing of the settings of whoever runs this. */
function environment(person) {
  const name = PEOPLE[person] ?? 'Demo';
  const email = `${person}@example.org`;
  return {
    PATH: [join(folder, 'bin'), process.env.PATH].join(delimiter),
    HOME: join(folder, 'home'),
    LC_ALL: 'C',
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_AUTHOR_NAME: name,
    GIT_AUTHOR_EMAIL: email,
    GIT_COMMITTER_NAME: name,
    GIT_COMMITTER_EMAIL: email,
    SAMPLE,
    VEGA,
    ...store.environment,
    ...(isColoured ? { FORCE_COLOR: '1' } : { NO_COLOR: '1' }),
  };
}

/** Compares names and contents, without any help of mlv. */
function same(claim, expected, actual) {
  const names = new Set([...expected.keys(), ...actual.keys()]);
  for (const name of names) {
    const [a, b] = [expected.get(name), actual.get(name)];
    if (a === undefined || b === undefined || !a.equals(b)) throw new Failure(`${claim}: ${name} differs`);
  }
  check(`${claim}: ${summary(actual)}, byte for byte`, true);
}

function check(claim, isTrue) {
  if (!isTrue) throw new Failure(`not true: ${claim}`);
  shown.push(claim);
  print('', `  ${green('✓')} ${bold(claim)}`);
}

function dataOf(person) {
  return filesOf(join(folder, person, 'data'));
}

/** Contents by path. */
function filesOf(top) {
  const files = readdirSync(top, { withFileTypes: true, recursive: true }).filter((entry) => entry.isFile());
  const paths = files.map(({ parentPath, name }) => join(parentPath, name)).sort();
  return new Map(paths.map((path) => [relative(top, path), readFileSync(path)]));
}

function total(files) {
  return [...files.values()].reduce((sum, bytes) => sum + bytes.length, 0);
}

/** `73 files, 43 MB`. */
function summary(files) {
  return `${files.size} ${files.size === 1 ? 'file' : 'files'}, ${size(total(files))}`;
}

function size(bytes) {
  return bytes < 1e6 ? `${Math.round(bytes / 1e3)} kB` : `${Math.round(bytes / 1e6)} MB`;
}

function section(title) {
  const rule = '─'.repeat(Math.max(4, WIDTH - title.length - 4));
  print('', '', `${faint('──')} ${bold(title)} ${faint(rule)}`);
}

function closing(seconds) {
  section('What was shown');
  print(
    '',
    ...shown.map((claim) => `  ${green('✓')} ${claim}`),
    '',
    `Done in ${seconds.toFixed(1)} s. Your turn: docs/getting-started.md`,
  );
  if (isKept) print(`Look around in ${folder}`);
}

function print(...lines) {
  console.log(lines.join('\n'));
}

/** NO_COLOR and FORCE_COLOR decide, then whether somebody is looking. */
function hasColour() {
  const { NO_COLOR, FORCE_COLOR, TERM } = process.env;
  if (NO_COLOR) return false;
  if (FORCE_COLOR) return FORCE_COLOR !== '0' && FORCE_COLOR !== 'false';
  return process.stdout.isTTY === true && TERM !== 'dumb';
}

function paint([on, off]) {
  return (text) => (isColoured ? `\u001b[${on}m${text}\u001b[${off}m` : text);
}
