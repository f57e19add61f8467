import { randomFillSync } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { CELL_BYTES } from '../../src/domain/blob-index.ts';
import type { Digest } from '../../src/domain/digest.ts';
import { digestFromBytes } from '../../src/domain/digest.ts';
import { formatTombstones, keyPath, parseTombstones } from '../../src/domain/remote-layout.ts';
import { hashEngine } from '../../src/platform/hash.ts';
import { buildIndex } from '../../src/storage/build-index.ts';
import { download } from '../../src/storage/download.ts';
import { openIndexFile } from '../../src/storage/index-file.ts';
import type { Files, Rig } from './transfer-rig.ts';
import { addTree, contentOf, createRig, digestOf, openEnds, readRows, readTree, watch } from './transfer-rig.ts';

const { hash } = hashEngine();

let rig: Rig;
beforeEach(() => {
  rig = createRig();
});
afterEach(() => rig.dispose());

async function bury(...keys: string[]): Promise<void> {
  const { key, text } = formatTombstones(keys, { nonce: '0011223344556677', hash });
  await rig.home.write(key, [Buffer.from(text)]);
}

function packs(): string[] {
  return readdirSync(join(rig.remoteFolder, 'packs')).flatMap((ab) =>
    readdirSync(join(rig.remoteFolder, 'packs', ab)).map((name) => `packs/${ab}/${name}`),
  );
}

const files: Files = { a: 'content a', b: 'content b', 'large.bin': Buffer.alloc(9_000_000, 'l') };

describe('a remote', () => {
  test('that is not there: a push makes it, a pull says so', async () => {
    const tree = await addTree(rig.cache('a'), files);
    await expect(rig.pull('b', [tree])).rejects.toMatchObject({ code: 'remote-missing' });
    await rig.push('a', [tree]);
    expect(readFileSync(join(rig.remoteFolder, 'mlv.json'), 'utf8')).toBe('{"version":1}\n');
    expect(await rig.pull('b', [tree])).toMatchObject({ blobs: 3 });
  });

  test('that was there and is gone is not quietly made anew: a disk may not be mounted', async () => {
    const tree = await addTree(rig.cache('a'), files);
    await rig.push('a', [tree]);
    rmSync(rig.remoteFolder, { recursive: true });
    await expect(rig.remote('a')).rejects.toMatchObject({ code: 'remote-gone' });
    mkdirSync(rig.remoteFolder); // an empty mount point
    await expect(rig.remote('a')).rejects.toMatchObject({ code: 'remote-gone' });
  });

  test('of a later format, or that is something else, is refused', async () => {
    mkdirSync(rig.remoteFolder);
    const description = join(rig.remoteFolder, 'mlv.json');
    for (const [text, code] of [
      ['{"version":2}', 'remote-version'],
      ['{"version":"0"}', 'remote-invalid'],
      ['[]', 'remote-invalid'],
      ['no JSON', 'remote-invalid'],
    ] as const) {
      writeFileSync(description, text);
      await expect(rig.remote('a')).rejects.toMatchObject({ code });
    }
  });

  test('without its description is not trusted, whatever else it has', async () => {
    await rig.push('a', [await addTree(rig.cache('a'), files)]);
    rmSync(join(rig.remoteFolder, 'mlv.json'));
    await expect(rig.remote('b')).rejects.toMatchObject({ code: 'remote-gone' });
  });

  test('may have files in its index folder that this mlv does not know', async () => {
    const tree = await addTree(rig.cache('a'), files);
    await rig.push('a', [tree]);
    for (const name of ['README', 'x.gc', `${'0'.repeat(64)}.later`])
      writeFileSync(join(rig.remoteFolder, 'index', name), 'x');
    expect(await rig.pull('b', [tree])).toMatchObject({ blobs: 3 });
  });

  test('whose mirror on this machine is damaged is read again', async () => {
    const tree = await addTree(
      rig.cache('a'),
      Object.fromEntries(Array.from({ length: 3_000 }, (_, at) => [`f${at}`, `${at}`])),
    );
    await rig.push('a', [tree]);
    await rig.pull('b', [tree]);
    const mirror = join(rig.remoteFolder, '..', 'b', 'mirror');
    const flip = (bytes: Buffer): Buffer => {
      const at = bytes.length - 200;
      bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at);
      return bytes;
    };
    const inRows = (bytes: Buffer): Buffer => (bytes.length < 1_000 ? bytes : flip(bytes));
    for (const change of [() => 'damaged', inRows] as const) {
      for (const name of readdirSync(mirror)) {
        const path = join(mirror, name);
        writeFileSync(path, change(readFileSync(path)));
      }
      rmSync(join(rig.remoteFolder, '..', 'b', 'cache'), { recursive: true });
      expect(await rig.pull('b', [tree])).toMatchObject({ blobs: 3_000, missing: [], damaged: [] });
    }
  });
});

