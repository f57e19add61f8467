import { mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { asRead, manyFiles, readFolder, writeFiles } from '../support/folders.ts';
import type { MlvRig } from '../support/mlv.ts';
import { makeMlvRig } from '../support/mlv.ts';
import type { SharedProject } from '../support/shared-project.ts';
import { shareProject } from '../support/shared-project.ts';
import { data, refusal, told } from '../support/told.ts';

let rig: MlvRig;
let project: SharedProject;
/** Of several pages: 2,000 files, 120 of them in `sub`. */
const files = { ...manyFiles(1_880, 'data/'), ...manyFiles(120, 'data/sub/') };

beforeAll(async () => {
  rig = makeMlvRig();
  project = await shareProject(rig, 'project', { ...files, model: 'm' }, 'data', 'model');
  await told(rig, project.root, ['push']);
});
afterAll(() => rig.dispose());

interface Status {
  readonly items: readonly Record<'path' | 'state' | 'added' | 'changed' | 'removed' | 'notCheckedOut', unknown>[];
}

/** What `status` says of the dataset. */
async function statusOf(root: string): Promise<unknown> {
  const { items } = await data<Status>(rig, root, ['status', 'data']);
  const { state, added, changed, removed, notCheckedOut } = items[0] ?? {};
  return { state, added, changed, removed, notCheckedOut };
}

/** A clone that has its commits from and sends them to the project's repository. */
function cloneOf(name: string) {
  const clone = project.clone(name);
  return {
    ...clone,
    /** Commits, pushes data and commit to a branch, and brings it into a second clone, whole. Returns the dataset there. */
    async passOn(): Promise<Record<string, string>> {
      clone.git('commit', '--quiet', '--all', '-m', name);
      await told(rig, clone.root, ['push']);
      clone.git('push', '--quiet', 'origin', `HEAD:refs/heads/${name}`);
      const other = project.clone(`${name}-elsewhere`);
      other.git('checkout', '--quiet', `origin/${name}`);
      await told(rig, other.root, ['pull']);
      return below(other.root);
    },
  };
}

function below(root: string): Record<string, string> {
  const found = Object.entries(readFolder(join(root, 'data')) ?? {});
  return Object.fromEntries(found.map(([path, text]) => [`data/${path}`, text]));
}

/** Some of the files, as they read. */
function selected(accept: (path: string) => boolean): Record<string, string> {
  return asRead(Object.fromEntries(Object.entries(files).filter(([path]) => accept(path))));
}

const inSub = (path: string): boolean => path.startsWith('data/sub/');

test('a part is brought, changed and sent; nobody loses the rest', async () => {
  const { root, passOn } = cloneOf('trip');
  const { fetch, checkout } = await data<{ fetch: { remotes: { blobs: number }[] }; checkout: { items: unknown[] } }>(
    rig,
    root,
    ['pull', 'data/sub'],
  );
  expect(fetch.remotes.map(({ blobs }) => blobs)).toEqual([120]);
  expect(checkout.items).toEqual([{ path: 'data', written: 120, removed: 0, kept: 0, bytes: expect.any(Number) }]);
  expect(below(root)).toEqual(selected(inSub));
  expect(await told(rig, root, ['status', 'data'])).toBe(
    'data  1,880 of 2,000 files not checked out\n\n  mlv pull PATH  brings the rest of what is partly checked out\n',
  );

  writeFiles(root, { 'data/zz/new': 'new', 'data/sub/also new': 'also' });
  expect(await statusOf(root)).toEqual({ state: 'modified', added: 2, changed: 0, removed: 0, notCheckedOut: 1_880 });
  expect(await told(rig, root, ['add', 'data'])).toContain('updated  data  2,002 files');
  expect(await statusOf(root)).toEqual({ state: 'unchanged', added: 0, changed: 0, removed: 0, notCheckedOut: 1_880 });
  const all = { ...asRead(files), 'data/zz/new': 'file new', 'data/sub/also new': 'file also' };
  expect(await passOn()).toEqual(all);

  // Asked for nothing in particular, it keeps to what was chosen; by name, it brings all.
  expect(await told(rig, root, ['pull', 'data/000'])).toContain('data  100 files written');
  await told(rig, root, ['pull']);
  expect(Object.keys(below(root))).toHaveLength(222);
  await told(rig, root, ['pull', 'data']);
  expect(below(root)).toEqual(all);
  expect(await told(rig, root, ['status'])).toBe(`2 paths unchanged (2,003 files, ${await size(root)})\n`);
});

async function size(root: string): Promise<string> {
  return /, (.+)\)/.exec(await told(rig, root, ['status']))?.[1] ?? '';
}

test('edits and deletions inside the part are recorded, what is outside stays', async () => {
  const { root, passOn } = cloneOf('edits');
  await told(rig, root, ['pull', 'data/sub', 'data/001']);
  writeFiles(root, { 'data/sub/000/00001.txt': 'edited' });
  rmSync(join(root, 'data/sub/000/00002.txt'));
  rmSync(join(root, 'data/001'), { recursive: true });
  expect(await statusOf(root)).toEqual({ state: 'modified', added: 0, changed: 1, removed: 101, notCheckedOut: 1_780 });
  expect(await told(rig, root, ['commit', 'data'])).toContain('updated  data  1,899 files');
  expect(await passOn()).toEqual({
    ...selected((path) => path !== 'data/sub/000/00002.txt' && !path.startsWith('data/001/')),
    'data/sub/000/00001.txt': 'file edited',
  });
});

