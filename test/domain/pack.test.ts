import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Digest } from '../../src/domain/digest.ts';
import { digestFromBytes } from '../../src/domain/digest.ts';
import type { PackKind } from '../../src/domain/pack.ts';
import {
  finishPack,
  formatPackHeader,
  PACK_FOOTER_BYTES,
  PACK_HEADER_BYTES,
  PACK_ROW_BYTES,
  parsePackFooter,
  parsePackHeader,
  parsePackTable,
  writePackRow,
} from '../../src/domain/pack.ts';
import { hashEngine } from '../../src/platform/hash.ts';

const { hash } = hashEngine();

function buildPack(
  blobs: readonly Uint8Array[],
  kind: PackKind = 'data',
  nonce?: Buffer,
): { name: Digest; bytes: Buffer } {
  const header = formatPackHeader(kind, nonce);
  const table = Buffer.alloc(blobs.length * PACK_ROW_BYTES);
  for (const [index, blob] of blobs.entries()) writePackRow(table, index * PACK_ROW_BYTES, hash(blob), blob.length);
  const content = Buffer.concat(blobs);
  const { name, trailer } = finishPack({ header, table, tableOffset: header.length + content.length, hash });
  return { name, bytes: Buffer.concat([header, content, trailer]) };
}

/** Reads a pack as a reader of files does: header, footer, table, then the blobs, each compared with its digest. */
function readPack(bytes: Buffer, name: Digest): { kind: PackKind; blobs: Buffer[] } {
  const header = bytes.subarray(0, PACK_HEADER_BYTES);
  const kind = parsePackHeader(header, name);
  const { tableOffset, tableLength } = parsePackFooter(bytes.subarray(-PACK_FOOTER_BYTES), name, bytes.length);
  const table = bytes.subarray(tableOffset, tableOffset + tableLength);
  const blobs = parsePackTable({ header, table, tableOffset, name, hash }).map(({ digest, offset, length }) => {
    const blob = bytes.subarray(offset, offset + length);
    if (digestFromBytes(hash(blob)) !== digest) throw new Error('a blob is damaged');
    return blob;
  });
  return { kind, blobs };
}

const someBlobs = fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 8 });

describe('a pack', () => {
  test('gives back what was put in, in order', () => {
    fc.assert(
      fc.property(someBlobs, fc.constantFrom<PackKind>('data', 'tree'), (blobs, kind) => {
        const { name, bytes } = buildPack(blobs, kind);
        expect(readPack(bytes, name)).toEqual({ kind, blobs: blobs.map((blob) => Buffer.from(blob)) });
      }),
    );
  });

  test('has one name for one content, another under a nonce or of another kind', () => {
    const blobs = [Buffer.from('one'), Buffer.from('two')];
    const { name } = buildPack(blobs);
    expect(buildPack(blobs).name).toBe(name);
    expect(buildPack(blobs, 'data', Buffer.alloc(16, 7)).name).not.toBe(name);
    expect(buildPack(blobs, 'tree').name).not.toBe(name);
    expect(buildPack(blobs.toReversed()).name).not.toBe(name);
  });

  test('is never accepted with a byte changed', () => {
    const { name, bytes } = buildPack([Buffer.from('some content'), Buffer.alloc(0), Buffer.from('more of it')]);
    for (let at = 0; at < bytes.length; at++) {
      const damaged = Buffer.from(bytes);
      damaged.writeUInt8(damaged.readUInt8(at) ^ 0x11, at);
      expect(() => readPack(damaged, name), `byte ${at}`).toThrow(/damaged|its format is version/);
    }
  });

  test('is never accepted cut short or drawn out', () => {
    const { name, bytes } = buildPack([Buffer.from('some content'), Buffer.from('more of it')]);
    for (let length = 0; length < bytes.length; length++) {
      expect(() => readPack(bytes.subarray(0, length), name), `${length} bytes`).toThrow('damaged');
    }
    expect(() => readPack(Buffer.concat([bytes, Buffer.alloc(48)]), name)).toThrow('damaged');
  });

  test('of a later format, or with a codec that is not known, asks for a later mlv', () => {
    const header = formatPackHeader('data');
    header.writeUInt32LE(9, 8);
    const name = 'a'.repeat(64) as Digest;
    expect(() => parsePackHeader(header, name)).toThrow(/its format is version 9, and mlv \S+ reads version 1/);
    const plain = formatPackHeader('data');
    const table = Buffer.alloc(PACK_ROW_BYTES);
    writePackRow(table, 0, hash(Buffer.from('x')), 1);
    table.writeUInt8(3, 32);
    const odd = finishPack({ header: plain, table, tableOffset: 33, hash });
    expect(() => parsePackTable({ header: plain, table, tableOffset: 33, name: odd.name, hash })).toThrow('codec 3');
  });

  test('with lengths that do not add up is refused though its hash is right', () => {
    const header = formatPackHeader('data');
    const table = Buffer.alloc(PACK_ROW_BYTES);
    writePackRow(table, 0, hash(Buffer.from('x')), 2 ** 40);
    const { name } = finishPack({ header, table, tableOffset: 33, hash });
    expect(() => parsePackTable({ header, table, tableOffset: 33, name, hash })).toThrow('its lengths');
  });
});
