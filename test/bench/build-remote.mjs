// Writes a folder remote of so many blobs of 4 KiB through mlv's own modules, without a cache and without the blobs: the tree
// and the indexes are real and complete, as pushes followed by merges leave them; of the data, only the packs that hold the
// wanted files are there. Prints the pointer, and the wanted files. Bundled and run by the workload ten-million-blobs.
import { createHash } from 'node:crypto';
import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { leadingBits, writeRow } from '../../src/domain/blob-index.ts';
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
const PER_PACK = PACK_TARGET_BYTES / BLOB_BYTES;
const PER_FOLDER = 1000;
const { hash } = hashEngine();

mkdirSync(join(remote, 'index'), { recursive: true });
mkdirSync(join(remote, 'tmp'));
writeFileSync(join(remote, DESCRIPTION_KEY), formatDescription());

// Shards as merging makes them: all of one size, below the limit.
const bits = Math.max(0, Math.ceil(Math.log2((files * CELL_BYTES) / MAX_INDEX_BYTES)));
const keys = [];
const shards = Array.from({ length: 2 ** bits }, () => ({ cells: Buffer.alloc(Math.ceil((files / 2 ** bits) * 1.1 + 1000) * CELL_BYTES), used: 0 }));

function addRow(digest, key, offset, length) {
  const shard = shards[bits === 0 ? 0 : leadingBits(digest, bits)];
  writeRow(shard.cells, shard.used, { digest, key, offset, length });
  shard.used += CELL_BYTES;
}

// Tree objects are gathered in packs, and their rows are added when the name of their pack is known.
let treePack;
let treeRows = [];
function storeTree({ digest, bytes }) {
  if (treePack === undefined) treePack = openPack('tree');
  treeRows.push({ digest: digestToBytes(digest), offset: treePack.append(digestToBytes(digest), bytes), length: bytes.length });
  if (treePack.size() >= PACK_TARGET_BYTES) finishTrees();
}

function finishTrees() {
  if (treePack === undefined) return;
  keys.push({ kind: 'tree-pack', hash: place(treePack, 'tree-pack') });
  for (const { digest, offset, length } of treeRows) addRow(digest, keys.length - 1, offset, length);
  treePack = undefined;
  treeRows = [];
}

const tree = createTreeBuilder({ hash, emit: storeTree });
const content = Buffer.alloc(BLOB_BYTES, 'the same in all of them, but for the number in front; ');
const wantedPacks = new Set(wanted.map((index) => Math.floor(index / PER_PACK)));
const found = [];

for (let index = 0; index < files; index++) {
  const packNumber = Math.floor(index / PER_PACK);
  const isStored = wantedPacks.has(packNumber);
  if (index % PER_PACK === 0) keys.push({ kind: 'pack', hash: isStored ? writePack(packNumber) : nameOf(packNumber) });
  const digest = hash(contentOf(index));
  const path = pathOf(index);
  addRow(digest, dataKeys(packNumber), 32 + (index % PER_PACK) * BLOB_BYTES, BLOB_BYTES);
  tree.entry({ path, kind: 'f', size: BLOB_BYTES, digest: digestFromBytes(digest) });
  if (wanted.includes(index)) found.push({ path, bytes: BLOB_BYTES, sha: createHash('sha256').update(contentOf(index)).digest('hex') });
}
