import { digestFromBytes } from '../../../src/domain/digest.ts';
import {
  finishPack,
  formatPackHeader,
  PACK_FOOTER_BYTES,
  PACK_HEADER_BYTES,
  PACK_ROW_BYTES,
  writePackRow,
} from '../../../src/domain/pack.ts';
import { findDamaged, readPackTable } from '../../../src/storage/pack-reader.ts';
import { parseHexDump } from '../../support/hex-dump.ts';
import { hash } from '../../support/trees.ts';
import type { Surroundings, Target } from '../target.ts';
import { check } from '../target.ts';

const LONGEST = 1 << 20;

export function packTargets({ fixture }: Surroundings): Target[] {
  const seeds = ['pack-data.hex', 'pack-tree.hex', 'pack-with-nonce.hex'].map((name) =>
    parseHexDump(fixture(name).toString()),
  );
  return [
    { name: 'pack', seeds, words: ['mlv-pack'], run: (input) => runPack(input, input.length) },
    {
      name: 'pack of another size',
      seeds,
      words: ['mlv-pack'],
      run: (input) => runPack(input, input.length * 2 ** (10 + ((input[0] ?? 0) % 20))),
    },
    { name: 'table of a pack', seeds: seeds.map(tableOf), run: (input) => runTable(input) },
  ];
}

function tableOf(pack: Buffer): Buffer {
  const footer = pack.subarray(-PACK_FOOTER_BYTES);
  return pack.subarray(footer.readUIntLE(0, 6), -PACK_FOOTER_BYTES);
}

/** A pack under the name that its header and table have, wherever it says that the table is. */
async function runPack(input: Buffer, size: number): Promise<void> {
  if (input.length < PACK_HEADER_BYTES + PACK_FOOTER_BYTES) return;
  const bytes = Buffer.from(input);
  const at = bytes.length - PACK_FOOTER_BYTES;
  const start = bytes.readUIntLE(at, 6);
  const table = bytes.subarray(start, Math.min(at, start + bytes.readUInt32LE(at + 8) * PACK_ROW_BYTES));
  hash(Buffer.concat([bytes.subarray(0, PACK_HEADER_BYTES), table])).copy(bytes, at + 16);
  await readPack([{ at: 0, bytes }], size);
}

/** A pack of which everything is right but what its rows say. The blobs are as long as they must be, and not there. */
async function runTable(input: Buffer): Promise<void> {
  const table = input.subarray(0, Math.floor(input.length / PACK_ROW_BYTES) * PACK_ROW_BYTES);
  let tableOffset = PACK_HEADER_BYTES;
  for (let row = 0; row < table.length; row += PACK_ROW_BYTES) tableOffset += table.readUIntLE(row + 36, 6);
  if (tableOffset >= 2 ** 48) return;
  const header = formatPackHeader('data');
  const { trailer } = finishPack({ header, table, tableOffset, hash });
  await readPack(
    [
      { at: 0, bytes: header },
      { at: tableOffset, bytes: trailer },
    ],
    tableOffset + trailer.length,
  );
}

/** Bytes of a file at their places, holes in between. */
type Pieces = readonly { readonly at: number; readonly bytes: Buffer }[];

function reader(pieces: Pieces): (offset: number, length: number) => Promise<Buffer> {
  const size = Math.max(...pieces.map(({ at, bytes }) => at + bytes.length));
  return async (offset, length) => {
    const target = Buffer.alloc(Math.max(0, Math.min(length, size - offset)));
    for (const { at, bytes } of pieces) {
      const from = Math.max(0, offset - at);
      if (from < bytes.length && at + from < offset + target.length) bytes.copy(target, at + from - offset, from);
    }
    return target;
  };
}

async function readPack(pieces: Pieces, size: number): Promise<void> {
  const start = pieces[0]?.bytes.subarray(0, PACK_HEADER_BYTES) ?? Buffer.alloc(0);
  const end = pieces.at(-1)?.bytes ?? Buffer.alloc(0);
  const name = digestFromBytes(end, end.length - PACK_FOOTER_BYTES + 16);
  const read = reader(pieces);
  const { kind, blobs } = await readPackTable(read, size, name);
  check(formatPackHeader(kind, start.subarray(16)).equals(start), 'a header is written in one way');
  const table = Buffer.alloc(blobs.length * PACK_ROW_BYTES);
  let tableOffset = PACK_HEADER_BYTES;
  for (const [at, { digest, offset, length }] of blobs.entries()) {
    check(offset === tableOffset, 'blobs lie one after the other');
    tableOffset += length;
    writePackRow(table, at * PACK_ROW_BYTES, Buffer.from(digest, 'hex'), length);
  }
  const { trailer, name: again } = finishPack({ header: start, table, tableOffset, hash });
  check(tableOffset + trailer.length === size && again === name, 'a pack ends where its blobs and table do');
  check(trailer.equals(end.subarray(end.length - trailer.length)), 'a table is written in one way');
  await findDamaged(read, blobs, { size, longest: LONGEST });
}
