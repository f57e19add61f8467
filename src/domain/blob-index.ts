/**
 * The index format (docs/formats.md, "Index"): which blobs exist and where, sorted, for look-ups by a few short reads;
 * the same for the local cache's packs and for remotes.
 *
 *   head       64 bytes, the names of the indexes it replaces (32 bytes each, sorted), then a fence for each directory page
 *   directory  a fence for each block of the body, in pages of 128
 *   body       cells of 48 bytes, in blocks of 128
 *     rows     digest 32, key number u32, offset u48, length u48
 *     keys     hash 32, nonce 8, kind u8 (0 pack of data, 1 object, 2 list of chunks, 3 pack of tree objects), 7 zero
 *     roots    digest 32, day u32 (since 1970-01-01), 12 zero: roots that were pushed
 *
 * A fence is 40 bytes: the first 8 bytes of what it stands for, and its BLAKE3. The index's name is BLAKE3(head), which so
 * covers every byte. Rows, keys and roots are sorted by their bytes, each once, and only keys that a row names are there:
 * the same content is the same index. Numbers are little-endian. An index may be a shard, which has only the digests that
 * begin with certain bits; it replaces another index together with the shards for all other bits.
 */
import type { Digest } from './digest.ts';
import { digestFromBytes } from './digest.ts';
import { MlvError } from './errors.ts';
import { NEWER_MLV } from './format-version.ts';

export const CELL_BYTES = 48;
export const MAX_PREFIX_BITS = 16;

/** `pack` and `tree-pack` are files of many blobs, data or tree objects; the other two hold one blob each. */
export type KeyKind = 'pack' | 'object' | 'list' | 'tree-pack';
const KEY_KINDS: readonly KeyKind[] = ['pack', 'object', 'list', 'tree-pack'];
const NO_NONCE = '0000000000000000';

/** Names one immutable thing that holds blobs. */
export interface StorageKey {
  readonly kind: KeyKind;
  readonly hash: Digest;
  /** 16 hex digits; only on objects that were stored again after their key had died. */
  readonly nonce?: string;
}

export interface IndexRow {
  /** Number of the key in the index's key table. */
  readonly key: number;
  readonly offset: number;
  readonly length: number;
}

/** A root that was pushed, and the day (since 1970-01-01) on which it was. */
export interface PushedRoot {
  readonly root: Digest;
  readonly day: number;
}

/** The digests that begin with these bits. */
export interface IndexPrefix {
  readonly bits: number;
  readonly value: number;
}

/** Writes a row into a cell. */
export function writeRow(cells: Buffer, at: number, row: IndexRow & { readonly digest: Uint8Array }): void {
  cells.set(row.digest, at);
  cells.writeUInt32LE(row.key, at + 32);
  cells.writeUIntLE(row.offset, at + 36, 6);
  cells.writeUIntLE(row.length, at + 42, 6);
}

export function readRow(cells: Buffer, at: number): IndexRow {
  return {
    key: cells.readUInt32LE(at + 32),
    offset: cells.readUIntLE(at + 36, 6),
    length: cells.readUIntLE(at + 42, 6),
  };
}

export function writeKey(cells: Buffer, at: number, key: StorageKey): void {
  cells.write(key.hash, at, 'hex');
  cells.write(key.nonce ?? NO_NONCE, at + 32, 'hex');
  cells.writeUInt8(KEY_KINDS.indexOf(key.kind), at + 40);
}

/** Throws `index-key-kind` for a kind that this mlv does not know. */
export function readKey(cells: Buffer, at: number, name: Digest): StorageKey {
  const kind = KEY_KINDS[cells.readUInt8(at + 40)];
  if (kind === undefined) {
    throw new MlvError({
      code: 'index-key-kind',
      kind: 'unsupported',
      message: `index ${name} names a kind of storage that this mlv does not know`,
      hint: NEWER_MLV,
    });
  }
  const nonce = cells.toString('hex', at + 32, at + 40);
  const hash = digestFromBytes(cells, at);
  return nonce === NO_NONCE ? { kind, hash } : { kind, hash, nonce };
}

export function writeRoot(cells: Buffer, at: number, { root, day }: PushedRoot): void {
  cells.write(root, at, 'hex');
  cells.writeUInt32LE(day, at + 32);
}

export function readRoot(cells: Buffer, at: number): PushedRoot {
  return { root: digestFromBytes(cells, at), day: cells.readUInt32LE(at + 32) };
}

/** True when the index could have this digest. */
export function coversDigest(prefix: IndexPrefix, digest: Uint8Array): boolean {
  return prefix.bits === 0 || leadingBits(digest, prefix.bits) === prefix.value;
}

/** The first bits (at most 16) of a digest, as a number. */
function leadingBits(digest: Uint8Array, bits: number): number {
  return (((digest[0] ?? 0) << 8) | (digest[1] ?? 0)) >>> (16 - bits);
}

export function invalidIndex(name: string, what: string): MlvError {
  return new MlvError({
    code: 'index-invalid',
    kind: 'corrupt',
    message: `index ${name} is damaged: ${what}`,
    hint: 'Run "mlv verify --repair", with --remote where it is the remote\'s: it makes indexes anew from the packs.',
  });
}
