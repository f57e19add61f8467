import { execFileSync } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { asRead, readFolder, writeFiles } from '../support/folders.ts';
import type { TestRepository } from '../support/git.ts';
import type { MlvRig } from '../support/mlv.ts';
import { makeMlvRig } from '../support/mlv.ts';
import { shareProject } from '../support/shared-project.ts';
import { refusal, told } from '../support/told.ts';

/** Nobody's. Root may read and write everything, so these need another user, and only root can become one. */
const UID = 65_534;
const reason = whyNot();
if (reason !== undefined) console.warn(`skipped, what an unprivileged user meets: ${reason}`);

function whyNot(): string | undefined {
  if (process.getuid?.() !== 0) return 'only root can run a program as another user';
  try {
    execFileSync(process.execPath, [join(import.meta.dirname, '../../bin/mlv.js'), 'version'], {
      uid: UID,
      gid: UID,
      stdio: 'pipe',
      cwd: '/',
    });
    return undefined;
  } catch {
    return 'another user cannot run the program where it lies';
  }
}

describe.skipIf(reason !== undefined)('an unprivileged user', () => {
  let rig: MlvRig;
  const user = { uid: UID };
  const files = { 'data/a': '1', 'data/sub/b': '2', model: 'm' };
  beforeAll(() => {
    rig = makeMlvRig();
    chmodSync(rig.folder, 0o755);
    chownSync(join(rig.folder, 'home'), UID, UID);
  });
  afterAll(() => rig.dispose());

  /** Gives everything in a folder to the user. */
  function give(folder: string): void {
    execFileSync('chown', ['-R', `${UID}:${UID}`, folder]);
  }

  /** Takes away, from everybody, the right to write to a folder and all in it. */
  function freeze(folder: string): void {
    execFileSync('chmod', ['-R', 'a-w,a+rX', folder]);
  }

  /** A project of the user's, with data recorded and committed. */
  async function projectOf(name: string): Promise<TestRepository> {
    const project = await shareProject(rig, name, files, 'data', 'model');
    // A remote's folder is made at the first push, in one that only root may write to.
    mkdirSync(project.remote);
    for (const folder of [project.root, project.remote]) give(folder);
    return project;
  }

  test('is told which files and folders cannot be read', async () => {
    const { root } = await projectOf('unreadable');
    writeFiles(root, { 'data/secret': 's', 'data/closed/x': 'x', 'data/blind/y': 'y', alone: 'z', 'in/closed': 'c' });
    give(root);
    for (const path of ['data/secret', 'data/closed', 'alone', 'in']) chmodSync(join(root, path), 0o000);
    // Its names can be listed, and nothing be asked of them.
    chmodSync(join(root, 'data/blind'), 0o444);
    const before = readFolder(root, ['.git', 'data', 'alone', 'in']);
    expect(await refusal(rig, root, ['add', 'data'], user)).toBe(
      'error: 3 paths in data cannot be added\n' +
        '  blind/y: it cannot be read (permission denied)\n' +
        '  closed: the folder cannot be read\n' +
        '  secret: it cannot be read (permission denied)\n' +
        'hint: Nothing was changed. Mend them, or exclude them with lines in .mlvignore, and run the command again.\n',
    );
    expect(await refusal(rig, root, ['add', 'alone'], user)).toContain('alone');
    expect(await refusal(rig, root, ['add', 'in/closed'], user)).toContain('in/closed');
    expect(readFolder(root, ['.git', 'data', 'alone', 'in'])).toEqual(before);
    expect(await told(rig, root, ['status'], user)).toBe(
      'data  modified, 3 paths cannot be recorded\n' +
        '    refused  data/blind/y: it cannot be read (permission denied)\n' +
        '    refused  data/closed: the folder cannot be read\n' +
        '    refused  data/secret: it cannot be read (permission denied)\n' +
        '1 path unchanged (1 file, 1 B)\n\n  mlv commit  records what was modified\n',
    );
  });

  test('reads in a repository that may not be written to', async () => {
    const { root } = await projectOf('read-only');
    await told(rig, root, ['push'], user);
    freeze(root);
    const unchanged = '2 paths unchanged (3 files, 3 B)\n';
    expect(await told(rig, root, ['status'], user)).toBe(unchanged);
    expect(await told(rig, root, ['status', '--remote'], user)).toBe(unchanged);
    expect(await told(rig, root, ['root'], user)).toBe(`${root}\n`);
    expect(await told(rig, root, ['config', 'list'], user)).toContain('store');
    expect(await told(rig, root, ['remote', 'list'], user)).toContain('store');
    await told(rig, root, ['doctor'], user);
    expect(await told(rig, root, ['checkout'], user)).toBe('Nothing to check out\n');
    // Not even what was checked out is known there.
    const fresh = join(rig.folder, 'read-only-fresh');
    execFileSync('git', ['clone', '--quiet', root, fresh], {
      env: { ...rig.env, GIT_CONFIG_COUNT: '1', GIT_CONFIG_KEY_0: 'safe.directory', GIT_CONFIG_VALUE_0: '*' },
    });
    give(fresh);
    freeze(fresh);
    expect(await told(rig, fresh, ['status'], user)).toContain('not checked out');
    for (const args of [
      ['pull'],
      ['init', '--force'],
      ['remote', 'add', 'x', '/x'],
      ['config', 'core.autostage', 'false'],
      ['add', 'data.mlv/..'],
      ['remove', 'model'],
    ]) {
      const { code, stderr } = await rig.mlv(fresh, args, user);
      expect([code, stderr]).toEqual([1, expect.stringMatching(/^error: .*\n(.*\n)*hint: .*\n$/)]);
    }
  });

  test('is told that the cache cannot be written to', async () => {
    const { root } = await projectOf('frozen-cache');
    const cache = join(root, '.git/mlv/cache');
    freeze(cache);
    writeFiles(root, { new: 'new', 'data/new': 'new' });
    give(root);
    for (const args of [['add', 'new'], ['commit'], ['add', 'data/new']]) {
      const message = await refusal(rig, root, args, user);
      expect(message).toContain(cache);
      expect(message).toMatch(/permission denied|cannot be written|cannot write/);
    }
    expect(await told(rig, root, ['status', 'model'], user)).toBe('1 path unchanged (1 file, 1 B)\n');
  });

  test('pulls from a remote that may only be read, and is told that it cannot push there', async () => {
    const project = await shareProject(rig, 'shared', files, 'data', 'model');
    await told(rig, project.root, ['push']);
    freeze(project.remote);
    const { root } = project.clone('shared-clone');
    give(root);
    await told(rig, root, ['pull'], user);
    expect(readFolder(root, ['.git', '.mlv', '.gitignore', 'data.mlv', 'model.mlv'])).toEqual(asRead(files));
    expect(await told(rig, root, ['push'], user)).toContain('up to date');
    writeFiles(root, { model: 'mine' });
    await told(rig, root, ['commit'], user);
    const message = await refusal(rig, root, ['push'], user);
    expect(message).toContain(`error: cannot write to the remote ${project.remote}`);
    expect(message).toContain('permission denied');
    const late = project.clone('shared-late').root;
    give(late);
    chmodSync(join(project.remote, 'mlv.json'), 0o000);
    expect(await refusal(rig, late, ['pull'], user)).toContain(`cannot read mlv.json at ${project.remote}`);
  });

  test('gets a checkout as far as folders can be written to, and is told where they cannot', async () => {
    const project = await shareProject(rig, 'half', files, 'data', 'model');
    await told(rig, project.root, ['push']);
    const { root } = project.clone('half-clone');
    mkdirSync(join(root, 'data/sub'), { recursive: true });
    give(root);
    chmodSync(join(root, 'data/sub'), 0o555);
    expect(await refusal(rig, root, ['pull'], user)).toContain('  data/sub/b: the folder cannot be written to\n');
    expect(readFolder(root, ['.git', '.mlv', '.gitignore', 'data.mlv', 'model.mlv'])).toEqual({
      ...asRead({ 'data/a': '1', model: 'm' }),
      'data/sub': 'empty',
    });
    chmodSync(join(root, 'data/sub'), 0o755);
    await told(rig, root, ['checkout'], user);
    expect(readFolder(root, ['.git', '.mlv', '.gitignore', 'data.mlv', 'model.mlv'])).toEqual(asRead(files));
  });
});