test('the whole folder deleted, with only a part checked out, deletes that part alone', async () => {
  const { root } = cloneOf('deleted');
  await told(rig, root, ['pull', 'data/sub']);
  rmSync(join(root, 'data/sub'), { recursive: true });
  expect(await told(rig, root, ['add', 'data'])).toContain('updated  data  1,880 files');
});

test('a new version leaves the part as large as it was, and brings what is in it', async () => {
  const { root, git } = cloneOf('newer');
  await told(rig, root, ['pull', 'data/sub']);
  const writer = cloneOf('newer-writer');
  await told(rig, writer.root, ['pull', 'data/sub', 'data/000']);
  writeFiles(writer.root, {
    'data/sub/000/00001.txt': 'newer',
    'data/sub/fresh': 'fresh',
    'data/000/00000.txt': 'outside',
  });
  rmSync(join(writer.root, 'data/sub/000/00002.txt'));
  await told(rig, writer.root, ['commit']);
  await writer.passOn();
  git('fetch', '--quiet');
  git('merge', '--quiet', 'origin/newer-writer');
  writeFiles(root, { 'data/sub/000/00003.txt': 'mine' });
  expect(await told(rig, root, ['pull', 'data/sub'])).toContain('1 edit kept');
  expect(below(root)).toEqual({
    ...selected((path) => inSub(path) && path !== 'data/sub/000/00002.txt'),
    'data/sub/000/00001.txt': 'file newer',
    'data/sub/000/00003.txt': 'file mine',
    'data/sub/fresh': 'file fresh',
  });
});

test('of a dataset that was never fetched, adding and removing one file reads its root and one page', async () => {
  const { root, git } = cloneOf('edit-blind');
  writeFiles(root, { 'data/000/00000-new': 'new' });
  expect(await told(rig, root, ['add', 'data/000/00000-new'])).toContain('updated  data  2,001 files');
  await told(rig, root, ['remove', 'data/000/00001.txt']);
  expect(below(root)).toEqual({ 'data/000/00000-new': 'file new' });
  expect(await statusOf(root)).toEqual({ state: 'unchanged', added: 0, changed: 0, removed: 0, notCheckedOut: 1_999 });
  // Three versions of root and page, one new blob, and none of the other files.
  const cached = readFolder(join(root, '.git/mlv/cache/b3')) ?? {};
  const texts = Object.values(cached).map((text) => text.slice('file '.length));
  expect(texts.filter((text) => text === 'new')).toHaveLength(1);
  expect(texts.filter((text) => text.startsWith('mlv-tree'))).toHaveLength(3);
  expect(texts).toHaveLength(7);
  // It has other pages, too.
  expect(texts.find((text) => text.startsWith('mlv-tree'))?.split('\n').length).toBeGreaterThan(3);
  git('commit', '--quiet', '--all', '-m', 'blind');
  await told(rig, root, ['push']);
  await told(rig, root, ['pull', 'data']);
  expect(below(root)).toEqual({
    ...selected((path) => path !== 'data/000/00001.txt'),
    'data/000/00000-new': 'file new',
  });
});

test('where the remote is away, what needs its pages says so and changes nothing', async () => {
  const { root, git } = cloneOf('away');
  writeFiles(root, { 'data/new': 'new' });
  const pointer = readFileSync(join(root, 'data.mlv'), 'utf8');
  renameSync(project.remote, `${project.remote}-away`);
  try {
    expect(await refusal(rig, root, ['add', 'data/new'])).toContain(project.remote);
    expect(await refusal(rig, root, ['remove', 'data/sub'])).toContain(project.remote);
  } finally {
    renameSync(`${project.remote}-away`, project.remote);
  }
  expect(readFileSync(join(root, 'data.mlv'), 'utf8')).toBe(pointer);
  expect(git('status', '--porcelain')).toBe('');
});

test('a path that the dataset does not have is told, and not chosen', async () => {
  const { root } = cloneOf('misspelt');
  const told = 'error: data holds no sub/00/00001.txt\nhint: Check the spelling; nothing was changed.\n';
  expect(await refusal(rig, root, ['pull', 'data/sub/00/00001.txt'])).toBe(told);
  expect(await refusal(rig, root, ['fetch', 'data/sub/00/00001.txt'])).toBe(told);
  expect(await refusal(rig, root, ['checkout', 'data/sub/00/00001.txt'])).toBe(told);
  expect(await statusOf(root)).toMatchObject({ state: 'not-checked-out', notCheckedOut: 2_000 });
});

test('an empty folder where files are not checked out is no change', async () => {
  const { root } = cloneOf('empty-folder');
  await told(rig, root, ['pull', 'data/sub']);
  mkdirSync(join(root, 'data/000'));
  mkdirSync(join(root, 'data/none'));
  expect(await statusOf(root)).toEqual({ state: 'modified', added: 1, changed: 0, removed: 0, notCheckedOut: 1_880 });
  await told(rig, root, ['commit']);
  await told(rig, root, ['pull', 'data']);
  expect(below(root)).toEqual({ ...asRead(files), 'data/none': 'empty' });
});
