import { statSync } from 'node:fs';
import { join } from 'node:path';
import { CELL_BYTES } from '../domain/blob-index.ts';
import type { Digest } from '../domain/digest.ts';
import { isDigest } from '../domain/digest.ts';
import { hasErrorCode } from '../domain/errors.ts';
import { listNames } from '../platform/list-names.ts';
import { cacheFolders, loosePath } from './cache-layout.ts';
import type { DigestMarks } from './digest-marks.ts';
import { createMarks } from './digest-marks.ts';
import type { IndexFile } from './index-file.ts';
import { openIndexFile } from './index-file.ts';
import { rowChunks } from './index-rows.ts';
import { replacedBy } from './merge-indexes.ts';

/** Everything that a cache has, the trash left out; and how many bytes its files take. */
export function readContents(folder: string): { readonly has: DigestMarks['hasDigest']; readonly bytes: number } {
  const { packs, loose } = cacheFolders(folder);
  const contents = createMarks();
  let bytes = 0;
  const there = new Set<string>();
  for (const name of listNames(packs)) {
    there.add(name.slice(0, -'.pack'.length));
    bytes += statSync(join(packs, name), { throwIfNoEntry: false })?.size ?? 0;
  }
  for (const index of currentIndexes(folder)) {
    const isThere = index.keys().map(({ hash }) => there.has(hash));
    for (const cells of rowChunks(index)) {
      for (let at = 0; at < cells.length; at += CELL_BYTES)
        if (isThere[cells.readUInt32LE(at + 32)] === true) contents.addRaw(cells, at);
    }
  }
  for (const digest of looseDigests(loose)) {
    contents.add(digest);
    bytes += statSync(loosePath(folder, digest), { throwIfNoEntry: false })?.size ?? 0;
  }
  return { has: contents.seal().hasDigest, bytes };
}

/** Digests of blobs that have files of their own below this folder. */
export function* looseDigests(folder: string): Generator<Digest> {
  for (const start of listNames(folder)) {
    if (!/^[0-9a-f]{2}$/.test(start)) continue;
    for (const rest of listNames(join(folder, start))) if (isDigest(start + rest)) yield (start + rest) as Digest;
  }
}

/** The indexes that count, each open until the next. */
export function* currentIndexes(folder: string): Generator<IndexFile> {
  const indexes = [...openIndexes(folder)];
  try {
    const isReplaced = replacedBy(indexes.map(({ head }) => head));
    for (const index of indexes) if (!isReplaced(index.head)) yield index;
  } finally {
    for (const index of indexes) index.close();
  }
}

/** All indexes, those that others replace too; each to be closed. */
export function* openIndexes(folder: string): Generator<IndexFile> {
  const { index } = cacheFolders(folder);
  for (const name of listNames(index)) {
    if (!isDigest(name)) continue;
    try {
      yield openIndexFile(join(index, name), name);
    } catch (error) {
      if (!hasErrorCode(error, 'ENOENT')) throw error; // another process has just merged it away
    }
  }
}
