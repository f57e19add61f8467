import { createHash } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';
import type { Part } from '@aws-sdk/client-s3';
import type { FileSource } from './home.ts';
import { sourceDamaged } from './home.ts';

/** Fills `into` with the source's bytes from `offset` on. Throws `source-damaged` when it is shorter than it was. */
export async function readPart(file: FileHandle, into: Buffer, source: FileSource, offset: number): Promise<void> {
  for (let done = 0; done < into.length;) {
    const { bytesRead } = await file.read(into, done, into.length - done, source.offset + offset + done);
    if (bytesRead === 0) throw sourceDamaged(source); // shorter than it was
    done += bytesRead;
  }
}

/** True when nobody has written to the file meanwhile. */
export function isSameFile(
  a: { readonly size: number; readonly mtimeMs: number },
  b: { readonly size: number; readonly mtimeMs: number },
): boolean {
  return a.size === b.size && a.mtimeMs === b.mtimeMs;
}

/** An ETag is the MD5 of its part at most stores; where it is something else, the part is sent again. */
export function isSamePart(there: Part, bytes: Buffer, sum: string): boolean {
  if (there.Size !== bytes.length) return false;
  if (there.ChecksumCRC32 !== undefined) return there.ChecksumCRC32 === sum;
  return there.ETag?.replaceAll('"', '') === createHash('md5').update(bytes).digest('hex');
}
