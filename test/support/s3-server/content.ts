/** Bytes of objects: small ones in memory, larger ones in files of a temporary folder. */
import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { open, unlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

interface StoredFile {
  readonly path: string;
  readers: number;
  isDead: boolean;
}

/** One piece of a content: a whole buffer, or a whole file. */
interface Segment {
  readonly size: number;
  readonly held: Buffer | StoredFile;
}

export interface Content {
  readonly size: number;
  readonly segments: readonly Segment[];
}

/** Where bodies that are too large for memory go. */
export interface Spill {
  /** The bytes of a stream, kept; `onChunk` sees each piece. What has been written is deleted where the stream fails. */
  keep(source: AsyncIterable<Buffer>, onChunk: (bytes: Buffer) => void): Promise<Content>;
  close(): void;
}

const READ_BYTES = 1 << 20;
const WRITE_BYTES = 1 << 20;

/** Keeps contents of up to `memoryBytes` in memory, others below `parent`. */
export function openSpill(memoryBytes: number, parent = tmpdir()): Spill {
  let folder: string | undefined;
  return {
    async keep(source, onChunk) {
      let waiting: Buffer[] = [];
      let waitingBytes = 0;
      let size = 0;
      let file: { handle: Awaited<ReturnType<typeof open>>; stored: StoredFile } | undefined;
      const flush = async (): Promise<void> => {
        if (file === undefined) {
          folder ??= mkdtempSync(join(parent, 's3-server-'));
          const path = join(folder, randomUUID());
          file = { handle: await open(path, 'wx'), stored: { path, readers: 0, isDead: false } };
        }
        const bytes = waiting.length === 1 ? waiting[0] : Buffer.concat(waiting);
        [waiting, waitingBytes] = [[], 0];
        if (bytes !== undefined) await file.handle.writeFile(bytes);
      };
      try {
        for await (const chunk of source) {
          onChunk(chunk);
          waiting.push(chunk);
          waitingBytes += chunk.length;
          size += chunk.length;
          if (waitingBytes > Math.max(memoryBytes, WRITE_BYTES)) await flush();
        }
        if (file === undefined && size <= memoryBytes) return contentOf(Buffer.concat(waiting));
        await flush();
      } catch (error) {
        if (file !== undefined) await unlink(file.stored.path);
        throw error;
      } finally {
        await file?.handle.close();
      }
      return { size, segments: file === undefined ? [] : [{ size, held: file.stored }] };
    },
    close() {
      if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
    },
  };
}

export function contentOf(bytes: Buffer): Content {
  return { size: bytes.length, segments: [{ size: bytes.length, held: bytes }] };
}

/** One after the other; nothing is copied. */
export function joinContents(contents: readonly Content[]): Content {
  return {
    size: contents.reduce((sum, { size }) => sum + size, 0),
    segments: contents.flatMap(({ segments }) => segments),
  };
}

/** The whole of it, where it is in memory in one piece. */
export function heldBytes(content: Content): Buffer | undefined {
  const [first, ...others] = content.segments;
  if (others.length > 0) return undefined;
  if (first === undefined) return Buffer.alloc(0);
  return Buffer.isBuffer(first.held) ? first.held : undefined;
}

/** The bytes from `start` up to, not including, `end`. The content has to be held while they are read. */
export async function* readContent(content: Content, start = 0, end = content.size): AsyncGenerator<Buffer> {
  let offset = 0;
  for (const { size, held } of content.segments) {
    const from = Math.max(start - offset, 0);
    const to = Math.min(end - offset, size);
    offset += size;
    if (from >= to) continue;
    if (Buffer.isBuffer(held)) yield held.subarray(from, to);
    else yield* readFile(held.path, from, to);
  }
}

/** Keeps its files from being deleted until `dropContent`. */
export function holdContent(content: Content): void {
  for (const { held } of content.segments) if (!Buffer.isBuffer(held)) held.readers++;
}

export async function dropContent(content: Content): Promise<void> {
  for (const { held } of content.segments) {
    if (Buffer.isBuffer(held)) continue;
    held.readers--;
    if (held.isDead && held.readers === 0) await unlink(held.path);
  }
}

/** Deletes its files, or leaves that to whoever reads it last. */
export async function discardContent(content: Content): Promise<void> {
  for (const { held } of content.segments) {
    if (Buffer.isBuffer(held) || held.isDead) continue;
    held.isDead = true;
    if (held.readers === 0) await unlink(held.path);
  }
}

async function* readFile(path: string, from: number, to: number): AsyncGenerator<Buffer> {
  const handle = await open(path, 'r');
  try {
    for (let at = from; at < to;) {
      const bytes = Buffer.allocUnsafe(Math.min(READ_BYTES, to - at));
      const { bytesRead } = await handle.read(bytes, 0, bytes.length, at);
      if (bytesRead === 0) throw new Error(`${path}: shorter than it was written`);
      yield bytes.subarray(0, bytesRead);
      at += bytesRead;
    }
  } finally {
    await handle.close();
  }
}
