import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { readFolder } from '../support/folders.ts';
import { repositoryAt } from '../support/git.ts';
import { serveGit } from '../support/git-http.ts';
import type { MlvOptions, MlvRig } from '../support/mlv.ts';
import { makeMlvRig } from '../support/mlv.ts';
import type { SharedProject } from '../support/shared-project.ts';
import { shareProject } from '../support/shared-project.ts';
import { data, refusal, told } from '../support/told.ts';

let rig: MlvRig;
let project: SharedProject;
/** Of the project; it lets clients leave out blobs. */
let bare: string;
/** No project, nor a repository. */
let outside: string;
const first: Record<string, string> = {};

beforeAll(async () => {
  rig = makeMlvRig();
  outside = join(rig.folder, 'outside');
  mkdirSync(outside);
  bare = join(rig.folder, 'project.git');
  project = await shareProject(rig, 'project', { 'data/a.txt': 'first\n', 'data/sub/b.txt': 'b\n' }, 'data');
  const { git, commit, version } = project;
  // A large file beside it, which nobody needs for reading data.
  commit({ 'large.txt': 'x'.repeat(100_000) + Math.random() });
  git('tag', '-a', '-m', 'v1', 'v1');
  first['id'] = git('rev-parse', 'HEAD');
  await version({ 'data/a.txt': 'second\n' }, 'data');
  await version({ 'data/a.txt': 'third\n' }, 'data');
  await told(rig, project.root, ['push']);
  git('clone', '--quiet', '--bare', '.', bare);
  repositoryAt(bare).git('config', 'uploadpack.allowFilter', 'true');
});
afterAll(() => rig.dispose());
beforeEach(() => rmSync(kept(), { recursive: true, force: true }));

const kept = (): string => join(rig.folder, 'home/.cache/mlv/repos');
const run = (args: readonly string[], options?: MlvOptions): Promise<string> => told(rig, outside, args, options);
const cat = (repo: string, ...args: string[]): Promise<string> => run(['cat', 'data/a.txt', '--repo', repo, ...args]);

/** The clones that are kept, as repositories. */
function clones(): string[] {
  return readdirSync(kept())
    .filter((name) => name !== 'locks')
    .map((name) => join(kept(), name));
}

test('reads a folder with a work tree: its HEAD, or any revision, with its own cache', async () => {
  expect(await run(['ls', '--repo', '../project'])).toBe('data/\n');
  expect(await cat('../project')).toBe('third\n');
  expect(await cat(project.root, '--rev', 'HEAD~1')).toBe('second\n');
  expect(await cat(project.root, '--rev', 'v1')).toBe('first\n');
  const clone = project.clone('clone');
  expect(await cat(clone.root)).toBe('third\n');
  expect(existsSync(join(clone.root, '.git/mlv/cache'))).toBe(true);
  // What is not committed is not looked at.
  writeFileSync(join(clone.root, 'data.mlv'), 'nonsense');
  rmSync(join(clone.root, '.mlv/config.yaml'));
  expect(await cat(clone.root)).toBe('third\n');
  expect(existsSync(kept())).toBe(false);
});

test('of a bare repository, or a URL, keeps a clone that is shallow and without large files', async () => {
  const url = `file://${bare}`;
  // Where the data is, a URL does not tell; this machine's own settings may.
  const options = { env: { XDG_CACHE_HOME: join(rig.folder, 'home/.cache') } };
  expect(await run(['ls', '-R', '--repo', bare], options)).toBe('data/a.txt\ndata/sub/b.txt\n');
  expect(await cat(bare)).toBe('third\n');
  const [folder = ''] = clones();
  const { git } = repositoryAt(folder);
  expect(clones()).toHaveLength(1);
  expect(git('rev-list', '--count', 'HEAD')).toBe('1');
  expect(
    git('rev-list', '--objects', '--missing=print', 'HEAD')
      .split('\n')
      .filter((line) => line.startsWith('?')),
  ).toHaveLength(1);
  expect(readdirSync(join(folder, '.git'))).not.toContain('hooks');
  expect(existsSync(join(folder, '.git/mlv/cache'))).toBe(true);

  expect(await run(['ls', '--repo', url])).toBe('data/\n');
  expect(clones()).toHaveLength(2);
});

