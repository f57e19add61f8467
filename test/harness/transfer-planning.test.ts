/** A push of several batches, of which one is sent while the next one is being planned. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Home } from '../../src/storage/home.ts';
import { upload } from '../../src/storage/upload.ts';
import type { Rig, Tree } from '../storage/transfer-rig.ts';
import { addTree, createRig, manyFiles } from '../storage/transfer-rig.ts';

let rig: Rig;
let tree: Tree;
beforeEach(async () => {
  rig = createRig();
  tree = await addTree(rig.cache('a'), manyFiles(60_000));
});
afterEach(() => rig.dispose());

/** Fails a push's first write, for which the planning of its next batch does not wait; `onWrite` is called before. */
async function pushFailing(onWrite: () => Promise<void> | void, signal?: AbortSignal) {
  const unhandled: unknown[] = [];
  const note = (error: unknown): void => void unhandled.push(error);
  process.on('unhandledRejection', note);
  let underWay = 0;
  const home: Home = {
    ...rig.home,
    async write() {
      underWay += 1;
      await onWrite();
      underWay -= 1;
      throw new Error('the store failed');
    },
  };
  const remote = await rig.remote('a', home);
  const cache = rig.cache('a');
  const outcome = await upload({ remote, cache, roots: [tree], renewNotes: false, signal }).catch(
    (error: unknown) => error,
  );
  const left = underWay;
  await sleep(300);
  process.off('unhandledRejection', note);
  return { outcome, left, unhandled };
}

test('interrupted, it waits for what is under way before it ends', async () => {
  const stop = new AbortController();
  const { left, unhandled } = await pushFailing(async () => {
    stop.abort(new Error('interrupted'));
    await sleep(300);
  }, stop.signal);
  expect([left, unhandled]).toEqual([0, []]);
});

test('failed while the next batch is being planned, it says so once', async () => {
  const { outcome, unhandled } = await pushFailing(() => {});
  expect([outcome, unhandled]).toEqual([new Error('the store failed'), []]);
});
