import { appendFileSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Files } from '../support/folders.ts';
import { asRead, emptyFolder, manyFiles, readFolder, writeFiles } from '../support/folders.ts';
import type { TestRepository } from '../support/git.ts';
import type { MlvRig } from '../support/mlv.ts';
import { makeMlvRig } from '../support/mlv.ts';
import type { SharedProject } from '../support/shared-project.ts';
import { shareProject } from '../support/shared-project.ts';
import { data, refusal, told } from '../support/told.ts';

let rig: MlvRig;
beforeAll(() => {
  rig = makeMlvRig();
});
afterAll(() => rig.dispose());

const FILES: Files = { a: '1', b: '2', 'in/c': '3', 'in/d': '4', 'in/deep/e': '5', 'other/f': '6', none: emptyFolder };

/** A project whose `data` holds these files, all of it pushed. */
async function pushed(name: string, files: Files = FILES): Promise<SharedProject> {
  const under = Object.fromEntries(Object.entries(files).map(([path, content]) => [`data/${path}`, content]));
  const project = await shareProject(rig, name, under, 'data');
  await told(rig, project.root, ['push']);
  return project;
}

/** What a new clone of a repository gets. */
async function everything(
  origin: SharedProject,
  from: TestRepository,
  name: string,
): Promise<Record<string, string> | undefined> {
  from.git('push', '--quiet', 'origin', 'HEAD:refs/heads/for-others');
  const clone = origin.clone(name);
  clone.git('checkout', '--quiet', 'for-others');
  await told(rig, clone.root, ['pull']);
  return readFolder(join(clone.root, 'data'));
}

function hereOf({ root }: TestRepository): Record<string, string> | undefined {
  return readFolder(join(root, 'data'));
}

