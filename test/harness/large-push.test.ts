import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Rig } from '../storage/transfer-rig.ts';
import { addTree, createRig, manyFiles, openEnds, readRows, watch } from '../storage/transfer-rig.ts';

let rig: Rig;
beforeEach(() => {
  rig = createRig();
});
afterEach(() => rig.dispose());

test('a large push that is interrupted keeps the parts that were complete', { timeout: 60_000 }, async () => {
  const many = manyFiles(53_000);
  const tree = await addTree(rig.cache('a'), many);
  let indexes = 0;
  const failing = watch(rig.home, (call, key) => {
    if (call === 'write' && key.startsWith('index/') && ++indexes === 2) throw new Error('the plug was pulled');
  });
  await expect(rig.push('a', [tree], failing.home)).rejects.toThrow('plug');
  const rows = readRows(rig.remoteFolder);
  expect(rows.size).toBeGreaterThan(50_000);
  expect(rows.has(tree.digest)).toBe(false);
  expect(openEnds(rig.remoteFolder)).toEqual([]);

  const result = await rig.push('a', [tree]);
  expect(result.indexes).toBe(1);
  expect(result.blobs + rows.size).toBeLessThan(53_000 + 100); // and some fifty pages
  expect(openEnds(rig.remoteFolder)).toEqual([]);
  expect(readRows(rig.remoteFolder).has(tree.digest)).toBe(true);
});
