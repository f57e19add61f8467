import { chmodSync, readdirSync, readFileSync, rmSync, truncateSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { keyPath } from '../../src/domain/remote-layout.ts';
import { treePathFromText } from '../../src/domain/tree-path.ts';
import type { DownloadResult } from '../../src/storage/download.ts';
import { download } from '../../src/storage/download.ts';
import type { Home } from '../../src/storage/home.ts';
import type { UploadResult } from '../../src/storage/upload.ts';
import { upload } from '../../src/storage/upload.ts';
import type { Files, Rig, Tree } from './transfer-rig.ts';
import {
  addTree,
  contentOf,
  createRig,
  digestOf,
  openEnds,
  readRows,
  readTree,
  safeList,
  watch,
} from './transfer-rig.ts';

let rig: Rig;
beforeEach(() => {
  rig = createRig();
});
afterEach(() => rig.dispose());

const day = 20_000;

/** Pushes from the cache of a clone. */
async function push(name: string, roots: readonly Tree[], home?: Home): Promise<UploadResult> {
  const remote = await rig.remote(name, home);
  return upload({ remote, cache: rig.cache(name), roots, day });
}

async function pull(name: string, wanted: readonly Tree[], home?: Home): Promise<DownloadResult> {
  const remote = await rig.remote(name, home);
  return download({ remote, cache: rig.cache(name), wanted });
}

function manyFiles(count: number): Record<string, string> {
  return Object.fromEntries(
    Array.from({ length: count }, (_, at) => [
      `part-${Math.floor(at / 1_000)}/${String(at).padStart(7, '0')}.txt`,
      `content ${at}`,
    ]),
  );
}

const someFiles: Files = {
  'a/one.csv': 'x,y\n1,2\n',
  'a/run.sh': { kind: 'x', content: '#!/bin/sh\n' },
  'a/link': { kind: 'l', content: 'one.csv' },
  'b/copy of one.csv': 'x,y\n1,2\n',
  'b/empty': '',
  'b/hollow': { kind: 'd', content: '' },
  'c/größe.bin': Buffer.alloc(2_000_000, 'middling '),
  'c/large.bin': Buffer.alloc(20_000_001, 'large '),
};

describe('push and pull', () => {
  test('bring a directory with all that it can hold to another clone', async () => {
    const tree = await addTree(rig.cache('a'), someFiles);
    expect(await push('a', [tree])).toMatchObject({
      blobs: 6,
      objects: 1,
      packs: 2,
      indexes: 1,
      missing: [],
      damaged: [],
    });
    expect(openEnds(rig.remoteFolder)).toEqual([]);
    expect(await pull('b', [tree])).toMatchObject({ blobs: 6, missing: [], damaged: [] });
    expect(readTree(rig.cache('b'), tree)).toEqual(contentOf(someFiles));
    expect(await pull('b', [tree])).toEqual({ blobs: 0, bytes: 0, missing: [], damaged: [] });
  });

  test('bring single files', async () => {
    const cache = rig.cache('a');
    const writer = cache.openWriter();
    writer.put(Buffer.from(digestOf('a model'), 'hex'), Buffer.from('a model'), 'data');
    await writer.finish();
    const root: Tree = { digest: digestOf('a model'), type: 'file', name: 'model.bin', size: 7 };
    expect(await push('a', [root, root])).toMatchObject({ blobs: 1, packs: 1 });
    expect(await push('a', [root])).toMatchObject({ blobs: 0, indexes: 0 });
    await pull('b', [root]);
    expect(rig.cache('b').read(root.digest).toString()).toBe('a model');
  });

  test('bring an empty directory', async () => {
    const tree = await addTree(rig.cache('a'), {});
    await push('a', [tree]);
    await pull('b', [tree]);
    expect(readTree(rig.cache('b'), tree)).toEqual({});
  });

  test('with nothing to do cost one listing and touch nothing', async () => {
    const tree = await addTree(rig.cache('a'), someFiles);
    await push('a', [tree]);
    const pushing = watch(rig.home);
    await push('a', [tree], pushing.home);
    expect(pushing.counts).toEqual({ lists: 1, reads: 0, bytesRead: 0, bytesWritten: 0, written: [] });
    const pulling = watch(rig.home);
    await pull('a', [tree], pulling.home);
    expect(pulling.counts).toEqual(pushing.counts);
  });

  test('send two versions, and what both have once', async () => {
    const first = await addTree(rig.cache('a'), manyFiles(3_000));
    const second = await addTree(rig.cache('a'), { ...manyFiles(3_000), 'new.txt': 'new' });
    expect(await push('a', [first, second])).toMatchObject({ blobs: 3_001, indexes: 1 });
    await pull('b', [second]);
    expect(readTree(rig.cache('b'), second)).toEqual(contentOf({ ...manyFiles(3_000), 'new.txt': 'new' }));
    expect(rig.cache('b').has(first.digest)).toBe(false);
    expect(openEnds(rig.remoteFolder)).toEqual([]);
  });

  test('send of one changed file among many a path of pages, the blob and an index', async () => {
    const files = manyFiles(30_000);
    const before = await addTree(rig.cache('a'), files);
    await push('a', [before]);
    await pull('b', [before]);

    const after = {
      ...(await addTree(rig.cache('b'), { ...files, 'part-7/0007007.txt': 'changed' })),
      base: before.digest,
    };
    const pushing = watch(rig.home);
    expect(await push('b', [after], pushing.home)).toMatchObject({ blobs: 1, packs: 2, indexes: 1 });
    expect(pushing.counts.written.map((key) => key.replace(/\/.*/, '')).sort((a, b) => (a < b ? -1 : 1))).toEqual([
      'index',
      'packs',
      'packs',
    ]);
    expect(pushing.counts.bytesWritten).toBeLessThan(450_000); // a page of 1,024 lines on average, the root's 30
    expect(pushing.counts.lists).toBe(2);

    const pulling = watch(rig.home);
    expect(await pull('a', [after], pulling.home)).toMatchObject({ blobs: 1 });
    expect(pulling.counts.bytesRead).toBeLessThan(450_000);
    expect(readTree(rig.cache('a'), after)['part-7/0007007.txt']).toBe('changed');
  });

  test('need no look-ups for what an earlier version on the remote has', async () => {
    const files = manyFiles(30_000);
    const before = await addTree(rig.cache('a'), files);
    await push('a', [before]);
    // A clone that has the pages and none of the blobs, and adds a file.
    const folder = treePathFromText('part-7/zzz');
    await pull('b', [{ ...before, below: [folder] }]);
    const after = await addTree(rig.cache('b'), { ...files, 'part-7/zzz': 'added' }, Object.keys(files));
    const pushing = watch(rig.home);
    expect(await push('b', [{ ...after, base: before.digest }], pushing.home)).toMatchObject({ blobs: 1, missing: [] });
    expect(pushing.counts.bytesRead).toBeLessThan(120_000);
    expect(openEnds(rig.remoteFolder)).toEqual([]);
  });

  test('take only what is asked for inside a directory, and only the pages that can hold it', async () => {
    const files = manyFiles(20_000);
    const tree = await addTree(rig.cache('a'), files);
    await push('a', [tree]);
    const pulling = watch(rig.home);
    const below = ['part-7/0007007.txt', 'part-3', 'part-1'].map(treePathFromText);
    expect(await pull('b', [{ ...tree, below }], pulling.home)).toMatchObject({ blobs: 2_001 });
    const cache = rig.cache('b');
    const wanted = Object.entries(files).filter(
      ([name]) => name.startsWith('part-3/') || name.startsWith('part-1/') || name.includes('0007007'),
    );
    expect(
      Object.values(files)
        .filter((content) => cache.has(digestOf(content)))
        .sort(),
    ).toEqual(wanted.map(([, content]) => content).sort());
    expect(() => readTree(cache, tree)).toThrow('not in the cache'); // the other pages
    await pull('b', [tree]);
    expect(readTree(cache, tree)).toEqual(contentOf(files));
  });

  test('refuse before bytes come where the disk has no room', async () => {
    await push('a', [await addTree(rig.cache('a'), { x: 'x' })]);
    const wanted: Tree = { digest: digestOf('huge'), type: 'file', name: 'huge', size: 2 ** 60 };
    await expect(pull('b', [wanted])).rejects.toMatchObject({
      code: 'no-space',
      message: expect.stringMatching(/^1,152,921,504,607 MB are to be fetched, .* has [0-9,]+ MB left$/),
    });
  });

  test('report what has become durable', async () => {
    const tree = await addTree(rig.cache('a'), someFiles);
    const sent: number[] = [];
    const result = await upload({
      remote: await rig.remote('a'),
      cache: rig.cache('a'),
      roots: [tree],
      day,
      onProgress: ({ bytes }) => sent.push(bytes),
    });
    expect(sent.at(-1)).toBe(result.bytes);
    let last = { blobs: 0, bytes: 0, totalBlobs: 0, totalBytes: 0 };
    await download({
      remote: await rig.remote('b'),
      cache: rig.cache('b'),
      wanted: [tree],
      onProgress: (progress) => (last = progress),
    });
    expect(last.blobs).toBe(last.totalBlobs);
    expect(last.bytes).toBe(last.totalBytes);
  });
});

describe('what is missing or damaged on this machine', () => {
  const files: Files = { ...manyFiles(5_000), 'part-2/gone.txt': 'gone', 'part-4/bad.txt': 'bad '.repeat(50_000) };

  test('is listed; pages and roots that name it wait, everything else goes', async () => {
    const partial = await addTree(rig.cache('a'), files, ['part-2/gone.txt']);
    const result = await push('a', [partial]);
    expect(result).toMatchObject({
      blobs: 5_001,
      missing: [{ digest: digestOf('gone'), path: 'data/part-2/gone.txt' }],
    });
    expect(openEnds(rig.remoteFolder)).toEqual([]);
    expect(readRows(rig.remoteFolder).has(partial.digest)).toBe(false);
    expect(await pull('c', [partial])).toMatchObject({ missing: [{ digest: partial.digest, path: 'data' }] });

    const whole = await addTree(rig.cache('b'), files);
    expect(await push('b', [whole])).toMatchObject({ blobs: 1, missing: [] });
    expect(openEnds(rig.remoteFolder)).toEqual([]);
    await pull('c', [whole]);
    expect(readTree(rig.cache('c'), whole)).toEqual(contentOf(files));
  });

  test('never leaves the machine damaged', async () => {
    const tree = await addTree(rig.cache('a'), files);
    const bad = rig.cache('a').locate(digestOf('bad '.repeat(50_000)));
    if (bad === undefined) throw new Error('not there');
    flip(bad.path, bad.offset + 1_000);
    expect(await push('a', [tree])).toMatchObject({
      blobs: 5_001,
      damaged: [{ path: 'data/part-4/bad.txt' }],
      missing: [],
    });
    expect(openEnds(rig.remoteFolder)).toEqual([]);
    expect(readRows(rig.remoteFolder).size).toBeGreaterThan(5_001); // which compares all bytes
    expect(await push('b', [await addTree(rig.cache('b'), files)])).toMatchObject({ blobs: 1, damaged: [] });
    expect(await pull('c', [tree])).toMatchObject({ missing: [], damaged: [] });
  });

  test('is listed when it is a large blob, or a tree object', async () => {
    const large = await addTree(rig.cache('a'), { 'large.bin': Buffer.alloc(9_000_000, 'l') });
    const at = rig.cache('a').locate(digestOf(Buffer.alloc(9_000_000, 'l')));
    chmodSync(at?.path ?? '', 0o600);
    flip(at?.path ?? '', 8_999_999);
    expect(await push('a', [large])).toMatchObject({ objects: 0, damaged: [{ path: 'data/large.bin' }] });
    expect(safeList(join(rig.remoteFolder, 'objects'))).toEqual([]);

    const small = await addTree(rig.cache('b'), { x: 'x' });
    const root = rig.cache('b').locate(small.digest);
    chmodSync(root?.path ?? '', 0o600);
    flip(root?.path ?? '', root?.offset ?? 0);
    expect(await push('b', [small])).toMatchObject({
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
    await push('a', [tree]);
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
    const result = await pull('b', [tree]);
    expect(result).toMatchObject({ blobs: 201, missing: [], damaged: [{ path: 'data/target.txt' }] });
    expect(readTree(rig.cache('b'), tree)).toEqual({ ...contentOf(files), 'target.txt': undefined });
    flip(path, offset + 5);
    expect(await pull('b', [tree])).toMatchObject({ blobs: 1, damaged: [] });
    expect(readTree(rig.cache('b'), tree)).toEqual(contentOf(files));
  });

  test('still gives what is left of a pack cut short', async () => {
    const { path, offset } = place('the target '.repeat(100));
    truncateSync(path, offset + 10);
    const result = await pull('b', [tree]);
    expect(result).toMatchObject({
      blobs: 200,
      missing: [],
      damaged: [{ path: 'data/target.txt' }, { path: 'data/zzz.txt' }],
    });
  });

  test('is told as missing when a pack is gone', async () => {
    rmSync(place('last').path);
    const result = await pull('b', [tree]);
    expect(result.blobs).toBe(0);
    expect(result.missing).toHaveLength(202);
  });

  test('stops nothing when it is a page: its entries are left out', async () => {
    const row = readRows(rig.remoteFolder).get(tree.digest);
    if (row === undefined) throw new Error('no row');
    rmSync(join(rig.remoteFolder, keyPath(row.key)));
    expect(await pull('b', [tree])).toMatchObject({ blobs: 0, missing: [{ digest: tree.digest, path: 'data' }] });
  });

  test('makes an index that is damaged an error, not an answer', async () => {
    const [name = ''] = readdirSync(join(rig.remoteFolder, 'index'));
    flip(join(rig.remoteFolder, 'index', name), 5_000);
    await expect(rig.remote('b')).rejects.toMatchObject({ code: 'index-invalid' });
  });
});

describe('interrupted', () => {
  const files: Files = { ...manyFiles(3_000), 'large.bin': Buffer.alloc(9_000_000, 'l') };

  test('at any write, a push leaves no index that names what is not there, and goes on the next time', async () => {
    const versions = [
      await addTree(rig.cache('a'), files),
      await addTree(rig.cache('a'), { ...files, 'part-1/more': 'more' }),
    ];
    let writes = 0;
    for (let failAt = 1; failAt < 20; failAt++) {
      writes = 0;
      const failing = watch(rig.home, (call) => {
        if (call === 'write' && ++writes === failAt) throw new Error('the plug was pulled');
      });
      const roots = failAt % 2 === 0 ? versions : versions.slice(0, 1);
      const outcome = await push('a', roots, failing.home).catch((error: unknown) => error);
      expect(openEnds(rig.remoteFolder)).toEqual([]);
      if (!(outcome instanceof Error) && roots.length === 2) break;
    }
    expect(writes).toBeLessThan(19);
    await pull('b', versions);
    expect(readTree(rig.cache('b'), versions[1] ?? (versions[0] as Tree))).toEqual(
      contentOf({ ...files, 'part-1/more': 'more' }),
    );
  });

  test('a push sends no pack again that arrived', async () => {
    const large = Object.fromEntries(
      Array.from({ length: 12 }, (_, at) => [`f${at}`, Buffer.alloc(7_000_000, `${at} `)]),
    );
    const tree = await addTree(rig.cache('a'), large);
    const failing = watch(rig.home, (call, key) => {
      if (call === 'write' && key.startsWith('index/')) throw new Error('the plug was pulled');
    });
    await expect(push('a', [tree], failing.home)).rejects.toThrow('plug');
    const again = watch(rig.home);
    expect(await push('a', [tree], again.home)).toMatchObject({ blobs: 12 });
    expect(again.counts.bytesWritten).toBeLessThan(10_000);
    await pull('b', [tree]);
    expect(readTree(rig.cache('b'), tree)).toEqual(contentOf(large));
  });

  test('a pull goes on in the middle of a large blob', async () => {
    const content = Buffer.alloc(50_000_000);
    for (let at = 0; at < content.length; at += 4) content.writeUInt32LE(at, at);
    const tree = await addTree(rig.cache('a'), { 'large.bin': content });
    await push('a', [tree]);
    let reads = 0;
    const failing = watch(rig.home, (call, key) => {
      if (call === 'read' && key.startsWith('objects/') && ++reads === 3) throw new Error('the plug was pulled');
    });
    await expect(pull('b', [tree], failing.home)).rejects.toThrow('plug');
    const again = watch(rig.home);
    expect(await pull('b', [tree], again.home)).toMatchObject({ blobs: 1, damaged: [] });
    expect(again.counts.bytesRead).toBeLessThan(50_000_000 - 30_000_000);
    expect(rig.cache('b').read(digestOf(content)).equals(content)).toBe(true);
  });

  test('a pull does not trust what an earlier one left', async () => {
    const tree = await addTree(rig.cache('a'), { 'large.bin': Buffer.alloc(9_000_000, 'l') });
    await push('a', [tree]);
    const digest = digestOf(Buffer.alloc(9_000_000, 'l'));
    const partial = rig.cache('b').openWriter().partialPath(digest);
    writeFileSync(partial, Buffer.alloc(1_000_000, 'x'));
    expect(await pull('b', [tree])).toMatchObject({ blobs: 0, damaged: [{ path: 'data/large.bin' }] });
    expect(rig.cache('b').has(digest)).toBe(false);
    expect(await pull('b', [tree])).toMatchObject({ blobs: 1, damaged: [] }); // from the beginning
    expect(rig.cache('b').read(digest)).toHaveLength(9_000_000);
  });

  test('by a signal, both end with its reason', async () => {
    const tree = await addTree(rig.cache('a'), files);
    const reason = new Error('Ctrl-C');
    const remote = await rig.remote('a');
    await expect(
      upload({ remote, cache: rig.cache('a'), roots: [tree], day, signal: AbortSignal.abort(reason) }),
    ).rejects.toBe(reason);
    await push('a', [tree]);
    const other = await rig.remote('b');
    await expect(
      download({ remote: other, cache: rig.cache('b'), wanted: [tree], signal: AbortSignal.abort(reason) }),
    ).rejects.toBe(reason);
  });
});

describe('indexes', () => {
  test('are merged when there are eight of a size, and the old ones go after an hour', async () => {
    const trees: Tree[] = [];
    for (let at = 0; at < 8; at++) {
      const tree = await addTree(rig.cache('a'), { x: `version ${at}` });
      trees.push(tree);
      await push('a', [tree]);
    }
    const folder = join(rig.remoteFolder, 'index');
    expect(readdirSync(folder)).toHaveLength(9);
    const fresh = watch(rig.home);
    const remote = await rig.remote('b', fresh.home);
    expect(remote.indexes()).toHaveLength(1);
    expect(remote.indexes()[0]?.head).toMatchObject({ rows: 24, roots: 8 });

    const longAgo = new Date(Date.now() - 2 * 60 * 60 * 1000);
    for (const name of readdirSync(folder)) utimesSync(join(folder, name), longAgo, longAgo);
    await push('a', [await addTree(rig.cache('a'), { x: 'version 9' })]);
    expect(readdirSync(folder)).toHaveLength(2);
    expect(openEnds(rig.remoteFolder)).toEqual([]);
    await pull('c', trees);
    for (const [at, tree] of trees.entries()) expect(readTree(rig.cache('c'), tree)).toEqual({ x: `version ${at}` });
  });

  test('need not be deleted, nor merged, for a push to succeed', async () => {
    const stubborn: Home = { ...rig.home, delete: () => Promise.reject(new Error('must not be needed')) };
    for (let at = 0; at < 9; at++) {
      expect(await push('a', [await addTree(rig.cache('a'), { x: `${at}` })], stubborn)).toMatchObject({ indexes: 1 });
    }
  });

  test('that another client merged away in the meantime are looked for again', async () => {
    const tree = await addTree(rig.cache('a'), manyFiles(2_000)); // an index that is not fetched whole
    await push('a', [tree]);
    const remote = await rig.remote('b');
    await push('a', [await addTree(rig.cache('a'), { x: 'x' })]);
    const merged = rig.cache('a');
    expect(merged.has(tree.digest)).toBe(true);
    // As a merge and an hour do: another index has the rows, the old one is gone.
    const other = await rig.remote('c');
    const { mergeIndexes } = await import('../../src/storage/merge-indexes.ts');
    const { hashEngine } = await import('../../src/platform/hash.ts');
    const inputs = await Promise.all(other.indexes().map((index) => index.whole()));
    for (const index of mergeIndexes({ inputs, hash: hashEngine().hash })) await other.addIndex(index);
    for (const { head } of inputs) rmSync(join(rig.remoteFolder, 'index', head.name));
    expect(await download({ remote, cache: rig.cache('b'), wanted: [tree] })).toMatchObject({
      blobs: 2_000,
      missing: [],
    });
  });
});

test('data with the bytes of a page is not taken for a page', async () => {
  const files = manyFiles(20);
  const tree = await addTree(rig.cache('a'), files);
  const root = rig.cache('a').read(tree.digest);
  // Somebody tracks a copy of a root as data.
  await push('b', [await addTree(rig.cache('b'), { 'root of another': root })]);
  expect(await push('a', [tree])).toMatchObject({ blobs: 20 });
  await pull('c', [tree]);
  expect(readTree(rig.cache('c'), tree)).toEqual(contentOf(files));
});

function flip(path: string, at: number): void {
  const bytes = readFileSync(path);
  bytes.writeUInt8(bytes.readUInt8(at) ^ 0xff, at);
  chmodSync(path, 0o644);
  writeFileSync(path, bytes);
}
