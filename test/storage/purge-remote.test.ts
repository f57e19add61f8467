/** What goes on beside a purge of a remote: docs/gc-protocol.md, "Purge". */
import { readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Digest } from '../../src/domain/digest.ts';
import type { Home } from '../../src/storage/home.ts';
import { openLocalCache } from '../../src/storage/local-cache.ts';
import { findOnRemote, purgeFromRemote } from '../../src/storage/purge-remote.ts';
import { upload } from '../../src/storage/upload.ts';
import type { Files, Rig, Tree } from './transfer-rig.ts';
import { addTree, createRig, digestOf, readRows, readTree, watch } from './transfer-rig.ts';

const X = 'one face';
const Y = 'another face';
const SHARED = 'what both packs have';

let rig: Rig;
beforeEach(() => {
  rig = createRig();
});
afterEach(() => rig.dispose());

let runs = 0;

async function purge(content: string, home?: Home) {
  const name = `purger-${runs++}`;
  const remote = await rig.remote(name, home);
  const scratch = join(rig.remoteFolder, '..', name, 'scratch');
  const result = await purgeFromRemote({ remote, purged: new Set([digestOf(content)]), scratch });
  remote.close();
  return result;
}

/** What living keys have; throws where one has other bytes, or none. */
const living = (): Digest[] => [...readRows(rig.remoteFolder).keys()].sort();

function data(): string[] {
  return readdirSync(join(rig.remoteFolder, 'packs'), { recursive: true }).map(String);
}

/** Two packs that have some of the same, as two pushed at once. */
async function twoPacks(): Promise<{ first: Tree; second: Tree }> {
  const late = await rig.remote('b');
  const first = await addTree(rig.cache('a'), { x: X, shared: SHARED, a: 'a' });
  await rig.push('a', [first]);
  const second = await addTree(rig.cache('b'), { y: Y, shared: SHARED, b: 'b' });
  await upload({ remote: late, cache: rig.cache('b'), roots: [second], renewNotes: false });
  expect(data().filter((name) => /\/[0-9a-f]{64}$/.test(name))).toHaveLength(4);
  return { first, second };
}

async function pulled(name: string, tree: Tree): Promise<(string | undefined)[]> {
  await rig.pull(name, [tree]);
  return Object.values(readTree(rig.cache(name), tree));
}

test('all else that is in a pack can be read as before, and the old pack is gone at once', async () => {
  const { first, second } = await twoPacks();
  const before = data();
  expect(await purge(X)).toEqual({ stuck: [] });
  expect(data().filter((name) => before.includes(name) && /\/[0-9a-f]{64}$/.test(name))).toHaveLength(3);
  expect(living()).not.toContain(digestOf(X));
  expect(await pulled('c', first)).toEqual(['a', SHARED, undefined]);
  expect(await pulled('c', second)).toEqual(['b', SHARED, Y]);
});

test.each([
  ['before the tombstones of the other', (key: string) => key.endsWith('.gc')],
  ['before the copies of the other are indexed', (key: string) => /^index\/[0-9a-f]{64}$/.test(key)],
  ['before the copies of the other', (key: string) => key.startsWith('packs/')],
])('two purges at once leave what each took the other’s pack to keep: one runs %s', async (_, isThen) => {
  const { first, second } = await twoPacks();
  let isDone = false;
  const { home } = watch(rig.home, async (call, key) => {
    if (call !== 'write' || isDone || !isThen(key)) return;
    isDone = true;
    await purge(Y);
  });
  await purge(X, home);
  expect(isDone).toBe(true);
  expect(living()).toContain(digestOf(SHARED));
  expect(await pulled('c', first)).toEqual(['a', SHARED, undefined]);
  expect(await pulled('c', second)).toEqual(['b', SHARED, undefined]);
});

test('two purges at once: one runs between the last listing and the deletions of the other', async () => {
  const { first, second } = await twoPacks();
  let isDone = false;
  const home: Home = {
    ...rig.home,
    async delete(key, signal) {
      if (!isDone && key.startsWith('packs/')) {
        isDone = true;
        await purge(Y);
      }
      await rig.home.delete(key, signal);
    },
  };
  await purge(X, home);
  expect(isDone).toBe(true);
  expect(await pulled('c', first)).toEqual(['a', SHARED, undefined]);
  expect(await pulled('c', second)).toEqual(['b', SHARED, undefined]);
});

test('a pull that has listed before finds what has moved', async () => {
  const { first } = await twoPacks();
  let isDone = false;
  const { home } = watch(rig.home, async (call, key) => {
    if (call !== 'read' || isDone || !key.startsWith('packs/')) return;
    isDone = true;
    await purge(X);
  });
  const { missing, damaged } = await rig.pull('c', [first], home);
  expect([missing, damaged.map(({ path }) => path)]).toEqual([[], ['data/x']]);
  expect(Object.values(readTree(rig.cache('c'), first))).toEqual(['a', SHARED, undefined]);
});

test('a push that relied on a pack that goes is whole in the end; it sends the content only where it does not know better', async () => {
  await rig.push('a', [await addTree(rig.cache('a'), { x: X, shared: SHARED })]);
  const files: Files = { x: X, shared: SHARED, more: 'more' };
  for (const isKnown of [true, false]) {
    const tree = await addTree(rig.cache('b'), { ...files, [`n${isKnown}`]: `new ${isKnown}` });
    let isDone = false;
    const { home } = watch(rig.home, async (call, key) => {
      if (call !== 'write' || isDone || !/^index\/[0-9a-f]{64}$/.test(key)) return;
      isDone = true;
      await purge(X);
    });
    const cache = isKnown
      ? openLocalCache({
          folder: rig.cache('b').folder,
          packBelow: () => 1 << 20,
          refused: () => new Map([[digestOf(X), true]]),
        })
      : rig.cache('b');
    await upload({ remote: await rig.remote('b', home), cache, roots: [tree], renewNotes: false });
    expect(isDone).toBe(true);
    expect(living()).toEqual(expect.arrayContaining([digestOf(SHARED), digestOf('more'), tree.digest].sort()));
    expect(living().includes(digestOf(X))).toBe(!isKnown);
  }
  await purge(X);
  expect(living()).not.toContain(digestOf(X));
});

test('a pack stays, and is named, where something else in it is damaged and nowhere else', async () => {
  await rig.push('a', [await addTree(rig.cache('a'), { x: X, shared: SHARED })]);
  const { keys } = await findOnRemote(await rig.remote('c'), new Set([digestOf(X)]));
  const [{ path } = { path: '' }] = keys;
  const bytes = await rig.home.readAll(path, 1 << 20);
  bytes[bytes.indexOf(SHARED)] = 0;
  rmSync(join(rig.remoteFolder, path));
  writeFileSync(join(rig.remoteFolder, path), bytes);
  expect(await purge(X)).toEqual({ stuck: [path] });
  expect(data()).toContain(path.slice('packs/'.length));
});

test('refuses the digest of a list of files', async () => {
  const tree = await addTree(rig.cache('a'), { x: X });
  await rig.push('a', [tree]);
  await expect(findOnRemote(await rig.remote('c'), new Set([tree.digest]))).rejects.toMatchObject({
    code: 'content-is-tree',
  });
});
