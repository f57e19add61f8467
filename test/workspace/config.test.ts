import { lstatSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { TestRepository } from '../support/git.ts';
import { makeMlvRig, type MlvRig } from '../support/mlv.ts';

let rig: MlvRig;
let project: TestRepository;
let env: Record<string, string>;
let made = 0;

beforeAll(() => {
  rig = makeMlvRig();
});
afterAll(() => rig.dispose());
beforeEach(async () => {
  project = await rig.project(`p${++made}/project`);
  env = { XDG_CONFIG_HOME: join(rig.folder, `p${made}/config`) };
});

const run = (...args: string[]) => rig.mlv(project.root, ['config', ...args], { env });

async function config(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await run(...args);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  return stdout.replaceAll(rig.folder, '/tmp');
}

async function refusal(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await run(...args);
  expect(stdout).toBe('');
  return `${code}\n${stderr.replaceAll(rig.folder, '/tmp')}`;
}

test('lists what holds, and where it comes from', async () => {
  await config('core.autostage', 'false');
  await config('--local', 'cache.links', 'symlink,copy');
  await config('--user', 'cache.packBelow', '4KiB');
  env['MLV_REMOTE'] = 'archive';
  expect(await config()).toBe(`cache.links      symlink,copy
cache.packBelow  4096
core.autostage   false
remote           archive
runCache.trust   all
`);
  expect(await config('--show-origin')).toBe(`cache.links      symlink,copy  clone: .git/mlv/config.yaml:3
cache.packBelow  4096          user: /tmp/p1/config/mlv/config.yaml:3
core.autostage   false         tracked: .mlv/config.yaml:4
remote           archive       environment: MLV_REMOTE
runCache.trust   all           default
`);
  expect(await config('cache.links')).toBe('symlink,copy\n');
  expect(await config('cache.links', '--show-origin')).toBe(
    'cache.links  symlink,copy  clone: .git/mlv/config.yaml:3\n',
  );
  expect(JSON.parse(await config('cache.links', '--json'))).toEqual({
    key: 'cache.links',
    value: ['symlink', 'copy'],
    scope: 'clone',
    origin: '.git/mlv/config.yaml:3',
  });
});

test('sets and unsets, keeping comments, and stages what everyone shares', async () => {
  const file = join(project.root, '.mlv/config.yaml');
  writeFileSync(file, 'version: 1\ncore:\n  autostage: true # we like it\n');
  expect(await config('cache.packBelow', '64KiB')).toBe(
    'set  cache.packBelow = 64KiB  in .mlv/config.yaml, staged in Git\n',
  );
  expect(await config('cache.packBelow', '64KiB')).toBe('unchanged  cache.packBelow = 64KiB  in .mlv/config.yaml\n');
  const text = 'version: 1\ncore:\n  autostage: true # we like it\ncache:\n  packBelow: 64KiB\n';
  expect(readFileSync(file, 'utf8')).toBe(text);
  expect(project.git('show', ':.mlv/config.yaml')).toBe(text.trimEnd());
  expect(await config('--unset', 'cache.packBelow')).toBe(
    'set  cache.packBelow unset  in .mlv/config.yaml, staged in Git\n',
  );
  expect(readFileSync(file, 'utf8')).toBe('version: 1\ncore:\n  autostage: true # we like it\n');
});

test('refuses for everyone what belongs to one machine, and says where it belongs', async () => {
  const before = readFileSync(join(project.root, '.mlv/config.yaml'), 'utf8');
  expect(await refusal('cache.dir', '/big/disk')).toBe(`1
error: cache.dir cannot be set for everyone who clones
hint: Set it for this clone: mlv config --local cache.dir /big/disk (or with --user, for all your clones).
`);
  expect(await refusal('cache.links', 'symlink')).toMatch(/^1\nerror: cache.links cannot be set for everyone/);
  expect(readFileSync(join(project.root, '.mlv/config.yaml'), 'utf8')).toBe(before);
});

test('knows profiles of clusters, whose context is nobody else’s to choose', async () => {
  await config('kubernetes.gpu.namespace', 'ml');
  await config('kubernetes.gpu.gpuTypes.a100.tolerations', 'spot=true:NoExecute,any');
  expect(await refusal('kubernetes.gpu.context', 'prod')).toBe(`1
error: kubernetes.gpu.context cannot be set for everyone who clones
hint: Set it for this clone: mlv config --local kubernetes.gpu.context prod (or with --user, for all your clones).
`);
  await config('--local', 'kubernetes.gpu.context', 'prod');
  expect(await config('kubernetes.gpu.gpuTypes.a100.tolerations', '--show-origin')).toBe(
    'kubernetes.gpu.gpuTypes.a100.tolerations  spot=true:NoExecute,any  tracked: .mlv/config.yaml:8\n',
  );
  expect(await config('kubernetes.gpu.context')).toBe('prod\n');
  await config('--unset', 'kubernetes.gpu');
  expect(await refusal('kubernetes.gpu.namespace')).toBe(`1
error: kubernetes.gpu.namespace is not set
hint: mlv config kubernetes.gpu.namespace VALUE sets it
`);
});

test('names keys and values that are none', async () => {
  expect(await refusal('cahce.dir')).toBe(`2
error: no setting is called "cahce.dir"
hint: Did you mean cache.dir?
`);
  expect(await refusal('core.autostage', 'maybe')).toBe(`2
error: core.autostage must be true or false, not "maybe"
`);
  expect(await refusal('--unset', 'cahce.dir')).toBe(`2
error: no setting is called "cahce.dir"
hint: Did you mean cache.dir?
`);
  expect(await refusal('cache.dir')).toBe(`1
error: cache.dir is not set
hint: mlv config cache.dir VALUE sets it
`);
  expect(await refusal('--unset', 'core.autostage')).toBe(`1
error: .mlv/config.yaml does not set core.autostage
hint: mlv config --show-origin tells where each setting comes from
`);
});

test('names options that do not go together', async () => {
  expect(await refusal('--local', '--user', 'remote', 'x')).toBe(`2
error: --local and --user exclude each other
hint: mlv config --help
`);
  expect(await refusal('--unset')).toBe(`2
error: --unset needs a KEY and no VALUE
hint: mlv config --help
`);
  expect(await refusal('--local', 'remote')).toBe(`2
error: --local chooses where a setting is changed: give a KEY and a VALUE
hint: mlv config --help
`);
});

test('mends a file whose settings are wrong', async () => {
  writeFileSync(join(project.root, '.mlv/config.yaml'), 'version: 1\ncore:\n  autostage: perhaps\n');
  expect(await refusal()).toBe(`2
error: .mlv/config.yaml:3:3: core.autostage must be true or false, not "perhaps"
`);
  expect(await config('core.autostage', 'true')).toBe(
    'set  core.autostage = true  in .mlv/config.yaml, staged in Git\n',
  );
});

test("outside a project the user's settings can be seen and changed, and no others", async () => {
  mkdirSync(join(rig.folder, `p${made}/plain`));
  const outside = (...args: string[]) => rig.mlv(join(rig.folder, `p${made}/plain`), ['config', ...args], { env });
  expect((await outside('--user', 'cache.dir', '/big')).stdout.replaceAll(rig.folder, '/tmp')).toBe(
    `set  cache.dir = /big  in /tmp/p${made}/config/mlv/config.yaml\n`,
  );
  expect((await outside('cache.dir')).stdout).toBe('/big\n');
  expect((await outside('core.autostage', 'true')).stderr).toMatch(/^error: .* is not in an mlv project/);
});

test('settings of the user that are linked from elsewhere stay linked', async () => {
  const folder = join(rig.folder, `p${made}/config/mlv`);
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(rig.folder, 'dotfile'), '');
  symlinkSync(join(rig.folder, 'dotfile'), join(folder, 'config.yaml'));
  await config('--user', 'cache.links', 'copy');
  expect(lstatSync(join(folder, 'config.yaml')).isSymbolicLink()).toBe(true);
  expect(readFileSync(join(rig.folder, 'dotfile'), 'utf8')).toBe('version: 1\ncache:\n  links: [copy]\n');
});

test('changes made at the same time all stay', async () => {
  const names = ['a', 'b', 'c', 'd'];
  const results = await Promise.all(
    names.map((name) => rig.mlv(project.root, ['remote', 'add', name, `/mnt/${name}`, '--local'], { env })),
  );
  expect(results.map(({ code }) => code)).toEqual([0, 0, 0, 0]);
  const { stdout } = await rig.mlv(project.root, ['remote', '--json'], { env });
  expect((JSON.parse(stdout) as { name: string }[]).map(({ name }) => name)).toEqual(names);
});
