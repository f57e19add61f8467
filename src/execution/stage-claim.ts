/**
 * A claim keeps a stage of a work tree to one process while it runs, stores and records it. It is a lock, and beside it a note
 * that names the process group of the command: that may outlive an mlv that was killed, and would write into the next run's outputs.
 */
import { closeSync, ftruncateSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { hostname } from 'node:os';
import { join, relative } from 'node:path';
import { hasErrorCode, MlvError } from '../domain/errors.ts';
import type { StageId } from '../domain/pipeline.ts';
import { listNames } from '../platform/list-names.ts';
import type { LockWaiting } from '../platform/lock.ts';
import { isLocked, withLock } from '../platform/lock.ts';
import { isGroupAlive } from '../platform/process-group.ts';
import type { ProcessIdentity } from '../platform/process-identity.ts';
import { identityOf, ownIdentity } from '../platform/process-identity.ts';
import type { ProjectFolders } from '../workspace/open.ts';
import { stageKey } from './stage-key.ts';

export interface StageClaim {
  readonly stage: StageId;
  /** Notes the log of the run that begins. */
  noteLog(path: string): void;
  /** Notes that a command is about to run in a process group, by its first process; undefined that it, and all it started, has ended. */
  noteGroup(leader: number | undefined): void;
}

export interface ClaimOptions extends LockWaiting {
  /** What the stage is claimed for, for whoever waits: `mlv repro`. */
  readonly command: string;
}

/** What is noted of a run, for other processes. */
interface Note {
  readonly log?: string;
  readonly leader?: ProcessIdentity & { readonly host: string };
}

const LOCK = 'lock';
const NOTE = 'run.json';

/**
 * Runs `fn` while this process alone runs the stage in this work tree. Waits for another as long as the options say, by default not at
 * all. Throws `stage-running`, naming who runs it; `stage-orphaned` where a command of an mlv that was killed still runs.
 */
export async function withStageClaim<T>(
  folders: ProjectFolders,
  stage: StageId,
  options: ClaimOptions,
  fn: (claim: StageClaim) => Promise<T>,
): Promise<T> {
  const folder = join(
    claimsFolder(folders),
    stageKey(folders, stage, relative(folders.sharedFolder, folders.ownFolder)),
  );
  let isHeld = false;
  try {
    return await withLock(folder, LOCK, { waitMs: 0, ...options }, async () => {
      isHeld = true;
      const path = join(folder, NOTE);
      refuseOrphan(stage, path);
      const note = openNote(path);
      try {
        return await fn({ stage, noteLog: note.log, noteGroup: note.group });
      } finally {
        note.close();
      }
    });
  } catch (error) {
    if (isHeld || !(error instanceof MlvError) || error.code !== 'locked') throw error;
    throw new MlvError({
      code: 'stage-running',
      kind: 'refused',
      message: `stage ${stage} is being run by another mlv: ${error.message.replace(/^.* is held by /, '')}`,
      hint: `Wait until it has ended, or end it, and try again; --wait-for-lock 10m does the waiting. To watch it: mlv logs -f ${stage}`,
      cause: error,
    });
  }
}

/** The logs of runs that are under way, in any work tree. */
export function logsUnderWay(folders: ProjectFolders): ReadonlySet<string> {
  const claims = claimsFolder(folders);
  const logs = new Set<string>();
  for (const name of listNames(claims)) {
    const { log } = readNote(join(claims, name, NOTE)) ?? {};
    if (log !== undefined && isLocked(join(claims, name), LOCK)) logs.add(log);
  }
  return logs;
}

function claimsFolder({ sharedFolder }: ProjectFolders): string {
  return join(sharedFolder, 'claims');
}

/**
 * Written over and over in its place, at the cost of one write: it need not survive the machine, as what it tells of does not, and one that
 * was cut by the death of this process tells of no command, for none has begun, or the last has ended.
 */
function openNote(path: string) {
  let fd: number | undefined;
  let note: Note = {};
  const write = (): void => {
    fd ??= openSync(path, 'w');
    ftruncateSync(fd, writeSync(fd, JSON.stringify(note), 0));
  };
  return {
    /** With the group that follows. */
    log(log: string): void {
      note = { ...note, log };
    },
    group(leader: number | undefined): void {
      const { leader: _ended, ...rest } = note;
      const identity = leader === undefined ? undefined : identityOf(leader);
      note = identity === undefined ? rest : { ...rest, leader: { ...identity, host: hostname() } };
      write();
    },
    close(): void {
      if (fd !== undefined) closeSync(fd);
      // What could not be killed keeps its note.
      if (note.leader === undefined) rmSync(path, { force: true });
    },
  };
}

function readNote(path: string): Note | undefined {
  try {
    const note: unknown = JSON.parse(readFileSync(path, 'utf8'));
    return typeof note === 'object' && note !== null ? note : undefined;
  } catch (error) {
    // It is replaced whole: what does not parse was damaged by a crash of the machine, and tells of nothing that runs.
    if (error instanceof SyntaxError || hasErrorCode(error, 'ENOENT', 'ENOTDIR')) return undefined;
    throw error;
  }
}

function refuseOrphan(stage: StageId, path: string): void {
  const leader = readNote(path)?.leader;
  if (leader === undefined) return;
  const mine = ownIdentity();
  const isSameBoot = leader.bootId === mine.bootId;
  if (!isSameBoot && leader.host === hostname()) return; // the machine was started again since
  if (isSameBoot && leader.pidNamespace === mine.pidNamespace) {
    const now = identityOf(leader.pid);
    // The number was given to another process: no group had it any more.
    if (now !== undefined && now.startTime !== leader.startTime) return;
    if (!isGroupAlive(leader.pid)) return;
    throw orphaned(
      `stage ${stage}: the mlv that ran it was killed, and its command still runs (process group ${leader.pid})`,
      `Wait until it has ended, or end it: kill -TERM -${leader.pid}`,
    );
  }
  throw orphaned(
    `stage ${stage}: the mlv that ran it was killed, and its command may still run on ${leader.host}, where this one cannot look (process group ${leader.pid})`,
    `Once you know that it has ended: rm '${path}'`,
  );
}

function orphaned(message: string, hint: string): MlvError {
  return new MlvError({ code: 'stage-orphaned', kind: 'refused', message, hint });
}
