import { chmodSync, existsSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { init } from '../../src/workspace/init.ts';
import { openWorkspace } from '../../src/workspace/open.ts';
import { repositoryAt } from '../support/git.ts';
import { makeMlvRig, type MlvRig } from '../support/mlv.ts';

let rig: MlvRig;

beforeAll(() => {
  rig = makeMlvRig();
});
afterAll(() => rig.dispose());

async function project(name: string) {
  const repository = rig.repository(name);
  await init({ cwd: repository.root, environment: rig.env });
  return repository;
}

test('opens from any folder below, with every path real', async () => {
  const { root } = await project('one');
  mkdirSync(join(root, 'a/b'), { recursive: true });
  symlinkSync(root, join(rig.folder, 'link'));
  for (const cwd of [root, join(root, 'a/b'), join(rig.folder, 'link/a')]) {
    const {
      root: found,
      prefix,
      sharedFolder,
      ownFolder,
      cacheFolder,
    } = await openWorkspace({ cwd, environment: rig.env });
    expect({ found, prefix, sharedFolder, ownFolder, cacheFolder }).toEqual({
      found: root,
      prefix: '',
      sharedFolder: join(root, '.git/mlv'),
      ownFolder: join(root, '.git/mlv'),
      cacheFolder: join(root, '.git/mlv/cache'),
    });
  }
});

test('a linked worktree shares the cache and has folders of its own; a subfolder project has a prefix', async () => {
  const { root, git, commit } = await project('shared');
  const folder = join(root, 'sub/dir');
  mkdirSync(folder, { recursive: true });
  await init({ cwd: folder, environment: rig.env, subdir: true });
  commit({}, 'project');
  const linked = join(rig.folder, 'shared-linked');
  git('worktree', 'add', '--quiet', linked);
  const { prefix, sharedFolder, ownFolder } = await openWorkspace({
    cwd: join(linked, 'sub/dir'),
    environment: rig.env,
  });
  expect({ prefix, sharedFolder, ownFolder }).toEqual({
    prefix: 'sub/dir',
    sharedFolder: join(root, '.git/mlv'),
    ownFolder: join(root, '.git/worktrees/shared-linked/mlv'),
  });
});

test('does not look above the work tree', async () => {
  const { root } = await project('outer');
  const inner = join(root, 'inner');
  mkdirSync(inner);
  repositoryAt(inner).git('init', '--quiet');
  await expect(openWorkspace({ cwd: inner, environment: rig.env })).rejects.toMatchObject({
    code: 'not-a-project',
    kind: 'missing',
    hint: 'mlv init',
  });
});

test('GIT_DIR and GIT_WORK_TREE are respected, and empty ones are not set', async () => {
  const { root } = await project('given');
  const bare = join(rig.folder, 'given.git');
  repositoryAt(root).git('clone', '--quiet', '--bare', root, bare);
  repositoryAt(bare).git('config', 'core.bare', 'false');
  const environment = { ...rig.env, GIT_DIR: bare, GIT_WORK_TREE: root };
  expect((await openWorkspace({ cwd: root, environment })).sharedFolder).toBe(join(bare, 'mlv'));
  const empty = { ...rig.env, GIT_DIR: '', GIT_WORK_TREE: '' };
  expect((await openWorkspace({ cwd: root, environment: empty })).sharedFolder).toBe(join(root, '.git/mlv'));
});

test('without Git everything is in .mlv/local', async () => {
  const folder = join(rig.folder, 'plain');
  mkdirSync(folder);
  await init({ cwd: folder, environment: rig.env, noGit: true });
  const workspace = await openWorkspace({ cwd: folder, environment: rig.env });
  const { layout, prefix, sharedFolder, ownFolder } = workspace;
  const local = join(folder, '.mlv/local');
  expect({ layout, prefix, sharedFolder, ownFolder }).toEqual({
    layout: undefined,
    prefix: '',
    sharedFolder: local,
    ownFolder: local,
  });
  expect(await workspace.git()).toBeUndefined();
});

test('settings are laid over each other: environment, clone, tracked, user', async () => {
  const { root } = await project('layers');
  const user = join(rig.folder, 'config');
  mkdirSync(join(user, 'mlv'), { recursive: true });
  const set = (path: string, ...types: string[]): void =>
    writeFileSync(path, `cache:\n  links: [${types.join(', ')}]\n`);
  const environment = { ...rig.env, XDG_CONFIG_HOME: user };
  const links = async (env: Record<string, string> = environment): Promise<unknown> =>
    (await openWorkspace({ cwd: root, environment: env })).settings.values['cache.links'];
  expect(await links()).toEqual(['reflink', 'copy']);
  set(join(user, 'mlv/config.yaml'), 'symlink');
  expect(await links()).toEqual(['symlink']);
  set(join(root, '.git/mlv/config.yaml'), 'copy');
  expect(await links()).toEqual(['copy']);
  expect(await links({ ...environment, MLV_CACHE_LINKS: 'reflink' })).toEqual(['reflink']);
});

test('settings that need all of YAML are read too', async () => {
  const { root } = await project('yaml');
  writeFileSync(join(root, '.mlv/config.yaml'), 'version: 1\n"remotes":\n  store: {url: "../st\\u006fre"}\n');
  const { settings } = await openWorkspace({ cwd: root, environment: rig.env });
  expect([...settings.remotes]).toEqual([['store', { url: '../store' }]]);
});

test('damaged settings are named with line and column', async () => {
  const { root } = await project('damaged');
  writeFileSync(join(root, '.mlv/config.yaml'), 'version: 1\nremotes: [\n');
  await expect(openWorkspace({ cwd: root, environment: rig.env })).rejects.toMatchObject({
    code: 'config-invalid',
    message: expect.stringMatching(/^\.mlv\/config\.yaml:3:1: /),
  });
});

test('small blobs are packed from the size that the settings or the disk give', async () => {
  const { root } = await project('packs');
  const packBelow = async (env: Record<string, string>): Promise<number> => {
    const workspace = await openWorkspace({ cwd: root, environment: { ...rig.env, ...env } });
    const found = workspace.cache().packBelow();
    await workspace.close();
    return found;
  };
  expect(await packBelow({ MLV_CACHE_PACK_BELOW: '4KiB' })).toBe(4096);
  expect(await packBelow({ MLV_CACHE_PACK_BELOW: '0' })).toBe(0);
  expect(await packBelow({ MLV_CACHE_LINKS: 'symlink' })).toBe(16 * 1024);
  expect(await packBelow({ MLV_CACHE_LINKS: 'copy' })).toBe(1024 * 1024);
});

test('opening writes nothing', async () => {
  const repository = rig.repository('untouched');
  repository.write({ '.mlv/config.yaml': 'version: 1\n' });
  const before = readdirSync(join(repository.root, '.git'));
  const workspace = await openWorkspace({ cwd: repository.root, environment: rig.env });
  workspace.cache();
  await workspace.close();
  expect(readdirSync(join(repository.root, '.git'))).toEqual(before);
});

test('reading commands work where nothing can be written', async () => {
  if (process.getuid?.() !== 0) return console.log('skipped: only root can become another user');
  const { root, commit } = await project('read-only');
  commit({}, 'project');
  chmodSync(rig.folder, 0o755);
  for (const args of [['root'], ['status'], ['config'], ['remote'], ['doctor']]) {
    const { code, stderr } = await rig.mlv(root, args, {
      uid: 65534,
      env: { GIT_CONFIG_COUNT: '1', GIT_CONFIG_KEY_0: 'safe.directory', GIT_CONFIG_VALUE_0: '*' },
    });
    expect({ args, code, stderr }).toEqual({ args, code: 0, stderr: '' });
  }
  expect(existsSync(join(root, '.git/mlv/cache/tmp'))).toBe(true);
});
