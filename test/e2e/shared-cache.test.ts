import { execFileSync } from 'node:child_process';
import { chmodSync, chownSync, lutimesSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { manyFiles, readFolder, writeFiles } from '../support/folders.ts';
import type { MlvOptions, MlvRig } from '../support/mlv.ts';
import { makeMlvRig } from '../support/mlv.ts';
import { shareProject } from '../support/shared-project.ts';
import { told } from '../support/told.ts';

const isRoot = process.getuid?.() === 0;
const GROUP = 64_000;
const USERS = [64_001, 64_002];

let rig: MlvRig;
beforeAll(() => {
  rig = makeMlvRig();
  chmodSync(rig.folder, 0o755);
});
afterAll(() => rig.dispose(), 60_000);

/** Two users' clones of one project, each with a home of its own. */
async function twoUsers(name: string, umask: string) {
  const origin = await shareProject(rig, name, { ...manyFiles(120, 'data/'), model: 'first' }, 'data', 'model');
  await told(rig, origin.root, ['push']);
  const cache = join(rig.folder, `${name}-cache`);
  mkdirSync(cache);
  chownSync(cache, USERS[0] ?? 0, GROUP);
  chmodSync(origin.remote, 0o777);
  execFileSync('chmod', ['-R', 'a+rwX', origin.remote]);
  const users = USERS.map((uid) => {
    const home = join(rig.folder, `${name}-home-${uid}`);
    const { root } = origin.clone(`${name}-home-${uid}/clone`);
    execFileSync('chown', ['-R', `${uid}:${GROUP}`, home]);
    chmodSync(home, 0o750);
    const as: MlvOptions = {
      uid,
      gid: GROUP,
      umask,
      env: { HOME: home, GIT_CONFIG_COUNT: '1', GIT_CONFIG_KEY_0: 'safe.directory', GIT_CONFIG_VALUE_0: '*' },
    };
    const mlv = (...args: string[]): Promise<string> => told(rig, root, args, as);
    return { root, mlv, as };
  });
  for (const { mlv } of users) {
    await mlv('config', '--local', 'cache.dir', cache);
    await mlv('config', '--local', 'cache.shared', 'group');
  }
  return { ...origin, cache, users };
}

/** Folders and files of a cache that not everybody of its group may use as the others. */
function notShared(cache: string): string[] {
  return readdirSync(cache, { recursive: true, withFileTypes: true }).flatMap((entry) => {
    const path = join(entry.parentPath, entry.name);
    const { mode, gid } = statSync(path);
    const isRight = entry.isDirectory() ? (mode & 0o7777) === 0o2775 : (mode & 0o440) === 0o440;
    return isRight && gid === GROUP ? [] : [`${path.slice(cache.length + 1)} ${(mode & 0o7777).toString(8)} ${gid}`];
  });
}

describe.each(['077', '002'])('a cache that a group shares, by users with umask %s', (umask) => {
  test('serves both, whoever brought what', async ({ skip }) => {
    if (!isRoot) skip('only root can run commands as two users');
    const { cache, users } = await twoUsers(`group-${umask}`, umask);
    const [a, b] = users;
    if (a === undefined || b === undefined) throw new Error('there are two users');
    await a.mlv('pull');
    expect(notShared(cache)).toEqual([]);
    // Nothing is left to be fetched for the other one.
    expect(await b.mlv('fetch')).toMatch(/up to date/);
    await b.mlv('checkout');
    expect(readFolder(join(b.root, 'data'))).toEqual(readFolder(join(a.root, 'data')));

    for (const [index, { root, mlv, as }] of users.entries()) {
      writeFiles(root, {
        [`mine-${index}/large`]: Buffer.alloc(2 << 20, `${index}`),
        ...manyFiles(90, `mine-${index}/`),
      });
      execFileSync('chown', ['-R', `${as.uid}:${GROUP}`, join(root, `mine-${index}`)]);
      await mlv('add', `mine-${index}`);
      await mlv('verify');
    }
    // The same bytes as somebody else's.
    writeFileSync(join(b.root, 'copy'), Buffer.alloc(2 << 20, '0'));
    chownSync(join(b.root, 'copy'), b.as.uid ?? 0, GROUP);
    await b.mlv('add', 'copy');
    expect(notShared(cache)).toEqual([]);
  });

  test('is collected by one of them, and keeps what the other needs', async ({ skip }) => {
    if (!isRoot) skip('only root can run commands as two users');
    const { cache, users } = await twoUsers(`collected-${umask}`, umask);
    const [a, b] = users;
    if (a === undefined || b === undefined) throw new Error('there are two users');
    for (const { mlv } of users) await mlv('pull');
    for (const [index, { root, mlv, as }] of users.entries()) {
      writeFileSync(join(root, 'mine'), `of user ${index}`);
      chownSync(join(root, 'mine'), as.uid ?? 0, GROUP);
      await mlv('add', 'mine');
    }
    const then = new Date(Date.now() - 21 * 24 * 60 * 60 * 1000);
    for (const name of readdirSync(cache, { recursive: true })) lutimesSync(join(cache, String(name)), then, then);
    await a.mlv('remove', '--data', 'mine');
    // The other's clone is open to the group.
    execFileSync('chmod', ['-R', 'g+rX', b.root]);
    expect(await a.mlv('gc', '--yes', '--unpushed')).toMatch(/^to the trash {2}1 blob \(9 B\)/);
    await b.mlv('verify');
    expect(notShared(cache)).toEqual([]);
    // The other one undoes it.
    await b.mlv('gc', '--undo');
    await a.mlv('verify');
  });
});