test('goes as deep as a revision needs, and looks again for names that move', async () => {
  expect(await cat(bare, '--rev', 'v1')).toBe('first\n');
  const { git } = repositoryAt(clones()[0] ?? '');
  expect(git('rev-list', '--count', '--all')).toBe('1');
  expect(git('cat-file', '--batch-all-objects', '--batch-check').match(/ commit /g)).toHaveLength(1);
  // As a killed process leaves it.
  writeFileSync(join(clones()[0] ?? '', '.git/shallow.lock'), '');
  expect(await cat(bare, '--rev', 'main~1')).toBe('second\n');
  expect(await cat(bare, '--rev', first['id'] ?? '')).toBe('first\n');
  expect(await cat(bare, '--rev', (first['id'] ?? '').slice(0, 9))).toBe('first\n');
  const other = join(rig.folder, 'moving.git');
  project.git('clone', '--quiet', '--bare', '.', other);
  expect(await cat(other)).toBe('third\n');
  const moved = await project.version({ 'data/a.txt': 'fourth\n' }, 'data');
  await told(rig, project.root, ['push']);
  expect(await cat(other, '--rev', 'main')).toBe('third\n');
  project.git('push', '--quiet', other, 'main');
  expect(await cat(other, '--rev', 'main')).toBe('fourth\n');
  expect(await cat(other)).toBe('fourth\n');
  // Its full id needs no repository any more.
  rmSync(other, { recursive: true });
  mkdirSync(other);
  repositoryAt(other).git('init', '--quiet', '--bare');
  expect(await cat(other, '--rev', moved)).toBe('fourth\n');
  project.git('reset', '--quiet', '--hard', 'HEAD~1');
});

test('a server that leaves nothing out is read all the same, and one of SHA-256', async () => {
  const other = join(rig.folder, 'unfiltered.git');
  project.git('clone', '--quiet', '--bare', '.', other);
  expect(await cat(other)).toBe('third\n');
  const { git } = repositoryAt(other);
  git('config', 'uploadpack.allowFilter', 'true');
  git('config', 'uploadpackfilter.allow', 'false');
  rmSync(kept(), { recursive: true });
  expect(await cat(other)).toBe('third\n');

  const wide = rig.repository('sha256');
  rmSync(join(wide.root, '.git'), { recursive: true });
  wide.git('init', '--quiet', '--initial-branch=main', '--object-format=sha256');
  const file = (path: string): string => project.git('show', `main:${path}`);
  wide.commit({ '.mlv/config.yaml': `${file('.mlv/config.yaml')}\n`, 'data.mlv': `${file('data.mlv')}\n` });
  expect(await cat(join(wide.root, '.git'))).toBe('third\n');
});

test('gets data without a project around', async () => {
  expect(await run(['get', 'data', '--repo', bare, '-o', 'got', '--rev', 'v1'])).toBe(
    'wrote data to got  2 files, 8 B\n',
  );
  expect(readFolder(join(outside, 'got'))).toEqual({ 'a.txt': 'file first\n', 'sub/b.txt': 'file b\n' });
  expect(await data(rig, outside, ['get', 'data/a.txt', '--repo', bare, '--rev', 'v1'])).toMatchObject({
    commit: first['id'],
    out: join(outside, 'a.txt'),
  });
});

test('finds the project that is nearest to the path', async () => {
  const repository = rig.repository('monorepo');
  mkdirSync(join(repository.root, 'teams/vision'), { recursive: true });
  await told(rig, join(repository.root, 'teams/vision'), ['init', '--subdir']);
  const folder = join(repository.root, 'teams/vision');
  await told(rig, folder, ['remote', 'add', '-d', 'store', '../../../monorepo-store']);
  writeFileSync(join(folder, 'file'), 'vision\n');
  await told(rig, folder, ['add', 'file']);
  repository.git('commit', '--quiet', '--all', '-m', 'file');
  await told(rig, folder, ['push']);
  const other = join(rig.folder, 'monorepo.git');
  repository.git('clone', '--quiet', '--bare', '.', other);
  for (const repo of [repository.root, other]) {
    expect(await run(['ls', 'teams/vision', '--repo', repo])).toBe('file\n');
    expect(await run(['cat', 'teams/vision/file', '--repo', repo])).toBe('vision\n');
    expect(await refusal(rig, outside, ['ls', '--repo', repo])).toContain(
      'Name a path in one of its projects: teams/vision.',
    );
  }
  expect(await run(['ls', '--repo', folder])).toBe('file\n');
});

test('several at once make one clone', async () => {
  const all = await Promise.all(Array.from({ length: 4 }, () => cat(bare)));
  expect(all).toEqual(Array(4).fill('third\n'));
  expect(clones()).toHaveLength(1);
});

test('reads over HTTP, with a login that Git has', async () => {
  const server = await serveGit(rig.folder, { env: rig.env, login: 'ada:secret' });
  try {
    const repo = `${server.url}/project.git`;
    expect(await refusal(rig, outside, ['ls', '--repo', repo])).toMatch(
      /^error: http:\S+ asks for a login that Git does not have.*terminal prompts disabled.*\nhint: Let Git learn it: /,
    );
    const env = {
      GIT_CONFIG_COUNT: '1',
      GIT_CONFIG_KEY_0: 'credential.helper',
      GIT_CONFIG_VALUE_0: '!f() { echo username=ada; echo password=secret; }; f',
    };
    expect(await run(['ls', '--repo', repo], { env })).toBe('data/\n');
    expect(await run(['cat', 'data/a.txt', '--repo', repo], { env })).toBe('third\n');
  } finally {
    await server.close();
  }
});

