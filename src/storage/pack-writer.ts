import { closeSync, fchmodSync, fsync as fsyncCallback, openSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Digest, HashFunction } from '../domain/digest.ts';
import type { PackKind } from '../domain/pack.ts';
import { writeFully } from '../platform/read-write.ts';
import { finishPack, formatPackHeader, PACK_HEADER_BYTES, PACK_ROW_BYTES, writePackRow } from '../domain/pack.ts';

/** A pack is full at about this many bytes. */
export const PACK_TARGET_BYTES = 32 << 20;
const fsync = promisify(fsyncCallback);
const BUFFER_BYTES = 1 << 20;

export interface PackWriter {
  /** Appends a blob whose digest is known. Returns its offset in the pack. */
  append(digest: Uint8Array, bytes: Uint8Array): number;
  /** Bytes of blobs so far. */
  size(): number;
  /** Completes the pack. It has its name once `durable` resolves: the flush goes on while other work is done. */
  finish(): { readonly name: Digest; readonly durable: Promise<void> };
  /** Removes what was written. */
  abandon(): void;
}

/** Writes one pack file into `folder`, by way of `temporary`, which is on the same disk. */
export function createPackWriter(options: {
  readonly folder: string;
  readonly temporary: string;
  readonly kind: PackKind;
  readonly hash: HashFunction;
}): PackWriter {
  const { folder, temporary, kind, hash } = options;
  const header = formatPackHeader(kind);
  const file = openSync(temporary, 'wx', 0o444);
  fchmodSync(file, 0o444); // whatever the umask
  // Blobs are gathered: a write of a megabyte costs little more than one of 4 KiB.
  const buffer = Buffer.allocUnsafe(BUFFER_BYTES);
  let used = header.copy(buffer);
  let offset = PACK_HEADER_BYTES;
  let table = Buffer.alloc(PACK_ROW_BYTES * 1024);
  let rows = 0;

  function flush(): void {
    writeFully(file, buffer.subarray(0, used));
    used = 0;
  }

  return {
    append(digest, bytes) {
      if (used + bytes.length > BUFFER_BYTES) flush();
      if (bytes.length > BUFFER_BYTES) writeFully(file, bytes);
      else {
        buffer.set(bytes, used);
        used += bytes.length;
      }
      if ((rows + 1) * PACK_ROW_BYTES > table.length) table = Buffer.concat([table, Buffer.alloc(table.length)]);
      writePackRow(table, rows * PACK_ROW_BYTES, digest, bytes.length);
      rows += 1;
      const start = offset;
      offset += bytes.length;
      return start;
    },
    size: () => offset - PACK_HEADER_BYTES,
    finish() {
      const { name, trailer } = finishPack({
        header,
        table: table.subarray(0, rows * PACK_ROW_BYTES),
        tableOffset: offset,
        hash,
      });
      flush();
      writeFully(file, trailer);
      return { name, durable: settle(file, temporary, join(folder, `${name}.pack`)) };
    },
    abandon() {
      closeSync(file);
      rmSync(temporary, { force: true });
    },
  };
}

/** Flushes a complete file and gives it its name. */
async function settle(file: number, temporary: string, path: string): Promise<void> {
  try {
    await fsync(file);
  } finally {
    closeSync(file);
  }
  renameSync(temporary, path);
}
