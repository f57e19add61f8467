/** Frozen samples: today's code writes the same bytes, and reads them to what they were made of. */
import { mkdirSync, mkdtempSync, openSync, closeSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Digest } from '../../src/domain/digest.ts';
import { digestFromBytes, digestToBytes } from '../../src/domain/digest.ts';
import {
  PACK_FOOTER_BYTES,
  PACK_HEADER_BYTES,
  parsePackFooter,
  parsePackHeader,
  parsePackTable,
} from '../../src/domain/pack.ts';
import { formatPointer, parsePlainPointer } from '../../src/domain/pointer.ts';
import { parsePointer } from '../../src/domain/pointer-document.ts';
import { formatPurgeRecord, parsePurgeRecord } from '../../src/domain/purge-record.ts';
import { checkDescription, formatTombstones, parseTombstones } from '../../src/domain/remote-layout.ts';
import { endsPage, pathHash } from '../../src/domain/tree.ts';
import { parseList, parsePage, parseRoot } from '../../src/domain/tree-format.ts';
import type { TreePath } from '../../src/domain/tree-path.ts';
import { download } from '../../src/storage/download.ts';
import { openIndexFile } from '../../src/storage/index-file.ts';
import { openStatCache, readBlock } from '../../src/storage/stat-cache.ts';
import { readCheckoutRecord } from '../../src/workspace/checkout-record.ts';
import type { Tree } from '../storage/transfer-rig.ts';
import { contentOf, createRig, readTree } from '../storage/transfer-rig.ts';
import { parseHexDump } from '../support/hex-dump.ts';
import { hash } from '../support/trees.ts';
import {
  CHECKOUT_RECORD,
  DIR_POINTER,
  ENTRIES,
  FILE_POINTER,
  HASHED,
  INDEX,
  indexRows,
  LIST_NODES,
  LIST_PARENT,
  makeSamples,
  PURGED,
  NODES,
  NONCE,
  PACKED,
  REMOTE_FILES,
  SHARD,
  STAT_SUMMARY,
  statBlock,
  TOMBSTONES,
  TOMBSTONES_NONCE,
  workspaceAt,
} from './samples.ts';

const FOLDER = fileURLToPath(new URL('../../fixtures/formats', import.meta.url));
const isUpdating = process.env['MLV_UPDATE_FIXTURES'] === '1';

let samples: Record<string, string>;
let folder: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'mlv-fixtures-'));
  samples = await makeSamples();
  if (!isUpdating) return;
  rmSync(FOLDER, { recursive: true, force: true });
  mkdirSync(FOLDER, { recursive: true });
  for (const [name, text] of Object.entries(samples)) writeFileSync(join(FOLDER, name), text);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function fixture(name: string): string {
  return readFileSync(join(FOLDER, name), 'utf8');
}

function binary(name: string): Buffer {
  return parseHexDump(fixture(name));
}

/** The key or name under which a sample is stored. */
function nameOf(sample: string): string {
  const lines = new Map(
    fixture('names.txt')
      .split('\n')
      .map((line) => line.split(' ') as [string, string]),
  );
  return lines.get(sample) ?? '';
}

function digestIn(key: string): Digest {
  return (/[0-9a-f]{64}/.exec(key)?.[0] ?? '') as Digest;
}

test('are written today as they were then', () => {
  const kept = Object.fromEntries(readdirSync(FOLDER).map((name) => [name, fixture(name)]));
  expect(samples).toEqual(kept);
});

