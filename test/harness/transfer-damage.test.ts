import { chmodSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { digestToBytes } from '../../src/domain/digest.ts';
import { keyPath } from '../../src/domain/remote-layout.ts';
import type { Home } from '../../src/storage/home.ts';
import { readRoot } from '../../src/domain/tree-reader.ts';
import type { Files, Rig, Tree } from '../storage/transfer-rig.ts';
import {
  addTree,
  contentOf,
  createRig,
  digestOf,
  manyFiles,
  openEnds,
  readRows,
  readTree,
  safeList,
} from '../storage/transfer-rig.ts';

let rig: Rig;
beforeEach(() => {
  rig = createRig();
});
afterEach(() => rig.dispose());

describe('what is missing or damaged on this machine', () => {
  const files: Files = { ...manyFiles(5_000), 'part-2/gone.txt': 'gone', 'part-4/bad.txt': 'bad '.repeat(50_000) };

  test('is listed; pages and roots that name it wait, everything else goes', async () => {
    const partial = await addTree(rig.cache('a'), files, ['part-2/gone.txt']);
    const result = await rig.push('a', [partial]);
    expect(result).toMatchObject({
      blobs: 5_001,
      missing: [{ digest: digestOf('gone'), path: 'data/part-2/gone.txt' }],
    });
    expect(openEnds(rig.remoteFolder)).toEqual([]);
    expect(readRows(rig.remoteFolder).has(partial.digest)).toBe(false);
    expect(await rig.pull('c', [partial])).toMatchObject({ missing: [{ digest: partial.digest, path: 'data' }] });

    const whole = await addTree(rig.cache('b'), files);
    expect(await rig.push('b', [whole])).toMatchObject({ blobs: 1, missing: [] });
    expect(openEnds(rig.remoteFolder)).toEqual([]);
    await rig.pull('c', [whole]);
    expect(readTree(rig.cache('c'), whole)).toEqual(contentOf(files));
  });

  test('holds a root back when one of its pages is not there', async () => {
    const tree = await addTree(rig.cache('a'), manyFiles(3_000));
    const pages = readRoot(tree.digest, (digest) => rig.cache('a').read(digest)).nodes.map(({ digest }) => digest);
    const objects = [
      tree.digest,
      ...pages.slice(1),
      ...Object.values(manyFiles(3_000)).map((content) => digestOf(content)),
    ];
    const writer = rig.cache('b').openWriter();
    for (const digest of objects) writer.put(digestToBytes(digest), rig.cache('a').read(digest), 'tree');
    await writer.finish();
    expect(await rig.push('b', [tree])).toMatchObject({ missing: [{ digest: pages[0], path: 'data' }], packs: 2 });
    expect(openEnds(rig.remoteFolder)).toEqual([]);
    expect(readRows(rig.remoteFolder).has(tree.digest)).toBe(false);
    expect(await rig.push('a', [tree])).toMatchObject({ missing: [] });
    expect(readRows(rig.remoteFolder).has(tree.digest)).toBe(true);
  });

  test('never makes the remote name what it does not have, whatever is missing where', async () => {
    const names = Array.from({ length: 12 }, (_, at) => `f${at}`);
    const contents = fc.uniqueArray(fc.constantFrom(...names), { minLength: 1 });
    const step = fc.record({ files: contents, leaveOut: contents, clone: fc.constantFrom('a', 'b', 'c') });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 5 }), async (steps) => {
        const fresh = createRig();
        try {
          for (const { files: chosen, leaveOut, clone } of steps) {
            const tree = await addTree(
              fresh.cache(clone),
              Object.fromEntries(chosen.map((name) => [name, name])),
              leaveOut,
            );
            const result = await fresh.push(clone, [tree]);
            expect(openEnds(fresh.remoteFolder)).toEqual([]);
            const rows = readRows(fresh.remoteFolder);
            const absent = chosen.filter((name) => !rows.has(digestOf(name)));
            expect(result.missing.map(({ path }) => path).sort()).toEqual(absent.map((name) => `data/${name}`).sort());
            expect(rows.has(tree.digest)).toBe(absent.length === 0);
          }
        } finally {
          fresh.dispose();
        }
      }),
      { numRuns: 25 },
    );
  });

  test('never leaves the machine damaged', async () => {
    const tree = await addTree(rig.cache('a'), files);
    const bad = rig.cache('a').locate(digestOf('bad '.repeat(50_000)));
    if (bad === undefined) throw new Error('not there');
    flip(bad.path, bad.offset + 1_000);
    expect(await rig.push('a', [tree])).toMatchObject({
      blobs: 5_001,
      damaged: [{ path: 'data/part-4/bad.txt' }],
      missing: [],
    });
    expect(openEnds(rig.remoteFolder)).toEqual([]);
    expect(readRows(rig.remoteFolder).size).toBeGreaterThan(5_001); // which compares all bytes
    expect(await rig.push('b', [await addTree(rig.cache('b'), files)])).toMatchObject({ blobs: 1, damaged: [] });
    expect(await rig.pull('c', [tree])).toMatchObject({ missing: [], damaged: [] });
  });

  test('is listed when it is a large blob, or a tree object', async () => {
    const large = await addTree(rig.cache('a'), { 'large.bin': Buffer.alloc(9_000_000, 'l') });
    const at = rig.cache('a').locate(digestOf(Buffer.alloc(9_000_000, 'l')));
    chmodSync(at?.path ?? '', 0o600);
    flip(at?.path ?? '', 8_999_999);
    expect(await rig.push('a', [large])).toMatchObject({ objects: 0, damaged: [{ path: 'data/large.bin' }] });
    expect(safeList(join(rig.remoteFolder, 'objects'))).toEqual([]);

    const small = await addTree(rig.cache('b'), { x: 'x' });
    const root = rig.cache('b').locate(small.digest);
    chmodSync(root?.path ?? '', 0o600);
    flip(root?.path ?? '', root?.offset ?? 0);
    expect(await rig.push('b', [small])).toMatchObject({
      blobs: 0,
      indexes: 0,
      damaged: [{ digest: small.digest, path: 'data' }],
    });
  });
});

