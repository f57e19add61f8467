import { randomBytes } from 'node:crypto';
import {
  cpSync,
  existsSync,
  lutimesSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { manyFiles, readFolder, writeFiles } from '../support/folders.ts';
import { repositoryAt } from '../support/git.ts';
import type { MlvRig } from '../support/mlv.ts';
import { makeMlvRig } from '../support/mlv.ts';
import { shareProject } from '../support/shared-project.ts';
import { data, refusal, told } from '../support/told.ts';

let rig: MlvRig;
beforeAll(() => {
  rig = makeMlvRig();
});
afterAll(() => rig.dispose(), 120_000);

const FACE = 'a face that nobody may see any more';
const TODAY = new Date().toISOString().slice(0, 10);
const REASON = ['--reason', 'consent withdrawn'];
const toldOf = (path: string): string => `${path} was purged on ${TODAY} (consent withdrawn): .mlv/purged\n`;

/** The files below folders that have these bytes. */
function filesWith(bytes: string | Buffer, ...folders: string[]): string[] {
  return folders.flatMap((folder) =>
    readdirSync(folder, { recursive: true })
      .map((name) => join(folder, String(name)))
      .filter((path) => statSync(path, { throwIfNoEntry: false })?.isFile() && readFileSync(path).includes(bytes)),
  );
}

/** All files of a folder but some. */
function without(folder: string, ...paths: string[]): Record<string, string> {
  const all = readFolder(folder, ['.git']) ?? {};
  return Object.fromEntries(Object.entries(all).filter(([path]) => !paths.includes(path)));
}

/** A project with a folder of small files, one of which is to go, in two versions; both pushed. */
async function faces(name: string, count = 100) {
  const project = await shareProject(
    rig,
    name,
    { ...manyFiles(count, 'data/'), 'data/face.jpg': FACE, 'data/copies/same.jpg': FACE },
    'data',
  );
  const first = project.git('rev-parse', 'HEAD');
  await project.version({ 'data/more.txt': 'more' }, 'data');
  await told(rig, project.root, ['push']);
  return { ...project, first, purge: () => told(rig, project.root, ['purge', '--yes', ...REASON, 'data/face.jpg']) };
}

describe('purge', () => {
  test('takes a file out of workspace, cache and remote in all versions, and leaves all else', async () => {
    const { root, git, remote, purge, first } = await faces('packed');
    const before = readFolder(root, ['.git']);
    expect(filesWith(FACE, join(root, '.git/mlv'), remote)).toHaveLength(2);
    expect(await refusal(rig, root, ['purge', 'data/face.jpg'])).toContain('nothing was purged: nobody is there');
    const shown = await told(rig, root, ['purge', '--dry-run', 'data/face.jpg']);
    expect(shown).toContain('    data/copies/same.jpg\n    data/face.jpg\n');
    expect(shown).toMatch(/^cache +1 blob \(35 B\) in 1 file {2}/m);
    expect(shown).toMatch(/^store +1 blob \(35 B\) in 1 file {2}/m);
    expect(readFolder(root, ['.git'])).toEqual(before);

    const others = without(root, '.mlv/purged', 'data.mlv', 'data/face.jpg', 'data/copies/same.jpg');
    await purge();
    expect(filesWith(FACE, root, remote)).toEqual([]);
    expect(readFileSync(join(root, '.mlv/purged'), 'utf8')).toMatch(
      new RegExp(`^mlv-purged 1\n[0-9a-f]{64} ${TODAY} consent withdrawn\n$`),
    );
    expect(git('status', '--short')).toBe('A  .mlv/purged\nM  data.mlv');
    expect(without(root, '.mlv/purged', 'data.mlv')).toEqual(others);
    expect(await told(rig, root, ['verify'])).toMatch(/^cache .* sound: /);
    expect(await told(rig, root, ['status'])).toMatch(/^1 path unchanged /);
    git('commit', '--quiet', '-m', 'purged');
    await told(rig, root, ['push']);
    expect(await told(rig, root, ['verify', '--remote', '--all-commits'])).toMatch(/ sound: /);
    expect(await told(rig, root, ['verify', '--quick', '--all-commits'])).toMatch(/ complete: /);
    expect(await told(rig, root, ['status', '--remote'])).toMatch(/^1 path unchanged /);
    await told(rig, root, ['du', '--all-commits']);

    // Again: nothing is left to do.
    const places = (await data<{ places: { blobs: number }[] }>(rig, root, ['purge', '--yes'])).places;
    expect(places.map(({ blobs }) => blobs)).toEqual([0, 0, 0]);

    // An older version, which the record is not in, comes without it.
    git('checkout', '--quiet', first);
    expect(existsSync(join(root, '.mlv/purged'))).toBe(false);
    const told1 = await told(rig, root, ['checkout']);
    expect(told1).toContain(toldOf('data/copies/same.jpg') + toldOf('data/face.jpg'));
    expect(existsSync(join(root, 'data/face.jpg'))).toBe(false);
    expect(await told(rig, root, ['status'])).toMatch(/^1 path unchanged /);
    expect(await told(rig, root, ['commit'])).toBe('No tracked data was edited\n');
    expect(git('status', '--short')).toBe('');
    expect(await told(rig, root, ['verify'])).toMatch(/^cache .* sound: /);
    git('checkout', '--quiet', 'main');
    await told(rig, root, ['checkout']);
    expect(without(root, '.mlv/purged', 'data.mlv')).toEqual(others);
    expect(await told(rig, root, ['verify', '--repair', '--all-commits'])).toMatch(/^cache .* sound: /);
    expect(await told(rig, root, ['verify', '--remote', '--repair'])).toMatch(/ sound: /);
    expect(filesWith(FACE, root, remote)).toEqual([]);
  });

  test('a new clone, even at a commit from before, gets all else and is told', async () => {
    const { root, git, purge, first, clone } = await faces('new-clone');
    await purge();
    git('commit', '--quiet', '-m', 'purged');
    await told(rig, root, ['push']);
    const other = clone('new-clone-b');
    other.git('checkout', '--quiet', first);
    expect(await told(rig, other.root, ['pull'])).toContain(toldOf('data/face.jpg'));
    expect(Object.keys(readFolder(join(other.root, 'data')) ?? {})).toHaveLength(100);
    expect(await told(rig, other.root, ['status'])).not.toContain('modified');
    writeFileSync(join(other.root, 'data/mine.txt'), 'mine');
    expect(await told(rig, other.root, ['status'])).toMatch(/added +data\/mine\.txt/);
    expect(await told(rig, other.root, ['status'])).not.toMatch(/removed/);
    await told(rig, other.root, ['commit']);
    expect(await told(rig, other.root, ['push'])).toContain('sent');
    expect(await told(rig, other.root, ['fetch', '--all-commits'])).toMatch(/^store .*\n/);
  });

  test('another clone, which has it in its cache and workspace, gets rid of it as well', async () => {
    const { root, git, purge, clone, remote } = await faces('two-clones');
    const other = clone('two-clones-b');
    await told(rig, other.root, ['pull']);
    await purge();
    git('commit', '--quiet', '-m', 'purged');
    await told(rig, root, ['push']);
    other.git('pull', '--quiet');
    // What is recorded is not sent by who has it.
    other.git('checkout', '--quiet', '-b', 'older', 'HEAD~1');
    await told(rig, other.root, ['push']);
    expect(filesWith(FACE, remote)).toEqual([]);
    other.git('checkout', '--quiet', 'main');
    expect(filesWith(FACE, other.root).length).toBeGreaterThan(2);
    await told(rig, other.root, ['purge', '--yes']);
    expect(filesWith(FACE, other.root)).toEqual([]);
    await told(rig, other.root, ['pull']);
    expect(without(other.root)).toEqual(without(root));
    expect(await told(rig, other.root, ['status'])).toMatch(/^1 path unchanged /);
    expect(await told(rig, other.root, ['verify'])).toMatch(/^cache .* sound: /);
  });

  test('a checkout alone takes it from the workspace, and puts it nowhere', async () => {
    const { root, git, purge, clone } = await faces('checkout-alone');
    const other = clone('checkout-alone-b');
    await told(rig, other.root, ['pull']);
    rmSync(join(other.root, '.git/mlv/cache'), { recursive: true });
    await purge();
    git('commit', '--quiet', '-m', 'purged');
    await told(rig, root, ['push']);
    other.git('pull', '--quiet');
    await told(rig, other.root, ['pull']);
    expect(filesWith(FACE, other.root)).toEqual([]);
    expect(without(other.root)).toEqual(without(root));
  });

  test('a tracked file, loose in the cache, and a large one', async () => {
    const large = randomBytes(9 << 20);
    const project = await shareProject(
      rig,
      'loose',
      { model: FACE, 'big/large.bin': large, 'big/other': 'other' },
      'model',
      'big',
    );
    const { root, git, remote, clone } = project;
    await told(rig, root, ['push']);
    const first = git('rev-parse', 'HEAD');
    const marker = large.subarray(1 << 20, (1 << 20) + 64);
    expect(filesWith(marker, join(root, '.git/mlv'), remote)).toHaveLength(2);
    await told(rig, root, ['purge', '--yes', ...REASON, 'model', 'big/large.bin']);
    expect([...filesWith(marker, root, remote), ...filesWith(FACE, root, remote)]).toEqual([]);
    expect(existsSync(join(root, 'model.mlv'))).toBe(false);
    git('commit', '--quiet', '--all', '-m', 'purged');
    await told(rig, root, ['push']);
    const other = clone('loose-b');
    other.git('checkout', '--quiet', first);
    expect(await told(rig, other.root, ['pull'])).toContain(toldOf('big/large.bin') + toldOf('model'));
    expect(await told(rig, other.root, ['status'])).toMatch(/^model +purged/m);
    expect((await data<{ clean: boolean }>(rig, other.root, ['status'])).clean).toBe(true);
    expect(readFolder(join(other.root, 'big'))).toEqual({ other: 'file other' });
    expect(await told(rig, other.root, ['verify', '--remote'])).toMatch(/ sound: /);
    expect(await told(rig, other.root, ['verify', '--quick'])).toMatch(/ complete: /);
  });

  test('add and commit refuse it by name, and do not store it', async () => {
    const { root, git, purge } = await faces('refused');
    await purge();
    git('commit', '--quiet', '-m', 'purged');
    const line = new RegExp(`data/again\\.jpg was purged on ${TODAY} \\(consent withdrawn\\): \\.mlv/purged`);
    writeFileSync(join(root, 'data/again.jpg'), FACE);
    expect(await refusal(rig, root, ['add', 'data'])).toMatch(line);
    expect(await refusal(rig, root, ['add', 'data/again.jpg'])).toMatch(line);
    expect(await refusal(rig, root, ['commit'])).toMatch(line);
    await told(rig, root, ['status']);
    expect(await refusal(rig, root, ['commit'])).toMatch(line);
    writeFileSync(join(root, 'alone'), FACE);
    expect(await refusal(rig, root, ['add', 'alone'])).toContain('alone was purged on');
    expect(filesWith(FACE, join(root, '.git/mlv'))).toEqual([]);
    rmSync(join(root, 'data/again.jpg'));
    expect(await told(rig, root, ['status'])).toMatch(/^1 path unchanged /);
  });

  test('a hash is enough, and content in the trash and in half a download goes, too', async () => {
    const { root, git, remote } = await shareProject(
      rig,
      'trash',
      { ...manyFiles(80, 'data/'), 'data/f': FACE },
      'data',
    );
    await told(rig, root, ['push']);
    rmSync(join(root, 'data/f'));
    await told(rig, root, ['commit']);
    git('commit', '--quiet', '--all', '-m', 'gone');
    git('reflog', 'expire', '--expire=now', '--all');
    rmSync(join(root, 'data'), { recursive: true });
    await told(rig, root, ['remove', 'data']);
    git('commit', '--quiet', '--all', '-m', 'all gone');
    git('reflog', 'expire', '--expire=now', '--all');
    const cache = join(root, '.git/mlv/cache');
    const then = new Date(Date.now() - 20 * 24 * 3600 * 1000);
    for (const name of readdirSync(cache, { recursive: true })) lutimesSync(join(cache, String(name)), then, then);
    await told(rig, root, ['gc', '--yes']);
    expect(filesWith(FACE, cache).join()).toContain('/trash/');
    const { contents } = await data<{ contents: { digest: string }[] }>(rig, root, ['purge', '--dry-run', 'data/f']);
    const [{ digest } = { digest: '' }] = contents;
    writeFileSync(join(cache, 'tmp', `partial-${digest}`), FACE);
    await told(rig, root, ['purge', '--yes', `b3:${digest}`]);
    expect(filesWith(FACE, root, remote)).toEqual([]);
    // All else is still in the trash.
    git('checkout', '--quiet', 'HEAD~2');
    await told(rig, root, ['checkout']);
    expect(Object.keys(readFolder(join(root, 'data')) ?? {})).toHaveLength(80);
  });

  test('leaves edits alone, and files elsewhere in the workspace', async () => {
    const { root, purge } = await faces('edits');
    writeFileSync(join(root, 'data/face.jpg'), 'another face');
    writeFileSync(join(root, 'notes.txt'), FACE);
    writeFileSync(join(root, 'data/000/00001.txt'), 'edited');
    await purge();
    expect(readFileSync(join(root, 'data/face.jpg'), 'utf8')).toBe('another face');
    expect(readFileSync(join(root, 'notes.txt'), 'utf8')).toBe(FACE);
    expect(existsSync(join(root, 'data/copies'))).toBe(false);
    expect(await told(rig, root, ['status'])).toMatch(/modified: 1 added, 1 changed|modified: .*1 added/);
    await told(rig, root, ['commit']);
  });

  test('a remote that cannot be reached is named, all else is done, and the next run finishes it', async () => {
    const { root, remote, purge } = await faces('unreachable');
    renameSync(remote, `${remote}-away`);
    const { code, stdout } = await rig.mlv(root, ['purge', '--yes', ...REASON, 'data/face.jpg']);
    expect(code).toBe(1);
    expect(stdout).toMatch(/^failed: store: /m);
    expect(filesWith(FACE, root)).toEqual([]);
    renameSync(`${remote}-away`, remote);
    expect(filesWith(FACE, remote)).toHaveLength(1);
    await told(rig, root, ['purge', '--yes']);
    expect(filesWith(FACE, remote)).toEqual([]);
    await expect(purge()).resolves.toContain('purged');
  });

  test('what was killed between any two steps is finished', async () => {
    const { root, remote, purge } = await faces('killed');
    const kept = join(rig.folder, 'killed-before');
    cpSync(root, join(kept, 'root'), { recursive: true, preserveTimestamps: true });
    cpSync(remote, join(kept, 'remote'), { recursive: true, preserveTimestamps: true });
    await purge();
    const after = without(root);
    const record = readFileSync(join(root, '.mlv/purged'));
    const restore = (from: string, to: string): void => {
      rmSync(to, { recursive: true, force: true });
      cpSync(from, to, { recursive: true, preserveTimestamps: true });
    };
    const finish = async (): Promise<void> => {
      await told(rig, root, ['purge', '--yes']);
      expect(filesWith(FACE, root, remote)).toEqual([]);
      expect(without(root)).toEqual(after);
      expect(await told(rig, root, ['verify', '--all-commits'])).toMatch(/^cache .* sound: /);
      expect(await told(rig, root, ['verify', '--remote', '--all-commits'])).toMatch(/ sound: /);
    };
    const merge = (from: string, to: string): void => cpSync(from, to, { recursive: true, force: false });

    // The record alone.
    restore(join(kept, 'root'), root);
    restore(join(kept, 'remote'), remote);
    writeFileSync(join(root, '.mlv/purged'), record);
    await finish();
    // New packs and indexes, and the old ones still there: in the cache, and on the remote without and with tombstones.
    merge(join(kept, 'root/.git/mlv/cache'), join(root, '.git/mlv/cache'));
    merge(join(kept, 'remote'), remote);
    expect(filesWith(FACE, join(root, '.git/mlv'), remote)).toHaveLength(2);
    await finish();
    merge(join(kept, 'remote'), remote);
    for (const name of readdirSync(join(remote, 'index')))
      if (name.endsWith('.gc')) rmSync(join(remote, 'index', name));
    rmSync(join(root, '.git/mlv/remotes'), { recursive: true });
    await finish();
    // A pack that no index names.
    merge(join(kept, 'root/.git/mlv/cache/packs'), join(root, '.git/mlv/cache/packs'));
    merge(join(kept, 'remote/packs'), join(remote, 'packs'));
    await finish();
  }, 60_000);

  test('from a clone that has nothing, and one that has a part', async () => {
    const { root, git, remote, clone } = await faces('parts', 3_000);
    const empty = clone('parts-empty');
    const part = clone('parts-part');
    await told(rig, part.root, ['pull', 'data/000']);
    await told(rig, empty.root, ['purge', '--yes', ...REASON, 'data/copies']);
    expect(filesWith(FACE, empty.root, remote)).toEqual([]);
    expect(empty.git('status', '--short')).toBe('A  .mlv/purged\nM  data.mlv');
    expect(await told(rig, empty.root, ['status'])).toMatch(/not checked out: 3,001 files/);
    empty.git('commit', '--quiet', '-m', 'purged');
    empty.git('push', '--quiet', 'origin', 'HEAD:purged');
    await told(rig, empty.root, ['push']);
    await told(rig, empty.root, ['pull']);
    expect(Object.keys(readFolder(join(empty.root, 'data')) ?? {})).toHaveLength(3_001);

    git('merge', '--quiet', 'purged');
    // The file stands there yet; what is checked out of it is the version before.
    await told(rig, root, ['purge', '--yes']);
    expect(filesWith(FACE, root)).toEqual([]);
    await told(rig, root, ['checkout']);
    expect(await told(rig, root, ['status'])).toMatch(/^1 path unchanged /);
    expect(without(root)).toEqual(without(empty.root));

    part.git('pull', '--quiet', 'origin', 'purged');
    await told(rig, part.root, ['pull']);
    writeFileSync(join(part.root, 'data/000/mine.txt'), 'mine');
    await told(rig, part.root, ['commit']);
    await told(rig, part.root, ['push']);
    await told(rig, part.root, ['pull', 'data']);
    expect(Object.keys(readFolder(join(part.root, 'data')) ?? {})).toHaveLength(3_002);
  }, 60_000);

  test('of an older version of which a part is checked out nothing counts as deleted', async () => {
    const { root, git, purge, first, clone } = await faces('part-of-older');
    await purge();
    git('commit', '--quiet', '-m', 'purged');
    await told(rig, root, ['push']);
    const other = clone('part-of-older-b');
    other.git('checkout', '--quiet', first);
    expect(await told(rig, other.root, ['pull', 'data/copies', 'data/000/00001.txt'])).toContain(
      toldOf('data/copies/same.jpg'),
    );
    expect(Object.keys(readFolder(join(other.root, 'data')) ?? {})).toEqual(['000/00001.txt']);
    expect(await told(rig, other.root, ['status'])).not.toMatch(/modified|missing/);
    writeFileSync(join(other.root, 'data/copies'), 'a file in the place of the folder');
    expect(await told(rig, other.root, ['status'])).toMatch(/modified/);
    rmSync(join(other.root, 'data/copies'));
    expect(await told(rig, other.root, ['commit'])).toBe('No tracked data was edited\n');
    expect(await told(rig, other.root, ['pull', '--rev', first])).toContain(toldOf('data/copies/same.jpg'));
  });

  test('gc keeps it for nobody', async () => {
    const { root, git, clone } = await shareProject(rig, 'gc', { model: FACE, other: 'other' }, 'model', 'other');
    await told(rig, root, ['push']);
    const other = clone('gc-b');
    await told(rig, other.root, ['pull']);
    await told(rig, root, ['purge', '--yes', 'model']);
    git('commit', '--quiet', '--all', '-m', 'purged');
    other.git('pull', '--quiet');
    const cache = join(other.root, '.git/mlv/cache');
    const then = new Date(Date.now() - 20 * 24 * 3600 * 1000);
    for (const name of readdirSync(cache, { recursive: true })) lutimesSync(join(cache, String(name)), then, then);
    const { garbage } = await data<{ garbage: unknown }>(rig, other.root, ['gc', '--yes', '--all-commits']);
    expect(garbage).toEqual({ blobs: 1, bytes: FACE.length });
  });

  test('refuses what is no file of anybody, and a record that is none', async () => {
    const { root, git } = await faces('refusals', 10);
    expect(await refusal(rig, root, ['purge', '--yes', 'data/nobody.jpg'])).toContain('data/nobody.jpg is not tracked');
    expect(await refusal(rig, root, ['purge', '--yes', '.'])).toContain('the project itself');
    const tree = /hash: (\S+)/.exec(readFileSync(join(root, 'data.mlv'), 'utf8'))?.[1] ?? '';
    expect(await refusal(rig, root, ['purge', '--yes', tree])).toContain('the list of what a directory holds');
    expect(await refusal(rig, root, ['purge', '--yes', '--reason', 'two\nlines', 'data'], { code: 2 })).toContain(
      'one line',
    );
    expect(git('status', '--short')).toBe('');
    writeFiles(root, { '.mlv/purged': 'mlv-purged 1\n<<<<<<< HEAD\n' });
    expect(await refusal(rig, root, ['status'])).toContain('.mlv/purged:2: this is no record of what was purged');
    expect(repositoryAt(root).root).toBe(root);
  });
});
