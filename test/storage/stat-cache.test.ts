import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Digest } from '../../src/domain/digest.ts';
import type { TreePath } from '../../src/domain/tree-path.ts';
import { RECORD_BYTES } from '../../src/storage/file-record.ts';
import { hashEngine } from '../../src/platform/hash.ts';
import { bootId } from '../../src/platform/process-identity.ts';
import type { BlockPlace, StatBlock, StatCache } from '../../src/storage/stat-cache.ts';
import { blockHash, blocksBetween, openStatCache, readBlock, writeStatCache } from '../../src/storage/stat-cache.ts';

const SUMMARY = {
  generation: 'first',
  context: 'all',
  root: 'a1'.repeat(32) as Digest,
  files: 3,
  bytes: 12,
  notCheckedOut: 0,
};
const BLOCKS: readonly StatBlock[] = [
  { paths: 'a\0b/c', records: Buffer.alloc(2 * RECORD_BYTES, 'one') },
  { paths: '\xe6\x97\xa5%0A', records: Buffer.alloc(RECORD_BYTES, 'two') },
];

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'mlv-stat-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

let count = 0;
function write(blocks: readonly StatBlock[] = BLOCKS): string {
  count += 1;
  const path = join(folder, 'state', String(count));
  const writer = writeStatCache(path);
  for (const block of blocks) writer.add(block);
  writer.finish(SUMMARY);
  return path;
}

function readAll(path: string): (StatBlock | undefined)[] {
  const statCache = openStatCache(path);
  const file = openSync(path, 'r');
  try {
    return (statCache?.blocks ?? []).map((place) => readBlock(file, place));
  } finally {
    closeSync(file);
  }
}

describe('a stat cache', () => {
  test('comes back as it was written', () => {
    const path = write();
    const statCache = openStatCache(path);
    expect(statCache).toEqual({
      path,
      ...SUMMARY,
      boot: bootId(),
      blocks: [
        { first: 'a', last: 'b/c', offset: 8, length: 149, count: 2, hash: blockHash(BLOCKS[0] as StatBlock) },
        {
          first: '\xe6\x97\xa5%0A',
          last: '\xe6\x97\xa5%0A',
          offset: 157,
          length: 78,
          count: 1,
          hash: blockHash(BLOCKS[1] as StatBlock),
        },
      ],
    });
    expect(readAll(path)).toEqual(BLOCKS);
  });

  test('may have no paths at all, and has no empty blocks', () => {
    const path = write([{ paths: '', records: Buffer.alloc(0) }]);
    expect(openStatCache(path)).toEqual({ path, ...SUMMARY, boot: bootId(), blocks: [] });
  });

  test('replaces the one before only when it is complete', () => {
    const path = write();
    const before = readFileSync(path);
    const writer = writeStatCache(path);
    writer.add({ paths: 'new', records: Buffer.alloc(RECORD_BYTES) });
    expect(readFileSync(path)).toEqual(before);
    writer.abandon();
    expect(readFileSync(path)).toEqual(before);
    expect(readdirSync(join(folder, 'state')).filter((name) => name.endsWith('.tmp'))).toEqual([]);
  });

  test('is written again as the same bytes', () => {
    expect(readFileSync(write())).toEqual(readFileSync(write()));
  });
});

/** A directory under its right hash. */
function framed(directory: string, offset: number): Buffer {
  const text = Buffer.from(directory);
  const trailer = Buffer.alloc(48);
  trailer.writeUIntLE(offset, 0, 6);
  trailer.writeUIntLE(text.length, 6, 6);
  hashEngine().hash(text).copy(trailer, 16);
  return Buffer.concat([text, trailer]);
}

function withBlock(all: StatCache, change: Partial<BlockPlace>): string {
  return JSON.stringify({ ...all, blocks: [...all.blocks.slice(0, -1), { ...all.blocks.at(-1), ...change }] });
}

