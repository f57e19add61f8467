import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { manyFiles } from '../support/folders.ts';
import type { MlvRig } from '../support/mlv.ts';
import { makeMlvRig } from '../support/mlv.ts';
import { shareProject } from '../support/shared-project.ts';
import { data, told } from '../support/told.ts';

let rig: MlvRig;
beforeAll(() => {
  rig = makeMlvRig();
});
afterAll(() => rig.dispose());

interface Measured {
  readonly items: readonly {
    path: string;
    revision?: string;
    bytes: number;
    unique?: number;
    here?: number;
    isPushed?: boolean;
  }[];
  readonly distinct: number;
  readonly cache: number;
  readonly trash: number;
}

const size = (files: Readonly<Record<string, string>>): number =>
  Object.values(files).reduce((sum, content) => sum + content.length, 0);

test('tells what each version takes, and what of it no other has', async () => {
  const files = manyFiles(3000, 'data/');
  const project = await shareProject(
    rig,
    'versions',
    { ...files, model: 'x'.repeat(1000), copy: 'x'.repeat(1000) },
    'data',
    'model',
    'copy',
  );
  const { root, version } = project;
  const all = size(files);
  expect(await data<Measured>(rig, root, ['du'])).toMatchObject({
    items: [
      { path: 'copy', bytes: 1000, unique: 0, here: 1000 },
      { path: 'data', bytes: all, unique: all, here: all },
      { path: 'model', bytes: 1000, unique: 0, here: 1000 },
    ],
    distinct: all + 1000,
    trash: 0,
  });

  // One file more, in the middle: the versions share all but one page, and of that all but this file.
  await version({ 'data/001/new': 'n'.repeat(500), model: 'y'.repeat(2000) }, 'data', 'model');
  const { items, distinct } = await data<Measured>(rig, root, ['du', '--all-commits']);
  expect(items.map(({ path, bytes, unique }) => [path, bytes, unique])).toEqual([
    ['copy', 1000, 0],
    ['data', all + 500, 500],
    ['data', all, 0],
    ['model', 2000, 2000],
    ['model', 1000, 0],
  ]);
  expect(distinct).toBe(all + 500 + 1000 + 2000);
  expect(await told(rig, root, ['du', 'model', '--all-commits'])).toMatch(
    /^model {2}[0-9a-f]{10} {2}2\.0 kB {2}1 file {2}2\.0 kB of its own\nmodel {2}[0-9a-f]{10} {2}1\.0 kB {2}1 file {2}1\.0 kB of its own\n\n3\.0 kB together\n[\d.]+ kB in the cache\n$/,
  );
});

test('tells what is here, and what is pushed', async () => {
  const files = manyFiles(100, 'data/');
  const project = await shareProject(rig, 'pushed', { ...files, model: 'm' }, 'data', 'model');
  await told(rig, project.root, ['push', 'data']);
  expect(await data<Measured>(rig, project.root, ['du', '--remote'])).toMatchObject({
    items: [
      { path: 'data', isPushed: true },
      { path: 'model', isPushed: false },
    ],
  });
  await told(rig, project.root, ['push']);
  const { root } = project.clone('pushed-clone');
  expect(await data<Measured>(rig, root, ['du'])).toMatchObject({
    items: [
      { path: 'data', bytes: size(files) },
      { path: 'model', here: 0 },
    ],
    cache: 0,
  });
  expect((await data<Measured>(rig, root, ['du'])).items[0]?.unique).toBeUndefined();
  const [first = ''] = Object.keys(files);
  await told(rig, root, ['pull', first]);
  expect(await data<Measured>(rig, root, ['du', 'data'])).toMatchObject({
    items: [{ unique: size(files), here: files[first]?.length }],
  });
  expect(await told(rig, root, ['du', 'data'])).toMatch(/of its own, \d+ B here\n/);
  rmSync(join(root, 'data'), { recursive: true });
  rmSync(join(root, 'data.mlv'));
  rmSync(join(root, 'model.mlv'));
  expect(await told(rig, root, ['du'])).toBe('Nothing is tracked here\n');
});
