/** What pushes and pulls do so that a collection of the remote can go on beside them: docs/gc-protocol.md. */
import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync, rmSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { formatTombstones, keyPath } from '../../src/domain/remote-layout.ts';
import { DAY_MS } from '../../src/domain/remote-times.ts';
import { hashEngine } from '../../src/platform/hash.ts';
import type { Home } from '../../src/storage/home.ts';
import { openIndexFile } from '../../src/storage/index-file.ts';
import type { Digest } from '../../src/domain/digest.ts';
import { isDigest } from '../../src/domain/digest.ts';
import { upload } from '../../src/storage/upload.ts';
import type { Rig, Tree } from './transfer-rig.ts';
import { addTree, contentOf, createRig, digestOf, openEnds, readRows, readTree, watch } from './transfer-rig.ts';

const { hash } = hashEngine();
const FILES = { a: 'content a', b: 'content b' };

let rig: Rig;
let tree: Tree;
beforeEach(async () => {
  rig = createRig();
  tree = await addTree(rig.cache('a'), FILES);
});
afterEach(() => rig.dispose());

async function bury(...dying: string[]): Promise<void> {
  const { key, text } = formatTombstones(dying, { nonce: randomBytes(8).toString('hex'), hash });
  await rig.home.write(key, [Buffer.from(text)]);
}

function keys(folder: 'packs' | 'index'): string[] {
  return readdirSync(join(rig.remoteFolder, folder), { recursive: true })
    .map((name) => `${folder}/${String(name)}`)
    .filter((key) => isDigest(key.slice(key.lastIndexOf('/') + 1)))
    .sort();
}

function notedDays(): number[] {
  return keys('index').flatMap((key) => {
    const index = openIndexFile(join(rig.remoteFolder, key), key.slice('index/'.length) as Digest);
    const days = index.roots().map(({ day }) => day);
    index.close();
    return days;
  });
}

/** The home as it is so many days later. */
function later(days: number): Home {
  return { ...rig.home, time: async (signal) => (await rig.home.time(signal)) + days * DAY_MS };
}

test('trees do not count where their index came a week after what it relies on; they are sent again, data is not', async () => {
  await rig.push('a', [tree]);
  const [index = ''] = keys('index');
  const next = new Date(Date.now() + 7 * DAY_MS);
  utimesSync(join(rig.remoteFolder, index), next, next);
  const remote = await rig.remote('b');
  expect(await remote.find([tree.digest], 'tree')).toEqual([undefined]);
  expect(await remote.find([digestOf('content a')], 'blob')).toMatchObject([{ length: 9 }]);
  await rig.pull('b', [tree]); // who reads need not care
  expect(readTree(rig.cache('b'), tree)).toEqual(contentOf(FILES));
  expect(await rig.push('a', [tree])).toMatchObject({ blobs: 0, indexes: 1 });
  expect(await (await rig.remote('b')).find([tree.digest], 'tree')).toMatchObject([{ key: { kind: 'tree-pack' } }]);
});

test('a push that takes a week looks again, and stores an index that counts', async () => {
  let asked = 0;
  // Between the listing and the index days pass.
  const home: Home = { ...rig.home, time: async () => Date.now() - (asked++ === 0 ? 7 * DAY_MS : 0) };
  await rig.push('a', [tree], home);
  expect(keys('index')).toHaveLength(2);
  expect(await (await rig.remote('b')).find([tree.digest], 'tree')).toMatchObject([{ key: { kind: 'tree-pack' } }]);
});

test('a push under which everything dies again and again does not say that it is done', async () => {
  const { home } = watch(rig.home, async (call, key) => {
    if (call === 'write' && key.startsWith('index/')) await bury(...keys('packs'));
  });
  await expect(rig.push('a', [tree], home)).rejects.toMatchObject({ code: 'push-overtaken' });
});

test('a push with nothing to send notes its roots again after a month, where it may write', async () => {
  await rig.push('a', [tree]);
  const push = async (home: Home) =>
    upload({ remote: await rig.remote('a', home), cache: rig.cache('a'), roots: [tree], renewNotes: true });
  expect(await push(later(30))).toMatchObject({ indexes: 0, blobs: 0 });
  expect(notedDays()).toHaveLength(1);
  const denied: Home = {
    ...later(31),
    write: async () => {
      throw Object.assign(new Error('denied'), { code: 'EACCES' });
    },
  };
  await expect(push(denied)).rejects.toThrow('denied');
  expect(await push(later(31))).toMatchObject({ indexes: 0, blobs: 0 });
  const [first = 0, second = 0] = notedDays().sort((a, b) => a - b);
  expect(second - first).toBe(31);
});

test('a merge keeps rows of dead keys, and leaves out trees whose index does not vouch', async () => {
  const trees: Tree[] = [];
  for (let number = 0; number < 7; number++) {
    const one = await addTree(rig.cache('a'), { a: `content ${number}` });
    await rig.push('a', [one]);
    trees.push(one);
  }
  const [late = ''] = keys('index');
  const next = new Date(Date.now() + 7 * DAY_MS);
  utimesSync(join(rig.remoteFolder, late), next, next);
  const [dead] = [...readRows(rig.remoteFolder).values()].filter(({ key }) => key.kind === 'pack');
  await bury(keyPath(dead?.key ?? { kind: 'pack', hash: digestOf('') }));
  await rig.push('a', [await addTree(rig.cache('a'), { a: 'the last one' })]);
  const merged = keys('index').flatMap((key) => {
    const index = openIndexFile(join(rig.remoteFolder, key), key.slice('index/'.length) as Digest);
    return index.head.replaces.length === 8 ? [index] : [];
  });
  expect(merged).toHaveLength(1);
  const kinds = merged[0]?.keys() ?? [];
  expect(kinds.filter(({ hash: name }) => name === dead?.key.hash)).toHaveLength(1);
  const tells = (one: Tree): boolean =>
    (merged[0]?.find(Buffer.from(one.digest, 'hex')) ?? []).some(({ key }) => key.kind === 'tree-pack');
  expect(trees.filter(tells)).toHaveLength(6);
  merged[0]?.close();
});

test('a pull tries every place of a blob that is dead, until one has it', async () => {
  await rig.push('a', [tree]);
  const first = keys('packs');
  await bury(...first);
  await rig.push('a', [tree]);
  const second = keys('packs').filter((key) => !first.includes(key));
  await bury(...second);
  for (const [name, gone] of [
    ['b', first],
    ['c', second],
  ] as const) {
    const kept = gone.map((key) => [key, readFileSync(join(rig.remoteFolder, key))] as const);
    for (const [key] of kept) rmSync(join(rig.remoteFolder, key));
    expect(await rig.pull(name, [tree])).toMatchObject({ missing: [], damaged: [] });
    expect(readTree(rig.cache(name), tree)).toEqual(contentOf(FILES));
    for (const [key, bytes] of kept) await rig.home.write(key, [bytes]);
  }
  for (const key of [...first, ...second]) rmSync(join(rig.remoteFolder, key));
  expect((await rig.pull('d', [tree])).damaged).toMatchObject([{ how: 'gone' }]);
  expect(await rig.push('a', [tree])).toMatchObject({ blobs: 2 });
  expect(openEnds(rig.remoteFolder)).toEqual([]);
});
