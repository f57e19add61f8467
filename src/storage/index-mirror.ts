import { closeSync, ftruncateSync, openSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { PushedRoot } from '../domain/blob-index.ts';
import { invalidIndex } from '../domain/blob-index.ts';
import type { Digest } from '../domain/digest.ts';
import { hasErrorCode, MlvError } from '../domain/errors.ts';
import type { IndexHead } from '../domain/index-head.ts';
import { indexHeadLength, parseIndexHead, partRange } from '../domain/index-head.ts';
import { isTemporaryName, makeFolderDurably, temporaryName } from '../platform/durable-write.ts';
import { hashEngine } from '../platform/hash.ts';
import { listNames } from '../platform/list-names.ts';
import { ioError } from '../platform/io-error.ts';
import { forEachParallel } from '../platform/parallel.ts';
import { writeFully } from '../platform/read-write.ts';
import type { Home } from './home.ts';
import { MAX_WHOLE_INDEX_BYTES } from './merge-indexes.ts';
import type { IndexFile, LocatedRow, SparseIndexFile } from './index-file.ts';
import { openIndexFile, openSparseIndexFile } from './index-file.ts';

/** An index up to this size is fetched whole when it is first seen: hardly slower than its head alone. */
const WHOLE_BYTES = 64 << 10;
/** Enough for the head of an index of 64 MiB. */
const FIRST_BYTES = 4 << 10;
/** Parts closer together than this are read as one. */
const GAP_BYTES = 8 << 10;
const PIECE_BYTES = 8 << 20;
/** With more than one in so many blocks wanted, the whole index is fetched. */
const WHOLE_SHARE = 8;
const JOBS = 8;
/** Another process may be writing it. */
const LEFTOVER_MS = 60 * 60 * 1000;

/** A remote's index as far as this machine has it; what is missing is fetched by ranges as look-ups need it. */
export interface MirroredIndex {
  readonly head: IndexHead;
  /** True while looking up may need the network. */
  isSparse(): boolean;
  /** Undefined when parts are missing, or damaged on this machine; `fetchWanted` gets them. */
  find(digest: Uint8Array): LocatedRow[] | undefined;
  /** Prepares for so many look-ups: fetches the whole index where that is cheaper. */
  expect(lookUps: number, signal?: AbortSignal): Promise<void>;
  /** Fetches what `find` missed since the last call. False when it missed nothing. Throws `index-invalid` when the remote's bytes are wrong. */
  fetchWanted(signal?: AbortSignal): Promise<boolean>;
  /** The roots it notes; none while parts are missing. */
  roots(): readonly PushedRoot[];
  /** The index as a whole file. */
  whole(signal?: AbortSignal): Promise<IndexFile>;
  close(): void;
}

/** Folder of a remote's indexes on this machine; all of it can be fetched again. */
export interface IndexMirror {
  /** What is here of an index, without the network. */
  openLocal(name: Digest): MirroredIndex | undefined;
  /** Fetches a new index: all of a small one, else its head. */
  fetch(name: Digest, size: number, signal?: AbortSignal): Promise<MirroredIndex>;
  /** Keeps an index that this process wrote to the remote. */
  keep(name: Digest, chunks: readonly Buffer[]): MirroredIndex;
  /** A small file that was kept under its name. */
  readFile(name: string): Buffer | undefined;
  keepFile(name: string, bytes: Buffer): void;
  /** Forgets what the remote does not have any more. */
  retain(isListed: (name: string) => boolean): void;
}

const SPARSE_SUFFIX = '.part';

/** Opens the mirror of `home` in `folder`, which is made when something is kept. */
export function openIndexMirror(options: {
  readonly home: Home;
  readonly folder: string;
  readonly remoteFolder: string;
}): IndexMirror {
  const { home, folder, remoteFolder } = options;
  const wholePath = (name: Digest): string => join(folder, name);
  const sparsePath = (name: Digest): string => join(folder, `${name}${SPARSE_SUFFIX}`);

  /**
   * Gives a whole file its name; what `fill` or `check` throws leaves nothing. It is not flushed: what a power loss takes of it shows by
   * its hashes, and is fetched again.
   */
  function place(path: string, fill: (file: number) => void, check?: (temporary: string) => void): void {
    const temporary = join(folder, temporaryName());
    try {
      makeFolderDurably(folder);
      const file = openSync(temporary, 'wx');
      try {
        fill(file);
      } finally {
        closeSync(file);
      }
      check?.(temporary);
      renameSync(temporary, path);
    } catch (error) {
      rmSync(temporary, { force: true });
      throw ioError(error, 'write', path);
    }
  }

  /** Keeps a whole index. One that came from the remote gets its name only when every byte is right: it is believed from then on. */
  function placeWhole(name: Digest, pieces: readonly Buffer[], isFetched: boolean): IndexFile {
    const write = (file: number): void => {
      for (const piece of pieces) writeFully(file, piece);
    };
    const verify = (temporary: string): void => {
      const file = openIndexFile(temporary, name);
      try {
        file.verify();
      } finally {
        file.close();
      }
    };
    place(wholePath(name), write, isFetched ? verify : undefined);
    return openIndexFile(wholePath(name), name);
  }

  /** Undefined, and gone, where it is damaged: it is fetched again. */
  function openIfGood<T>(path: string, openFile: () => T): T | undefined {
    try {
      return openFile();
    } catch (error) {
      if (hasErrorCode(error, 'ENOENT')) return undefined;
      if (!(error instanceof MlvError) || error.kind !== 'corrupt') throw error;
      rmSync(path, { force: true });
      return undefined;
    }
  }

  function mirrored(
    head: IndexHead,
    files: { readonly whole?: IndexFile; readonly sparse?: SparseIndexFile },
  ): MirroredIndex {
    let { whole, sparse } = files;
    const { name } = head;
    const key = remoteFolder + name;
    const fetched = new Set<number>();
    let isDamaged = false;

    async function fetchWhole(signal?: AbortSignal): Promise<IndexFile> {
      if (head.fileLength > MAX_WHOLE_INDEX_BYTES)
        throw invalidIndex(name, `its size at ${home.name}, more than any index has`);
      const pieces: Buffer[] = [];
      const ranges = Array.from(
        { length: Math.ceil(head.fileLength / PIECE_BYTES) },
        (_, index) => index * PIECE_BYTES,
      );
      await forEachParallel(ranges, { jobs: JOBS, signal }, async (offset, stop) => {
        pieces[offset / PIECE_BYTES] = await home.read(
          key,
          { offset, length: Math.min(PIECE_BYTES, head.fileLength - offset) },
          stop,
        );
      });
      const file = placeWhole(name, pieces, true);
      sparse?.close();
      rmSync(sparsePath(name), { force: true });
      sparse = undefined;
      whole?.close();
      whole = file;
      isDamaged = false;
      return file;
    }

    /** What reading the copy on this machine gives; undefined where that is damaged, and from then on. */
    function tryWhole<T>(read: (file: IndexFile) => T): T | undefined {
      if (whole === undefined || isDamaged) return undefined;
      try {
        return read(whole);
      } catch (error) {
        if (!(error instanceof MlvError) || error.kind !== 'corrupt') throw error;
        isDamaged = true;
        return undefined;
      }
    }

    async function fetchParts(parts: readonly number[], signal?: AbortSignal): Promise<void> {
      await forEachParallel(joinRanges(head, parts), { jobs: JOBS, signal }, async (range, stop) => {
        sparse?.write(await home.read(key, range, stop), range.offset);
      });
    }

    return {
      head,
      isSparse: () => whole === undefined || isDamaged,
      find: (digest) => sparse?.find(digest) ?? tryWhole((file) => file.find(digest)),
      async expect(lookUps, signal) {
        const isAllowed = whole === undefined && head.fileLength <= MAX_WHOLE_INDEX_BYTES;
        if (isAllowed && (lookUps + fetched.size) * WHOLE_SHARE > head.blocks) await fetchWhole(signal);
      },
      async fetchWanted(signal) {
        if (isDamaged) return (await fetchWhole(signal)) !== undefined;
        const parts = [...(sparse?.takeWanted() ?? [])].sort((a, b) => a - b);
        if (parts.length === 0) return false;
        const wrong = parts.find((part) => fetched.has(part));
        if (wrong !== undefined) {
          fetched.clear(); // whoever asks again gets other bytes, perhaps
          throw invalidIndex(name, `part ${wrong} at ${home.name}`);
        }
        await fetchParts(parts, signal);
        for (const part of parts) fetched.add(part);
        return true;
      },
      roots: () => tryWhole((file) => file.roots()) ?? [],
      async whole(signal) {
        const verified = tryWhole((file) => {
          file.verify();
          return file;
        });
        return verified ?? fetchWhole(signal);
      },
      close() {
        whole?.close();
        sparse?.close();
      },
    };
  }

  function openLocal(name: Digest): MirroredIndex | undefined {
    const whole = openIfGood(wholePath(name), () => openIndexFile(wholePath(name), name));
    if (whole !== undefined) return mirrored(whole.head, { whole });
    const sparse = openIfGood(sparsePath(name), () => openSparseIndexFile(sparsePath(name), name));
    return sparse === undefined ? undefined : mirrored(sparse.head, { sparse });
  }

  return {
    openLocal,
    keep(name, chunks) {
      const whole = placeWhole(name, chunks, false);
      return mirrored(whole.head, { whole });
    },
    async fetch(name, size, signal) {
      const key = remoteFolder + name;
      const first = Math.min(size, size <= WHOLE_BYTES ? size : FIRST_BYTES);
      const start = await home.read(key, { offset: 0, length: first }, signal);
      if (start.length === size) {
        const whole = placeWhole(name, [start], true);
        return mirrored(whole.head, { whole });
      }
      const length = indexHeadLength(start, name);
      if (length > size) throw invalidIndex(name, `its size at ${home.name}`);
      const rest = { offset: first, length: length - first };
      const head =
        rest.length > 0 ? Buffer.concat([start, await home.read(key, rest, signal)]) : start.subarray(0, length);
      const parsed = parseIndexHead(head, name, hashEngine().hash);
      if (parsed.fileLength !== size) throw invalidIndex(name, `its size at ${home.name}`);
      place(sparsePath(name), (file) => {
        writeFully(file, head);
        ftruncateSync(file, size);
      });
      return mirrored(parsed, { sparse: openSparseIndexFile(sparsePath(name), name) });
    },
    readFile(name) {
      try {
        return readFileSync(join(folder, name));
      } catch (error) {
        if (!hasErrorCode(error, 'ENOENT')) throw error;
        return undefined;
      }
    },
    keepFile(name, bytes) {
      place(join(folder, name), (file) => writeFully(file, bytes));
    },
    retain(isListed) {
      for (const name of listNames(folder)) {
        if (isTemporaryName(name) && Date.now() - modified(join(folder, name)) < LEFTOVER_MS) continue;
        const listed = name.endsWith(SPARSE_SUFFIX) ? name.slice(0, -SPARSE_SUFFIX.length) : name;
        if (!isListed(listed)) rmSync(join(folder, name), { force: true });
      }
    },
  };
}

/** Milliseconds; of what is gone, 0. */
function modified(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}

/** Where sorted parts lie, those close together as one range. */
function joinRanges(head: IndexHead, parts: readonly number[]): { offset: number; length: number }[] {
  const ranges: { offset: number; length: number }[] = [];
  for (const part of parts) {
    const { offset, length } = partRange(head, part);
    const last = ranges.at(-1);
    const end = last === undefined ? -Infinity : last.offset + last.length;
    if (last !== undefined && offset - end <= GAP_BYTES && offset + length - last.offset <= PIECE_BYTES)
      last.length = offset + length - last.offset;
    else ranges.push({ offset, length });
  }
  return ranges;
}
