import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { CELL_BYTES } from '../../src/domain/blob-index.ts';
import type { Digest } from '../../src/domain/digest.ts';
import { digestToBytes } from '../../src/domain/digest.ts';
import { frameIndex, indexHeadLength, parseIndexHead, partRange } from '../../src/domain/index-head.ts';
import type { BuiltIndex } from '../../src/storage/build-index.ts';
import { buildIndex } from '../../src/storage/build-index.ts';
import type { IndexFile } from '../../src/storage/index-file.ts';
import { openIndexFile, openSparseIndexFile } from '../../src/storage/index-file.ts';
import { build, cellsOf, digestOf, hash, numberedRows, pack, saveIndex, threeKeys } from './index-rig.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'mlv-index-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function save(index: BuiltIndex): IndexFile {
  return saveIndex(folder, index);
}

describe('an index', () => {
  test('finds every row with its key, and nothing else', () => {
    const rows = numberedRows(0, 20_000);
    const index = save(build(rows));
    for (const { digest, key, offset, length } of rows) {
      expect(index.find(digest)).toEqual([{ key: threeKeys[key], offset, length }]);
    }
    for (let other = 0; other < 1_000; other++) expect(index.find(hash(Buffer.from(`other ${other}`)))).toEqual([]);
    expect(index.find(Buffer.alloc(32))).toEqual([]);
    expect(index.find(Buffer.alloc(32, 0xff))).toEqual([]);
    index.close();
  });

  test('is the same whatever the order and number of what it was built from', () => {
    fc.assert(
      fc.property(
        fc.array(fc.record({ blob: fc.nat(30), key: fc.nat(2), offset: fc.nat(5) }), { maxLength: 60 }),
        fc.infiniteStream(fc.nat()),
        (drafts, random) => {
          const rows = drafts.map(({ blob, key, offset }) => ({
            digest: hash(Buffer.from(`${blob}`)),
            key,
            offset,
            length: 1,
          }));
          const shuffled = [...rows, ...rows]
            .map((row) => [random.next().value ?? 0, row] as const)
            .sort(([a], [b]) => a - b)
            .map(([, row]) => ({ ...row, key: 2 - row.key }));
          const keys = threeKeys.toReversed();
          const again = buildIndex({ rows: cellsOf(shuffled), keys, hash });
          expect(Buffer.concat(again.chunks)).toEqual(Buffer.concat(build(rows).chunks));
        },
      ),
    );
  });

  test('finds all places of a blob, across blocks too', () => {
    const digest = hash(Buffer.from('many times'));
    const copies = Array.from({ length: 1_000 }, (_, offset) => ({ digest, key: offset % 3, offset, length: 5 }));
    const index = save(build([...numberedRows(0, 500), ...copies]));
    const found = index.find(digest).map(({ key, offset, length }) => ({
      digest,
      key: threeKeys.findIndex((each) => each.hash === key.hash),
      offset,
      length,
    }));
    expect(found.sort((a, b) => a.offset - b.offset)).toEqual(copies);
    for (const { digest: other, offset } of numberedRows(0, 500)) expect(index.find(other)[0]?.offset).toBe(offset);
    index.close();
  });

  test('keeps keys that rows name, roots with their last day, and what it replaces', () => {
    const root = digestOf('root');
    const replaces = [digestOf('y'), digestOf('x')];
    const roots = [
      { root, day: 20_000 },
      { root, day: 20_300 },
      { root, day: 7 },
    ];
    const index = save(
      build([{ digest: hash(Buffer.from('one')), key: 2, offset: 3, length: 4 }], { roots, replaces }),
    );
    expect(index.keys()).toEqual([threeKeys[2]]);
    expect(index.roots()).toEqual([{ root, day: 20_300 }]);
    expect(index.head.replaces).toEqual([...replaces].sort());
    index.close();
  });

  test('may be empty', () => {
    const index = save(build([]));
    expect({ found: index.find(hash(Buffer.from('x'))), keys: index.keys(), roots: index.roots() }).toEqual({
      found: [],
      keys: [],
      roots: [],
    });
    index.verify();
    index.close();
  });

  test('counts the rows below a digest', () => {
    const rows = numberedRows(0, 3_000);
    const index = save(build(rows));
    const sorted = rows.map(({ digest }) => digest).sort(Buffer.compare);
    for (const at of [0, 1, 127, 128, 129, 1_500, 2_999])
      expect(index.rowsBelow(sorted[at] ?? Buffer.alloc(0))).toBe(at);
    expect(index.rowsBelow(Buffer.alloc(32))).toBe(0);
    expect(index.rowsBelow(Buffer.alloc(32, 0xff))).toBe(3_000);
    index.close();
  });

  test('larger than what is kept in memory answers the same', () => {
    const rows = numberedRows(0, 8_000); // 384 KB
    const index = save(build(rows));
    for (const { digest, offset } of rows.slice(0, 300)) expect(index.find(digest)[0]?.offset).toBe(offset);
    expect(index.keys()).toHaveLength(3);
    index.verify();
    index.close();
  });
});

