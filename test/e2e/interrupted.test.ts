import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readFolder } from '../support/folders.ts';
import type { TestRepository } from '../support/git.ts';
import type { MlvRig } from '../support/mlv.ts';
import { makeMlvRig } from '../support/mlv.ts';
import { shareProject } from '../support/shared-project.ts';
import { told } from '../support/told.ts';

let rig: MlvRig;
beforeAll(() => {
  rig = makeMlvRig();
});
afterAll(() => rig.dispose());

describe('a checkout that was killed when it had emptied a folder', () => {
  /** A workspace at its first version, on the way to the second, which has no folder `a`. */
  async function interrupted(name: string): Promise<TestRepository> {
    const project = await shareProject(rig, name, { 'data/a/x': 'x', 'data/b': '1' }, 'data');
    const { root, git } = project;
    git('branch', 'v1');
    const records = join(root, '.git/mlv/checkout');
    const file = join(records, readdirSync(records)[0] ?? '');
    const first = JSON.parse(readFileSync(file, 'utf8').split('\n')[0] ?? '') as { base: unknown };
    rmSync(join(root, 'data/a'), { recursive: true });
    await project.version({ 'data/b': '2' }, 'data');
    const second = JSON.parse(readFileSync(file, 'utf8').split('\n')[0] ?? '') as { base: unknown };
    mkdirSync(join(root, 'data/a'));
    writeFileSync(file, JSON.stringify({ ...first, target: { content: second.base, selected: 'all' } }));
    return project;
  }

  test('leaves no empty folder once it is finished', async () => {
    const { root } = await interrupted('emptied');
    await told(rig, root, ['checkout']);
    expect(readFolder(join(root, 'data'))).toEqual({ b: 'file 2' });
  });

  test('has deleted nothing of a version that one goes back to', async () => {
    const { root, git } = await interrupted('back');
    git('checkout', '--quiet', 'v1');
    await told(rig, root, ['checkout']);
    expect(readFolder(join(root, 'data'))).toEqual({ 'a/x': 'file x', b: 'file 1' });
    expect(await told(rig, root, ['status'])).toMatch(/^1 path unchanged/);
  });
});

describe('an add that was killed when it had written the pointer', () => {
  /** The workspace has what its pointer names; Git has it not staged, and the checkout record is what the kill left. */
  async function interrupted(name: string): Promise<TestRepository> {
    const project = await shareProject(rig, name, { 'data/a': '1', 'data/b': '1' }, 'data');
    const { root, git } = project;
    const [file = ''] = readdirSync(join(root, '.git/mlv/checkout'));
    const read = (): { base: unknown } =>
      JSON.parse(readFileSync(join(root, '.git/mlv/checkout', file), 'utf8').split('\n')[0] ?? '') as never;
    const before = read();
    writeFileSync(join(root, 'data/a'), '2');
    await told(rig, root, ['add', 'data']);
    const next = { content: read().base, selected: 'all' };
    writeFileSync(join(root, '.git/mlv/checkout', file), JSON.stringify({ ...before, next }));
    git('reset', '--quiet');
    return project;
  }

  test('is finished by the next one, which stages it', async () => {
    const { root, git } = await interrupted('add-again');
    expect(git('status', '--porcelain')).toBe(' M data.mlv');
    await told(rig, root, ['add', 'data']);
    expect(git('status', '--porcelain')).toBe('M  data.mlv');
    git('reset', '--quiet');
    await told(rig, root, ['add', 'data']);
    // Nobody was killed this time: somebody wants it unstaged.
    expect(git('status', '--porcelain')).toBe(' M data.mlv');
  });

  test('leaves nothing that looks like an edit, or like another version', async () => {
    const { root } = await interrupted('add-status');
    expect(await told(rig, root, ['status'])).toMatch(/^1 path unchanged/);
    writeFileSync(join(root, 'data/b'), '2');
    await told(rig, root, ['commit']);
    expect(await told(rig, root, ['status'])).toMatch(/^1 path unchanged/);
    await told(rig, root, ['checkout']);
    expect(readFolder(join(root, 'data'))).toEqual({ a: 'file 2', b: 'file 2' });
  });
});
