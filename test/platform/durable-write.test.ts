import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'vitest';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import {
  fsyncFolder,
  isTemporaryName,
  readTextFile,
  temporaryName,
  writeFileDurably,
} from '../../src/platform/durable-write.ts';
import { bundleChild } from '../support/bundled-child.ts';

let folder: string;
beforeEach(() => void (folder = mkdtempSync(join(tmpdir(), 'mlv-write-'))));
afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe('writeFileDurably', () => {
  test('writes and replaces, and leaves nothing else', () => {
    const path = join(folder, 'a.mlv');
    writeFileDurably(path, 'größe\n');
    expect(readFileSync(path, 'utf8')).toBe('größe\n');
    writeFileDurably(path, Buffer.from([0, 255]));
    expect([...readFileSync(path)]).toEqual([0, 255]);
    expect(readdirSync(folder)).toEqual(['a.mlv']);
  });

  test('follows the umask, or sets the mode that it is told', () => {
    const umask = process.umask();
    writeFileDurably(join(folder, 'plain'), '');
    writeFileDurably(join(folder, 'shared'), '', { mode: 0o666 });
    writeFileDurably(join(folder, 'fixed'), '', { mode: 0o444 });
    const modes = ['plain', 'shared', 'fixed'].map((name) => statSync(join(folder, name)).mode & 0o777);
    expect(modes).toEqual([0o666 & ~umask, 0o666, 0o444]);
  });

  test('replaces a symlink, and does not follow it', () => {
    writeFileSync(join(folder, 'elsewhere'), 'old');
    symlinkSync('elsewhere', join(folder, 'link'));
    writeFileDurably(join(folder, 'link'), 'new');
    expect(lstatSync(join(folder, 'link')).isFile()).toBe(true);
    expect(readFileSync(join(folder, 'elsewhere'), 'utf8')).toBe('old');
  });

  test('has the new content on disk, and the old under its name, before it renames', () => {
    const path = join(folder, 'a');
    writeFileSync(path, 'old');
    let seen: string[] = [];
    writeFileDurably(path, 'new', {
      beforeRename: () => void (seen = readdirSync(folder).map((name) => readFileSync(join(folder, name), 'utf8'))),
    });
    expect(seen.toSorted()).toEqual(['new', 'old']);
  });

  test('leaves the old file, and no temporary, when it is stopped before it renames', () => {
    const path = join(folder, 'a');
    writeFileSync(path, 'old');
    const stop = new Error('lost');
    expect(() =>
      writeFileDurably(path, 'new', {
        beforeRename: () => {
          throw stop;
        },
      }),
    ).toThrow(stop);
    expect(readdirSync(folder)).toEqual(['a']);
    expect(readFileSync(path, 'utf8')).toBe('old');
  });

  test('leaves no temporary when the rename fails', () => {
    mkdirSync(join(folder, 'taken/full'), { recursive: true });
    const path = join(folder, 'taken');
    expect(() => writeFileDurably(path, 'x')).toThrow(
      expect.objectContaining({
        name: 'MlvError',
        code: 'write-failed',
        kind: 'io',
        message: `cannot write ${path}: EISDIR`,
      }),
    );
    expect(readdirSync(folder)).toEqual(['taken']);
  });

  test('names the path when its folder is missing', () => {
    const path = join(folder, 'none/a');
    expect(() => writeFileDurably(path, 'x')).toThrow(
      expect.objectContaining({ code: 'write-failed', message: `cannot write ${path}: ENOENT` }),
    );
  });

  describe('in another process', () => {
    let built: string;
    let child: string;
    beforeAll(async () => {
      built = mkdtempSync(join(tmpdir(), 'mlv-write-child-'));
      chmodSync(built, 0o755);
      child = await bundleChild(new URL('write-child.ts', import.meta.url), built);
    });
    afterAll(() => rmSync(built, { recursive: true }));

    /** Runs the child where `prepare`, run by a shell with rights of its own, has mounted something over the folder. */
    function writeOnDisk(prepare: string, context: TestContext): unknown {
      const script = `${prepare.replaceAll('FOLDER', folder)} && exec "$@"`;
      const run = spawnSync('unshare', ['-rm', 'sh', '-c', script, 'sh', process.execPath, child, join(folder, 'a')], {
        encoding: 'utf8',
      });
      if (run.error !== undefined || /unshare:|mount:/.test(run.stderr))
        context.skip(`no mounts here: ${run.error?.message ?? run.stderr.trim()}`);
      return JSON.parse(run.stdout);
    }

    test('says that the disk is full', (context) => {
      expect(
        writeOnDisk('mount -t tmpfs -o size=64k none FOLDER && head -c 60000 /dev/zero > FOLDER/filler', context),
      ).toEqual({
        code: 'disk-full',
        kind: 'io',
        message: `cannot write ${join(folder, 'a')}: the disk is full`,
        left: ['filler'],
      });
    });

    test('says that the disk is read-only', (context) => {
      expect(writeOnDisk('mount -t tmpfs -o ro none FOLDER', context)).toEqual({
        code: 'read-only-disk',
        kind: 'io',
        message: `cannot write ${join(folder, 'a')}: the disk is read-only`,
        left: [],
      });
    });

    test('says that it may not write', () => {
      chmodSync(folder, 0o555);
      const nobody = process.getuid?.() === 0 ? { uid: 65534, gid: 65534 } : {};
      const run = spawnSync(process.execPath, [child, join(folder, 'a')], { encoding: 'utf8', cwd: '/', ...nobody });
      expect(JSON.parse(run.stdout)).toEqual({
        code: 'permission-denied',
        kind: 'io',
        message: `cannot write ${join(folder, 'a')}: permission denied`,
        left: [],
      });
    });
  });
});

