// Writes the trees of several versions of a folder into a cache, without any files: run by runWithOwnModules. Prints their pointers.
import { createTreeBuilder } from '../../src/domain/tree-builder.ts';
import { digestFromBytes, digestToBytes } from '../../src/domain/digest.ts';
import { treePathFromText } from '../../src/domain/tree-path.ts';
import { hashEngine } from '../../src/platform/hash.ts';
import { openLocalCache } from '../../src/storage/local-cache.ts';
import { imageName } from './harness/data.mjs';

const { cache: folder, files, perFolder, versions, changes } = JSON.parse(process.argv[2]);
const { hash } = hashEngine();
const SIZE = 4096;

const digestOf = (text) => digestFromBytes(hash(Buffer.from(text)));
const entries = Array.from({ length: files }, (_, index) => ({
  path: treePathFromText(imageName(index, perFolder)),
  kind: 'f',
  size: SIZE,
  digest: digestOf(`${index}`),
})).sort((a, b) => (a.path < b.path ? -1 : 1));

const cache = openLocalCache({ folder, packBelow: () => 1 << 20 });
const writer = cache.openWriter();
const pointers = [];
for (let version = 0; version < versions; version++) {
  for (let change = 0; change < (version === 0 ? 0 : changes); change++) {
    const at = Math.floor(((change + 0.5) * files) / changes + version * 37) % files;
    entries[at] = { ...entries[at], digest: digestOf(`${at} ${version}`) };
  }
  const builder = createTreeBuilder({
    hash,
    emit({ digest, bytes }) {
      if (!cache.has(digest)) writer.put(digestToBytes(digest), bytes, 'tree');
    },
  });
  for (const entry of entries) builder.entry(entry);
  const { root, bytes } = builder.finish();
  pointers.push(`version: 1\ntype: dir\nhash: b3:${root}\nsize: ${bytes}\nfiles: ${files}\n`);
}
await writer.finish();
cache.close();
process.stdout.write(JSON.stringify(pointers));
