/** A sample of every format, made by the code as it is now; `fixtures/formats/` keeps what it made when they were frozen. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import type { PushedRoot, StorageKey } from '../../src/domain/blob-index.ts';
import { writeRow } from '../../src/domain/blob-index.ts';
import type { Digest } from '../../src/domain/digest.ts';
import { digestToBytes } from '../../src/domain/digest.ts';
import { finishPack, formatPackHeader, writePackRow } from '../../src/domain/pack.ts';
import type { Pointer } from '../../src/domain/pointer.ts';
import { formatPointer } from '../../src/domain/pointer.ts';
import { formatPurgeRecord } from '../../src/domain/purge-record.ts';
import { ALWAYS } from '../../src/domain/index-head.ts';
import { formatDescription, formatTombstones, keyPath } from '../../src/domain/remote-layout.ts';
import type { TreeEntry, TreeNode } from '../../src/domain/tree.ts';
import { EMPTY_DIGEST, endsPage, formatEntry, formatNode, formatRootHeader, pathHash } from '../../src/domain/tree.ts';
import type { TreePath } from '../../src/domain/tree-path.ts';
import { treePathFromText } from '../../src/domain/tree-path.ts';
import type { Home } from '../../src/storage/home.ts';
import { buildIndex } from '../../src/storage/build-index.ts';
import { RACY, RECORD_BYTES, STORED } from '../../src/storage/file-record.ts';
import type { StatBlock, StatCache } from '../../src/storage/stat-cache.ts';
import { writeStatCache } from '../../src/storage/stat-cache.ts';
import { upload } from '../../src/storage/upload.ts';
import type { CheckoutRecord } from '../../src/workspace/checkout-record.ts';
import { writeCheckoutRecord } from '../../src/workspace/checkout-record.ts';
import type { Workspace } from '../../src/workspace/open.ts';
import { addTree, createRig, digestOf } from '../storage/transfer-rig.ts';
import { hash } from '../support/trees.ts';

const HELLO = 'hello\n';
const SCRIPT = '#!/bin/sh\necho hi\n';

export const ENTRIES: readonly TreeEntry[] = [
  { path: treePathFromText('50%\n'), kind: 'f', size: 0, digest: EMPTY_DIGEST },
  { path: treePathFromText('a-b.txt'), kind: 'f', size: 6, digest: digestOf(HELLO) },
  { path: treePathFromText('a/b.txt'), kind: 'f', size: 6, digest: digestOf(HELLO) },
  { path: treePathFromText('bin/run'), kind: 'x', size: 18, digest: digestOf(SCRIPT) },
  { path: treePathFromText('empty'), kind: 'd', size: 0, digest: EMPTY_DIGEST },
  { path: treePathFromText('link'), kind: 'l', size: 7, digest: digestOf('a/b.txt') },
  { path: treePathFromText('日本.txt'), kind: 'f', size: 6, digest: digestOf(HELLO) },
];

const PAGE = latin1(ENTRIES.map(formatEntry).join(''));

export const NODES: readonly TreeNode[] = [
  { digest: digestOf(PAGE), files: 6, bytes: 43, lastPath: treePathFromText('日本.txt') },
];

const ROOT = latin1(formatRootHeader(0) + NODES.map(formatNode).join(''));

/** A list of three pages that do not exist, and the root of one level more over it. */
export const LIST_NODES: readonly TreeNode[] = ['img/00000276', 'img/00000780', 'img/00000809'].map((path, index) => ({
  digest: digestOf(`page ${index}`),
  files: 100 + index,
  bytes: 10_000 * (index + 1),
  lastPath: path as TreePath,
}));

const LIST = latin1(LIST_NODES.map(formatNode).join(''));

export const LIST_PARENT: readonly TreeNode[] = [
  { digest: digestOf(LIST), files: 303, bytes: 60_000, lastPath: 'img/00000809' as TreePath },
];

export const FILE_POINTER: Pointer = { version: 1, type: 'file', hash: digestOf(SCRIPT), size: 18, exec: true };
export const DIR_POINTER: Pointer = {
  version: 1,
  type: 'dir',
  hash: digestOf(ROOT),
  size: 43,
  files: 6,
  remote: 'archive',
  desc: 'A sample, in every form',
  labels: ['small', 'two words'],
  meta: { licence: 'CC0' },
};

export const NONCE = Buffer.from('00112233445566778899aabbccddeeff', 'hex');
export const PACKED = {
  data: [HELLO, SCRIPT, 'a/b.txt', ''],
  tree: [PAGE.toString('latin1'), ROOT.toString('latin1')],
};