describe('readTextFile', () => {
  test('reads text up to its limit, byte order mark included', () => {
    const path = join(folder, 'a');
    writeFileSync(path, '\ufeffgröße');
    expect(readTextFile(path, 10)).toBe('\ufeffgröße');
    expect(() => readTextFile(path, 9)).toThrow(
      expect.objectContaining({
        code: 'file-too-large',
        message: `${path} is larger than 9 bytes, which no file of its kind is`,
      }),
    );
    writeFileSync(path, '');
    expect(readTextFile(path, 0)).toBe('');
  });

  test('has nothing for a file that is not there', () => {
    writeFileSync(join(folder, 'file'), '');
    expect(readTextFile(join(folder, 'none'), 10)).toBeUndefined();
    expect(readTextFile(join(folder, 'file/below'), 10)).toBeUndefined();
  });

  test('refuses what is not UTF-8', () => {
    const path = join(folder, 'a');
    writeFileSync(path, Buffer.from([0x61, 0xff]));
    expect(() => readTextFile(path, 10)).toThrow(
      expect.objectContaining({ code: 'not-utf8', message: `${path} is not UTF-8 text` }),
    );
  });

  test('refuses folders, and fifos without waiting for them', () => {
    expect(() => readTextFile(folder, 10)).toThrow(
      expect.objectContaining({ code: 'not-a-file', message: `${folder} is not a file` }),
    );
    const fifo = join(folder, 'fifo');
    spawnSync('mkfifo', [fifo]);
    expect(() => readTextFile(fifo, 10)).toThrow(expect.objectContaining({ code: 'not-a-file' }));
  });
});

test('temporary names are new each time, and known again', () => {
  const names = Array.from({ length: 100 }, temporaryName);
  expect(new Set(names).size).toBe(100);
  expect(names.every(isTemporaryName)).toBe(true);
  expect(['data.mlv', '.mlv', '.mlvignore', '.mlv-tmp'].some(isTemporaryName)).toBe(false);
});

test('fsyncFolder fails for what is not there', () => {
  fsyncFolder(folder);
  expect(() => fsyncFolder(join(folder, 'none'))).toThrow(expect.objectContaining({ code: 'ENOENT' }));
});
