import { readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { download } from '../../src/storage/download.ts';
import type { Home } from '../../src/storage/home.ts';
import { upload } from '../../src/storage/upload.ts';
import type { Files, Rig, Tree } from '../storage/transfer-rig.ts';
import {
  addTree,
  contentOf,
  createRig,
  digestOf,
  manyFiles,
  openEnds,
  readTree,
  watch,
} from '../storage/transfer-rig.ts';

let rig: Rig;
beforeEach(() => {
  rig = createRig();
});
afterEach(() => rig.dispose());

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
      const outcome = await rig.push('a', roots, failing.home).catch((error: unknown) => error);
      expect(openEnds(rig.remoteFolder)).toEqual([]);
      if (!(outcome instanceof Error) && roots.length === 2) break;
    }
    expect(writes).toBeLessThan(19);
    await rig.pull('b', versions);
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
    await expect(rig.push('a', [tree], failing.home)).rejects.toThrow('plug');
    const again = watch(rig.home);
    expect(await rig.push('a', [tree], again.home)).toMatchObject({ blobs: 12 });
    expect(again.counts.bytesWritten).toBeLessThan(10_000);
    await rig.pull('b', [tree]);
    expect(readTree(rig.cache('b'), tree)).toEqual(contentOf(large));
  });

  test('a pull goes on in the middle of a large blob', async () => {
    const content = Buffer.alloc(50_000_000);
    for (let at = 0; at < content.length; at += 4) content.writeUInt32LE(at, at);
    const tree = await addTree(rig.cache('a'), { 'large.bin': content });
    await rig.push('a', [tree]);
    let reads = 0;
    const failing = watch(rig.home, (call, key) => {
      if (call === 'read' && key.startsWith('objects/') && ++reads === 3) throw new Error('the plug was pulled');
    });
    await expect(rig.pull('b', [tree], failing.home)).rejects.toThrow('plug');
    const again = watch(rig.home);
    expect(await rig.pull('b', [tree], again.home)).toMatchObject({ blobs: 1, damaged: [] });
    expect(again.counts.bytesRead).toBeLessThan(50_000_000 - 30_000_000);
    expect(rig.cache('b').read(digestOf(content)).equals(content)).toBe(true);
  });

  test('a pull does not trust what an earlier one left', async () => {
    const tree = await addTree(rig.cache('a'), { 'large.bin': Buffer.alloc(9_000_000, 'l') });
    await rig.push('a', [tree]);
    const digest = digestOf(Buffer.alloc(9_000_000, 'l'));
    const partial = rig.cache('b').openWriter().partialPath(digest);
    writeFileSync(partial, Buffer.alloc(1_000_000, 'x'));
    expect(await rig.pull('b', [tree])).toMatchObject({ blobs: 1, damaged: [] }); // from the beginning
    expect(rig.cache('b').read(digest)).toHaveLength(9_000_000);
  });

  test('by a signal, both end with its reason', async () => {
    const tree = await addTree(rig.cache('a'), files);
    const reason = new Error('Ctrl-C');
    const remote = await rig.remote('a');
    await expect(
      upload({ remote, cache: rig.cache('a'), roots: [tree], renewNotes: false, signal: AbortSignal.abort(reason) }),
    ).rejects.toBe(reason);
    await rig.push('a', [tree]);
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
      await rig.push('a', [tree]);
    }
    const folder = join(rig.remoteFolder, 'index');
    expect(readdirSync(folder)).toHaveLength(9);
    const fresh = watch(rig.home);
    const remote = await rig.remote('b', fresh.home);
    expect(remote.indexes()).toHaveLength(1);
    expect(remote.indexes()[0]?.head).toMatchObject({ rows: 24, roots: 8 });

    const longAgo = new Date(Date.now() - 2 * 60 * 60 * 1000);
    for (const name of readdirSync(folder)) utimesSync(join(folder, name), longAgo, longAgo);
    await rig.push('a', [await addTree(rig.cache('a'), { x: 'version 9' })]);
    expect(readdirSync(folder)).toHaveLength(2);
    expect(openEnds(rig.remoteFolder)).toEqual([]);
    await rig.pull('c', trees);
    for (const [at, tree] of trees.entries()) expect(readTree(rig.cache('c'), tree)).toEqual({ x: `version ${at}` });
  });

  test('need not be deleted, nor merged, for a push to succeed', async () => {
    const stubborn: Home = { ...rig.home, delete: () => Promise.reject(new Error('must not be needed')) };
    for (let at = 0; at < 9; at++) {
      expect(await rig.push('a', [await addTree(rig.cache('a'), { x: `${at}` })], stubborn)).toMatchObject({
        indexes: 1,
      });
    }
  });

  test('that another client merged away in the meantime are looked for again', async () => {
    const tree = await addTree(rig.cache('a'), manyFiles(2_000)); // an index that is not fetched whole
    await rig.push('a', [tree]);
    const remote = await rig.remote('b');
    await rig.push('a', [await addTree(rig.cache('a'), { x: 'x' })]);
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
