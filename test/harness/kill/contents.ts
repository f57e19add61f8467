/** Two versions of data of every kind: many small files on several pages, middle and large ones, links, executables, empty folders. */
import { endsPage } from '../../../src/domain/tree.ts';
import type { TreePath } from '../../../src/domain/tree-path.ts';
import { emptyFolder, executable, type Files, link } from '../../support/folders.ts';

/** Small files; every eightieth ends a page of the tree, where one with a name by chance does so once in 1,024. */
export function small(folder: string, count: number, version: string): Record<string, string> {
  const files: Record<string, string> = {};
  for (let at = 0, number = 0; at < count; number++) {
    const name = `${String(at).padStart(4, '0')}-${number}`;
    const path = `${folder}/${name.slice(0, 2)}/${name}`;
    const inDataset = path.slice(path.indexOf('/') + 1);
    if (at % 80 === 79 && !endsPage(inDataset as TreePath, 0)) continue;
    files[path] = `${path} of ${version}\n`;
    at += 1;
  }
  return files;
}

/** Bytes that do not repeat within a file. */
function bytes(length: number, first: number): Buffer {
  const content = Buffer.alloc(length);
  for (let at = 0; at + 4 <= length; at += 4) content.writeUInt32LE((at + Math.imul(first, 0x9e3779b1)) >>> 0, at);
  return content;
}

const MIB = 1 << 20;

/** `data`, `model` (a file) and `part`, of which only `part/a` is checked out. */
export const V1: Files = {
  ...small('data/old', 240, 'v1'),
  ...small('data/stay', 240, 'v1'),
  'data/middle': bytes(MIB + 1, 1),
  // Loose in the cache; an object of several parts on a remote.
  'data/large': bytes(17 * MIB + 1, 2),
  'data/run': executable('#!/bin/sh\n'),
  'data/latest': link('middle'),
  'data/void': emptyFolder,
  model: bytes(300_000, 3),
  ...small('part/a', 40, 'v1'),
  ...small('part/b', 40, 'v1'),
};

const stays = Object.entries(V1).filter(([path]) => !path.startsWith('data/old/') && path !== 'data/void');

export const V2: Files = {
  ...Object.fromEntries(stays),
  ...Object.fromEntries(Object.keys(small('data/stay', 20, '')).map((path) => [path, `${path} of version 2\n`])),
  ...small('data/young', 160, 'v2'),
  'data/middle': bytes(MIB + 9, 4),
  'data/large': bytes(9 * MIB, 5),
  'data/run': '#!/bin/sh\n',
  'data/latest': link('large'),
  model: bytes(310_000, 6),
  'part/a/more': 'more\n',
};

/** What is added beside. */
export const FRESH: Files = { ...small('fresh', 90, 'v2'), 'fresh/large': bytes(3 * MIB, 7) };

/** Files below these paths. */
export function only(files: Files, ...paths: readonly string[]): Files {
  return Object.fromEntries(
    Object.entries(files).filter(([path]) => paths.some((each) => path === each || path.startsWith(`${each}/`))),
  );
}
