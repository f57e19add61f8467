/**
 * The pack format (docs/formats.md, "Pack"): many small blobs in one file, the same in the local cache and on a remote.
 *
 *   header  32 bytes   "mlv-pack", version u32, kind u32 (0 data, 1 tree objects), nonce 16 bytes
 *   blobs   back to back, in the order of the table
 *   table   48 bytes for each blob: digest 32, codec u8, 3 zero, stored length u48, length u48
 *   footer  48 bytes   table offset u64, blobs u32, 4 zero, BLAKE3(header ‖ table) 32
 *
 * All numbers are little-endian. The pack's name is the hash in its footer: the same blobs in the same order under the same
 * nonce are the same pack.
 */
import type { Digest, HashFunction } from './digest.ts';
import { digestFromBytes } from './digest.ts';
import { MlvError } from './errors.ts';
import { NEWER_MLV, otherVersion } from './format-version.ts';

export const PACK_HEADER_BYTES = 32;
export const PACK_ROW_BYTES = 48;
export const PACK_FOOTER_BYTES = 48;
const PACK_VERSION = 1;
/** Stored as it is; the only codec so far. */
const CODEC_STORED = 0;

const MAGIC = 'mlv-pack';

export type PackKind = 'data' | 'tree';

/** Where a blob lies in a pack file. */
export interface PackedBlob {
  readonly digest: Digest;
  readonly offset: number;
  readonly length: number;
}

/** The first 32 bytes. The nonce is zero unless the same content must be stored again after its pack's name died. */
export function formatPackHeader(kind: PackKind, nonce?: Buffer): Buffer {
  const header = Buffer.alloc(PACK_HEADER_BYTES);
  header.write(MAGIC, 0, 'latin1');
  header.writeUInt32LE(PACK_VERSION, 8);
  header.writeUInt32LE(kind === 'tree' ? 1 : 0, 12);
  nonce?.copy(header, 16);
  return header;
}

/** Throws `pack-version` for a later format, `pack-invalid` for what is no pack. */
export function parsePackHeader(header: Buffer, name: Digest): PackKind {
  if (header.length !== PACK_HEADER_BYTES || header.toString('latin1', 0, 8) !== MAGIC)
    throw invalidPack(name, 'it does not begin like a pack');
  const version = header.readUInt32LE(8);
  const kind = header.readUInt32LE(12);
  if (version !== PACK_VERSION) {
    throw otherVersion('pack', `pack ${name}`, { version, reads: PACK_VERSION });
  }
  if (kind > 1) throw invalidPack(name, `kind ${kind}`);
  return kind === 1 ? 'tree' : 'data';
}

/** Writes the table's row of one blob at `offset`. */
export function writePackRow(table: Buffer, offset: number, digest: Uint8Array, length: number): void {
  table.set(digest, offset);
  table.writeUInt32LE(CODEC_STORED, offset + 32);
  table.writeUIntLE(length, offset + 36, 6);
  table.writeUIntLE(length, offset + 42, 6);
}

/** Table and footer, and the pack's name. `table` holds the rows that `writePackRow` wrote. */
export function finishPack(options: {
  readonly header: Buffer;
  readonly table: Buffer;
  readonly tableOffset: number;
  readonly hash: HashFunction;
}): { readonly name: Digest; readonly trailer: Buffer } {
  const { header, table, tableOffset, hash } = options;
  const nameBytes = hash(Buffer.concat([header, table]));
  const footer = Buffer.alloc(PACK_FOOTER_BYTES);
  footer.writeUIntLE(tableOffset, 0, 6);
  footer.writeUInt32LE(table.length / PACK_ROW_BYTES, 8);
  nameBytes.copy(footer, 16);
  return { name: digestFromBytes(nameBytes), trailer: Buffer.concat([table, footer]) };
}

/** Where the table begins, and its bytes, in a pack of `packLength` bytes. Throws `pack-invalid`. */
export function parsePackFooter(
  footer: Buffer,
  name: Digest,
  packLength: number,
): { readonly tableOffset: number; readonly tableLength: number } {
  if (footer.length !== PACK_FOOTER_BYTES) throw invalidPack(name, 'its size');
  const tableOffset = footer.readUIntLE(0, 6);
  const tableLength = footer.readUInt32LE(8) * PACK_ROW_BYTES;
  const isZero = footer.readUInt16LE(6) === 0 && footer.readUInt32LE(12) === 0;
  const isRight = tableOffset + tableLength + PACK_FOOTER_BYTES === packLength && digestFromBytes(footer, 16) === name;
  if (!isZero || !isRight) throw invalidPack(name, 'its footer');
  return { tableOffset, tableLength };
}

/** The blobs of a pack; their bytes are not looked at. Throws `pack-invalid` where header or table are not what the name says, `pack-codec`. */
export function parsePackTable(options: {
  readonly header: Buffer;
  readonly table: Buffer;
  readonly tableOffset: number;
  readonly name: Digest;
  readonly hash: HashFunction;
}): PackedBlob[] {
  const { header, table, tableOffset, name, hash } = options;
  if (digestFromBytes(hash(Buffer.concat([header, table]))) !== name) throw invalidPack(name, 'its table');
  const blobs: PackedBlob[] = [];
  let offset = PACK_HEADER_BYTES;
  for (let row = 0; row < table.length; row += PACK_ROW_BYTES) {
    const codec = table.readUInt8(row + 32);
    const length = table.readUIntLE(row + 36, 6);
    if (codec !== CODEC_STORED) {
      throw new MlvError({
        code: 'pack-codec',
        kind: 'unsupported',
        message: `pack ${name} uses codec ${codec}, this mlv reads ${CODEC_STORED}`,
        hint: NEWER_MLV,
      });
    }
    if (table.readUIntLE(row + 33, 3) !== 0 || table.readUIntLE(row + 42, 6) !== length)
      throw invalidPack(name, 'its table');
    blobs.push({ digest: digestFromBytes(table, row), offset, length });
    offset += length;
  }
  if (offset !== tableOffset) throw invalidPack(name, 'its lengths');
  return blobs;
}

/** The error for a pack that is not what its name says. */
export function invalidPack(name: string, what: string): MlvError {
  return new MlvError({
    code: 'pack-invalid',
    kind: 'corrupt',
    message: `pack ${name} is damaged: ${what}`,
    hint: 'Run "mlv verify --repair", with --remote where it is the remote\'s: it brings good copies from the other side.',
  });
}