function makePack(kind: 'data' | 'tree', nonce?: Buffer): { name: Digest; bytes: Buffer; offsets: number[] } {
  const blobs = PACKED[kind].map((text) => Buffer.from(text, 'latin1'));
  const header = formatPackHeader(kind, nonce);
  const table = Buffer.alloc(48 * blobs.length);
  const offsets: number[] = [];
  let offset = header.length;
  for (const [index, blob] of blobs.entries()) {
    writePackRow(table, index * 48, hash(blob), blob.length);
    offsets.push(offset);
    offset += blob.length;
  }
  const { name, trailer } = finishPack({ header, table, tableOffset: offset, hash });
  return { name, bytes: Buffer.concat([header, ...blobs, trailer]), offsets };
}

const dataPack = makePack('data');
const treePack = makePack('tree');
const packAgain = makePack('data', NONCE);

/** By the clock of the remote. */
const PUSHED_AT = Date.UTC(2024, 9, 4, 12);

export const INDEX = {
  keys: [
    { kind: 'pack', hash: dataPack.name },
    { kind: 'object', hash: digestOf('an object'), nonce: '0011223344556677' },
    { kind: 'tree-pack', hash: treePack.name },
  ] satisfies StorageKey[],
  roots: [{ root: digestOf(ROOT), day: 20_000 }] satisfies PushedRoot[],
  asOf: PUSHED_AT,
};

/** Digest, key, offset and length of what the sample index has. */
export function indexRows(): { digest: Digest; key: StorageKey; offset: number; length: number }[] {
  const [data, object, tree] = INDEX.keys as [StorageKey, StorageKey, StorageKey];
  const packed = (texts: readonly string[], offsets: readonly number[], key: StorageKey) =>
    texts.map((text, index) => ({
      digest: digestOf(Buffer.from(text, 'latin1')),
      key,
      offset: offsets[index] ?? 0,
      length: text.length,
    }));
  return [
    ...packed(PACKED.data, dataPack.offsets, data),
    ...packed(PACKED.tree, treePack.offsets, tree),
    { digest: digestOf('an object'), key: object, offset: 0, length: 9_000_000 },
  ];
}

function makeIndex() {
  const found = indexRows();
  const rows = Buffer.alloc(48 * found.length);
  for (const [at, { digest, key, offset, length }] of found.entries()) {
    writeRow(rows, at * 48, {
      digest: digestToBytes(digest),
      key: INDEX.keys.findIndex((each) => each.hash === key.hash),
      offset,
      length,
    });
  }
  return buildIndex({ rows, keys: INDEX.keys, roots: INDEX.roots, asOf: INDEX.asOf, hash });
}

const index = makeIndex();

/** One of two halves of a merge, with nothing in it. */
export const SHARD = {
  prefix: { bits: 1, value: 1 },
  replaces: [digestOf('one index'), digestOf('another index')],
  asOf: ALWAYS,
};

function makeShard() {
  return buildIndex({ rows: Buffer.alloc(0), keys: [], ...SHARD, hash });
}

export const TOMBSTONES = [keyPath(INDEX.keys[0] as StorageKey), keyPath(INDEX.keys[1] as StorageKey)];

export const TOMBSTONES_NONCE = '0011223344556677';

const tombstones = formatTombstones(TOMBSTONES, { nonce: TOMBSTONES_NONCE, hash });

export const PURGED = new Map(
  [
    { digest: digestOf(SCRIPT), day: '2026-11-21', reason: 'consent withdrawn' },
    { digest: digestOf('a/b.txt'), day: '2026-10-05', reason: undefined },
  ].map((each) => [each.digest, each]),
);

export const CHECKOUT_RECORD = {
  path: 'data/images',
  base: { type: 'dir', hash: digestOf(ROOT), exec: false },
  selected: [treePathFromText('日本.txt'), treePathFromText('a')],
  target: { content: { type: 'dir', hash: digestOf('another root'), exec: false }, selected: 'all' },
} as unknown as CheckoutRecord;

/** As much of a workspace as the record of a checkout asks for. */
export function workspaceAt(folder: string): Workspace {
  return { prefix: '', ownFolder: folder } as unknown as Workspace;
}

/** In which the sample was written. */
const STAT_BOOT = '01234567-89ab-cdef-0123-456789abcdef';

export const STAT_SUMMARY: Omit<StatCache, 'path' | 'boot' | 'blocks'> = {
  generation: '0123456789abcdef0123456789abcdef',
  context: 'all',
  root: digestOf(ROOT),
  files: 2,
  bytes: 24,
  notCheckedOut: 0,
};

export function statBlock(): StatBlock {
  const records = Buffer.alloc(2 * RECORD_BYTES);
  for (const [at, { digest, size }] of ENTRIES.slice(2, 4).entries()) {
    const start = at * RECORD_BYTES;
    records.write(at === 0 ? 'f' : 'x', start, 'latin1');
    records.writeUInt8(at === 0 ? STORED : STORED | RACY, start + 1);
    records.writeDoubleLE(size, start + 8);
    records.writeDoubleLE(1_700_000_000_000.25, start + 16);
    records.writeDoubleLE(1_700_000_000_001.5, start + 24);
    records.writeDoubleLE(123_456 + at, start + 32);
    records.set(digestToBytes(digest), start + 40);
  }
  return { paths: 'a/b.txt\0bin/run', records };
}

