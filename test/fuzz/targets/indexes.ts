import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CELL_BYTES, readRow } from '../../../src/domain/blob-index.ts';
import type { Digest } from '../../../src/domain/digest.ts';
import { digestFromBytes } from '../../../src/domain/digest.ts';
import {
  frameIndex,
  INDEX_HEAD_BYTES,
  indexHeadLength,
  parseIndexHead,
  partRange,
} from '../../../src/domain/index-head.ts';
import { checkDescription, formatTombstones, keyPath, parseTombstones } from '../../../src/domain/remote-layout.ts';
import type { Home } from '../../../src/storage/home.ts';
import { objectShort } from '../../../src/storage/home.ts';
import type { IndexFile } from '../../../src/storage/index-file.ts';
import { openIndexFile, openSparseIndexFile } from '../../../src/storage/index-file.ts';
import { openIndexMirror } from '../../../src/storage/index-mirror.ts';
import { compareRows, knownKeys, rowsOfKey } from '../../../src/storage/index-rows.ts';
import { parseHexDump } from '../../support/hex-dump.ts';
import { hash } from '../../support/trees.ts';
import type { Surroundings, Target } from '../target.ts';
import { check, checkSame, outcome } from '../target.ts';

const LOOK_UPS = 6;

export function indexTargets({ fixture, scratch }: Surroundings): Target[] {
  const index = parseHexDump(fixture('index.hex').toString());
  const shard = parseHexDump(fixture('index-shard.hex').toString());
  const cells = index.subarray(indexHeadLength(index, '' as Digest) + 40);
  const numbers = Buffer.from([0, 0, 0, 3, 1, 0]);
  return [
    {
      name: 'index',
      seeds: [index, shard],
      words: ['mlvindex'],
      run: (input) => runWhole(input, join(scratch, 'index')),
    },
    {
      name: 'cells of an index',
      seeds: [Buffer.concat([numbers, cells]), Buffer.concat([Buffer.from([1, 1, 0, 3, 1, 2]), cells, cells])],
      run: (input) => runCells(input, join(scratch, 'cells')),
    },
    {
      name: 'index of a remote',
      seeds: [index, shard, sized(200_000, index)].map((bytes) =>
        bytes.length === index.length ? sized(bytes.length, bytes) : bytes,
      ),
      words: ['mlvindex'],
      run: (input) => runMirror(input, join(scratch, 'mirror')),
    },
    {
      name: 'tombstones',
      seeds: [fixture('tombstones.txt'), 'mlv-gc 1 0011223344556677\n', 'mlv-gc 12\nx\n'],
      words: ['mlv-gc 1 0011223344556677\n', 'packs/ab/', 'objects/'],
      run(input) {
        const name = digestFromBytes(hash(input));
        const keys = parseTombstones(input, name, hash);
        check(
          Buffer.from(formatTombstones(keys, { nonce: input.toString('latin1', 9, 25), hash }).text, 'latin1').equals(
            input,
          ),
          'tombstones are written in one way',
        );
      },
    },
    {
      name: 'mlv.json',
      seeds: [fixture('mlv.json'), '{"version": 1}', '[]', 'null'],
      words: ['"version"', ':', '{', '['],
      run: (input) => checkDescription(input.toString('utf8'), 'origin'),
    },
  ];
}

function sized(size: number, bytes: Buffer): Buffer {
  const head = Buffer.alloc(6);
  head.writeUIntLE(size, 0, 6);
  return Buffer.concat([head, bytes]);
}

/** The name that a head gives itself, so that what it says is believed. */
function nameOf(bytes: Buffer): Digest {
  const length = indexHeadLength(bytes.subarray(0, INDEX_HEAD_BYTES), 'x' as Digest);
  return digestFromBytes(hash(bytes.subarray(0, length)));
}

function runWhole(input: Buffer, path: string): void {
  const name = nameOf(input);
  writeFileSync(path, input);
  const index = openIndexFile(path, name);
  try {
    useIndex(index, input);
  } finally {
    index.close();
  }
}

/** Everything that is asked of indexes. */
function useIndex(index: IndexFile, digests: Buffer): void {
  const { head } = index;
  index.verify();
  check(head.top.length === head.directoryPages * 40, 'a fence for each page');
  for (const { offset, length } of Array.from({ length: Math.min(4, head.directoryPages + head.blocks) }, (_, part) =>
    partRange(head, part),
  ))
    check(offset >= head.headLength && length > 0 && offset + length <= head.fileLength, 'a part lies in the file');
  for (let at = 0; at + 32 <= digests.length && at < LOOK_UPS * CELL_BYTES; at += CELL_BYTES) {
    const digest = digests.subarray(at, at + 32);
    outcome(() => index.find(digest));
    check(index.rowsBelow(digest) <= head.rows, 'no more rows below than there are');
  }
  index.roots();
  for (const known of knownKeys([index]).values()) {
    check(
      /^[a-z]+\/[0-9a-f]{2}\/[0-9a-f]{64}(?:\.[0-9a-f]{16})?$/.test(keyPath(known.key)),
      'a key is a path of the remote',
    );
    outcome(() => compareRows(known, rowsOfKey(known)));
  }
}

