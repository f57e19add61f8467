import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openFolderHome } from '../../src/storage/folder-home.ts';
import type { Home } from '../../src/storage/home.ts';
import { describeHome } from './home-conformance.ts';

describeHome('a folder', async () => {
  const parent = mkdtempSync(join(tmpdir(), 'mlv-folder-'));
  const folder = join(parent, 'remote');
  mkdirSync(folder);
  return { home: openFolderHome(folder), dispose: async () => rmSync(parent, { recursive: true, force: true }) };
});

describe('a folder as remote', () => {
  let parent: string;
  let folder: string;
  let home: Home;
  beforeEach(() => {
    parent = mkdtempSync(join(tmpdir(), 'mlv-folder-'));
    folder = join(parent, 'remote');
    home = openFolderHome(folder);
  });
  afterEach(() => {
    chmodSync(parent, 0o700);
    rmSync(parent, { recursive: true, force: true });
  });

  async function listed(): Promise<string[]> {
    const keys: string[] = [];
    for await (const { key } of home.list('')) keys.push(key);
    return keys.sort();
  }

  test('that is not there is told by name when it is read', async () => {
    await expect(listed()).rejects.toMatchObject({
      code: 'remote-missing',
      message: `the remote's folder does not exist: ${folder}`,
    });
    await expect(home.readAll('mlv.json', 100)).rejects.toMatchObject({ code: 'remote-missing' });
    await expect(home.read('mlv.json', { offset: 0, length: 1 })).rejects.toMatchObject({ code: 'remote-missing' });
  });

  test('is made by the first write, but not the folders above it', async () => {
    await home.write('mlv.json', [Buffer.from('{}')]);
    expect(await listed()).toEqual(['mlv.json']);
    const deep = openFolderHome(join(parent, 'not mounted', 'remote'));
    await expect(deep.write('mlv.json', [Buffer.from('{}')])).rejects.toMatchObject({ code: 'remote-missing' });
    expect(readdirSync(parent)).toEqual(['remote']);
  });

  test('that is a file is no remote', async () => {
    writeFileSync(folder, 'a file');
    await expect(listed()).rejects.toMatchObject({ code: 'remote-missing' });
    await expect(home.write('mlv.json', [Buffer.from('{}')])).rejects.toMatchObject({ code: 'remote-missing' });
  });

  test('lists neither what is being written nor what other programs leave', async () => {
    await home.write('index/a', [Buffer.from('a')]);
    writeFileSync(join(folder, 'tmp', 'under way'), 'x');
    writeFileSync(join(folder, '.DS_Store'), 'x');
    writeFileSync(join(folder, 'index', '.nfs0001'), 'x');
    expect(await listed()).toEqual(['index/a']);
  });

  test('leaves an object alone that is there already, without reading what would be stored', async () => {
    await home.write('objects/ab/x', [Buffer.from('12345')]);
    const before = statSync(join(folder, 'objects/ab/x')).ino;
    await home.write('objects/ab/x', [Buffer.from('12345')]);
    await home.writeFile('objects/ab/x', { path: join(folder, 'no source'), offset: 0, length: 5, digest: '' });
    expect(statSync(join(folder, 'objects/ab/x')).ino).toBe(before);
  });

  test('keeps no temporary file, whether writing succeeds or fails', async () => {
    await home.write('index/a', [Buffer.from('a')]);
    mkdirSync(join(folder, 'index', 'b'));
    await expect(home.write('index/b', [Buffer.from('b')])).rejects.toMatchObject({ code: 'remote-write-failed' });
    expect(readdirSync(join(folder, 'tmp'))).toEqual([]);
  });

  test('is rid of what a crash left a day ago, and keeps what is under way', async () => {
    mkdirSync(join(folder, 'tmp'), { recursive: true });
    for (const name of ['old', 'fresh']) writeFileSync(join(folder, 'tmp', name), 'x');
    const longAgo = new Date(Date.now() - 2 * 24 * 60 * 60 * 1000);
    utimesSync(join(folder, 'tmp', 'old'), longAgo, longAgo);
    await home.write('index/a', [Buffer.from('a')]);
    expect(readdirSync(join(folder, 'tmp'))).toEqual(['fresh']);
  });

  test('gives a group that may write to it all it needs, whatever the umask', async () => {
    mkdirSync(folder);
    chmodSync(folder, 0o2775);
    await home.write('packs/ab/x', [Buffer.from('x')]);
    const modes = ['tmp', 'packs', 'packs/ab', 'packs/ab/x'].map((path) =>
      (statSync(join(folder, path)).mode & 0o7777).toString(8),
    );
    expect(modes).toEqual(['2775', '2775', '2775', '664']);
  });

  test("goes by the umask where it is one person's", async () => {
    mkdirSync(folder);
    chmodSync(folder, 0o755);
    await home.write('packs/ab/x', [Buffer.from('x')]);
    const umask = process.umask();
    const modes = ['packs', 'packs/ab/x'].map((path) => statSync(join(folder, path)).mode & 0o777);
    expect(modes).toEqual([0o777 & ~umask, 0o666 & ~umask]);
  });

  test('that may not be written to says so; reading goes on', async () => {
    await home.write('index/a', [Buffer.from('a')]);
    chmodSync(parent, 0o755);
    for (const path of [folder, join(folder, 'tmp'), join(folder, 'index')]) chmodSync(path, 0o555);
    const later = openFolderHome(folder);
    const isRoot = process.getuid?.() === 0; // who may write anywhere
    if (isRoot) process.seteuid?.(65_534);
    try {
      await expect(later.write('index/b', [Buffer.from('b')])).rejects.toMatchObject({ code: 'remote-not-writable' });
      expect((await later.readAll('index/a', 10)).toString()).toBe('a');
    } finally {
      if (isRoot) process.seteuid?.(0);
      for (const path of [folder, join(folder, 'tmp'), join(folder, 'index')]) chmodSync(path, 0o755);
    }
  });

  test('that another process removes in the middle is an error, not a success', async () => {
    await home.write('index/a', [Buffer.from('a')]);
    rmSync(folder, { recursive: true });
    await expect(home.write('index/b', [Buffer.from('b')])).rejects.toMatchObject({ code: 'remote-missing' });
    expect(existsSync(folder)).toBe(false);
  });
});
