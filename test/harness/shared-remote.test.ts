import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { manyFiles, readFolder } from '../support/folders.ts';
import type { MlvRig } from '../support/mlv.ts';
import { makeMlvRig } from '../support/mlv.ts';
import { makeStoreClock } from '../support/store-clock.ts';
import { refusal } from '../support/told.ts';
import type { User } from '../support/two-users.ts';
import { giveToGroup, isRoot, makeTwoUsers, notShared, WHY_ROOT } from '../support/two-users.ts';

let rig: MlvRig;
beforeAll(() => {
  rig = makeMlvRig();
});
afterAll(() => rig.dispose(), 60_000);

describe.each([
  ['077', '002'],
  ['002', '077'],
] as const)('a folder of a group as remote, by users with umask %s and %s', (first, second) => {
  test('both push, read, and collect what the other has pushed', async ({ skip }) => {
    if (!isRoot) skip(WHY_ROOT);
    const name = `remote-${first}`;
    const clock = makeStoreClock(join(rig.folder, `${name}-clock`), join(rig.folder, `${name}-store`));
    const { a, b, remote, root, git } = await makeTwoUsers(rig, name, { umasks: [first, second], env: clock.env });
    giveToGroup(remote);
    /** Commits as root in a user's clone, and publishes. */
    const publish = async (user: User, branch: string): Promise<void> => {
      user.git('-c', 'safe.directory=*', 'commit', '--quiet', '--all', '-m', branch);
      await user.mlv('push');
      user.git('-c', 'safe.directory=*', 'push', '--quiet', root, `HEAD:refs/heads/${branch}`);
    };
    for (const [index, user] of [a, b].entries()) {
      user.put({ ...manyFiles(80, `of-${index}/`), [`of-${index}/large`]: Buffer.alloc(9 << 20, `${index}`) });
      await user.mlv('add', `of-${index}`);
      await publish(user, `branch-${index}`);
      expect(notShared(remote)).toEqual([]);
    }
    for (const { mlv } of [a, b]) expect(await mlv('verify', '--remote')).toMatch(/sound/);

    git('branch', '-D', 'branch-0');
    clock.advance(100);
    const gc = ['gc', '--remote', 'store', '--yes'];
    b.git('-c', 'safe.directory=*', 'fetch', '--quiet', '--prune', root, '+refs/heads/*:refs/mlv-gc/*');
    // The Git remote is a folder of a third one.
    const trusting = { GIT_CONFIG_COUNT: '1', GIT_CONFIG_KEY_0: 'safe.directory', GIT_CONFIG_VALUE_0: '*' };
    const env = { ...b.as.env, ...trusting, GIT_CONFIG_GLOBAL: '/dev/null' };
    expect(await refusal(rig, b.root, gc, { ...b.as, env })).toBe(
      `error: Git does not trust the repository ${root}/.git, because somebody else owns it\n` +
        `hint: If you trust it: git config --global --add safe.directory ${root}/.git\n`,
    );
    expect(await b.mlv(...gc)).toMatch(/dead {2}83 blobs/);
    expect(notShared(remote)).toEqual([]);
    // One who sends again what died.
    clock.advance(8);
    await a.mlv('push');
    expect(await b.mlv(...gc)).toMatch(/deleted {2}83 blobs/);
    expect(notShared(remote)).toEqual([]);
    for (const { mlv } of [a, b]) expect(await mlv('verify', '--remote')).toMatch(/sound/);
    await b.mlv('pull');
    expect(readFolder(join(b.root, 'data'))).toEqual(readFolder(join(root, 'data')));
  });
});
