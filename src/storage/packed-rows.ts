import { CELL_BYTES } from '../domain/blob-index.ts';
import type { Digest } from '../domain/digest.ts';

/** Rows of packs that are durable but not yet in any index; their keys number `packs`. */
export interface PackedRows {
  /** A plain array after it has come from another thread. */
  readonly rows: Uint8Array;
  readonly packs: readonly Digest[];
}

/** Puts rows of several packs together, renumbering their keys. */
export function joinRows(parts: readonly PackedRows[]): { readonly rows: Buffer; readonly packs: readonly Digest[] } {
  const packs: Digest[] = [];
  const rows = Buffer.concat(parts.map((part) => part.rows));
  let at = 0;
  for (const part of parts) {
    for (const end = at + part.rows.length; at < end; at += CELL_BYTES) {
      rows.writeUInt32LE(rows.readUInt32LE(at + 32) + packs.length, at + 32);
    }
    packs.push(...part.packs);
  }
  return { rows, packs };
}