/** An index that is whole, whatever its cells say. The first bytes: bits and value of the prefix, keys, roots, replaced indexes. */
function runCells(input: Buffer, path: string): void {
  const [bits = 0, value = 0, high = 0, keyCount = 0, rootCount = 0, replaced = 0] = input;
  const body = input.subarray(6, 6 + Math.floor((input.length - 6) / CELL_BYTES) * CELL_BYTES);
  if (input.length < 6) return;
  const all = body.length / CELL_BYTES;
  const keys = Math.min(keyCount, all);
  const roots = Math.min(rootCount, all - keys);
  const counts = { rows: all - keys - roots, keys, roots };
  const replaces = Array.from({ length: replaced % 4 }, (_, at) => digestFromBytes(hash(Buffer.from([at]))));
  const asOf = replaced * 1e12;
  const framed = frameIndex({ prefix: { bits, value: value | (high << 8) }, counts, replaces, asOf, body, hash });
  const bytes = Buffer.concat([framed.head, framed.directory, body]);
  checkSame(
    outcome(() => parseIndexHead(framed.head, framed.name, hash)).value?.rows ?? counts.rows,
    counts.rows,
    'rows are as many',
  );
  writeFileSync(path, bytes);
  const index = openIndexFile(path, framed.name);
  try {
    useIndex(index, body);
    checkLookUps(index, body);
    runSparse(bytes, index, body, `${path}.part`);
  } finally {
    index.close();
  }
}

/** Where rows are sorted, looking one up finds every one of its digest. */
function checkLookUps({ head, find }: IndexFile, body: Buffer): void {
  const rows = Array.from({ length: head.rows }, (_, at) => body.subarray(at * CELL_BYTES, (at + 1) * CELL_BYTES));
  if (head.prefix.bits > 0 || !rows.every((row, at) => at === 0 || row.compare(rows[at - 1] ?? row) > 0)) return;
  for (const wanted of rows.slice(0, LOOK_UPS)) {
    const digest = wanted.subarray(0, 32);
    const same = rows.filter((row) => row.subarray(0, 32).equals(digest)).map((row) => readRow(row, 0));
    const { value } = outcome(() => find(digest));
    if (value === undefined) continue;
    checkSame(
      value.map(({ offset, length }) => ({ offset, length })),
      same.map(({ offset, length }) => ({ offset, length })),
      'a look-up finds all rows of a digest',
    );
  }
}

/** The same index, of which only the head is there at first. */
function runSparse(bytes: Buffer, whole: IndexFile, digests: Buffer, path: string): void {
  const { head } = whole;
  const holes = Buffer.alloc(bytes.length);
  bytes.copy(holes, 0, 0, head.headLength);
  writeFileSync(path, holes);
  const sparse = openSparseIndexFile(path, head.name);
  try {
    for (let at = 0; at + 32 <= digests.length && at < LOOK_UPS * CELL_BYTES; at += CELL_BYTES) {
      const digest = digests.subarray(at, at + 32);
      const wanted = outcome(() => whole.find(digest));
      for (let tries = 0; ; tries++) {
        const found = outcome(() => sparse.find(digest));
        const parts = sparse.takeWanted();
        if (parts.size === 0) {
          checkSame(found, wanted, 'an index in parts says what the whole says');
          break;
        }
        check(tries < 200, 'parts that are there are not asked for again');
        for (const part of parts) {
          const { offset, length } = partRange(head, part);
          sparse.write(bytes.subarray(offset, offset + length), offset);
        }
      }
    }
  } finally {
    sparse.close();
  }
}

/** A remote that has an index of these bytes, and says that it is of another size. */
async function runMirror(input: Buffer, folder: string): Promise<void> {
  if (input.length < 6) return;
  const size = input.readUIntLE(0, 6);
  const bytes = input.subarray(6);
  const name = nameOf(bytes);
  const mirror = openIndexMirror({ home: remoteOf(bytes), folder, remoteFolder: 'index/' });
  try {
    const index = await mirror.fetch(name, size).catch((error: unknown) => {
      check(!existsSync(join(folder, name)), 'an index that is refused gets no name');
      throw error;
    });
    check(size === index.head.fileLength, 'an index is as long as its head says');
    for (let at = 0; at < 4; at++) {
      const digest = hash(Buffer.from([at]));
      for (let tries = 0; tries < 20 && index.find(digest) === undefined; tries++) await index.fetchWanted();
    }
    useIndex(await index.whole(), bytes);
    index.close();
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function remoteOf(bytes: Buffer): Home {
  return {
    name: 'remote',
    read: async (key: string, { offset, length }: { offset: number; length: number }) => {
      if (offset + length > bytes.length) throw objectShort('remote', key);
      return Buffer.from(bytes.subarray(offset, offset + length));
    },
  } as unknown as Home;
}