describe('a damaged index', () => {
  test('is found out by its hashes, whichever byte it is', () => {
    const built = build(numberedRows(0, 300), { roots: [{ root: digestOf('r'), day: 1 }], replaces: [digestOf('x')] });
    const bytes = Buffer.concat(built.chunks);
    const path = join(folder, built.name);
    fc.assert(
      fc.property(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), (at, flip) => {
        const damaged = Buffer.from(bytes);
        damaged.writeUInt8(damaged.readUInt8(at) ^ flip, at);
        writeFileSync(path, damaged);
        expect(() => openIndexFile(path, built.name).verify()).toThrow(/damaged|its format is version/);
      }),
      { numRuns: 400 },
    );
  });

  test('is refused cut short or drawn out, however little', () => {
    const built = build(numberedRows(0, 300));
    const bytes = Buffer.concat(built.chunks);
    const path = join(folder, built.name);
    for (let length = 0; length < bytes.length; length += 17) {
      writeFileSync(path, bytes.subarray(0, length));
      expect(() => openIndexFile(path, built.name), `${length} bytes`).toThrow('damaged');
    }
    writeFileSync(path, Buffer.concat([bytes, Buffer.alloc(1)]));
    expect(() => openIndexFile(path, built.name)).toThrow('its size');
  });

  test('of a later format asks for a later mlv', () => {
    const built = build([]);
    const bytes = Buffer.concat(built.chunks);
    bytes.writeUInt32LE(2, 8);
    expect(() => indexHeadLength(bytes, built.name)).toThrow(/its format is version 2, and mlv \S+ reads version 1/);
  });

  test('that claims to be huge is refused by its head', () => {
    const built = build([]);
    const start = Buffer.from(built.chunks[0] ?? Buffer.alloc(0));
    start.writeUInt32LE(0xffff_ffff, 32);
    expect(() => indexHeadLength(start, built.name)).toThrow('its head');
  });

  test('whose rows name no key, or a key of an unknown kind, says so, though every hash is right', () => {
    const digest = hash(Buffer.from('x'));
    const odd = buildIndex({ rows: cellsOf([{ digest, key: 0, offset: 0, length: 1 }]), keys: [pack('a')], hash });
    const find = (change: (body: Buffer) => void) => () => {
      const body = Buffer.from(odd.chunks[2] ?? Buffer.alloc(0));
      change(body);
      const counts = { rows: 1, keys: 1, roots: 0 };
      const { name, head, directory } = frameIndex({
        prefix: { bits: 0, value: 0 },
        counts,
        replaces: [],
        asOf: 0,
        body,
        hash,
      });
      writeFileSync(join(folder, name), Buffer.concat([head, directory, body]));
      return openIndexFile(join(folder, name), name).find(digest);
    };
    expect(find(() => {})()).toHaveLength(1);
    expect(find((body) => body.writeUInt8(9, CELL_BYTES + 40))).toThrow('does not know');
    expect(find((body) => body.writeUInt32LE(77, 32))).toThrow('names no key');
  });

  test('is not believed where a bit has flipped since it was written', () => {
    const rows = numberedRows(0, 40_000);
    const built = build(rows);
    const whole = Buffer.concat(built.chunks);
    whole.writeUInt8((whole[whole.length - 100 * CELL_BYTES] ?? 0) ^ 1, whole.length - 100 * CELL_BYTES);
    const path = join(folder, built.name);
    writeFileSync(path, whole);
    const index = openIndexFile(path, built.name);
    const answers = rows.map(({ digest }) => {
      try {
        return index.find(digest).length;
      } catch (error) {
        return (error as { code?: string }).code;
      }
    });
    index.close();
    expect([...new Set(answers)]).toEqual([1, 'index-invalid']);
  });
});

describe('an index with holes', () => {
  test('asks for the parts it misses, and believes only the right ones', () => {
    const rows = numberedRows(0, 40_000);
    const built = build(rows);
    const whole = Buffer.concat(built.chunks);
    const head = parseIndexHead(whole.subarray(0, indexHeadLength(whole, built.name)), built.name, hash);
    const path = join(folder, built.name);
    writeFileSync(path, whole.subarray(0, head.headLength));
    truncateSync(path, head.fileLength);
    const index = openSparseIndexFile(path, built.name);
    const wanted = rows[12_345] ?? { digest: Buffer.alloc(0), key: 0, offset: 0, length: 0 };

    let read = 0;
    let rounds = 0;
    while (index.find(wanted.digest) === undefined) {
      rounds += 1;
      const parts = [...index.takeWanted()];
      for (const part of parts) {
        const { offset, length } = partRange(head, part);
        index.write(Buffer.alloc(length, 1), offset);
      }
      expect(index.find(wanted.digest)).toBeUndefined();
      expect([...index.takeWanted()]).toEqual(parts); // wrong bytes: asked for again
      for (const part of parts) {
        const { offset, length } = partRange(head, part);
        index.write(whole.subarray(offset, offset + length), offset);
        read += length;
      }
    }
    expect(index.find(wanted.digest)).toEqual([
      { key: threeKeys[wanted.key], offset: wanted.offset, length: wanted.length },
    ]);
    expect(rounds).toBeLessThanOrEqual(4);
    expect(read).toBeLessThan(24 << 10);
    index.close();
    expect(readFileSync(path)).not.toEqual(whole);
  });
});

test('a shard has nothing of other prefixes', () => {
  const rows = numberedRows(0, 500).filter(({ digest }) => (digest[0] ?? 0) >> 7 === 1);
  const shard = save(build(rows, { prefix: { bits: 1, value: 1 } }));
  expect(shard.find(digestToBytes('0'.repeat(64) as Digest))).toEqual([]);
  for (const { digest, offset } of rows) expect(shard.find(digest)[0]?.offset).toBe(offset);
  shard.close();
});
