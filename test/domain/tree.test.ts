/** The boundary rule, and what it makes of names as they are in the world. */
import { describe, expect, test } from 'vitest';
import { EMPTY_DIGEST, endsPage, MAX_PAGE_BYTES, MAX_PAGE_LINES, pathHash } from '../../src/domain/tree.ts';
import { createTreeBuilder } from '../../src/domain/tree-builder.ts';
import type { TreePath } from '../../src/domain/tree-path.ts';
import { treePathFromText } from '../../src/domain/tree-path.ts';
import { digestOf } from '../support/trees.ts';

/** FNV-1a with 32 bits and the finaliser of MurmurHash3, in big integers, as their authors describe them. */
function slowHash(path: string): number {
  const mask = 0xffffffffn;
  let value = 0x811c9dc5n;
  for (const byte of Buffer.from(path, 'latin1')) value = ((value ^ BigInt(byte)) * 0x01000193n) & mask;
  value = ((value ^ (value >> 16n)) * 0x85ebca6bn) & mask;
  value = ((value ^ (value >> 13n)) * 0xc2b2ae35n) & mask;
  return Number(value ^ (value >> 16n));
}

describe('the hash of a path', () => {
  test.each(['', 'a', 'foobar', '000123/000123.png', '日本語/画像.png', 'a%0Ab', 'x'.repeat(4096)])(
    'is what its authors describe: %s',
    (text) => {
      const path = treePathFromText(text);
      expect(pathHash(path)).toBe(slowHash(path));
    },
  );

  test('gives each level ten bits of its own', () => {
    const path = 'a' as TreePath;
    const bits = slowHash(path);
    expect([0, 1, 2].map((level) => endsPage(path, level))).toEqual(
      [0, 1, 2].map((level) => ((bits >>> (10 * level)) & 1023) === 0),
    );
  });

  test('the digest of empty folders is that of nothing', () => {
    expect(digestOf('')).toBe(EMPTY_DIGEST);
  });
});

const COUNT = 200_000;
const number = (index: number, width: number): string => String(index).padStart(width, '0');
const hex = (index: number): string => (Math.imul(index + 1, 0x9e3779b1) >>> 0).toString(16).padStart(8, '0');
const extensions = ['png', 'json', 'xml', 'txt'];
const date = (index: number): string => new Date(1_600_000_000_000 + index * 3_600_000).toISOString();

const schemes: Readonly<Record<string, (index: number) => string>> = {
  'a folder for each number': (index) => `${number(index, 6)}/${number(index, 6)}.png`,
  'one flat folder of numbers': (index) => `${number(index, 8)}.jpg`,
  'numbers without zeros': (index) => `img_${index}.jpg`,
  'images and labels': (index) =>
    `${index % 2 === 0 ? 'images' : 'labels'}/train/${number(index >> 1, 12)}.${index % 2 === 0 ? 'jpg' : 'txt'}`,
  'uuid names': (index) =>
    `${hex(index)}-${hex(index + 1).slice(0, 4)}-4${hex(index + 2).slice(0, 3)}-a${hex(index + 3).slice(0, 3)}-${hex(index + 4)}${hex(index + 5).slice(0, 4)}.parquet`,
  'hashed folders': (index) => `${hex(index).slice(0, 2)}/${hex(index).slice(2, 4)}/${hex(index)}${hex(index + 7)}`,
  'dated paths': (index) => `${date(index).slice(0, 10).replaceAll('-', '/')}/log-${date(index).slice(11, 13)}.gz`,
  'hive partitions': (index) =>
    `year=${2000 + (index % 20)}/month=${1 + (index % 12)}/part-${number(index, 5)}-c000.snappy.parquet`,
  'classes of ImageNet': (index) =>
    `train/n0${1_440_000 + (index % 1000)}/n0${1_440_000 + (index % 1000)}_${index}.JPEG`,
  'frames of videos': (index) => `video_${number(Math.floor(index / 300), 4)}/frame_${number(index % 300, 6)}.png`,
  'names in Chinese': (index) => `数据/类别${index % 50}/图像_${number(index, 6)}.png`,
  'deep folders': (index) => `a/b/c/d/e/f/g/h/${index % 10}/i/${index % 7}/j/k/sample-${index}.npy`,
  'four files a sample': (index) =>
    `shard-${number(Math.floor(index / 4000), 3)}/${number(index >> 2, 7)}.${extensions[index & 3]}`,
};

describe('pages have about a thousand entries', () => {
  test.each(Object.entries(schemes))('with %s', (_, name) => {
    const paths = Array.from({ length: COUNT }, (_entry, index) => treePathFromText(name(index))).sort();
    const lines: number[] = [];
    let longest = 0;
    // The pages' own digests do not matter here, only where they end.
    const builder = createTreeBuilder({
      hash: () => Buffer.alloc(32),
      emit({ bytes, node }) {
        if (node === undefined) return;
        lines.push(node.files);
        longest = Math.max(longest, bytes.length);
      },
    });
    for (const path of paths) builder.entry({ path, kind: 'f', size: 1, digest: EMPTY_DIGEST });
    builder.finish();
    const average = COUNT / lines.length;
    expect(average).toBeGreaterThan(800);
    expect(average).toBeLessThan(1300);
    expect(Math.max(...lines)).toBeLessThanOrEqual(MAX_PAGE_LINES);
    expect(longest).toBeLessThan(MAX_PAGE_BYTES);
    // A geometric distribution with this mean has its median at 710 and one page in e^8 above 8,192.
    const sorted = lines.sort((a, b) => a - b);
    expect(sorted[sorted.length >> 1]).toBeGreaterThan(450);
    expect(sorted[sorted.length >> 1]).toBeLessThan(1000);
    expect(lines.filter((count) => count > 8_192).length).toBeLessThanOrEqual(2);
  });
});