describe('are read as what they were made of:', () => {
  test('pointers', () => {
    expect(parsePlainPointer(fixture('pointer-file.mlv'))).toEqual(FILE_POINTER);
    expect(parsePointer(fixture('pointer-file.mlv'), 'run.mlv')).toEqual(FILE_POINTER);
    expect(parsePointer(fixture('pointer-dir.mlv'), 'data.mlv')).toEqual(DIR_POINTER);
    expect(formatPointer(parsePointer(fixture('pointer-dir.mlv'), 'data.mlv'))).toBe(fixture('pointer-dir.mlv'));
  });

  test('hashes of paths', () => {
    const lines = fixture('path-hashes.txt').split('\n').slice(0, -1);
    expect(lines).toHaveLength(HASHED.length);
    for (const line of lines) {
      const [hex = '', levels = '', ...rest] = Buffer.from(line, 'utf8').toString('latin1').split(' ');
      const path = rest.join(' ') as TreePath;
      expect(pathHash(path).toString(16).padStart(8, '0')).toBe(hex);
      expect([0, 1, 2].filter((level) => endsPage(path, level)).join(',') || '-').toBe(levels);
    }
  });

  test('a tree', () => {
    const root = Buffer.from(fixture('tree-root.txt'), 'utf8');
    expect(digestFromBytes(hash(root))).toBe(DIR_POINTER.hash);
    expect(parseRoot(root, DIR_POINTER.hash)).toEqual({ level: 0, nodes: NODES });
    const page = Buffer.from(fixture('tree-page.txt'), 'utf8');
    const [node] = NODES;
    expect(digestFromBytes(hash(page))).toBe(node?.digest);
    expect(node && parsePage(page, { node, isLast: true })).toEqual(ENTRIES);
  });

  test('a list, and a root of lists', () => {
    const [node] = LIST_PARENT;
    expect(node && parseList(Buffer.from(fixture('tree-list.txt')), 1, { node, isLast: true })).toEqual(LIST_NODES);
    expect(parseRoot(Buffer.from(fixture('tree-root-of-lists.txt')), DIR_POINTER.hash)).toEqual({
      level: 1,
      nodes: LIST_PARENT,
    });
  });

  test.each([
    ['pack-data.hex', 'data', Buffer.alloc(16)],
    ['pack-tree.hex', 'tree', Buffer.alloc(16)],
    ['pack-with-nonce.hex', 'data', NONCE],
  ] as const)('%s', (sample, kind, nonce) => {
    const name = digestIn(nameOf(sample));
    const bytes = binary(sample);
    const header = bytes.subarray(0, PACK_HEADER_BYTES);
    const { tableOffset } = parsePackFooter(bytes.subarray(-PACK_FOOTER_BYTES), name, bytes.length);
    const table = bytes.subarray(tableOffset, -PACK_FOOTER_BYTES);
    expect(parsePackHeader(header, name)).toBe(kind);
    expect(header.subarray(16)).toEqual(nonce);
    const blobs = parsePackTable({ header, table, tableOffset, name, hash });
    const texts = blobs.map(({ offset, length }) => bytes.toString('latin1', offset, offset + length));
    expect(texts).toEqual(PACKED[kind]);
    expect(blobs.map(({ digest }) => digest)).toEqual(
      texts.map((text) => digestFromBytes(hash(Buffer.from(text, 'latin1')))),
    );
  });

  test('an index', () => {
    const path = join(folder, 'index');
    writeFileSync(path, binary('index.hex'));
    const index = openIndexFile(path, digestIn(nameOf('index.hex')));
    index.verify();
    for (const { digest, ...row } of indexRows()) expect(index.find(digestToBytes(digest))).toEqual([row]);
    expect(index.roots()).toEqual(INDEX.roots);
    expect(index.head.asOf).toBe(INDEX.asOf);
    expect(index.keys().sort((a, b) => (a.kind < b.kind ? -1 : 1))).toEqual(
      INDEX.keys.toSorted((a, b) => (a.kind < b.kind ? -1 : 1)),
    );
    expect(index.head).toMatchObject({ rows: 7, keys: 3, roots: 1, replaces: [], prefix: { bits: 0, value: 0 } });
    index.close();
  });

  test('half of an index', () => {
    const path = join(folder, 'shard');
    writeFileSync(path, binary('index-shard.hex'));
    const index = openIndexFile(path, digestIn(nameOf('index-shard.hex')));
    expect(index.head).toMatchObject({
      rows: 0,
      keys: 0,
      roots: 0,
      prefix: SHARD.prefix,
      replaces: SHARD.replaces.toSorted(),
    });
    index.close();
  });

  test('tombstones', () => {
    const bytes = Buffer.from(fixture('tombstones.txt'));
    const keys = parseTombstones(bytes, digestIn(nameOf('tombstones.txt')), hash);
    expect(keys).toEqual(TOMBSTONES.toSorted());
    expect(formatTombstones(keys, { nonce: TOMBSTONES_NONCE, hash })).toEqual({
      key: nameOf('tombstones.txt'),
      text: bytes.toString(),
    });
  });

  test('the record of what was purged', () => {
    const record = parsePurgeRecord(fixture('purged.txt'), 'purged.txt');
    expect(record).toEqual(PURGED);
    expect(formatPurgeRecord(record)).toBe(fixture('purged.txt'));
  });

  test('the description of a remote', () => {
    checkDescription(fixture('mlv.json'), 'here');
    expect(JSON.parse(fixture('mlv.json'))).toEqual({ version: 1 });
  });

  test('the record of a checkout', () => {
    const path = join(folder, nameOf('checkout-record.json'));
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, fixture('checkout-record.json'));
    expect(readCheckoutRecord(workspaceAt(folder), CHECKOUT_RECORD.path, undefined)).toEqual(CHECKOUT_RECORD);
  });

  test('a stat cache', () => {
    const path = join(folder, 'stat-cache');
    writeFileSync(path, binary('stat-cache.hex'));
    const statCache = openStatCache(path);
    expect(statCache).toMatchObject({ ...STAT_SUMMARY, blocks: [{ first: 'a/b.txt', last: 'bin/run', count: 2 }] });
    const file = openSync(path, 'r');
    expect(statCache?.blocks.map((block) => readBlock(file, block))).toEqual([statBlock()]);
    closeSync(file);
  });

  test('a remote', async () => {
    const rig = createRig();
    try {
      for (const [key, hex] of Object.entries(JSON.parse(fixture('remote.json')) as Record<string, string>)) {
        mkdirSync(dirname(join(rig.remoteFolder, key)), { recursive: true });
        writeFileSync(join(rig.remoteFolder, key), Buffer.from(hex, 'hex'));
      }
      const cache = rig.cache('clone');
      const tree: Tree = { digest: DIR_POINTER.hash, type: 'dir', name: 'data', size: DIR_POINTER.size };
      const { missing, damaged } = await download({ remote: await rig.remote('clone'), cache, wanted: [tree] });
      expect({ missing, damaged }).toEqual({ missing: [], damaged: [] });
      expect(readTree(cache, tree)).toEqual({ ...contentOf(REMOTE_FILES), empty: '' });
    } finally {
      rig.dispose();
    }
  });
});
