import { chmodSync, readdirSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { manyFiles, readFolder } from '../support/folders.ts';
import type { MlvRig } from '../support/mlv.ts';
import { makeMlvRig } from '../support/mlv.ts';
import { age, isRoot, makeTwoUsers, notShared, openToGroup, shareCacheOf, WHY_ROOT } from '../support/two-users.ts';

let rig: MlvRig;
beforeAll(() => {
  rig = makeMlvRig();
});
afterAll(() => rig.dispose(), 60_000);

const LARGE = 3 << 19;

async function twoUsers(name: string, ...umasks: [string, string]) {
  const users = await makeTwoUsers(rig, name, { umasks });
  await shareCacheOf(users);
  return users;
}

describe.each(['077', '002'])('a cache that a group shares, by users with umask %s', (umask) => {
  test('serves both, whoever brought what', async ({ skip }) => {
    if (!isRoot) skip(WHY_ROOT);
    const { cache, a, b } = await twoUsers(`group-${umask}`, umask, umask);
    await a.mlv('pull');
    expect(notShared(cache)).toEqual([]);
    // Nothing is left to be fetched for the other one.
    expect(await b.mlv('fetch')).toMatch(/up to date/);
    await b.mlv('checkout');
    expect(readFolder(join(b.root, 'data'))).toEqual(readFolder(join(a.root, 'data')));

    for (const [index, { mlv, put }] of [a, b].entries()) {
      put({ [`mine-${index}/large`]: Buffer.alloc(2 << 20, `${index}`), ...manyFiles(90, `mine-${index}/`) });
      await mlv('add', `mine-${index}`);
      await mlv('verify');
    }
    // The same bytes as somebody else's.
    b.put({ copy: Buffer.alloc(2 << 20, '0') });
    await b.mlv('add', 'copy');
    expect(notShared(cache)).toEqual([]);
  });

  test('is collected by one of them, and keeps what the other needs', async ({ skip }) => {
    if (!isRoot) skip(WHY_ROOT);
    const { cache, a, b } = await twoUsers(`collected-${umask}`, umask, umask);
    for (const { mlv } of [a, b]) await mlv('pull');
    for (const [index, { mlv, put }] of [a, b].entries()) {
      put({ mine: `of user ${index}` });
      await mlv('add', 'mine');
    }
    age(cache, 21);
    await a.mlv('remove', '--data', 'mine');
    openToGroup(b);
    expect(await a.mlv('gc', '--yes', '--unpushed')).toMatch(/^to the trash {2}1 blob \(9 B\)/);
    await b.mlv('verify');
    expect(notShared(cache)).toEqual([]);
    // The other one undoes it.
    await b.mlv('gc', '--undo');
    await a.mlv('verify');
  });
});

describe.each([
  ['077', '002'],
  ['002', '077'],
] as const)('a cache that a group shares, by users with umask %s and %s', (first, second) => {
  test('what one has brought the other throws away, takes back, writes anew and deletes', async ({ skip }) => {
    if (!isRoot) skip(WHY_ROOT);
    const { cache, a, b } = await twoUsers(`strange-${first}`, first, second);
    for (const { mlv } of [a, b]) await mlv('pull');
    a.put({ ...manyFiles(200, 'mine/'), 'mine/large': Buffer.alloc(LARGE, 'mine') });
    await a.mlv('add', 'mine');
    // Of this pack the half is needed.
    await a.mlv('remove', '--data', 'mine');
    a.put({ ...manyFiles(100, 'mine/') });
    await a.mlv('add', 'mine');
    age(cache, 21);
    openToGroup(a);
    const gc = ['gc', '--yes', '--unpushed'];
    expect(await b.mlv(...gc)).toMatch(/^to the trash {2}\d+ blobs/);
    await a.mlv('verify');
    expect(notShared(cache)).toEqual([]);
    await a.mlv('gc', '--undo');
    openToGroup(a);
    await b.mlv('verify');
    expect(notShared(cache)).toEqual([]);

    age(cache, 21);
    expect(await b.mlv(...gc)).toMatch(/^to the trash {2}\d+ blobs/);
    // What is in the trash is taken back by who needs it, whoever threw it away.
    a.put({ ...manyFiles(200, 'mine/'), 'mine/large': Buffer.alloc(LARGE, 'mine') });
    await a.mlv('add', 'mine');
    await a.mlv('verify');
    await a.mlv('remove', '--data', 'mine');
    age(cache, 21);
    openToGroup(b);
    expect(await a.mlv(...gc)).toMatch(/to the trash {2}\d+ blobs/);
    age(cache, 21);
    openToGroup(a);
    expect(await b.mlv(...gc)).toMatch(/^deleted {2}\d+ files/);
    expect(readdirSync(join(cache, 'trash'))).toEqual([]);
    for (const { mlv } of [a, b]) await mlv('verify');
    expect(notShared(cache)).toEqual([]);
  });

  test('what one has brought and was damaged the other mends', async ({ skip }) => {
    if (!isRoot) skip(WHY_ROOT);
    const { cache, a, b } = await twoUsers(`damaged-${first}`, first, second);
    a.put({ large: Buffer.alloc(LARGE, 'large') });
    await a.mlv('add', 'large');
    await a.mlv('pull');
    await b.mlv('checkout');
    const names = readdirSync(cache, { recursive: true }).map(String);
    for (const name of names.filter((path) => path.startsWith('packs/') || /^b3\/..\/./.test(path))) {
      const path = join(cache, name);
      chmodSync(path, 0o644);
      if (name.startsWith('b3/')) truncateSync(path, 1_000);
      else writeFileSync(path, 'damage', { flag: 'r+' });
      chmodSync(path, 0o444);
    }
    openToGroup(a);
    // The large one is only in the first one's work tree.
    const { stdout } = await rig.mlv(b.root, ['verify', '--repair'], b.as);
    expect(stdout).toMatch(/repaired: cache: \d+ blobs restored/);
    expect(stdout).toContain('lost: no good copy was found');
    expect(notShared(cache)).toEqual([]);
    expect(await a.mlv('verify', '--repair')).toMatch(/repaired: cache: 1 blob restored/);
    for (const { mlv } of [a, b]) await mlv('verify');
    expect(notShared(cache)).toEqual([]);
  });
});
