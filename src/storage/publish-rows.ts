import { readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { CELL_BYTES, writeKey } from '../domain/blob-index.ts';
import type { Digest } from '../domain/digest.ts';
import { isDigest } from '../domain/digest.ts';
import { hasErrorCode } from '../domain/errors.ts';
import { diskTimeIn } from '../platform/disk-time.ts';
import { writeFileDurably } from '../platform/durable-write.ts';
import { hashEngine } from '../platform/hash.ts';
import type { BuiltIndex } from './build-index.ts';
import { buildIndexFromCells } from './build-index.ts';
import type { PackedRows } from './packed-rows.ts';
import { joinRows } from './packed-rows.ts';
import type { IndexFile } from './index-file.ts';
import { openIndexFile } from './index-file.ts';
import { mergeIndexes, planMerges, replacedBy } from './merge-indexes.ts';

const MERGE_FROM = 8;
/** Another process may be reading an index that was merged: it stays this long. */
const KEEP_REPLACED_MS = 60 * 60 * 1000;

/** So many rows are built into an index at a time: that takes three times their 48 bytes. */
const MAX_ROWS = 1 << 18;

/** Writes indexes of packs that are durable, and merges small ones when there are many. */
export function publishRows(indexFolder: string, parts: readonly PackedRows[]): void {
  let group: PackedRows[] = [];
  let rows = 0;
  let isNew = false;
  const write = (): void => {
    isNew = addIndex(indexFolder, group) !== undefined || isNew;
    group = [];
    rows = 0;
  };
  for (const part of parts) {
    group.push(part);
    rows += part.rows.length / CELL_BYTES;
    if (rows >= MAX_ROWS) write();
  }
  write();
  if (isNew) mergeSmallIndexes(indexFolder);
}

/** The same without looking at other indexes, which may be damaged. Returns its name; undefined when there are no rows. */
export function addIndex(indexFolder: string, parts: readonly PackedRows[]): Digest | undefined {
  const { rows, packs } = joinRows(parts);
  if (rows.length === 0) return undefined;
  const keyCells = Buffer.alloc(packs.length * CELL_BYTES);
  for (const [number, name] of packs.entries()) writeKey(keyCells, number * CELL_BYTES, { kind: 'pack', hash: name });
  const { hash } = hashEngine();
  const index = buildIndexFromCells({ rows, keyCells, hash });
  writeIndex(indexFolder, index);
  return index.name;
}

/** Writes an index durably under its name. */
export function writeIndex(folder: string, index: BuiltIndex): void {
  writeFileDurably(join(folder, index.name), Buffer.concat(index.chunks), { mode: 0o444 });
}

/** What is merged away is left until nobody can be reading it any more; until then its rows are only there twice. */
function mergeSmallIndexes(folder: string): void {
  const names = readdirSync(folder).filter(isDigest);
  if (names.length < MERGE_FROM) return;
  const open: IndexFile[] = [];
  try {
    for (const name of names) open.push(openIndexFile(join(folder, name), name));
    const isReplaced = replacedBy(open.map(({ head }) => head));
    const now = diskTimeIn(folder);
    for (const { head } of open) {
      const path = join(folder, head.name);
      if (isReplaced(head) && now - statSync(path).mtimeMs > KEEP_REPLACED_MS) rmSync(path);
    }
    const live = open.filter(({ head }) => !isReplaced(head));
    for (const group of planMerges(live.map((file) => ({ ...file.head, file })))) {
      const inputs = group.map(({ file }) => file);
      for (const merged of mergeIndexes({ inputs, hash: hashEngine().hash })) writeIndex(folder, merged);
    }
  } catch (error) {
    // Another process has just removed one: it is merging, too.
    if (!hasErrorCode(error, 'ENOENT')) throw error;
  } finally {
    for (const index of open) index.close();
  }
}
