import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { StorageKey } from '../../src/domain/blob-index.ts';
import type { BuiltIndex } from '../../src/storage/build-index.ts';
import type { IndexFile } from '../../src/storage/index-file.ts';
import { mergeIndexes, planMerges, replacedBy } from '../../src/storage/merge-indexes.ts';
import { build, digestOf, hash, numberedRows, saveIndex, threeKeys } from './index-rig.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'mlv-index-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function save(index: BuiltIndex): IndexFile {
  return saveIndex(folder, index);
}

describe('merging', () => {
  const eight = (): IndexFile[] =>
    Array.from({ length: 8 }, (_, at) =>
      save(build(numberedRows(at * 300, at * 300 + 400), { roots: [{ root: digestOf(`root ${at}`), day: at }] })),
    );

  test('makes the index that everything together would have made, and names what it replaces', () => {
    const inputs = eight();
    const merged = [...mergeIndexes({ inputs, hash })];
    const all = numberedRows(0, 2_500);
    const roots = inputs.map((_, at) => ({ root: digestOf(`root ${at}`), day: at }));
    const replaces = inputs.map(({ head }) => head.name);
    expect(merged.map(({ name }) => name)).toEqual([build(all, { roots, replaces }).name]);
  });

  test('leaves out rows of the keys that it is told', () => {
    const isLeftOut = ({ hash: name }: StorageKey) => name === threeKeys[1].hash;
    const [merged] = mergeIndexes({ inputs: eight(), isLeftOut, hash });
    const index = save(merged ?? build([]));
    expect(index.keys()).toEqual([threeKeys[0], threeKeys[2]].sort((a, b) => (a.hash < b.hash ? -1 : 1)));
    for (const { digest, key } of numberedRows(0, 2_500)) expect(index.find(digest)).toHaveLength(key === 1 ? 0 : 1);
    index.close();
  });

  test('splits by leading bits what would be too large; shards merge with shards', () => {
    const shards = [...mergeIndexes({ inputs: eight(), maxBytes: 40_000, hash })].map(save);
    expect(shards.map(({ head }) => head.prefix)).toEqual([0, 1, 2, 3].map((value) => ({ bits: 2, value })));
    for (const { digest, offset } of numberedRows(0, 2_500)) {
      const places = shards.flatMap((shard) => shard.find(digest));
      expect(places.map((place) => place.offset)).toEqual([offset]);
    }
    expect(
      shards
        .flatMap((shard) => shard.roots())
        .map(({ day }) => day)
        .sort((a, b) => a - b),
    ).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    const [second] = shards.slice(1, 2);
    const again = [...mergeIndexes({ inputs: second === undefined ? [] : [second, second], maxBytes: 40_000, hash })];
    expect(again.map(save).map(({ head }) => head.prefix)).toEqual([2, 3].map((value) => ({ bits: 3, value })));
  });

  test('is planned for eight of one size over one prefix', () => {
    const of = (rows: number, count: number, prefix = { bits: 0, value: 0 }) =>
      Array.from({ length: count }, (_, at) => ({ name: digestOf(`${rows} ${at}`), rows, prefix }));
    const groups = planMerges([
      ...of(7, 9),
      ...of(8, 5),
      ...of(63, 2),
      ...of(64, 4),
      ...of(64, 7, { bits: 1, value: 1 }),
    ]);
    expect(groups).toEqual([of(7, 9)]);
    expect(planMerges([...of(8, 5), ...of(63, 3)])).toHaveLength(1);
  });

  test('counts as done only when the shards for all bits are there', () => {
    const inputs = eight();
    const shards = [...mergeIndexes({ inputs, maxBytes: 40_000, hash })].map((shard) => save(shard).head);
    const input = { name: inputs[0]?.head.name ?? digestOf(''), prefix: { bits: 0, value: 0 } };
    expect(replacedBy(shards)(input)).toBe(true);
    expect(replacedBy(shards.slice(1))(input)).toBe(false);
    expect(replacedBy(shards.slice(1))({ ...input, prefix: { bits: 1, value: 1 } })).toBe(true);
    expect(replacedBy([])(input)).toBe(false);
    expect(replacedBy(shards)({ ...input, name: digestOf('another') })).toBe(false);
  });
});
