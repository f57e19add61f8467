import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TreePath } from '../../../src/domain/tree-path.ts';
import { markRacy, RECORD_BYTES, recordKind, recordSize } from '../../../src/storage/file-record.ts';
import type { BlockPlace } from '../../../src/storage/stat-cache.ts';
import { blocksBetween, openStatCache } from '../../../src/storage/stat-cache.ts';
import { mergeRecords, openRecordSeeker, readBlocks } from '../../../src/workspace/record-seeker.ts';
import { parseHexDump } from '../../support/hex-dump.ts';
import { digestOf, hash } from '../../support/trees.ts';
import type { Surroundings, Target } from '../target.ts';

const TRAILER_BYTES = 48;
const MAGIC_BYTES = 8;

export function statCacheTargets({ fixture, scratch }: Surroundings): Target[] {
  const sample = parseHexDump(fixture('stat-cache.hex').toString());
  const words = [
    '"blocks":[',
    '"offset":',
    '"length":',
    '"count":',
    '"first":"',
    '"hash":"',
    '"files":',
    '{',
    '}',
    ',',
    'null',
  ];
  return [
    {
      name: 'stat cache',
      seeds: [sample],
      words: ['mlvstat1'],
      run: (input) => runStatCache(input, join(scratch, 'stat')),
    },
    {
      name: 'directory of a stat cache',
      seeds: [sample.subarray(0, -TRAILER_BYTES)],
      words,
      run: (input) => runStatCache(withTrailer(input), join(scratch, 'stat-directory')),
    },
  ];
}

/** The same bytes with hashes that fit, as far as the directory can be read. */
function withTrailer(input: Buffer): Buffer {
  const at = Math.max(MAGIC_BYTES, input.indexOf('{"'));
  const blocks = input.subarray(0, at);
  const directory = Buffer.from(withHashes(input.toString('utf8', at), blocks));
  const trailer = Buffer.alloc(TRAILER_BYTES);
  trailer.writeUIntLE(blocks.length, 0, 6);
  trailer.writeUIntLE(directory.length, 6, 6);
  hash(directory).copy(trailer, 16);
  return Buffer.concat([blocks, directory, trailer]);
}

function withHashes(json: string, bytes: Buffer): string {
  try {
    const directory = JSON.parse(json) as { blocks: { offset: number; length: number; hash: string }[] };
    for (const block of directory.blocks)
      block.hash = digestOf(bytes.subarray(block.offset, block.offset + block.length));
    return JSON.stringify(directory);
  } catch {
    return json;
  }
}

function runStatCache(bytes: Buffer, path: string): void {
  writeFileSync(path, bytes);
  const statCache = openStatCache(path);
  if (statCache === undefined) return;
  const seeker = openRecordSeeker(statCache);
  const record = Buffer.alloc(RECORD_BYTES);
  for (const name of ['', 'a/b.txt', 'bin/run', 'z']) seeker.copy(name as TreePath, record, 0);
  seeker.close();
  recordKind(record, 0);
  recordSize(record, 0);
  markRacy(record, 0);
  const between: BlockPlace[] = blocksBetween(statCache.blocks, 'a' as TreePath, 'c' as TreePath);
  for (const run of [mergeRecords([readBlocks(statCache), readBlocks({ ...statCache, blocks: between })], 16)])
    void [...run];
}
