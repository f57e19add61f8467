/** A CI job: a shallow checkout of one commit, Node and no git, a key that may only read. */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ciJobs } from '../support/ci-jobs.ts';
import { asRead, manyFiles, readFolder, writeFiles } from '../support/folders.ts';
import type { TestRepository } from '../support/git.ts';
import type { MlvResult, MlvRig } from '../support/mlv.ts';
import { BIN, makeMlvRig } from '../support/mlv.ts';
import { OWNER, READER, startRig } from '../support/s3-server/rig.ts';
import type { S3Server } from '../support/s3-server/server.ts';
import type { Credential } from '../support/s3-server/signature.ts';
import { told } from '../support/told.ts';

const SESSION: Credential = {
  accessKeyId: 'ASIASESSION',
  secretAccessKey: 'session/secret',
  sessionToken: 'session/token',
  mode: 'read-only',
};
const SECRETS = [READER, SESSION].flatMap(({ secretAccessKey, sessionToken = secretAccessKey }) => [
  secretAccessKey,
  sessionToken,
]);
const FIRST = { ...manyFiles(300), 'a.csv': 'first', large: Buffer.alloc(9 << 20, 'first').toString() };
const SECOND = { ...FIRST, 'a.csv': 'second', large: Buffer.alloc(9 << 20, 'second').toString() };

let rig: MlvRig;
let server: S3Server;
let project: TestRepository;
/** A PATH with a `node` and nothing else. */
let onlyNode: string;
let commits: { first: string; second: string; unpushed: string };

beforeAll(async () => {
  rig = makeMlvRig();
  server = await startRig({ credentials: [OWNER, READER, SESSION] });
  onlyNode = join(rig.folder, 'only-node');
  mkdirSync(onlyNode);
  symlinkSync(process.execPath, join(onlyNode, 'node'));
  project = await rig.project('project');
  const { root } = project;
  await told(rig, root, ['remote', 'add', '-d', 'store', 's3://data/team']);
  await told(rig, root, ['config', 'remotes.store.endpoint', server.endpoint]);
  const env = keys(OWNER);
  const first = await version(FIRST);
  await told(rig, root, ['push'], { env });
  const second = await version(SECOND);
  await told(rig, root, ['push'], { env });
  commits = { first, second, unpushed: await version({ 'a.csv': 'never pushed' }) };
}, 120_000);
afterAll(async () => {
  await server.close();
  rig.dispose();
});

function keys({ accessKeyId, secretAccessKey, sessionToken }: Credential): Record<string, string> {
  return {
    AWS_ACCESS_KEY_ID: accessKeyId,
    AWS_SECRET_ACCESS_KEY: secretAccessKey,
    ...(sessionToken !== undefined && { AWS_SESSION_TOKEN: sessionToken }),
  };
}

async function version(files: Readonly<Record<string, string>>): Promise<string> {
  const { root, git } = project;
  writeFiles(join(root, 'data'), files);
  await told(rig, root, ['add', 'data']);
  git('add', '--all');
  git('commit', '--quiet', '-m', 'version');
  return git('rev-parse', 'HEAD');
}

/** One commit with no history on a detached HEAD, as CI systems check it out. */
function checkOut(name: string, commit: string): string {
  const folder = join(rig.folder, name);
  mkdirSync(folder);
  const git = (...args: string[]): Buffer => execFileSync('git', args, { cwd: folder, env: rig.env, stdio: 'pipe' });
  git('init', '--quiet');
  git('remote', 'add', 'origin', `file://${project.root}`);
  git('fetch', '--quiet', '--no-tags', '--depth=1', 'origin', `+${commit}:refs/remotes/origin/main`);
  git('checkout', '--quiet', '--detach', commit);
  return folder;
}

