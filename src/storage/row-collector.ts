import type { StorageKey } from '../domain/blob-index.ts';
import { CELL_BYTES, writeRow } from '../domain/blob-index.ts';

/** Gathers the rows of what has been stored, for the next index. */
export interface RowCollector {
  add(
    key: StorageKey,
    blobs: Iterable<{ readonly digest: Uint8Array; readonly offset: number; readonly length: number }>,
  ): void;
  /** How many rows wait. */
  count(): number;
  /** Hands over what has been gathered, and starts anew. */
  take(): { readonly rows: Buffer; readonly keys: StorageKey[] };
}

export function createRowCollector(): RowCollector {
  let rows = Buffer.alloc(1024 * CELL_BYTES);
  let length = 0;
  let keys: StorageKey[] = [];
  return {
    add(key, blobs) {
      for (const blob of blobs) {
        if (length === rows.length) rows = Buffer.concat([rows, Buffer.alloc(rows.length)]);
        writeRow(rows, length, { ...blob, key: keys.length });
        length += CELL_BYTES;
      }
      keys.push(key);
    },
    count: () => length / CELL_BYTES,
    take() {
      const taken = { rows: rows.subarray(0, length), keys };
      rows = Buffer.alloc(1024 * CELL_BYTES);
      length = 0;
      keys = [];
      return taken;
    },
  };
}
