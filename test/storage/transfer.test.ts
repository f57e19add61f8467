import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Digest } from '../../src/domain/digest.ts';
import { treePathFromText } from '../../src/domain/tree-path.ts';
import { download } from '../../src/storage/download.ts';
import { upload } from '../../src/storage/upload.ts';
import type { Files, Rig, Tree } from './transfer-rig.ts';
import { addTree, contentOf, createRig, digestOf, manyFiles, openEnds, readTree, watch } from './transfer-rig.ts';

let rig: Rig;
beforeEach(() => {
  rig = createRig();
});
afterEach(() => rig.dispose());

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
    expect(await rig.push('a', [tree])).toMatchObject({
      blobs: 6,
      objects: 1,
      packs: 2,
      indexes: 1,
      missing: [],
      damaged: [],
    });
    expect(openEnds(rig.remoteFolder)).toEqual([]);
    expect(await rig.pull('b', [tree])).toMatchObject({ blobs: 6, missing: [], damaged: [], failed: [] });
    expect(readTree(rig.cache('b'), tree)).toEqual(contentOf(someFiles));
    expect(await rig.pull('b', [tree])).toEqual({
      blobs: 0,
      bytes: 0,
      purged: [],
      missing: [],
      damaged: [],
      failed: [],
    });
  });

  test('bring single files', async () => {
    const cache = rig.cache('a');
    const writer = cache.openWriter();
    writer.put(Buffer.from(digestOf('a model'), 'hex'), Buffer.from('a model'), 'data');
    await writer.finish();
    const root: Tree = { digest: digestOf('a model'), type: 'file', name: 'model.bin', size: 7 };
    expect(await rig.push('a', [root, root])).toMatchObject({ blobs: 1, packs: 1 });
    expect(await rig.push('a', [root])).toMatchObject({ blobs: 0, indexes: 0 });
    await rig.pull('b', [root]);
    expect(rig.cache('b').read(root.digest).toString()).toBe('a model');
  });

  test('bring an empty directory', async () => {
    const tree = await addTree(rig.cache('a'), {});
    await rig.push('a', [tree]);
    await rig.pull('b', [tree]);
    expect(readTree(rig.cache('b'), tree)).toEqual({});
  });

  test('with nothing to do cost one listing and touch nothing', async () => {
    const tree = await addTree(rig.cache('a'), someFiles);
    await rig.push('a', [tree]);
    const pushing = watch(rig.home);
    await rig.push('a', [tree], pushing.home);
    expect(pushing.counts).toEqual({ lists: 1, reads: 0, bytesRead: 0, bytesWritten: 0, written: [] });
    const pulling = watch(rig.home);
    await rig.pull('a', [tree], pulling.home);
    expect(pulling.counts).toEqual(pushing.counts);
  });

  test('send two versions, and what both have once', async () => {
    const first = await addTree(rig.cache('a'), manyFiles(3_000));
    const second = await addTree(rig.cache('a'), { ...manyFiles(3_000), 'new.txt': 'new' });
    expect(await rig.push('a', [first, second])).toMatchObject({ blobs: 3_001, indexes: 1 });
    await rig.pull('b', [second]);
    expect(readTree(rig.cache('b'), second)).toEqual(contentOf({ ...manyFiles(3_000), 'new.txt': 'new' }));
    expect(rig.cache('b').has(first.digest)).toBe(false);
    expect(openEnds(rig.remoteFolder)).toEqual([]);
  });

  test('send of one changed file among many a path of pages, the blob and an index', async () => {
    const files = manyFiles(30_000);
    const before = await addTree(rig.cache('a'), files);
    await rig.push('a', [before]);
    await rig.pull('b', [before]);

    const after = {
      ...(await addTree(rig.cache('b'), { ...files, 'part-7/0007007.txt': 'changed' })),
      base: before.digest,
    };
    const pushing = watch(rig.home);
    expect(await rig.push('b', [after], pushing.home)).toMatchObject({ blobs: 1, packs: 2, indexes: 1 });
    expect(pushing.counts.written.map((key) => key.replace(/\/.*/, '')).sort((a, b) => (a < b ? -1 : 1))).toEqual([
      'index',
      'packs',
      'packs',
    ]);
    expect(pushing.counts.bytesWritten).toBeLessThan(450_000); // a page of 1,024 lines on average, the root's 30
    expect(pushing.counts.lists).toBe(3);

    const pulling = watch(rig.home);
    expect(await rig.pull('a', [after], pulling.home)).toMatchObject({ blobs: 1 });
    expect(pulling.counts.bytesRead).toBeLessThan(450_000);
    expect(readTree(rig.cache('a'), after)['part-7/0007007.txt']).toBe('changed');
  });

  test('need no look-ups for what an earlier version on the remote has', async () => {
    const files = manyFiles(30_000);
    const before = await addTree(rig.cache('a'), files);
    await rig.push('a', [before]);
    // A clone that has the pages and none of the blobs, and adds a file.
    const folder = treePathFromText('part-7/zzz');
    await rig.pull('b', [{ ...before, below: [folder] }]);
    const after = await addTree(rig.cache('b'), { ...files, 'part-7/zzz': 'added' }, Object.keys(files));
    const pushing = watch(rig.home);
    expect(await rig.push('b', [{ ...after, base: before.digest }], pushing.home)).toMatchObject({
      blobs: 1,
      missing: [],
    });
    expect(pushing.counts.bytesRead).toBeLessThan(120_000);
    expect(openEnds(rig.remoteFolder)).toEqual([]);
  });

  test('take only what is asked for inside a directory, and only the pages that can hold it', async () => {
    const files = manyFiles(20_000);
    const tree = await addTree(rig.cache('a'), files);
    await rig.push('a', [tree]);
    const pulling = watch(rig.home);
    const below = ['part-7/0007007.txt', 'part-3', 'part-1'].map(treePathFromText);
    expect(await rig.pull('b', [{ ...tree, below }], pulling.home)).toMatchObject({ blobs: 2_001 });
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
    await rig.pull('b', [tree]);
    expect(readTree(cache, tree)).toEqual(contentOf(files));
  });

  test('refuse before bytes come where the disk has no room', async () => {
    await rig.push('a', [await addTree(rig.cache('a'), { x: 'x' })]);
    const wanted: Tree = { digest: digestOf('huge'), type: 'file', name: 'huge', size: 2 ** 60 };
    await expect(rig.pull('b', [wanted])).rejects.toMatchObject({
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
      renewNotes: false,
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

test('data with the bytes of a page is not taken for a page', async () => {
  const files = manyFiles(20);
  const tree = await addTree(rig.cache('a'), files);
  const root = rig.cache('a').read(tree.digest);
  // Somebody tracks a copy of a root as data.
  await rig.push('b', [await addTree(rig.cache('b'), { 'root of another': root })]);
  expect(await rig.push('a', [tree])).toMatchObject({ blobs: 20 });
  await rig.pull('c', [tree]);
  expect(readTree(rig.cache('c'), tree)).toEqual(contentOf(files));
});

test('of what a version shares with one that is all here, nothing is looked up', async () => {
  const files = manyFiles(5_000);
  const first = await addTree(rig.cache('a'), files);
  const second = await addTree(rig.cache('a'), { ...files, added: 'new' });
  await rig.push('a', [first, second]);
  await rig.pull('b', [first]);
  const cache = rig.cache('b');
  const asked = new Set<string>();
  const has = (digest: Digest): boolean => {
    asked.add(digest);
    return cache.has(digest);
  };
  const options = { remote: await rig.remote('b'), cache: { ...cache, has }, wanted: [second] };
  expect(await download({ ...options, complete: [first.digest] })).toMatchObject({ blobs: 1, missing: [] });
  expect(asked.size).toBeLessThan(1_500); // the blobs of a page, and the pages
  await download(options);
  expect(asked.size).toBeGreaterThan(5_000);
});