/** A job in its checkout. What it prints and keeps is looked through for secrets, what it asks the bucket for changes. */
async function runJob(cwd: string, args: readonly string[], env: Readonly<Record<string, string>>): Promise<MlvResult> {
  const before = server.requests.length;
  const result = await rig.mlv(cwd, ['--no-progress', ...args], { env: { PATH: onlyNode, CI: 'true', ...env } });
  const asked = server.requests.slice(before);
  // All that s3:ListBucket and s3:GetObject allow.
  const reading = new Set<string | undefined>(['ListObjectsV2', 'GetObject', 'HeadObject']);
  expect(asked.filter(({ operation }) => !reading.has(operation))).toEqual([]);
  const kept = readdirSync(join(cwd, '.git'), { recursive: true })
    .map((name) => join(cwd, '.git', String(name)))
    .filter((path) => statSync(path).size < 1 << 20 && statSync(path).isFile())
    .map((path) => readFileSync(path, 'latin1'));
  const everything = [result.stdout, result.stderr, ...kept].join('\n');
  expect(SECRETS.filter((secret) => everything.includes(secret))).toEqual([]);
  return result;
}

describe('with a key that may only read', () => {
  const profile = (): Record<string, string> => {
    const path = join(rig.folder, 'credentials');
    const { accessKeyId, secretAccessKey } = READER;
    writeFileSync(path, `[ci]\naws_access_key_id=${accessKeyId}\naws_secret_access_key=${secretAccessKey}\n`);
    return { AWS_SHARED_CREDENTIALS_FILE: path, AWS_PROFILE: 'ci' };
  };

  test.each([
    { from: 'the environment', env: () => keys(READER) },
    { from: 'a profile', env: profile },
    { from: 'a session', env: () => keys(SESSION) },
  ])('of $from, a job gets the version that its commit names, and no other', async ({ from, env }) => {
    const root = checkOut(`pull ${from}`, commits.first);
    const before = server.requests.length;
    const { code, stdout, stderr } = await runJob(root, ['pull'], env());
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toBe('store  s3://data/team  got 302 blobs, 9.5 MB\ndata  302 files written, 9.4 MB\n');
    expect(readFolder(join(root, 'data'))).toEqual(asRead(FIRST));
    const received = server.requests.slice(before).reduce((sum, { bytesOut }) => sum + bytesOut, 0);
    expect(received).toBeLessThan(10 << 20);
    expect((await runJob(root, ['status'], env())).stdout).toContain('1 path unchanged');
  });

  test('a job learns from indexes whether everything was pushed, by the exit code', async () => {
    for (const [commit, expected] of [
      [commits.first, { code: 0, says: ' complete: ' }],
      [commits.second, { code: 0, says: ' complete: ' }],
      [commits.unpushed, { code: 1, says: 'hint: Push it from the clone that has it: mlv push\n' }],
    ] as const) {
      const root = checkOut(`verify ${commit}`, commit);
      const { code, stdout, stderr } = await runJob(root, ['verify', '--remote', '--quick'], keys(READER));
      expect({ code, stderr }).toEqual({ code: expected.code, stderr: '' });
      expect(stdout).toContain(expected.says);
    }
  });

  test('a job that pulls what was not pushed fails and names it', async () => {
    const root = checkOut('unpushed', commits.unpushed);
    expect(await runJob(root, ['pull'], keys(READER))).toEqual({
      code: 1,
      stdout: '',
      stderr:
        'error: 1 path is not on the remote; everything else was checked out\n  data\nhint: Push the data from where it is ("mlv push" in the clone that added it), then pull again.\n',
    });
  });

  test('a job without any credentials, or with wrong ones, fails and says so', async () => {
    const root = checkOut('refused', commits.first);
    const none = await runJob(root, ['pull'], {});
    expect([none.code, none.stderr]).toEqual([
      1,
      expect.stringMatching(/^error: there are no credentials for s3:\/\/data\/team/),
    ]);
    const wrong = await runJob(root, ['pull'], { ...keys(READER), AWS_ACCESS_KEY_ID: 'SOMEBODY' });
    expect([wrong.code, wrong.stderr]).toEqual([1, expect.stringContaining('does not accept the credentials')]);
  });
});

