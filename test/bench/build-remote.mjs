// Writes a folder remote of so many blobs of 4 KiB through mlv's own modules, without a cache and without the blobs: the tree
// and the indexes are real and complete, as pushes followed by merges leave them; of the data, only the packs that hold the
// wanted files are there. Prints the pointer, and the wanted files. Bundled and run by the workload ten-million-blobs.
import { createHash } from 'node:crypto';
import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { writeRow } from '../../src/domain/blob-index.ts';
import { digestFromBytes, digestToBytes } from '../../src/domain/digest.ts';
import { DESCRIPTION_KEY, formatDescription, INDEX_FOLDER, keyPath } from '../../src/domain/remote-layout.ts';
import { createTreeBuilder } from '../../src/domain/tree-builder.ts';
import { hashEngine } from '../../src/platform/hash.ts';
import { buildIndex } from '../../src/storage/build-index.ts';
import { MAX_INDEX_BYTES } from '../../src/storage/merge-indexes.ts';
import { createPackWriter, PACK_TARGET_BYTES } from '../../src/storage/pack-writer.ts';

const { remote, files, wanted } = JSON.parse(process.argv[2]);
const BLOB_BYTES = 4096;
const CELL_BYTES = 48;
const PACK_HEADER_BYTES = 32;
const PER_PACK = PACK_TARGET_BYTES / BLOB_BYTES;
const PER_FOLDER = 1000;
const DAY = 20_000;
const { hash } = hashEngine();

mkdirSync(join(remote, INDEX_FOLDER), { recursive: true });
mkdirSync(join(remote, 'tmp'));
writeFileSync(join(remote, DESCRIPTION_KEY), formatDescription());

// Shards as merging makes them: all of one size, below the limit.
const bits = Math.max(0, Math.ceil(Math.log2((files * CELL_BYTES) / MAX_INDEX_BYTES)));
const shardRows = Math.ceil((files / 2 ** bits) * 1.02) + 10_000;
const shards = Array.from({ length: 2 ** bits }, () => ({ cells: Buffer.alloc(shardRows * CELL_BYTES), used: 0 }));
const keys = [];
const content = Buffer.alloc(BLOB_BYTES, 'the same in all of them, but for the number in front; ');
const found = [];
const placed = [];

const trees = createTreePacks();
const tree = createTreeBuilder({ hash, emit: trees.store });
const storedPacks = new Set(wanted.map((index) => Math.floor(index / PER_PACK)));
for (let first = 0; first < files; first += PER_PACK) addPack(first, Math.min(files, first + PER_PACK));
const summary = tree.finish();
trees.finish();

for (const [value, { cells, used }] of shards.entries()) {
  const prefix = { bits, value };
  const roots = shardOf(digestToBytes(summary.root)) === value ? [{ root: summary.root, day: DAY }] : [];
  const { name, chunks } = buildIndex({ rows: cells.subarray(0, used), keys, roots, prefix, hash });
  writeFileSync(join(remote, INDEX_FOLDER, name), Buffer.concat(chunks));
}
await Promise.all(placed);
const pointer = `version: 1\ntype: dir\nhash: b3:${summary.root}\nsize: ${summary.bytes}\nfiles: ${summary.files}\n`;
console.log(JSON.stringify({ pointer, wanted: found }));

/** Adds the rows and entries of one pack of data; the pack itself only when a file in it is wanted. */
function addPack(first, end) {
  const number = first / PER_PACK;
  const writer = storedPacks.has(number) ? openPack('data') : undefined;
  const key = keys.push(undefined) - 1; // its number is needed now, its name is known later
  for (let index = first; index < end; index++) {
    const path = pathOf(index);
    const bytes = contentOf(index);
    const digest = hash(bytes);
    writer?.append(digest, bytes);
    addRow(digest, key, PACK_HEADER_BYTES + (index - first) * BLOB_BYTES, BLOB_BYTES);
    if (wanted.includes(index))
      found.push({ path, bytes: BLOB_BYTES, sha: createHash('sha256').update(bytes).digest('hex') });
    tree.entry({ path, kind: 'f', size: BLOB_BYTES, digest: digestFromBytes(digest) });
  }
  keys[key] = {
    kind: 'pack',
    hash: writer === undefined ? digestFromBytes(hash(Buffer.from(`pack ${number}`))) : place(writer, 'pack'),
  };
}

/** Gathers tree objects in packs; their rows are added when the name of their pack is known. */
function createTreePacks() {
  let writer;
  let rows = [];
  const finish = () => {
    if (writer === undefined) return;
    const key = keys.push({ kind: 'tree-pack', hash: place(writer, 'tree-pack') }) - 1;
    for (const { digest, offset, length } of rows) addRow(digest, key, offset, length);
    writer = undefined;
    rows = [];
  };
  const store = (object) => {
    writer ??= openPack('tree');
    const digest = digestToBytes(object.digest);
    rows.push({ digest, offset: writer.append(digest, object.bytes), length: object.bytes.length });
    if (writer.size() >= PACK_TARGET_BYTES) finish();
  };
  return { store, finish };
}

function addRow(digest, key, offset, length) {
  const shard = shards[shardOf(digest)];
  writeRow(shard.cells, shard.used, { digest, key, offset, length });
  shard.used += CELL_BYTES;
}

/** The leading bits of the digest. */
function shardOf(digest) {
  return ((digest[0] << 8) | digest[1]) >>> (16 - bits);
}

function openPack(kind) {
  return createPackWriter({
    folder: join(remote, 'tmp'),
    temporary: join(remote, 'tmp', `${kind}-${keys.length}`),
    kind,
    hash,
  });
}

/** Finishes a pack, and moves it to where its key says once it is durable. Gives back its name. */
function place(writer, kind) {
  const { name, durable } = writer.finish();
  const path = join(remote, keyPath({ kind, hash: name }));
  mkdirSync(dirname(path), { recursive: true });
  placed.push(durable.then(() => renameSync(join(remote, 'tmp', `${name}.pack`), path)));
  return name;
}

/** Names that ascend, as camera frames have them. */
function pathOf(index) {
  const folder = String(Math.floor(index / PER_FOLDER)).padStart(6, '0');
  return `drive_${folder}/frame_${String(index).padStart(9, '0')}.png`;
}

function contentOf(index) {
  content.writeUInt32LE(index);
  return content;
}
