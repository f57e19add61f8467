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
