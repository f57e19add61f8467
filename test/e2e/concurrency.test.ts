import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { asRead, manyFiles, readFolder, writeFiles } from '../support/folders.ts';
import type { MlvRig } from '../support/mlv.ts';
import { makeMlvRig } from '../support/mlv.ts';
import { shareProject } from '../support/shared-project.ts';
import { told } from '../support/told.ts';

let rig: MlvRig;
beforeAll(() => {
  rig = makeMlvRig();
});
afterAll(() => rig.dispose());

test('adding different paths at once records them all', async () => {
  const { root, git } = await rig.project('adds');
  const names = ['a', 'b', 'c', 'd'];
  for (const name of names) writeFiles(root, manyFiles(300, `in/${name}/`));
  await Promise.all(names.map((name) => told(rig, root, ['add', `in/${name}`])));
  expect(await told(rig, root, ['status'])).toMatch(/^4 paths unchanged \(1,200 files, .*\)\n$/);
  expect(readFileSync(join(root, 'in/.gitignore'), 'utf8').split('\n').sort()).toEqual(['', '/a', '/b', '/c', '/d']);
  git('commit', '--quiet', '-m', 'all');
  expect(git('status', '--porcelain')).toBe('');
  expect(git('ls-files', 'in').split('\n')).toEqual(['in/.gitignore', ...names.map((name) => `in/${name}.mlv`)]);
});

test('two people push to a new remote at once, with much in common', async () => {
  const common = manyFiles(1_500, 'data/');
  const project = await shareProject(rig, 'pushes', common, 'data');
  const people = ['ada', 'ben'].map((name) => ({ name, clone: project.clone(`pushes-${name}`) }));
  for (const { name, clone } of people) {
    writeFiles(clone.root, { ...common, [`data/${name}`]: name });
    await told(rig, clone.root, ['add', '--accept-deletions', 'data']);
    clone.git('commit', '--quiet', '--all', '-m', name);
    clone.git('push', '--quiet', 'origin', `HEAD:refs/heads/${name}`);
  }
  await told(rig, project.root, ['push']);
  await Promise.all(people.map(({ clone }) => told(rig, clone.root, ['push'])));
  for (const { name, clone } of people) {
    expect(await told(rig, clone.root, ['push'])).toContain('up to date');
    const reader = project.clone(`pushes-${name}-reader`);
    reader.git('checkout', '--quiet', `origin/${name}`);
    await told(rig, reader.root, ['pull']);
    expect(readFolder(join(reader.root, 'data'))).toEqual(readFolder(join(clone.root, 'data')));
  }
});

test('a pull during a push has the version it asked for', async () => {
  const project = await shareProject(rig, 'mixed', manyFiles(500, 'data/'), 'data');
  await told(rig, project.root, ['push']);
  const readers = ['one', 'two'].map((name) => project.clone(`mixed-${name}`));
  await project.version(manyFiles(3_000, 'data/more/'), 'data');
  const pushing = told(rig, project.root, ['push']);
  await Promise.all(readers.map(({ root }) => told(rig, root, ['pull'])));
  expect(await pushing).toContain('sent 3,000 blobs');
  for (const { root, git } of readers) {
    expect(readFolder(root, ['.git', '.mlv', '.gitignore', 'data.mlv'])).toEqual(asRead(manyFiles(500, 'data/')));
    git('pull', '--quiet');
    await told(rig, root, ['pull']);
    expect(readFolder(join(root, 'data'))).toEqual(readFolder(join(project.root, 'data')));
  }
});

test('linked worktrees pull into the cache they share at once', async () => {
  const project = await shareProject(rig, 'shared', manyFiles(1_500, 'data/'), 'data');
  await told(rig, project.root, ['push']);
  const clone = project.clone('shared-clone');
  const linked = join(rig.folder, 'shared-linked');
  clone.git('worktree', 'add', '--quiet', '-b', 'linked', linked);
  await Promise.all([clone.root, linked].map((root) => told(rig, root, ['pull'])));
  for (const root of [clone.root, linked]) {
    expect(readFolder(join(root, 'data'))).toEqual(readFolder(join(project.root, 'data')));
    expect(await told(rig, root, ['status'])).toMatch(/^1 path unchanged/);
  }
});