describe('tombstones', () => {
  test('are text, named by its hash, and nothing else is accepted', () => {
    const { key, text } = formatTombstones(['packs/ab/x', 'objects/ab/y', 'packs/ab/x'], {
      nonce: '0011223344556677',
      hash,
    });
    expect(text).toBe('mlv-gc 1 0011223344556677\nobjects/ab/y\npacks/ab/x\n');
    const name = digestOf(text);
    expect(key).toBe(`index/${name}.gc`);
    expect(parseTombstones(Buffer.from(text), name, hash)).toEqual(['objects/ab/y', 'packs/ab/x']);
    for (let at = 0; at < text.length; at++) {
      expect(() => parseTombstones(Buffer.from(text.slice(0, at)), name, hash)).toThrow('damaged');
    }
    const later = 'mlv-gc 2\nsomething else\n';
    expect(() => parseTombstones(Buffer.from(later), digestOf(later), hash)).toThrow('later format');
    const other = 'no tombstones\n';
    expect(() => parseTombstones(Buffer.from(other), digestOf(other), hash)).toThrow('damaged');
  });

  test('take away what their keys hold; it is sent again under another name, which old keys never get back', async () => {
    const tree = await addTree(rig.cache('a'), files);
    await rig.push('a', [tree]);
    const before = [...packs(), keyPath({ kind: 'object', hash: digestOf(Buffer.alloc(9_000_000, 'l')) })];
    await bury(...before);
    const remote = await rig.remote('b');
    expect(await remote.find([tree.digest], 'tree')).toEqual([undefined]);
    expect(await remote.find([digestOf('content a')], 'blob')).toEqual([undefined]);
    expect(await remote.find([digestOf('content a')], 'readable')).toMatchObject([{ length: 9 }]);

    expect(await rig.push('a', [tree])).toMatchObject({ blobs: 3, packs: 2, objects: 1 });
    for (const key of before) rmSync(join(rig.remoteFolder, key));
    expect(openEnds(rig.remoteFolder)).toEqual([]);
    expect(readRows(rig.remoteFolder).get(digestOf(Buffer.alloc(9_000_000, 'l')))?.key.nonce).toMatch(/^[0-9a-f]{16}$/);
    await rig.pull('b', [tree]);
    expect(readTree(rig.cache('b'), tree)).toEqual(contentOf(files));
    const nothing = watch(rig.home);
    await rig.push('a', [tree], nothing.home);
    expect(nothing.counts.written).toEqual([]);
  });

  test('that come while a push is under way make it send anew what they killed', async () => {
    const tree = await addTree(rig.cache('a'), files);
    let killed: string[] = [];
    const home = watch(rig.home, async (call, key) => {
      if (call !== 'write' || !key.startsWith('index/') || killed.length > 0) return;
      killed = packs();
      await bury(...killed);
    });
    expect(await rig.push('a', [tree], home.home)).toMatchObject({ missing: [], damaged: [], packs: 4, objects: 1 });
    for (const key of killed) rmSync(join(rig.remoteFolder, key));
    expect(openEnds(rig.remoteFolder)).toEqual([]);
    await rig.pull('b', [tree]);
    expect(readTree(rig.cache('b'), tree)).toEqual(contentOf(files));
  });

  test('that come while a pull is under way send it to where the living copies are', async () => {
    const tree = await addTree(rig.cache('a'), files);
    await rig.push('a', [tree]);
    const remote = await rig.remote('b');
    const before = packs();
    await bury(...before);
    await rig.push('a', [tree]);
    for (const key of before) rmSync(join(rig.remoteFolder, key));
    expect(await download({ remote, cache: rig.cache('b'), wanted: [tree] })).toMatchObject({ blobs: 3, missing: [] });
  });
});

test('one file of two million blobs costs less than a megabyte, from nothing', { timeout: 60_000 }, async () => {
  const tree = await addTree(rig.cache('a'), files);
  await rig.push('a', [tree]);
  const folder = join(rig.remoteFolder, 'index');
  const [name = ''] = readdirSync(folder);
  const index = openIndexFile(join(folder, name), name as Digest);
  const own = index.readCells(0, index.head.rows);
  const keys = index.keys();
  rmSync(join(folder, name));
  for (const value of [0, 1]) {
    const rows = Buffer.alloc(1_000_000 * CELL_BYTES + own.length);
    randomFillSync(rows);
    own.copy(rows, 1_000_000 * CELL_BYTES);
    let length = 0;
    for (let at = 0; at < rows.length; at += CELL_BYTES) {
      if (at < 1_000_000 * CELL_BYTES) {
        rows.writeUInt8((rows.readUInt8(at) & 0x7f) | (value << 7), at);
        rows.writeUInt32LE(at % keys.length, at + 32);
      }
      if (rows.readUInt8(at) >> 7 !== value) continue;
      rows.copy(rows, length, at, at + CELL_BYTES);
      length += CELL_BYTES;
    }
    const shard = buildIndex({ rows: rows.subarray(0, length), keys, prefix: { bits: 1, value }, hash });
    expect(shard.rows).toBeGreaterThanOrEqual(1_000_000);
    await rig.home.write(`index/${shard.name}`, shard.chunks);
  }

  const counted = watch(rig.home);
  expect(await rig.pull('b', [tree], counted.home)).toMatchObject({ blobs: 3, missing: [], damaged: [] });
  expect(counted.counts.bytesRead - tree.size).toBeLessThan(200_000);
  expect(readTree(rig.cache('b'), tree)).toEqual(contentOf(files));

  // A second look finds what was kept, and reads only what is new.
  const again = watch(rig.home);
  const remote = await rig.remote('b', again.home);
  expect(await remote.find([tree.digest, digestOf('content a')], 'blob')).not.toContain(undefined);
  expect(again.counts).toMatchObject({ lists: 1, reads: 0 });
  const absent = Array.from({ length: 20 }, (_, at) => digestFromBytes(hash(Buffer.from(`absent ${at}`))));
  expect(await remote.find(absent, 'blob')).toEqual(absent.map(() => undefined));
  expect(again.counts.bytesRead).toBeLessThan(20 * 13_000);
});
