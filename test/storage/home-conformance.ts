import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { digestFromBytes } from '../../src/domain/digest.ts';
import { hashEngine } from '../../src/platform/hash.ts';
import type { FileSource, Home } from '../../src/storage/home.ts';

const { hash } = hashEngine();

/** What every home must do; `create` gives one that is empty. */
export function describeHome(name: string, create: () => Promise<{ home: Home; dispose: () => Promise<void> }>): void {
  describe(`${name}, as a home`, () => {
    let home: Home;
    let dispose: () => Promise<void>;
    let local: string;

    beforeEach(async () => {
      ({ home, dispose } = await create());
      local = mkdtempSync(join(tmpdir(), 'mlv-home-'));
    });
    afterEach(async () => {
      rmSync(local, { recursive: true, force: true });
      await dispose();
    });

    async function keys(prefix: string): Promise<string[]> {
      const found: string[] = [];
      for await (const { key } of home.list(prefix)) found.push(key);
      return found.sort();
    }

    function source(bytes: Buffer, before = Buffer.alloc(0), after = Buffer.alloc(0)): FileSource {
      const path = join(local, `source-${bytes.length}`);
      writeFileSync(path, Buffer.concat([before, bytes, after]));
      return { path, offset: before.length, length: bytes.length, digest: digestFromBytes(hash(bytes)) };
    }

    test('gives back what was written in pieces, whole and by range', async () => {
      await home.write('packs/ab/one', [Buffer.from('hello, '), Buffer.alloc(0), Buffer.from('world')]);
      expect((await home.readAll('packs/ab/one', 12)).toString()).toBe('hello, world');
      expect((await home.read('packs/ab/one', { offset: 7, length: 5 })).toString()).toBe('world');
      expect(await home.read('packs/ab/one', { offset: 3, length: 0 })).toHaveLength(0);
      const into = Buffer.alloc(4);
      await home.read('packs/ab/one', { offset: 1, length: 4, into });
      expect(into.toString()).toBe('ello');
      expect(await home.size('packs/ab/one')).toBe(12);
    });

    test('keeps empty objects, and names with dots, plus signs, spaces, percent signs and other letters', async () => {
      const names = [
        'objects/ab/0123.4567',
        'index/a+b c',
        'index/a%2Bb%20c',
        'index/100%',
        "index/!*'(~)&=;:@,$#?",
        'index/ünï',
        'index/u\u0308',
        'index/😀 数据',
        'index/x.gc',
      ];
      for (const key of names) await home.write(key, [Buffer.from(key)]);
      await home.write('index/empty', []);
      for (const key of names) expect((await home.readAll(key, 100)).toString()).toBe(key);
      expect(await home.size('index/empty')).toBe(0);
      expect(await keys('')).toEqual([...names, 'index/empty'].sort());
    });

    test('lists by prefix, with sizes and times of one clock', async () => {
      expect(await keys('index/')).toEqual([]);
      for (const key of ['index/aa', 'index/ab', 'packs/aa/ab', 'mlv.json', 'indexes'])
        await home.write(key, [Buffer.from(key)]);
      expect(await keys('index/')).toEqual(['index/aa', 'index/ab']);
      expect(await keys('index/a')).toEqual(['index/aa', 'index/ab']);
      expect(await keys('index')).toEqual(['index/aa', 'index/ab', 'indexes']);
      expect(await keys('packs/')).toEqual(['packs/aa/ab']);
      expect(await keys('packs/aa/a')).toEqual(['packs/aa/ab']);
      expect(await keys('nothing/')).toEqual([]);
      for await (const object of home.list('index/')) {
        expect(object.size).toBe(8);
        expect(Math.abs(object.modified - Date.now())).toBeLessThan(60_000);
      }
    });

    test('lists more than a thousand keys, each once', async () => {
      const names = Array.from({ length: 1_100 }, (_, at) => `index/${String(at).padStart(5, '0')}`);
      await Promise.all(names.map((key) => home.write(key, [Buffer.from('x')])));
      expect(await keys('index/')).toEqual(names);
    });

    test('says which object is missing, too short or too large', async () => {
      await home.write('index/short', [Buffer.from('12345')]);
      await expect(home.readAll('index/none', 10)).rejects.toMatchObject({ code: 'object-missing' });
      await expect(home.read('index/none', { offset: 0, length: 1 })).rejects.toMatchObject({ code: 'object-missing' });
      await expect(home.read('index/short', { offset: 3, length: 3 })).rejects.toMatchObject({ code: 'object-short' });
      await expect(home.read('index/short', { offset: 9, length: 1 })).rejects.toMatchObject({ code: 'object-short' });
      await expect(home.readAll('index/short', 4)).rejects.toMatchObject({ code: 'object-too-large' });
      expect(await home.size('index/none')).toBeUndefined();
    });

    test('succeeds when a key is written again, also at once from several sides', async () => {
      const write = (): Promise<void> => home.write('packs/ab/same', [Buffer.alloc(100_000, 7)]);
      await Promise.all([write(), write(), write()]);
      await write();
      expect(await home.readAll('packs/ab/same', 100_000)).toEqual(Buffer.alloc(100_000, 7));
    });

    test('replaces an object that was cut short', async () => {
      await home.write('packs/ab/cut', [Buffer.from('half')]);
      await home.write('packs/ab/cut', [Buffer.from('half and the other half')]);
      expect((await home.readAll('packs/ab/cut', 100)).toString()).toBe('half and the other half');
    });

    test('stores a file, or a part of one, of any size', async () => {
      const large = Buffer.alloc(9_500_001, 'large object');
      await home.writeFile('objects/ab/whole', source(large));
      expect((await home.readAll('objects/ab/whole', large.length)).equals(large)).toBe(true);
      const part = Buffer.from('the part');
      await home.writeFile('objects/ab/part', source(part, Buffer.from('before '), Buffer.from(' after')));
      expect((await home.readAll('objects/ab/part', 100)).toString()).toBe('the part');
      await home.writeFile('objects/ab/empty', source(Buffer.alloc(0)));
      expect(await home.size('objects/ab/empty')).toBe(0);
    });

    test('never gives the key to bytes that are not what the digest says', async () => {
      const good = source(Buffer.alloc(5_000_000, 'good'));
      const damaged = { ...good, digest: digestFromBytes(hash(Buffer.from('other'))) };
      await expect(home.writeFile('objects/ab/damaged', damaged)).rejects.toMatchObject({ code: 'source-damaged' });
      await expect(home.writeFile('objects/ab/short', { ...good, length: 5_000_001 })).rejects.toMatchObject({
        code: 'source-damaged',
      });
      await expect(home.writeFile('objects/ab/gone', { ...good, path: join(local, 'gone') })).rejects.toMatchObject({
        code: 'source-damaged',
      });
      expect(await keys('')).toEqual([]);
    });

    test('stops when it is told to, and stores nothing then', async () => {
      const reason = new Error('enough');
      const signal = AbortSignal.abort(reason);
      await expect(home.write('index/x', [Buffer.from('x')], signal)).rejects.toBe(reason);
      await expect(home.writeFile('objects/ab/x', source(Buffer.from('x')), signal)).rejects.toBe(reason);
      await home.write('index/y', [Buffer.from('y')]);
      await expect(home.read('index/y', { offset: 0, length: 1 }, signal)).rejects.toBe(reason);
      expect(await keys('')).toEqual(['index/y']);
    });

    test('deletes, and does not mind what is not there', async () => {
      await home.write('index/x', [Buffer.from('x')]);
      await home.delete('index/x');
      await home.delete('index/x');
      expect(await keys('')).toEqual([]);
    });

    test('clones into a new file, or says that it cannot and leaves nothing', async () => {
      await home.write('objects/ab/x', [Buffer.alloc(20_000, 1)]);
      const path = join(local, 'clone');
      if (await home.clone('objects/ab/x', path)) expect(readFileSync(path)).toEqual(Buffer.alloc(20_000, 1));
      else expect(() => readFileSync(path)).toThrow('ENOENT');
      expect(await home.clone('objects/ab/none', join(local, 'none'))).toBe(false);
    });
  });
}
