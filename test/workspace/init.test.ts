import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { init } from '../../src/workspace/init.ts';
import { repositoryAt } from '../support/git.ts';
import { makeMlvRig, type MlvRig } from '../support/mlv.ts';

let rig: MlvRig;

beforeAll(() => {
  rig = makeMlvRig();
});
afterAll(() => rig.dispose());

const CONFIG = `# Settings for everyone who clones this repository: see "mlv config --help"
version: 1
`;

function emptyFolder(name: string): string {
  const folder = join(rig.folder, name);
  mkdirSync(folder, { recursive: true });
  return folder;
}

/** What a command that must fail prints, paths made short. */
async function refusal(cwd: string, ...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await rig.mlv(cwd, args);
  expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
  return stderr.replaceAll(rig.folder, '/tmp');
}

test('makes a repository a project, stages its settings and says what comes next', async () => {
  const { root, git } = rig.repository('first');
  const { code, stdout, stderr } = await rig.mlv(root, ['init']);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(stdout.replaceAll(root, 'ROOT')).toBe(`New project in ROOT
  settings  .mlv/config.yaml, staged in Git
  store     ROOT/.git/mlv

Next
  mlv add PATH                tracks files and folders
  mlv remote add -d NAME URL  names the bucket or folder to send them to
  git commit                  keeps the settings and pointers
`);
  expect(readFileSync(join(root, '.mlv/config.yaml'), 'utf8')).toBe(CONFIG);
  expect(git('status', '--short', '--untracked-files=all')).toBe('A  .mlv/config.yaml');
  for (const folder of ['cache', 'checkout', 'state']) expect(existsSync(join(root, '.git/mlv', folder))).toBe(true);
});

test('refuses a second time; --force restores what is missing and loses nothing', async () => {
  const { root, git } = await rig.project('twice');
  const settings = `${CONFIG}core:\n  autostage: true # ours\n`;
  writeFileSync(join(root, '.mlv/config.yaml'), settings);
  writeFileSync(join(root, '.git/mlv/cache/kept'), '');
  rmSync(join(root, '.git/mlv/state'), { recursive: true });
  expect(await refusal(root, 'init')).toBe(`error: /tmp/twice is an mlv project already
hint: mlv status shows it; mlv init --force restores what is missing of it, and changes nothing else
`);
  expect(existsSync(join(root, '.git/mlv/state'))).toBe(false);
  const { stdout } = await rig.mlv(root, ['init', '--force', '--json']);
  expect(JSON.parse(stdout)).toEqual({
    root,
    store: join(root, '.git/mlv'),
    hasGit: true,
    isNew: false,
    staged: ['.mlv/config.yaml'],
  });
  expect(readFileSync(join(root, '.mlv/config.yaml'), 'utf8')).toBe(settings);
  expect([existsSync(join(root, '.git/mlv/cache/kept')), existsSync(join(root, '.git/mlv/state'))]).toEqual([
    true,
    true,
  ]);
  expect(git('show', ':.mlv/config.yaml')).toBe(settings.trimEnd());
});

test('in a subfolder it asks which is meant; --subdir makes the subfolder a project', async () => {
  const { root, git } = rig.repository('deep');
  const folder = emptyFolder('deep/a/b');
  expect(await refusal(folder, 'init'))
    .toBe(`error: /tmp/deep/a/b is not the top of its Git repository, which is /tmp/deep
hint: mlv -C ../.. init for the whole repository, mlv init --subdir for this folder alone
`);
  expect((await rig.mlv(folder, ['init', '--subdir'])).code).toBe(0);
  expect(git('status', '--short', '--untracked-files=all')).toBe('A  a/b/.mlv/config.yaml');
  expect((await rig.mlv(emptyFolder('deep/a/b/c'), ['root'])).stdout).toBe(`${folder}\n`);
  expect((await rig.mlv(root, ['root'])).code).toBe(1);
  expect(existsSync(join(root, '.git/mlv/cache'))).toBe(true);
});

test('outside Git it asks for Git or --no-git', async () => {
  const folder = emptyFolder('plain');
  expect(await refusal(folder, 'init')).toBe(`error: /tmp/plain is not in a Git repository
hint: git init, then mlv init; or mlv init --no-git, to do without versions of the pointers
`);
  const { stdout } = await rig.mlv(folder, ['init', '--no-git']);
  expect(stdout.replaceAll(folder, 'ROOT')).toBe(`New project in ROOT
  settings  .mlv/config.yaml
  store     ROOT/.mlv/local

Next
  mlv add PATH                tracks files and folders
  mlv remote add -d NAME URL  names the bucket or folder to send them to
`);
  expect(existsSync(join(folder, '.mlv/local/cache'))).toBe(true);
  expect(await refusal(emptyFolder('plain/inner'), 'init', '--no-git'))
    .toBe(`error: /tmp/plain/inner is inside the project /tmp/plain
hint: Use that one, or make this folder a project of its own: mlv init --no-git --subdir
`);
});

