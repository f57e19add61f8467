/** A project that knows two versions of a folder. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import type { Files } from './folders.ts';
import { asRead, readFolder, writeFiles } from './folders.ts';
import type { TestRepository } from './git.ts';
import type { MlvRig } from './mlv.ts';
import { told } from './told.ts';

/** A project with two versions of `data`, tagged `v1` and `v2`, the first of them checked out. */
export async function makeTwoVersions(rig: MlvRig, name: string, v1: Files, v2: Files): Promise<TestRepository> {
  const repository = await rig.project(name);
  const { root, git } = repository;
  for (const [tag, files] of [
    ['v1', v1],
    ['v2', v2],
  ] as const) {
    rmSync(join(root, 'data'), { recursive: true, force: true });
    writeFiles(root, under('data', files));
    await told(rig, root, ['add', 'data']);
    git('commit', '--quiet', '-m', tag);
    git('tag', tag);
  }
  git('checkout', '--quiet', 'v1');
  await told(rig, root, ['checkout']);
  expect(readFolder(join(root, 'data'))).toEqual(asRead(v1));
  return repository;
}

export function under(folder: string, files: Files): Files {
  return Object.fromEntries(
    Object.entries(files).map(([path, content]) => [path === '' ? folder : `${folder}/${path}`, content]),
  );
}
