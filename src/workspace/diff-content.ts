import { open, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import type { TableComparison, TableFormat } from './compare-tables.ts';
import { compareTables, tableFormat } from './compare-tables.ts';
import type { RowReader } from '../domain/csv-reader.ts';
import type { Digest } from '../domain/digest.ts';
import { hasErrorCode, MlvError } from '../domain/errors.ts';
import type { Pointer } from '../domain/pointer.ts';
import type { Side } from '../domain/row-tally.ts';
import { download } from '../storage/download.ts';
import type { Workspace } from './open.ts';
import { openNamedRemote, remoteNameFor } from './open-remote.ts';

/** What is known of the rows and columns of a file that was modified. */
export type ContentComparison =
  | ({ readonly state: 'compared' } & TableComparison)
  /** The content of one side is neither in the cache nor in the workspace, and was not fetched. */
  | { readonly state: 'not-here'; readonly format: TableFormat }
  /** It is no such table, for this reason. */
  | { readonly state: 'not-read'; readonly format: TableFormat; readonly reason: string };

/** One version of a file. */
export interface FileContent {
  readonly digest: Digest;
  readonly size: number;
  readonly pointer: Pointer;
  /** Where it stands in the workspace, if it does. */
  readonly workspacePath: string | undefined;
}

/** Content that is on no disk here is fetched up to this many bytes, all of one comparison together. */
const FETCHED_BYTES = 64 << 20;

const PIECE = 256 << 10;

/** Compares the rows and columns of modified files. Undefined for files that are no tables by their names. Never throws for content. */
export function createContentComparer(workspace: Workspace, signal: AbortSignal | undefined) {
  let room = FETCHED_BYTES;

  /** Gets what is small enough from the remote. What cannot be got is told as not being here. */
  async function fetchMissing(path: string, versions: readonly FileContent[]): Promise<void> {
    const missing = versions.filter((version) => !isHere(workspace, version));
    const bytes = missing.reduce((sum, { size }) => sum + size, 0);
    if (missing.length === 0 || bytes > room) return;
    room -= bytes;
    for (const { digest, size, pointer } of missing) {
      try {
        const named = await openNamedRemote(workspace, remoteNameFor(workspace, pointer, undefined), { signal });
        try {
          const wanted = [{ digest, type: 'file' as const, size, name: path }];
          await download({ remote: named.remote, cache: workspace.cache(), wanted, signal });
        } finally {
          named.remote.close();
        }
      } catch (error) {
        if (!(error instanceof MlvError) || error.kind === 'interrupted') throw error;
        // One that cannot be reached is not asked again and again.
        room = 0;
      }
    }
  }

  return async (path: string, before: FileContent, after: FileContent): Promise<ContentComparison | undefined> => {
    const format = tableFormat(path);
    if (format === undefined) return undefined;
    await fetchMissing(path, [before, after]);
    const handles: FileHandle[] = [];
    try {
      const sources = {
        before: await openSource(workspace, before, handles),
        after: await openSource(workspace, after, handles),
      };
      const { before: one, after: two } = sources;
      if (one === undefined || two === undefined) return { state: 'not-here', format };
      const found = await compareTables(format, (readers) => readInStep({ before: one, after: two }, readers, signal));
      return { state: 'compared', ...found };
    } catch (error) {
      if (error instanceof NotRead) return { state: 'not-read', format, reason: error.message };
      // It was deleted, or changed, while it was read.
      if (hasErrorCode(error, 'ENOENT', 'EACCES', 'EIO')) return { state: 'not-here', format };
      throw error;
    } finally {
      for (const handle of handles) await handle.close();
    }
  };
}

class NotRead extends Error {
  override readonly name = 'NotRead';
}

interface Source {
  readonly handle: FileHandle;
  readonly offset: number;
  readonly length: number;
}

function isHere(workspace: Workspace, { digest, workspacePath }: FileContent): boolean {
  return workspacePath !== undefined || workspace.cache().has(digest);
}

async function openSource(
  workspace: Workspace,
  { digest, size, workspacePath }: FileContent,
  handles: FileHandle[],
): Promise<Source | undefined> {
  const location = workspace.cache().locate(digest);
  if (location === undefined && workspacePath === undefined) return undefined;
  const { path, offset, length } = location ?? {
    path: join(workspace.root, workspacePath ?? ''),
    offset: 0,
    length: size,
  };
  const handle = await open(path, 'r');
  handles.push(handle);
  return { handle, offset, length };
}

/** Reads both from their beginning, the one that is behind first. Throws `NotRead`. */
async function readInStep(
  sources: Readonly<Record<Side, Source>>,
  readers: Readonly<Record<Side, RowReader>>,
  signal: AbortSignal | undefined,
): Promise<void> {
  const buffer = Buffer.allocUnsafe(PIECE);
  const done = { before: 0, after: 0 };
  const isOpen = (side: Side): boolean => done[side] < sources[side].length && readers[side].isDone?.() !== true;
  const share = (side: Side): number => (isOpen(side) ? done[side] / sources[side].length : Infinity);
  for (;;) {
    signal?.throwIfAborted();
    const side: Side = share('before') <= share('after') ? 'before' : 'after';
    if (!isOpen(side)) break;
    const { handle, offset, length } = sources[side];
    const wanted = Math.min(PIECE, length - done[side]);
    const { bytesRead } = await handle.read(buffer, 0, wanted, offset + done[side]);
    if (bytesRead === 0) throw new NotRead('it changed while it was read');
    done[side] += bytesRead;
    check(readers[side].push(buffer.subarray(0, bytesRead)));
  }
  check(readers.before.end() ?? readers.after.end());
}

function check(problem: string | undefined): void {
  if (problem !== undefined) throw new NotRead(problem);
}
