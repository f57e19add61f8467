import { open } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { ioError } from '../platform/io-error.ts';
import type { ProjectFolders } from '../workspace/open.ts';
import type { LoggedRun } from './stage-logs.ts';
import { readRun } from './stage-logs.ts';

export interface FollowOptions {
  /** Goes on until the run has ended. */
  readonly isFollowing: boolean;
  readonly signal?: AbortSignal | undefined;
  /** Takes the next bytes of the log; waited for. The bytes are the caller's until then. */
  readonly onBytes: (bytes: Uint8Array) => Promise<void>;
}

const PIECE = 64 << 10;
/** Milliseconds between looks at a log that grows: some disks tell of no changes. */
const PAUSE_MS = 100;

/** Hands over the log of a run, also of one that another process runs. Returns what is known of the run at the end. Throws the signal's reason. */
export async function followLog(folders: ProjectFolders, run: LoggedRun, options: FollowOptions): Promise<LoggedRun> {
  const { isFollowing, signal, onBytes } = options;
  const file = await open(run.path).catch((error: unknown) => {
    throw ioError(error, 'read', run.path);
  });
  try {
    const bytes = Buffer.allocUnsafe(PIECE);
    for (;;) {
      // Looked at before the log is read: once it has ended, what is read is all.
      const now = readRun(folders, run.path) ?? run;
      for (;;) {
        const { bytesRead } = await file.read(bytes, 0, PIECE);
        if (bytesRead === 0) break;
        await onBytes(bytes.subarray(0, bytesRead));
      }
      if (!isFollowing || now.outcome !== 'running') return now;
      signal?.throwIfAborted();
      await sleep(PAUSE_MS);
    }
  } finally {
    await file.close();
  }
}