describe('nothing is lost by whoever has a part of a dataset', () => {
  test('a part is pulled, a file added inside and one outside it, an edit and a deletion made', async () => {
    const origin = await pushed('part');
    const clone = origin.clone('part-clone');
    await told(rig, clone.root, ['pull', 'data/in']);
    expect(hereOf(clone)).toEqual(asRead({ 'in/c': '3', 'in/d': '4', 'in/deep/e': '5' }));
    writeFiles(clone.root, { 'data/in/new': 'n', 'data/elsewhere/x': 'x', 'data/in/c': '33' });
    rmSync(join(clone.root, 'data/in/d'));
    expect(await told(rig, clone.root, ['add', 'data'])).toContain(
      'updated  data  7 files, 8 B; 2 added, 1 changed, 1 removed\n',
    );
    expect(await told(rig, clone.root, ['status'])).toContain('data  3 of 7 files not checked out\n');
    clone.git('commit', '--quiet', '-m', 'part');
    await told(rig, clone.root, ['push']);
    const expected: Record<string, unknown> = asRead({ ...FILES, 'in/new': 'n', 'elsewhere/x': 'x', 'in/c': '33' });
    delete expected['in/d'];
    expect(await everything(origin, clone, 'part-other')).toEqual(expected);
    // Later the rest comes, and the pull in between stays with what was asked for.
    await told(rig, clone.root, ['pull']);
    expect(Object.keys(hereOf(clone) ?? {})).toEqual(['elsewhere/x', 'in/c', 'in/deep/e', 'in/new']);
    await told(rig, clone.root, ['pull', 'data']);
    expect(hereOf(clone)).toEqual(expected);
    expect(await told(rig, clone.root, ['status'])).toContain('1 path unchanged (7 files');
  });

  test('a folder is added to of which nothing was pulled; the rest of that folder is not taken for deleted', async () => {
    const origin = await pushed('folder');
    const clone = origin.clone('folder-clone');
    writeFiles(clone.root, { 'data/in/new': 'n', 'data/fresh/a': 'f' });
    expect(await told(rig, clone.root, ['add', 'data/in', 'data/fresh'])).toContain('2 added\n');
    expect(await told(rig, clone.root, ['status'])).toContain('data  6 of 8 files not checked out\n');
    expect(await told(rig, clone.root, ['commit'])).toBe('No tracked data was edited\n');
    rmSync(join(clone.root, 'data/fresh'), { recursive: true });
    expect(await told(rig, clone.root, ['status'])).toContain(
      'data  modified: 1 removed, 6 of 8 files not checked out\n    removed  data/fresh/a\n',
    );
    await told(rig, clone.root, ['commit']);
    clone.git('commit', '--quiet', '-m', 'folder');
    await told(rig, clone.root, ['push']);
    expect(await everything(origin, clone, 'folder-other')).toEqual(asRead({ ...FILES, 'in/new': 'n' }));
  });

  test('what others change in files that one has added comes with the next pull', async () => {
    const origin = await pushed('others');
    const clone = origin.clone('others-clone');
    writeFiles(clone.root, { 'data/mine': 'v1' });
    await told(rig, clone.root, ['add', 'data']);
    clone.git('commit', '--quiet', '-m', 'mine');
    await told(rig, clone.root, ['push']);
    origin.git('pull', '--quiet', clone.root, 'main');
    await told(rig, origin.root, ['pull']);
    await origin.version({ 'data/mine': 'v2', 'data/a': '11' }, 'data');
    await told(rig, origin.root, ['push']);
    clone.git('pull', '--quiet');
    await told(rig, clone.root, ['pull']);
    expect(hereOf(clone)).toEqual({ mine: 'file v2' });
    expect(await told(rig, clone.root, ['status'])).toContain('data  6 of 7 files not checked out\n');
    expect(await told(rig, clone.root, ['commit'])).toBe('No tracked data was edited\n');
  });

  test('files are removed that were never here', async () => {
    const origin = await pushed('removed');
    const clone = origin.clone('removed-clone');
    await told(rig, clone.root, ['pull', 'data/other']);
    expect(await told(rig, clone.root, ['remove', 'data/in', 'data/a'])).toContain(
      'removed  data/a   none of its data was here\n',
    );
    clone.git('commit', '--quiet', '--all', '-m', 'removed');
    await told(rig, clone.root, ['push']);
    expect(await told(rig, clone.root, ['status'])).toContain('data  1 of 2 files not checked out\n');
    expect(await everything(origin, clone, 'removed-other')).toEqual(
      asRead({ b: '2', 'other/f': '6', none: emptyFolder }),
    );
  });

  test('a single file is added, another one’s comment kept, by a clone that has nothing', async () => {
    const origin = await pushed('nothing');
    appendFileSync(join(origin.root, 'data.mlv'), '# a comment\n');
    await origin.version({});
    const clone = origin.clone('nothing-clone');
    writeFiles(clone.root, { 'data/in/deep/new': 'n', 'data/b': 'edited' });
    expect(await told(rig, join(clone.root, 'data/in'), ['add', 'deep/new', '../b'])).toContain(
      'updated  data  7 files, 12 B; 1 added, 1 changed\n',
    );
    expect(readFileSync(join(clone.root, 'data.mlv'), 'utf8')).toMatch(/\n# a comment\n$/);
    clone.git('commit', '--quiet', '-m', 'added');
    await told(rig, clone.root, ['push']);
    expect(await everything(origin, clone, 'nothing-other')).toEqual(
      asRead({ ...FILES, 'in/deep/new': 'n', b: 'edited' }),
    );
  });

  test('versions are changed with a part checked out: edits stay, stale files go, the rest stays away', async () => {
    const origin = await pushed('versions');
    await origin.version({ 'data/in/c': 'c2', 'data/in/g': 'g', 'data/b': 'b2' }, 'data');
    rmSync(join(origin.root, 'data/in/deep'), { recursive: true });
    await origin.version({}, 'data');
    await told(rig, origin.root, ['push']);
    const clone = origin.clone('versions-clone');
    clone.git('checkout', '--quiet', 'HEAD~2');
    await told(rig, clone.root, ['pull', 'data/in']);
    writeFiles(clone.root, { 'data/in/d': 'mine' });
    clone.git('checkout', '--quiet', 'main');
    await told(rig, clone.root, ['pull']);
    expect(hereOf(clone)).toEqual(asRead({ 'in/c': 'c2', 'in/d': 'mine', 'in/g': 'g' }));
    expect(await told(rig, clone.root, ['status'])).toContain(
      'data  modified: 1 changed, 3 of 6 files not checked out\n',
    );
  });
});

describe('what an edit of a dataset of which nothing is here reads and writes', () => {
  test('of its list of files: the top and one page; of its data: nothing', async () => {
    const origin = await pushed('pages', manyFiles(5_000));
    const pages = trees(origin);
    const clone = origin.clone('pages-clone');
    writeFiles(clone.root, { 'data/020/02000-new.txt': 'new' });
    await told(rig, clone.root, ['add', 'data/020/02000-new.txt']);
    // Two were fetched, and two are new: the page with the file, and the top.
    const { tree, blobs } = cached(clone);
    expect(pages).toBeGreaterThan(3);
    expect({ tree, blobs }).toEqual({ tree: 4, blobs: 1 });
    await told(rig, clone.root, ['remove', 'data/040/04001.txt']);
    expect(cached(clone)).toEqual({ tree: 7, blobs: 1 });
    clone.git('commit', '--quiet', '-m', 'edit');
    const { remotes } = await data<{ remotes: { blobs: number; bytes: number }[] }>(rig, clone.root, ['push']);
    expect(remotes[0]?.blobs).toBe(1);
    expect(await told(rig, clone.root, ['status'])).toContain('4,999 of 5,000 files not checked out');
    const other = rig.folder + '/pages-other';
    clone.git('clone', '--quiet', clone.root, other);
    await told(rig, other, ['pull', 'data/020', 'data/040']);
    const expected: Record<string, string> = asRead({ ...manyFiles(5_000), '020/02000-new.txt': 'new' });
    for (const path of Object.keys(expected))
      if (!/^0[24]0/.test(path) || path === '040/04001.txt') delete expected[path];
    expect(readFolder(join(other, 'data'))).toEqual(expected);
  });

  test('without the remote it says so, and changes nothing', async () => {
    const origin = await pushed('unreachable');
    const clone = origin.clone('unreachable-clone');
    rmSync(origin.remote, { recursive: true });
    writeFiles(clone.root, { 'data/new': 'n' });
    for (const command of ['add data/new', 'add data', 'remove data/a']) {
      expect(await refusal(rig, clone.root, command.split(' '))).not.toContain('bug');
    }
    expect(clone.git('status', '--porcelain')).toBe('');
  });

  /** Tree objects of the dataset: the top names the others, one a line. */
  function trees({ root }: TestRepository): number {
    const hash = /hash: b3:(\w+)/.exec(readFileSync(join(root, 'data.mlv'), 'utf8'))?.[1] ?? '';
    const top = readFileSync(join(root, '.git/mlv/cache/b3', hash.slice(0, 2), hash.slice(2)), 'latin1');
    return top.split('\n').length - 1;
  }

  /** Blobs in a cache in which all are loose. */
  function cached({ root }: TestRepository): { tree: number; blobs: number } {
    const counts = { tree: 0, blobs: 0 };
    for (const entry of readdirSync(join(root, '.git/mlv/cache/b3'), { recursive: true, withFileTypes: true })) {
      if (!entry.isFile()) continue;
      const path = join(entry.parentPath, entry.name);
      counts[statSync(path).size < 100 ? 'blobs' : 'tree'] += 1;
    }
    return counts;
  }
});
