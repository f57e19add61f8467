import { readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { isDigest } from '../domain/digest.ts';
import { fsyncFolder, writeFileDurably } from '../platform/durable-write.ts';
import { hashEngine } from '../platform/hash.ts';
import type { BuiltIndex } from './build-index.ts';
import { buildIndex } from './build-index.ts';
import type { PackedRows } from './packed-rows.ts';
import { joinRows } from './packed-rows.ts';
import { openIndexFile } from './index-file.ts';
import { mergeIndexes, planMerges } from './merge-indexes.ts';

/** Another process may be reading an index that was merged: it stays this long. */
const KEEP_REPLACED_MS = 60 * 60 * 1000;

/** Writes an index of packs that are durable, and merges small indexes when there are many. */
export function publishRows(indexFolder: string, parts: readonly PackedRows[]): void {
  const { rows, packs } = joinRows(parts);
  if (rows.length === 0) return;
  const { hash } = hashEngine();
  writeIndex(indexFolder, buildIndex({ rows, keys: packs.map((name) => ({ kind: 'pack', hash: name })), hash }));
  mergeSmallIndexes(indexFolder);
}

function writeIndex(folder: string, index: BuiltIndex): void {
  writeFileDurably(join(folder, index.name), Buffer.concat(index.chunks));
}

/** What is merged away is left until nobody can be reading it any more; until then its rows are only there twice. */
function mergeSmallIndexes(folder: string): void {
  const names = readdirSync(folder).filter(isDigest);
  if (names.length < 8) return;
  const open = names.map((name) => openIndexFile(join(folder, name), name));
  try {
    const replaced = new Set(open.flatMap((index) => index.head.replaces));
    for (const name of names) {
      if (replaced.has(name) && Date.now() - statSync(join(folder, name)).mtimeMs > KEEP_REPLACED_MS) rmSync(join(folder, name));
    }
    const live = open.filter(({ head }) => !replaced.has(head.name));
    for (const group of planMerges(live.map((file) => ({ ...file.head, file })))) {
      const inputs = group.map(({ file }) => file);
      for (const merged of mergeIndexes({ inputs, hash: hashEngine().hash })) writeIndex(folder, merged);
    }
    fsyncFolder(folder);
  } finally {
    for (const index of open) index.close();
  }
}