/** Written paths, and a name that ends a page, and one that ends a list too. */
export const HASHED = ['a', 'a/b.txt', '000123/000123.png', '50%\n', '日本.txt', 'img/00000276', 'img/00088845'].map(
  treePathFromText,
);

function hashLine(path: TreePath): string {
  const ends = [0, 1, 2].filter((level) => endsPage(path, level));
  return `${pathHash(path).toString(16).padStart(8, '0')} ${ends.length === 0 ? '-' : ends.join(',')} ${path}\n`;
}

/** What the small remote holds. */
export const REMOTE_FILES = {
  '50%\n': '',
  'a-b.txt': HELLO,
  'a/b.txt': HELLO,
  'bin/run': { kind: 'x', content: SCRIPT },
  empty: { kind: 'd', content: '' },
  link: { kind: 'l', content: 'a/b.txt' },
  '日本.txt': HELLO,
} as const;

/** A remote after one push, as keys and hexadecimal bytes. */
async function makeRemote(): Promise<string> {
  const rig = createRig();
  try {
    const cache = rig.cache('clone');
    const tree = await addTree(cache, REMOTE_FILES);
    const home: Home = { ...rig.home, time: async () => PUSHED_AT };
    await upload({ remote: await rig.remote('clone', home), cache, roots: [tree], renewNotes: false });
    const files = filesBelow(rig.remoteFolder).map((path) => [
      relative(rig.remoteFolder, path),
      readFileSync(path).toString('hex'),
    ]);
    return `${JSON.stringify(Object.fromEntries(files), undefined, 2)}\n`;
  } finally {
    rig.dispose();
  }
}

/** Content of every file in `fixtures/formats/`, by name. */
export async function makeSamples(): Promise<Record<string, string>> {
  const folder = mkdtempSync(join(tmpdir(), 'mlv-samples-'));
  try {
    const statFile = join(folder, 'stat-cache');
    const writer = writeStatCache(statFile, STAT_BOOT);
    writer.add(statBlock());
    writer.finish(STAT_SUMMARY);
    writeCheckoutRecord(workspaceAt(folder), CHECKOUT_RECORD);
    const [record = ''] = filesBelow(join(folder, 'checkout'));
    return {
      'pointer-file.mlv': formatPointer(FILE_POINTER),
      'pointer-dir.mlv': formatPointer(DIR_POINTER),
      'path-hashes.txt': latin1(HASHED.map(hashLine).join('')).toString('utf8'),
      'tree-page.txt': PAGE.toString('utf8'),
      'tree-root.txt': ROOT.toString('utf8'),
      'tree-list.txt': LIST.toString('utf8'),
      'tree-root-of-lists.txt': formatRootHeader(1) + LIST_PARENT.map(formatNode).join(''),
      'pack-data.hex': hexDump(dataPack.bytes),
      'pack-tree.hex': hexDump(treePack.bytes),
      'pack-with-nonce.hex': hexDump(packAgain.bytes),
      'index.hex': hexDump(Buffer.concat(index.chunks)),
      'index-shard.hex': hexDump(Buffer.concat(makeShard().chunks)),
      'tombstones.txt': tombstones.text,
      'purged.txt': formatPurgeRecord(PURGED),
      'mlv.json': formatDescription(),
      'names.txt': [
        `pack-data.hex ${keyPath({ kind: 'pack', hash: dataPack.name })}`,
        `pack-tree.hex ${keyPath({ kind: 'tree-pack', hash: treePack.name })}`,
        `pack-with-nonce.hex ${keyPath({ kind: 'pack', hash: packAgain.name })}`,
        `index.hex index/${index.name}`,
        `index-shard.hex index/${makeShard().name}`,
        `tombstones.txt ${tombstones.key}`,
        `checkout-record.json checkout/${relative(join(folder, 'checkout'), record)}`,
        '',
      ].join('\n'),
      'checkout-record.json': readFileSync(record, 'utf8'),
      'stat-cache.hex': hexDump(readFileSync(statFile)),
      'remote.json': await makeRemote(),
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Lines of an offset and sixteen bytes, four by four. */
function hexDump(bytes: Buffer): string {
  let text = '';
  for (let at = 0; at < bytes.length; at += 16) {
    const groups = bytes.toString('hex', at, Math.min(at + 16, bytes.length)).match(/.{1,8}/g) ?? [];
    text += `${at.toString(16).padStart(4, '0')}  ${groups.join(' ')}\n`;
  }
  return text;
}

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map((name) => join(folder, name))
    .filter((path) => statSync(path).isFile())
    .sort();
}

function latin1(text: string): Buffer {
  return Buffer.from(text, 'latin1');
}
