/** Clones of what strangers made, in short: what would be lost or leave the clone. All the rest is in test/harness/hostile-repository. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { identities, writeFiles } from '../support/folders.ts';
import type { TestRepository } from '../support/git.ts';
import type { MlvRig } from '../support/mlv.ts';
import { makeMlvRig } from '../support/mlv.ts';
import { told } from '../support/told.ts';

let rig: MlvRig;
/** Beside all projects: links lead there. */
let outside: string;
beforeAll(() => {
  rig = makeMlvRig();
  outside = join(rig.folder, 'outside');
  writeFiles(outside, { secret: 'PRIVATE KEY\n', 'config.yaml': 'version: 1\n' });
});
afterAll(() => rig.dispose());

async function refusal(repository: TestRepository, ...args: string[]): Promise<string> {
  const { code, stderr } = await rig.mlv(repository.root, args);
  expect([args, code]).toEqual([args, 1]);
  return stderr;
}

describe('symlinks that Git checked out', () => {
  test('in place of settings are neither read nor written through', async () => {
    const project = await rig.project('settings');
    const { root } = project;
    const before = identities(outside);
    rmSync(join(root, '.mlv'), { recursive: true });
    symlinkSync('../outside', join(root, '.mlv'));
    for (const args of [['status'], ['config', 'core.autostage', 'false'], ['remote', 'add', 'x', '/x']])
      expect(await refusal(project, ...args)).toContain(`${join(root, '.mlv')} is a symlink`);
    rmSync(join(root, '.mlv'));
    mkdirSync(join(root, '.mlv'));
    symlinkSync('../../outside/config.yaml', join(root, '.mlv/config.yaml'));
    expect(await refusal(project, 'config', 'core.autostage', 'false')).toContain('is a symlink');
    expect(identities(outside)).toEqual(before);
  });

  test('named .gitignore do not bring into Git what they lead to', async () => {
    const project = await rig.project('ignored');
    const { root, git } = project;
    writeFiles(root, { one: '1', new: '2' });
    await told(rig, root, ['add', 'one']);
    rmSync(join(root, '.gitignore'));
    symlinkSync('../outside/secret', join(root, '.gitignore'));
    const staged = git('ls-files', '--stage');
    for (const args of [
      ['add', 'new'],
      ['remove', 'one'],
      ['move', 'one', 'two'],
    ])
      expect(await refusal(project, ...args)).toContain('.gitignore is a symlink, where mlv has to write a line');
    expect(git('ls-files', '--stage')).toBe(staged);
    expect(['one', 'one.mlv', 'two', 'new.mlv'].map((name) => existsSync(join(root, name)))).toEqual([
      true,
      true,
      false,
      false,
    ]);
  });

  test('in place of pointers are none', async () => {
    const project = await rig.project('pointers');
    writeFiles(project.root, { one: '1' });
    await told(rig, project.root, ['add', 'one']);
    symlinkSync('one.mlv', join(project.root, 'two.mlv'));
    expect(await refusal(project, 'checkout', 'two')).toContain('two.mlv is a symlink, and no pointer is one');
    expect(await told(rig, project.root, ['status'])).toContain('1 path unchanged');
  });
});

describe('a collection keeps the data of pointers', () => {
  /** Everything is old, nothing on record: what only a file on the disk names is found there or nowhere. */
  async function collect(root: string): Promise<void> {
    rmSync(join(root, '.git/mlv/checkout'), { recursive: true });
    execFileSync('find', [join(root, '.git/mlv/cache'), '-exec', 'touch', '-d', '60 days ago', '{}', '+']);
    await told(rig, root, ['gc', '--yes', '--unpushed']);
    rmSync(join(root, '.git/mlv/cache/trash'), { recursive: true, force: true });
  }

  test('in a folder that Git ignores by now', async () => {
    const { root, git } = await rig.project('hidden');
    writeFiles(root, { 'models/net': 'version 1' });
    await told(rig, root, ['add', 'models/net']);
    git('commit', '--quiet', '--message=first');
    writeFileSync(join(root, '.gitignore'), '/models/\n');
    expect(await told(rig, root, ['status'])).not.toContain('unchanged');
    expect(await told(rig, root, ['status', 'models/net'])).toContain('1 path unchanged');
    writeFiles(root, { 'models/net': 'version 2' });
    await told(rig, root, ['commit', 'models/net']);
    git('reset', '--quiet');
    await collect(root);
    rmSync(join(root, 'models/net'));
    await told(rig, root, ['checkout', 'models/net']);
    expect(readFileSync(join(root, 'models/net'), 'utf8')).toBe('version 2');
  });

  test('in a folder beside one that is named like a pointer', async () => {
    const { root, git } = await rig.project('named');
    writeFiles(root, { 'x.mlv/readme': '', 'x/y': 'version 1' });
    await told(rig, root, ['add', 'x/y']);
    git('reset', '--quiet');
    await collect(root);
    rmSync(join(root, 'x/y'));
    await told(rig, root, ['checkout', 'x/y']);
    expect(readFileSync(join(root, 'x/y'), 'utf8')).toBe('version 1');
  });
});
