import { CELL_BYTES } from '../domain/blob-index.ts';
import type { Digest } from '../domain/digest.ts';

/** Rows of packs that are durable but not yet in any index; their keys number `packs`. */
export interface PackedRows {
  readonly rows: Buffer;
  readonly packs: readonly Digest[];
}

/** Puts rows of several packs together, renumbering their keys. */
export function joinRows(parts: readonly PackedRows[]): PackedRows {
  const packs: Digest[] = [];
  for (const part of parts) {
    for (let at = 32; at < part.rows.length; at += CELL_BYTES) {
      part.rows.writeUInt32LE(part.rows.readUInt32LE(at) + packs.length, at);
    }
    packs.push(...part.packs);
  }
  return { rows: Buffer.concat(parts.map((part) => part.rows)), packs };
}
