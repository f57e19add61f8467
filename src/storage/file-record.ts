/**
 * What a scan knows of one path: 72 bytes, so that a million of them are passed between threads and kept on disk without
 * an object each.
 *
 *   kind u8 ('f', 'x', 'l', 'd'; 0 where the path could not be read), flags u8, 6 zero,
 *   size, mtime, ctime (ms since 1970), inode: f64 each, digest 32
 *
 * Times are doubles as `fs.Stats` gives them: steps of 0.25 µs, far below any disk's clock, and a fifth faster than bigint.
 */
import type { Stats } from 'node:fs';
import type { EntryKind } from '../domain/tree.ts';

export const RECORD_BYTES = 72;
export const DIGEST_OFFSET = 40;

/** The cache had the bytes when this was recorded (and has lost nothing since, while its generation is the same). */
export const STORED = 1;
/** Changed so shortly before it was looked at that a later change may not show: to be hashed again. */
export const RACY = 2;
/** Written by a checkout, which waits for no disk: of another boot nobody knows whether the bytes are there. */
export const WRITTEN = 4;

/** Kind of a file from its mode, or 'f' on a disk that keeps none; undefined for what no tree holds. */
export function kindOf(stats: Stats, keepsModes: boolean): EntryKind | undefined {
  if (stats.isFile()) return !keepsModes || (stats.mode & 0o100) === 0 ? 'f' : 'x';
  return stats.isSymbolicLink() ? 'l' : undefined;
}

/** Fills in all but the digest. */
export function writeRecord(records: Buffer, at: number, kind: EntryKind, stats: Stats | undefined): void {
  records.fill(0, at, at + RECORD_BYTES);
  records.writeUInt8(kind.charCodeAt(0), at);
  if (stats === undefined) return;
  records.writeDoubleLE(stats.size, at + 8);
  records.writeDoubleLE(stats.mtimeMs, at + 16);
  records.writeDoubleLE(stats.ctimeMs, at + 24);
  records.writeDoubleLE(stats.ino, at + 32);
}

/** True when the record was made of a file that has not changed since. */
export function isSameFile(records: Buffer, at: number, kind: EntryKind, stats: Stats): boolean {
  return (
    records[at] === kind.charCodeAt(0) &&
    ((records[at + 1] ?? RACY) & RACY) === 0 &&
    records.readDoubleLE(at + 8) === stats.size &&
    records.readDoubleLE(at + 16) === stats.mtimeMs &&
    records.readDoubleLE(at + 24) === stats.ctimeMs &&
    records.readDoubleLE(at + 32) === stats.ino
  );
}

export function recordKind(records: Buffer, at: number): EntryKind | undefined {
  const code = records[at] ?? 0;
  return code === 0 ? undefined : (String.fromCharCode(code) as EntryKind);
}

export function recordSize(records: Buffer, at: number): number {
  return records.readDoubleLE(at + 8);
}

/** Marks records of files that a checkout wrote: to be hashed again. */
export function distrustWritten(records: Buffer): void {
  for (let at = 1; at < records.length; at += RECORD_BYTES) {
    const flags = records[at] ?? 0;
    if ((flags & WRITTEN) !== 0) records[at] = flags | RACY;
  }
}

/** Marks records that changed at or after `since` (ms): within the disk's clock's grain, a later change would look the same. */
export function markRacy(records: Buffer, since: number): void {
  for (let at = 0; at < records.length; at += RECORD_BYTES) {
    const changed = Math.max(records.readDoubleLE(at + 16), records.readDoubleLE(at + 24));
    if (changed >= since) records[at + 1] = (records[at + 1] ?? 0) | RACY;
  }
}