describe('is thrown away', () => {
  test('when it is not there', () => {
    const path = write();
    expect(openStatCache(join(folder, 'none'))).toBeUndefined();
    expect(openStatCache(join(path, 'below-a-file'))).toBeUndefined();
    expect(existsSync(path)).toBe(true);
  });

  test('when it is of another version, or something else', () => {
    const path = write();
    const bytes = readFileSync(path);
    for (const magic of ['mlvstat2', 'MLVSTAT1', '\0'.repeat(8)]) {
      const other = Buffer.from(bytes);
      other.write(magic, 0, 'latin1');
      writeFileSync(path, other);
      expect(openStatCache(path)).toBeUndefined();
    }
    for (const text of ['', 'mlvstat1', 'x'.repeat(200)]) {
      writeFileSync(path, text);
      expect(openStatCache(path)).toBeUndefined();
    }
  });

  test('wherever it is cut', () => {
    const path = write();
    const bytes = readFileSync(path);
    for (let length = bytes.length - 1; length >= 0; length--) {
      truncateSync(path, length);
      expect(openStatCache(path)).toBeUndefined();
    }
  });

  test('whole or by the block, whichever bit of it flips', () => {
    const path = write();
    const bytes = readFileSync(path);
    const statCache = openStatCache(path);
    const trailer = bytes.length - 48;
    for (let at = 0; at < bytes.length; at++) {
      if (at >= trailer + 12 && at < trailer + 16) continue; // says nothing
      const changed = Buffer.from(bytes);
      changed.writeUInt8(changed.readUInt8(at) ^ 1, at);
      writeFileSync(path, changed);
      const block = statCache?.blocks.findIndex(({ offset, length }) => at >= offset && at < offset + length) ?? -1;
      if (block < 0) expect(openStatCache(path)).toBeUndefined();
      else expect(readAll(path)).toEqual(BLOCKS.map((good, index) => (index === block ? undefined : good)));
    }
  });

  test.each([
    ['is no JSON', () => '{'],
    ['is nothing', () => 'null'],
    ['has no blocks', (all: StatCache) => JSON.stringify({ ...all, blocks: undefined })],
    ['has sizes that are words', (all: StatCache) => JSON.stringify({ ...all, bytes: '12' })],
    ['has a block beyond the end', (all: StatCache) => withBlock(all, { length: 2 ** 40 })],
    ['has a block before the beginning', (all: StatCache) => withBlock(all, { offset: -1 })],
    ['has more records than bytes', (all: StatCache) => withBlock(all, { count: 3 })],
    ['has a root that is no digest', (all: StatCache) => JSON.stringify({ ...all, root: 'x' })],
  ] as const)('when its directory %s, whatever its hash says', (_, change) => {
    const path = write();
    const whole = openStatCache(path);
    if (whole === undefined) throw new Error('no stat cache was written');
    const bytes = readFileSync(path);
    const end = bytes.readUIntLE(bytes.length - 48, 6);
    const { path: __, ...directory } = whole;
    writeFileSync(path, Buffer.concat([bytes.subarray(0, end), framed(JSON.stringify(directory), end)]));
    expect(openStatCache(path)).toEqual(whole);
    writeFileSync(path, Buffer.concat([bytes.subarray(0, end), framed(change(whole), end)]));
    expect(openStatCache(path)).toBeUndefined();
  });

  test('but an error of the disk is told', () => {
    const path = join(folder, 'is-a-folder');
    mkdirSync(path);
    expect(() => openStatCache(path)).toThrow('EISDIR');
  });
});

describe('the blocks between two paths', () => {
  const blocks = ['bd', 'ee', 'gk', 'mp'].map(([first, last], index): BlockPlace => ({
    first: first as TreePath,
    last: last as TreePath,
    offset: index,
    length: 1,
    count: 1,
    hash: SUMMARY.root,
  }));

  test('are those that may hold one of them', () => {
    const letter = fc.constantFrom(...'abcdefghijklmnopqr'.split('')).map((each) => each as TreePath);
    fc.assert(
      fc.property(letter, letter, (a, b) => {
        const [first, last] = a < b ? [a, b] : [b, a];
        const expected = blocks.filter((block) => block.last >= first && block.first <= last);
        expect(blocksBetween(blocks, first, last)).toEqual(expected);
      }),
    );
  });

  test('are none of none', () => {
    expect(blocksBetween([], 'a' as TreePath, 'z' as TreePath)).toEqual([]);
  });
});