test("reads by Git's own protocol, and says what a server does not have", async () => {
  const port = await freePort();
  const daemon = spawn(
    'git',
    ['daemon', '--reuseaddr', '--export-all', '--listen=127.0.0.1', `--port=${port}`, `--base-path=${rig.folder}`],
    {
      env: rig.env,
      stdio: 'ignore',
      detached: true,
    },
  );
  try {
    await untilListening(port);
    expect(await run(['ls', '--repo', `git://127.0.0.1:${port}/project.git`])).toBe('data/\n');
    expect(await refusal(rig, outside, ['ls', '--repo', `git://127.0.0.1:${port}/none.git`])).toContain(
      'is no Git repository',
    );
    expect(
      await refusal(rig, outside, ['ls', '--rev', 'none', '--repo', `git://127.0.0.1:${port}/project.git`]),
    ).toContain("has no commit called 'none'");
  } finally {
    end(daemon);
  }
  expect(await refusal(rig, outside, ['ls', '--repo', `git://127.0.0.1:${port}/project.git`])).toContain(
    'cannot be reached',
  );
});

test('refuses what is no repository, and addresses that run programs', async () => {
  const refused = async (...args: string[]): Promise<string> =>
    refusal(rig, outside, ['ls', ...args]).catch(() => refusal(rig, outside, ['ls', ...args], { code: 2 }));
  expect(await refused('--repo', 'nowhere')).toContain('there is no folder nowhere');
  expect(await refused('--repo', outside)).toContain('is not in an mlv project');
  expect(await refused('--repo', 'ext::sh -c touch% pwned')).toContain('by the way that');
  expect(await refused('--repo', 'ext::sh://x')).toContain('by the way that');
  expect(await refused('--repo=--upload-pack=touch pwned')).toContain('no repository is called');
  expect(await refused('--repo', 'ftp://example.org/x')).toContain('by the way that');
  const withPassword = await refused('--repo', 'https://ada:secret@example.org/x');
  expect(withPassword).toContain('a URL may not hold a password');
  expect(withPassword).not.toContain('secret');
  expect(readdirSync(outside)).not.toContain('pwned');
  expect(await refused('/etc', '--repo', bare)).toContain('is no path in the other repository');
  expect(await refused('../x', '--repo', bare)).toContain('is no path in the other repository');
  expect(await refused('other', '--repo', bare, '--rev', 'v1')).toContain(
    `"mlv ls --rev v1 --repo ${bare}" lists what is.`,
  );
  const empty = rig.repository('empty');
  expect(await refused('--repo', empty.root)).toContain('has no commit yet');
  expect(await refused('--repo', join(empty.root, '.git'))).toContain('no commit');
  empty.commit({ file: 'x' });
  expect(await refused('--repo', empty.root)).toContain('is no mlv project');
});

test('settings of the other repository are held to what everyone may set, and its folders are its own', async () => {
  const hostile = rig.repository('hostile');
  hostile.commit({ '.mlv/config.yaml': 'cache:\n  dir: /tmp/elsewhere\n', 'a.mlv': 'x' });
  expect(await refusal(rig, outside, ['ls', '--repo', hostile.root])).toContain(
    'cache.dir cannot be set for everyone who clones',
  );
  const { root, git } = project.clone('relative');
  writeFileSync(join(root, '.mlv/config.yaml'), 'remote: store\nremotes:\n  store:\n    url: ../project-store\n');
  git('commit', '--quiet', '--all', '-m', 'relative');
  expect(await cat(root)).toBe('third\n');
  expect(await refusal(rig, outside, ['cat', 'data/a.txt', '--repo', `file://${root}`])).toContain(
    'a folder beside the repository',
  );
  rmSync(join(root, '.mlv'), { recursive: true });
  symlinkSync('/etc', join(root, '.mlv'));
  expect(await cat(root)).toBe('third\n');
});

test('without the git program, a folder can be read, and nothing else', async () => {
  const path = join(rig.folder, 'no-git');
  mkdirSync(path);
  symlinkSync(process.execPath, join(path, 'node'));
  const options = { env: { PATH: path } };
  expect(await run(['cat', 'data/a.txt', '--repo', project.root], options)).toBe('third\n');
  expect(await refusal(rig, outside, ['ls', '--repo', bare], options)).toContain(
    'can only be read with the git program',
  );
});

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer();
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });
}

async function untilListening(port: number): Promise<void> {
  const { connect } = await import('node:net');
  for (let tries = 0; tries < 200; tries++) {
    const isUp = await new Promise<boolean>((resolve) => {
      const socket = connect(port, '127.0.0.1', () => {
        socket.destroy();
        resolve(true);
      });
      socket.on('error', () => resolve(false));
    });
    if (isUp) return;
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  throw new Error('git daemon did not come up');
}

/** With what it started: git runs its daemon as a program of its own. */
function end({ pid }: ChildProcess): void {
  if (pid !== undefined) process.kill(-pid);
}