test('--no-git is refused inside a Git work tree', async () => {
  const { root } = rig.repository('with-git');
  expect(await refusal(root, 'init', '--no-git'))
    .toBe(`error: /tmp/with-git is in the Git work tree /tmp/with-git, where --no-git is not possible
hint: mlv init
`);
});

test('works in a linked worktree, a submodule and with --separate-git-dir', async () => {
  const main = rig.repository('main');
  main.commit({ 'readme.txt': 'hello' });
  const linked = join(rig.folder, 'linked');
  main.git('worktree', 'add', '--quiet', linked);
  const store = async (root: string): Promise<unknown> => JSON.parse((await rig.mlv(root, ['init', '--json'])).stdout);
  expect(await store(linked)).toMatchObject({ root: linked, store: join(main.root, '.git/mlv') });
  expect(repositoryAt(linked).git('status', '--short')).toBe('A  .mlv/config.yaml');
  expect(existsSync(join(main.root, '.git/worktrees/linked/mlv/checkout'))).toBe(true);

  const outer = rig.repository('outer');
  outer.git('submodule', '--quiet', 'add', main.root, 'inner');
  const submodule = join(outer.root, 'inner');
  expect(await store(submodule)).toMatchObject({ root: submodule, store: join(outer.root, '.git/modules/inner/mlv') });

  const away = emptyFolder('away');
  repositoryAt(away).git('init', '--quiet', `--separate-git-dir=${join(rig.folder, 'away.git')}`);
  expect(await store(away)).toMatchObject({ root: away, store: join(rig.folder, 'away.git/mlv') });
});

test('stages nothing when core.autostage is off', async () => {
  const { root, git } = rig.repository('unstaged');
  const { code } = await rig.mlv(root, ['init'], { env: { MLV_CORE_AUTOSTAGE: 'false' } });
  expect([code, git('status', '--short')]).toEqual([0, '?? .mlv/']);
});

test('refuses where Git ignores the settings, and writes none', async () => {
  const { root, write } = rig.repository('ignored');
  write({ '.gitignore': '.*\n' });
  expect(await refusal(root, 'init')).toBe(`error: Git ignores /tmp/ignored/.mlv/config.yaml, which must be committed
hint: git check-ignore -v .mlv/config.yaml tells which line of which .gitignore to remove
`);
  expect(existsSync(join(root, '.mlv'))).toBe(false);
});

test('refuses to write through a link in place of its folder', async () => {
  const { root } = rig.repository('link');
  symlinkSync(emptyFolder('elsewhere'), join(root, '.mlv'));
  expect(await refusal(root, 'init')).toBe(`error: /tmp/link/.mlv is a symbolic link
hint: mlv keeps its settings there: move what is in the way
`);
});

test("does not take a folder that Git brought for this machine's store", async () => {
  const { root, write } = rig.repository('hostile');
  write({ '.mlv/local/config.yaml': 'cache:\n  dir: /elsewhere\n', '.mlv/config.yaml': 'version: 1\n' });
  const expected = `error: /tmp/hostile/.mlv/local belongs to a project without Git, but this is a Git work tree: it is not used
hint: If it came with the repository, delete it. If it is yours from before git init, move it: mv .mlv/local "$(git rev-parse --git-common-dir)/mlv"
`;
  expect(await refusal(root, 'init', '--force')).toBe(expected);
  expect(await refusal(root, 'status')).toBe(expected);
});

test('tells who may not write', async () => {
  if (process.getuid?.() !== 0) return console.log('skipped: only root can become another user');
  const { root } = rig.repository('foreign');
  chmodSync(rig.folder, 0o755);
  const env = { GIT_CONFIG_COUNT: '1', GIT_CONFIG_KEY_0: 'safe.directory', GIT_CONFIG_VALUE_0: '*' };
  const { code, stderr } = await rig.mlv(root, ['init'], { uid: 65534, env });
  expect({ code, stderr: stderr.replaceAll(rig.folder, '/tmp') }).toEqual({
    code: 1,
    stderr: `error: cannot write /tmp/foreign/.git/mlv/cache/b3: permission denied
hint: Look at the owner and mode of the file and of the folders above it.
`,
  });
  expect(existsSync(join(root, '.mlv'))).toBe(false);
});

test('leaves no settings behind when the store cannot be made', async () => {
  const { root } = rig.repository('blocked');
  writeFileSync(join(root, '.git/mlv'), 'in the way');
  await expect(init({ cwd: root, environment: rig.env })).rejects.toThrow('.git/mlv');
  expect(existsSync(join(root, '.mlv'))).toBe(false);
});
