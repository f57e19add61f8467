import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { link } from '../support/folders.ts';
import type { MlvRig } from '../support/mlv.ts';
import { BIN, makeMlvRig } from '../support/mlv.ts';
import type { SharedProject } from '../support/shared-project.ts';
import { shareProject } from '../support/shared-project.ts';
import { refusal, told } from '../support/told.ts';

const LARGE = randomBytes(9 << 20);
const BINARY = Buffer.from([0, 255, 254, 10, 13, 0]);

let rig: MlvRig;
let project: SharedProject;
beforeAll(async () => {
  rig = makeMlvRig();
  project = await shareProject(
    rig,
    'project',
    {
      'data/a.txt': 'first\n',
      'data/empty': '',
      'data/binary': BINARY,
      'data/sub/up': link('../chain'),
      'data/chain': link('a.txt'),
      'data/sub/folder': link('../sub'),
      'data/sub/circle': link('circle'),
      'large.bin': LARGE,
    },
    'data',
    'large.bin',
  );
  project.git('tag', 'v1');
  await project.version({ 'data/a.txt': 'second\n' }, 'data');
  await told(rig, project.root, ['push']);
});
afterAll(() => rig.dispose());

/** What it prints, as bytes. */
function cat(cwd: string, ...args: string[]): Buffer {
  const { status, stdout, stderr } = spawnSync(process.execPath, [BIN, '--no-progress', 'cat', ...args], {
    cwd,
    env: rig.env,
    maxBuffer: 1 << 26,
  });
  if (status !== 0 || stderr.length > 0) throw new Error(stderr.toString());
  return stdout;
}

test('prints the bytes of a file as it is recorded, whatever the workspace has', () => {
  const { root } = project;
  expect(cat(root, 'data/a.txt').toString()).toBe('second\n');
  expect(cat(root, 'data/a.txt', '--rev', 'v1').toString()).toBe('first\n');
  expect(cat(join(root, 'data'), 'a.txt', '--rev', 'HEAD~1').toString()).toBe('first\n');
  expect(cat(root, 'data/empty')).toEqual(Buffer.alloc(0));
  expect(cat(root, 'data/binary')).toEqual(BINARY);
  expect(cat(root, 'large.bin').equals(LARGE)).toBe(true);
  writeFileSync(join(root, 'data/a.txt'), 'edited\n');
  expect(cat(root, 'data/a.txt').toString()).toBe('second\n');
});

test('fetches what is missing, that file alone', async () => {
  const { root } = project.clone('clone');
  expect(cat(root, 'data/a.txt', '--rev', 'HEAD~1').toString()).toBe('first\n');
  expect(cat(root, 'large.bin').equals(LARGE)).toBe(true);
  const { items } = JSON.parse(await told(rig, root, ['--json', 'du', '--rev', 'v1'])) as {
    items: { here?: number }[];
  };
  expect(items.map(({ here }) => here)).toEqual(['first\n'.length, LARGE.length]);
});

test('prints what a symlink leads to in the same version, or says that it leads to no file', async () => {
  const { root } = project;
  expect(cat(root, 'data/chain', '--rev', 'v1').toString()).toBe('first\n');
  expect(cat(root, 'data/sub/up').toString()).toBe('second\n');
  expect(await refusal(rig, root, ['cat', 'data/sub/folder'])).toContain(
    'data/sub/folder is a symlink to sub, which is no file',
  );
  expect(await refusal(rig, root, ['cat', 'data/sub/circle'])).toContain('is a symlink to sub/circle');
});

test('says what it does not print', async () => {
  const { root } = project;
  expect(await refusal(rig, root, ['cat', 'data', '--rev', 'v1'])).toBe(
    'error: data is a folder\nhint: "mlv ls data --rev v1" lists what it holds, "mlv get data --rev v1" writes all of it to the disk.\n',
  );
  expect(await refusal(rig, root, ['cat', 'data/sub'])).toContain('data/sub is a folder');
  expect(await refusal(rig, root, ['cat', '.'])).toContain('. is a folder');
  expect(await refusal(rig, root, ['cat', 'nothing'])).toContain('nothing is not tracked');
  expect(await refusal(rig, root, ['cat', 'data/nothing'])).toContain('data holds no nothing');
  const { code, stdout } = await rig.mlv(root, ['--json', 'cat', 'data/a.txt']);
  expect([code, JSON.parse(stdout)]).toMatchObject([2, { error: { code: 'usage' } }]);
});

test('damage in the cache is never printed as a success', async () => {
  const { root } = project.clone('damaged');
  cat(root, 'large.bin');
  const cache = join(root, '.git/mlv/cache/b3');
  const [folder = ''] = readdirSync(cache);
  const [name = ''] = readdirSync(join(cache, folder));
  const file = join(cache, folder, name);
  const bytes = readFileSync(file);
  bytes[5_000_000] = (bytes[5_000_000] ?? 0) ^ 1;
  rmSync(file);
  writeFileSync(file, bytes);
  const { code, stderr } = await rig.mlv(root, ['cat', 'large.bin']);
  expect(code).toBe(1);
  expect(stderr).toContain('is damaged in the cache');
});

test('content that was purged is refused, by the record of it', async () => {
  const purging = await shareProject(rig, 'purging', { 'data/secret': 'secret\n', 'data/other': 'other\n' }, 'data');
  const { root, git } = purging;
  git('tag', 'v1');
  await told(rig, root, ['push']);
  await told(rig, root, ['purge', 'data/secret', '--yes', '--reason', 'GDPR 7']);
  git('commit', '--quiet', '--all', '-m', 'purge');
  expect(existsSync(join(root, '.mlv/purged'))).toBe(true);
  expect(await refusal(rig, root, ['cat', 'data/secret', '--rev', 'v1'])).toMatch(
    /^error: data\/secret was purged on [\d-]+ \(GDPR 7\): \.mlv\/purged\nhint: /,
  );
  expect(cat(root, 'data/other', '--rev', 'v1').toString()).toBe('other\n');
});

test('says that data is on no remote', async () => {
  const lone = await shareProject(rig, 'lone', { 'data/a': 'a', file: 'f' }, 'data', 'file');
  const { root } = lone.clone('lone-clone');
  await told(rig, lone.root, ['push', 'file']);
  expect(await refusal(rig, root, ['cat', 'data/a'])).toContain(
    'the list of what data holds is neither in the cache nor, whole, on remote store',
  );
  await told(rig, lone.root, ['push']);
  rmSync(join(lone.remote, 'packs'), { recursive: true });
  expect(await refusal(rig, root, ['cat', 'file'])).toContain('file is damaged, or lost, on remote store');
  rmSync(lone.remote, { recursive: true });
  expect(await refusal(rig, lone.clone('lone-other').root, ['cat', 'file'])).toContain('lone-store');
});
