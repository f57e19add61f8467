/** After a power loss: a checkout's files may not hold what they were given, although they look as if nothing had touched them. */
import { closeSync, lstatSync, openSync, readdirSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { treePathToText } from '../../src/domain/tree-path.ts';
import type { TreePath } from '../../src/domain/tree-path.ts';
import { bootId } from '../../src/platform/process-identity.ts';
import { RECORD_BYTES, RACY, WRITTEN } from '../../src/storage/file-record.ts';
import { openStatCache, writeStatCache } from '../../src/storage/stat-cache.ts';
import { readBlocks } from '../../src/workspace/record-seeker.ts';
import { identities, writeFiles } from '../support/folders.ts';
import type { MlvRig } from '../support/mlv.ts';
import { makeMlvRig } from '../support/mlv.ts';
import { told } from '../support/told.ts';

let rig: MlvRig;
beforeAll(() => {
  rig = makeMlvRig();
});
afterAll(() => rig.dispose());

let root: string;
let count = 0;
beforeEach(async () => {
  count += 1;
  ({ root } = await rig.project(`boot-${count}`));
  writeFiles(root, { 'data/a': 'aaaa', 'data/b/c': 'cccc', one: '1111' });
  await told(rig, root, ['add', 'data', 'one']);
});

function stateFiles(): string[] {
  const folder = join(root, '.git/mlv/state');
  return readdirSync(folder).map((name) => join(folder, name));
}

/** How many files' records say that a checkout wrote them. */
function written(): number {
  const blocks = stateFiles().flatMap((file) => {
    const cache = openStatCache(file);
    return cache === undefined ? [] : [...readBlocks(cache)];
  });
  return blocks
    .flatMap(({ records }) =>
      Array.from({ length: records.length / RECORD_BYTES }, (_, at) => records[at * RECORD_BYTES + 1] ?? 0),
    )
    .filter((flags) => (flags & WRITTEN) !== 0).length;
}

/** Writes the stat caches anew, as of this boot and with what the files look like now: so they would have survived them. */
function survive(boot: string): void {
  for (const file of stateFiles()) {
    const cache = openStatCache(file);
    if (cache === undefined) throw new Error(file);
    const blocks = [...readBlocks(cache)];
    const writer = writeStatCache(file, boot);
    for (const { paths, records } of blocks) {
      for (const [index, path] of paths.split('\0').entries()) {
        const text = treePathToText(path as TreePath);
        const { mtimeMs, ctimeMs } = lstatSync(join(root, text === 'one' ? text : `data/${text}`));
        records.writeDoubleLE(mtimeMs, index * RECORD_BYTES + 16);
        records.writeDoubleLE(ctimeMs, index * RECORD_BYTES + 24);
        records[index * RECORD_BYTES + 1] = (records[index * RECORD_BYTES + 1] ?? 0) & ~RACY;
      }
      writer.add({ paths, records });
    }
    writer.finish(cache);
  }
}

/** As many bytes as before, in the same file. */
function lose(path: string): void {
  const file = openSync(join(root, path), 'r+');
  writeSync(file, Buffer.alloc(4));
  closeSync(file);
}

test('what a checkout wrote is hashed again, once', async () => {
  expect(written()).toBe(0);
  for (const name of ['data', 'one']) rmSync(join(root, name), { recursive: true });
  await told(rig, root, ['checkout']);
  expect(written()).toBe(3);
  expect(await told(rig, root, ['status'])).toContain('2 paths unchanged');

  lose('data/b/c');
  lose('one');
  survive(bootId());
  expect(await told(rig, root, ['status'])).toContain('2 paths unchanged');
  survive('another boot');
  const status = await told(rig, root, ['status']);
  expect(status).toContain('changed  data/b/c');
  expect(status).toContain('one   modified');
  expect(await told(rig, root, ['checkout', '--force'])).toContain('data/b/c');
  expect([readFileSync(join(root, 'data/b/c'), 'utf8'), readFileSync(join(root, 'one'), 'utf8')]).toEqual([
    'cccc',
    '1111',
  ]);
});

test('what is found to be right is believed from then on, and no look at it writes anything', async () => {
  for (const name of ['data', 'one']) rmSync(join(root, name), { recursive: true });
  await told(rig, root, ['checkout']);
  // What is younger is hashed at each look, and once more noted when it is old enough.
  await setTimeout(2_100);
  survive('another boot');
  expect(await told(rig, root, ['status'])).toContain('2 paths unchanged');
  expect(written()).toBe(0);
  const before = identities(join(root, '.git/mlv/state'));
  expect(await told(rig, root, ['status'])).toContain('2 paths unchanged');
  expect(identities(join(root, '.git/mlv/state'))).toEqual(before);
});
