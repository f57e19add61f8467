import { mkdirSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { makeMlvRig, type MlvRig } from '../support/mlv.ts';

let rig: MlvRig;
let project: string;

beforeAll(async () => {
  rig = makeMlvRig();
  project = (await rig.project('project')).root;
  mkdirSync(join(rig.folder, 'plain'));
});
afterAll(() => rig.dispose());

/** What a command that must fail prints, paths made short, with its exit code in front. */
async function failure(cwd: string, ...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await rig.mlv(cwd, args);
  expect(stdout).toBe('');
  return `${code}\n${stderr.replaceAll(rig.folder, '/tmp')}`;
}

test('a folder that is no project names the command that makes one', async () => {
  expect(await failure(join(rig.folder, 'plain'), 'status')).toBe(`1
error: /tmp/plain is not in an mlv project: no folder above it has .mlv/config.yaml
hint: git init, then mlv init (or mlv init --no-git to do without Git)
`);
});

test('a Git repository that is no project names the command that makes one', async () => {
  const { root } = rig.repository('fresh');
  expect(await failure(root, 'root')).toBe(`1
error: /tmp/fresh is not in an mlv project: no folder up to /tmp/fresh has .mlv/config.yaml
hint: mlv init
`);
});

test('a misspelt command is answered with the one that was meant', async () => {
  expect(await failure(project, 'stauts')).toBe(`2
error: mlv has no command "stauts"
hint: Did you mean mlv status?
`);
  expect(await failure(project, 'frobnicate')).toBe(`2
error: mlv has no command "frobnicate"
hint: mlv --help lists the commands
`);
  expect(await failure(project, 'remote', 'defualt')).toBe(`2
error: mlv remote has no command "defualt"
hint: Did you mean mlv remote default?
`);
  expect(await failure(project, 'remote', 'x')).toBe(`2
error: mlv remote has no command "x"
hint: It has add, list, modify, default, remove
`);
});

test('a command of Git is answered with the one that does it here', async () => {
  expect(await failure(project, 'rm', 'data')).toBe(`2
error: mlv has no command "rm"
hint: mlv remove PATH
`);
  expect(await failure(project, 'clone', 'url')).toBe(`2
error: mlv has no command "clone"
hint: git clone URL, then mlv pull in the clone
`);
});

test('options of Git are answered with what to type instead', async () => {
  expect(await failure(project, 'commit', '-m', 'new data')).toBe(`2
error: mlv commit takes no message: it records edits of data in the pointers, which Git then commits
hint: mlv commit, then git commit
`);
  expect(await failure(project, 'checkout', '-b', 'topic')).toBe(`2
error: mlv checkout makes no branches
hint: git checkout -b BRANCH: the data stays as it is
`);
  expect(await failure(project, 'push', '--force')).toBe(`2
error: mlv push never overwrites anything, so there is nothing to force
hint: mlv push
`);
});

test('adding everything is answered with the commands for data and for code', async () => {
  expect(await failure(project, 'add', '.')).toBe(`2
error: mlv add takes the data that it shall track, not the whole project
hint: mlv add data for the data, git add . for the rest; mlv commit records edits of all tracked data
`);
});

test('a revision or a remote among the targets is answered with the option for it', async () => {
  const repository = await rig.project('habits');
  repository.commit({}, 'first');
  repository.git('tag', 'v1');
  await rig.mlv(repository.root, ['remote', 'add', 'store', '../store']);
  expect(await failure(repository.root, 'checkout', 'v1')).toBe(`2
error: v1 is a revision, and mlv checkout takes paths
hint: git checkout v1, then mlv checkout
`);
  expect(await failure(repository.root, 'checkout', 'v2')).toBe(`1
error: nothing tracked by mlv matches v2
hint: "mlv status" lists what is tracked; "mlv add PATH" tracks more.
`);
  expect(await failure(repository.root, 'push', 'store', 'main')).toBe(`2
error: store is a remote, and mlv push takes paths
hint: mlv push -r store
`);
  expect(await failure(repository.root, 'fetch', 'v1')).toBe(`2
error: v1 is a revision, and mlv fetch takes paths
hint: mlv fetch --rev v1
`);
});

test('words that a command does not take are named', async () => {
  expect(await failure(project, 'status', '--exit-cod')).toBe(`2
error: --exit-cod is not an option of mlv status
hint: Did you mean --exit-code?
`);
  expect(await failure(project, 'status', '-x')).toBe(`2
error: -x is not an option of mlv status
hint: mlv status --help
`);
  expect(await failure(project, 'push', '-j', 'many')).toBe(`2
error: --jobs needs a whole number from 1, not "many"
hint: mlv push --help
`);
  expect(await failure(project, 'add')).toBe(`2
error: mlv add needs a PATH
hint: mlv add --help
`);
  expect(await failure(project, 'add', '--desc')).toBe(`2
error: --desc needs a value
hint: mlv add --help
`);
  expect(await failure(project, 'version', 'please')).toBe(`2
error: mlv version does not take "please"
hint: mlv version --help
`);
});

test('a folder for -C must exist, and be given', async () => {
  expect(await failure(project, '-C', 'nowhere', 'root')).toBe(`2
error: /tmp/project/nowhere is not a folder
hint: mlv -C path/to/project status
`);
  expect(await failure(project, '-C')).toBe(`2
error: -C needs a folder
hint: mlv -C path/to/project status
`);
});

test('--json gives one value for every failure, and nothing on stderr', async () => {
  const { code, stdout, stderr } = await rig.mlv(project, ['stauts', '--json']);
  expect({ code, stderr }).toEqual({ code: 2, stderr: '' });
  expect(JSON.parse(stdout)).toEqual({
    error: {
      code: 'command-unknown',
      message: 'mlv has no command "stauts"',
      hint: 'Did you mean mlv status?',
      items: [],
    },
  });
});

test('a project is found from below, through -C and through links', async () => {
  mkdirSync(join(project, 'a/b'), { recursive: true });
  for (const args of [['root'], ['-C', '..', 'root'], ['root', '-C', '../..']]) {
    const { stdout } = await rig.mlv(join(project, 'a/b'), args);
    expect(stdout).toBe(`${realpathSync(project)}\n`);
  }
});