describe('what the jobs in docs/ci.md do', () => {
  const { github, gitlab } = ciJobs();

  /** Runs the commands one by one, as a runner does, with a `mlv` in PATH, and an `npm` that notes what it was to install. */
  async function runCommands(cwd: string, commands: readonly string[], env: Readonly<Record<string, string>>) {
    const tools = join(rig.folder, 'tools');
    mkdirSync(tools, { recursive: true });
    const script = (name: string, ...lines: string[]): void =>
      writeFileSync(join(tools, name), ['#!/bin/sh', ...lines, ''].join('\n'), { mode: 0o755 });
    script('mlv', `exec node '${BIN}' "$@"`);
    script('npm', 'echo "npm $*"');
    const ran: { command: string; code: unknown; output: string }[] = [];
    for (const command of commands) {
      const child = spawn('/bin/sh', ['-e', '-c', command], {
        cwd,
        env: { ...rig.env, PATH: `${tools}:${onlyNode}`, CI: 'true', ...env },
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      let output = '';
      for (const stream of [child.stdout, child.stderr])
        stream.setEncoding('utf8').on('data', (text: string) => (output += text));
      const [code] = (await once(child, 'close')) as unknown[];
      ran.push({ command, code, output: output.replaceAll(/^(?:getting|checking out): .*\n/gm, '') });
      if (code !== 0) break;
    }
    return ran;
  }

  /** What a system checks out of a pull request: the merge of both, which is on no branch, and nothing else. */
  function checkOutMerge(name: string, commit: string): string {
    const { git } = project;
    const tree = git('rev-parse', `${commit}^{tree}`);
    return checkOut(name, git('commit-tree', tree, '-p', commits.first, '-p', commit, '-m', 'Merge the request'));
  }

  describe.each([
    ['GitHub', github.commands, {}],
    ['GitLab', gitlab.commands, { AWS_TOKEN: 'token of the job' }],
  ] as const)('of %s', (system, commands, more) => {
    test('gives the data of a merge whose data was pushed, and from a cache what was got before', async () => {
      const root = checkOutMerge(`${system} pushed`, commits.second);
      const ran = await runCommands(root, commands, { ...keys(READER), ...more });
      expect(ran.map(({ command, code }) => [command, code])).toEqual(commands.map((command) => [command, 0]));
      expect(ran[0]?.output).toBe('npm install -g ./tools/mlv-0.1.0.tgz\n');
      expect(ran.at(-2)?.output).toMatch(/^store  s3:\/\/data\/team  complete: .* no data read\n$/);
      expect(readFolder(join(root, 'data'))).toEqual(asRead(SECOND));
      // The next run has the cache, and no more of .git.
      const next = checkOutMerge(`${system} next`, commits.second);
      cpSync(join(root, '.git/mlv/cache'), join(next, '.git/mlv/cache'), { recursive: true });
      const again = await runCommands(next, commands, { ...keys(READER), ...more });
      expect(again.at(-1)).toEqual({
        command: 'mlv pull',
        code: 0,
        output: 'store  s3://data/team  up to date\ndata  302 files written, 9.4 MB\n',
      });
      expect(readFolder(join(next, 'data'))).toEqual(asRead(SECOND));
    });

    test('fails at the check where data was not pushed, and names it', async () => {
      const root = checkOutMerge(`${system} unpushed`, commits.unpushed);
      const ran = await runCommands(root, commands, { ...keys(READER), ...more });
      const last = ran.at(-1);
      expect([last?.command, last?.code]).toEqual(['mlv verify --quick --rev HEAD', 1]);
      expect(
        last?.output
          .replace(/[0-9a-f]{10}\b/, 'COMMIT')
          .split('\n')
          .slice(1),
      ).toEqual([
        '',
        'missing: 302 files that should be in store',
        '  data (as of COMMIT): 302 files',
        '',
        'hint: Push it from the clone that has it: mlv push',
        '',
      ]);
    });
  });

  test('as data for programs', async () => {
    const ask = (root: string) => runJob(root, ['--json', 'verify', '--quick', '--rev', 'HEAD'], keys(READER));
    const good = await ask(checkOutMerge('json pushed', commits.second));
    expect([good.code, JSON.parse(good.stdout)]).toEqual([
      0,
      expect.objectContaining({ clean: true, missing: [], missingFiles: 0 }),
    ]);
    const bad = await ask(checkOutMerge('json unpushed', commits.unpushed));
    const path = expect.stringMatching(/^data \(as of [0-9a-f]{10}\)$/);
    const missing = [{ path, digest: expect.stringMatching(/^[0-9a-f]{64}$/), files: 302 }];
    expect([bad.code, JSON.parse(bad.stdout)]).toEqual([
      1,
      expect.objectContaining({ clean: false, missing, missingFiles: 302 }),
    ]);
  });
});