describe('what is damaged or missing on the remote', () => {
  const files: Files = { ...manyFiles(200), 'target.txt': 'the target '.repeat(100), 'zzz.txt': 'last' };
  let tree: Tree;
  beforeEach(async () => {
    tree = await addTree(rig.cache('a'), files);
    await rig.push('a', [tree]);
  });

  function place(content: string): { path: string; offset: number } {
    const row = readRows(rig.remoteFolder).get(digestOf(content));
    if (row === undefined) throw new Error('no row');
    const path = join(rig.remoteFolder, keyPath(row.key));
    return { path, offset: readFileSync(path).indexOf(content) };
  }

  test('never enters the cache; all the rest does', async () => {
    const { path, offset } = place('the target '.repeat(100));
    flip(path, offset + 5);
    const result = await rig.pull('b', [tree]);
    expect(result).toMatchObject({ blobs: 201, missing: [], damaged: [{ path: 'data/target.txt' }] });
    expect(readTree(rig.cache('b'), tree)).toEqual({ ...contentOf(files), 'target.txt': undefined });
    flip(path, offset + 5);
    expect(await rig.pull('b', [tree])).toMatchObject({ blobs: 1, damaged: [] });
    expect(readTree(rig.cache('b'), tree)).toEqual(contentOf(files));
  });

  test('still gives what is left of a pack cut short', async () => {
    const { path, offset } = place('the target '.repeat(100));
    truncateSync(path, offset + 10);
    const result = await rig.pull('b', [tree]);
    expect(result).toMatchObject({
      blobs: 200,
      missing: [],
      damaged: [{ path: 'data/target.txt' }, { path: 'data/zzz.txt' }],
    });
  });

  test('is told as gone when a pack is', async () => {
    rmSync(place('last').path);
    const result = await rig.pull('b', [tree]);
    expect(result.blobs).toBe(0);
    expect(result.missing).toEqual([]);
    expect(result.damaged.filter(({ how }) => how === 'gone')).toHaveLength(202);
  });

  test('stops nothing when it is a page: its entries are left out', async () => {
    const row = readRows(rig.remoteFolder).get(tree.digest);
    if (row === undefined) throw new Error('no row');
    rmSync(join(rig.remoteFolder, keyPath(row.key)));
    expect(await rig.pull('b', [tree])).toMatchObject({
      blobs: 0,
      missing: [],
      damaged: [{ digest: tree.digest, path: 'data', how: 'gone' }],
    });
  });

  test('that was altered on its way is read once more', async () => {
    const { home, altered } = alterOnce(rig.home);
    expect(await rig.pull('b', [tree], home)).toMatchObject({ blobs: 202, missing: [], damaged: [], failed: [] });
    expect(altered.size).toBeGreaterThan(2);
  });

  test('that was altered on its way is read once more, if it is a part of a large index', async () => {
    await rig.push('a', [await addTree(rig.cache('a'), manyFiles(5_000))]);
    const { home, altered } = alterOnce(rig.home);
    const remote = await rig.remote('c', home);
    const before = altered.size;
    expect(await remote.find([digestOf('last'), digestOf('no such file')], 'blob')).toEqual([
      expect.objectContaining({ length: 4 }),
      undefined,
    ]);
    expect(altered.size).toBeGreaterThan(before);
    remote.close();
  });

  test('makes an index that is damaged an error, not an answer', async () => {
    const [name = ''] = readdirSync(join(rig.remoteFolder, 'index'));
    flip(join(rig.remoteFolder, 'index', name), 5_000);
    for (const _ of [1, 2]) await expect(rig.remote('b')).rejects.toMatchObject({ code: 'index-invalid' });
  });
});

function flip(path: string, at: number): void {
  const bytes = readFileSync(path);
  bytes.writeUInt8(bytes.readUInt8(at) ^ 0xff, at);
  chmodSync(path, 0o644);
  writeFileSync(path, bytes);
}

/** Flips a bit of each range when it is read first. */
function alterOnce(home: Home): { home: Home; altered: Set<string> } {
  const altered = new Set<string>();
  const read: Home['read'] = async (key, range, signal) => {
    const bytes = await home.read(key, range, signal);
    const name = `${key} ${range.offset} ${range.length}`;
    if (altered.has(name) || bytes.length === 0) return bytes;
    altered.add(name);
    const at = bytes.length >>> 1;
    bytes[at] = (bytes[at] ?? 0) ^ 1;
    return bytes;
  };
  return { home: { ...home, read }, altered };
}
