/**
 * Short locks between processes, for metadata only. The lock `NAME` in a folder is a row of files `NAME.<N>`, made by
 * exclusive create; the highest number is the valid one. Whoever finds it free, or its owner dead, creates N+1, and holds
 * the lock if that is still the highest after it was created. Numbers never come back: the highest file stays as a mark
 * when the lock is free, so one who looked long ago and creates a number only now cannot hold it beside somebody else.
 */
import {
  closeSync,
  constants,
  existsSync,
  fchmodSync,
  fstatSync,
  lstatSync,
  openSync,
  readdirSync,
  readSync,
  statSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { hostname } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { hasErrorCode, MlvError } from '../domain/errors.ts';
import { diskTimeIn } from './disk-time.ts';
import { makeFolderDurably } from './durable-write.ts';
import { ioError } from './io-error.ts';
import type { ProcessIdentity } from './process-identity.ts';
import { ownIdentity, processState } from './process-identity.ts';

export interface Lock {
  /** Throws `lock-lost` when somebody took the lock over: call it just before the rename that the lock protects. */
  assertHeld(): void;
}

/** How a command waits for locks of others; said once, by whoever runs it. */
export interface LockWaiting {
  /** How long to wait for another owner. Each kind of lock has its own default. */
  readonly waitMs?: number;
  /** Told once for each lock that keeps this process waiting a second or longer, in words that name its owner. */
  readonly onWait?: (held: string) => void;
  /** Ends the wait, with its own reason. */
  readonly signal?: AbortSignal;
}

export interface LockOptions extends LockWaiting {
  /** What the lock is held for, for whoever waits: `mlv add data`. */
  readonly command: string;
  /** Between signs of life for processes that cannot see this one. After six without a sign it counts as dead. */
  readonly heartbeatMs?: number;
}

interface Owner extends ProcessIdentity {
  readonly host: string;
  readonly command: string;
  readonly since: string;
  readonly heartbeatMs: number;
}

const WAIT_MS = 10_000;
const HEARTBEAT_MS = 5_000;
const MISSED_HEARTBEATS = 6;
/** Who has made a lock file writes into it at once; later than that, it finds that somebody else has the lock. */
const STARTING_MS = 2_000;
/** Between looks at a lock that somebody has: at first, and after a while. */
const SHORT_PAUSE_MS = 50;
const LONG_PAUSE_MS = 1_000;
/** What takes less need not be told. */
const PATIENCE_MS = 1_000;
/** A lock file says less than this, and nobody's signs of life are further apart: what does not fit was not written by mlv. */
const LONGEST_TEXT = 4_096;
const LONGEST_HEARTBEAT_MS = 60_000;

const NUMBER = /^[1-9]\d{0,14}$/;

/** The first bytes of a lock file, of one length so that one can be written over the other. */
const HELD = 'held';
const FREE = 'free';

/**
 * Runs `fn` while this process holds the lock `name` in `folder`, and gives back what it returns. The folder is made when
 * it is missing. Not to be nested. Throws `locked` (kind refused), naming the owner, when the wait was in vain; `lock-damaged`; the signal's reason.
 */
export async function withLock<T>(
  folder: string,
  name: string,
  options: LockOptions,
  fn: (lock: Lock) => Promise<T> | T,
): Promise<T> {
  const { number, fd } = await acquire(folder, name, options);
  // The heartbeat writes over what is there, so that it is the disk's own clock that sets the time.
  const heartbeat = setInterval(() => mark(fd, HELD), options.heartbeatMs ?? HEARTBEAT_MS).unref();
  try {
    return await fn({ assertHeld: () => assertHeld({ folder, name, number, fd }) });
  } finally {
    clearInterval(heartbeat);
    mark(fd, FREE);
    closeSync(fd);
  }
}

/** Whether somebody holds the lock, as far as looking tells. Throws `lock-damaged`, and Node's own errors. */
export function isLocked(folder: string, name: string): boolean {
  if (!existsSync(folder)) return false;
  const highest = highestNumber(folder, name);
  return highest > 0 && readHolder(pathOf(folder, name, highest)) !== 'free';
}

async function acquire(folder: string, name: string, options: LockOptions): Promise<{ number: number; fd: number }> {
  const start = performance.now();
  const { waitMs = WAIT_MS } = options;
  let isTold = false;
  for (;;) {
    const attempt = tryAcquire(folder, name, options);
    if ('fd' in attempt) return attempt;
    options.signal?.throwIfAborted();
    const now = performance.now();
    // Who has just begun says who it is, or was killed: neither who waits nor who does not is sent away for that.
    const isStarting = attempt.path !== undefined && attempt.owner === undefined;
    const remaining = start + Math.max(waitMs, isStarting ? STARTING_MS + SHORT_PAUSE_MS : 0) - now;
    if (attempt.path !== undefined) {
      if (remaining <= 0) throw locked(attempt.path, attempt.owner);
      if (!isTold && now - start >= PATIENCE_MS) {
        options.onWait?.(heldBy(attempt.path, attempt.owner));
        isTold = true;
      }
    }
    const longestPause = Math.min(Math.max(SHORT_PAUSE_MS, (now - start) / 20), LONG_PAUSE_MS);
    await sleep(Math.min(Math.max(0, remaining), Math.random() * longestPause));
  }
}

/** The lock; or who has it; or nothing, when others were at it in the same moment. */
function tryAcquire(
  folder: string,
  name: string,
  options: LockOptions,
): { number: number; fd: number } | { path?: string; owner?: Owner | undefined } {
  try {
    makeFolderDurably(folder);
    const highest = highestNumber(folder, name);
    const path = pathOf(folder, name, highest);
    if (highest > 0) {
      const holder = readHolder(path);
      if (holder !== 'free') return holder === 'gone' ? {} : { path, owner: holder.owner };
    }
    return claim(folder, name, highest + 1, options);
  } catch (error) {
    throw ioError(error, 'write', join(folder, name));
  }
}

function claim(
  folder: string,
  name: string,
  number: number,
  options: LockOptions,
): { number: number; fd: number } | Record<string, never> {
  const path = pathOf(folder, name, number);
  // It would not be seen by others, nor by this process.
  if (!NUMBER.test(String(number)))
    throw damaged(pathOf(folder, name, number - 1), 'has a number that no lock gets to');
  // Found out before: a process that dies with an empty lock file keeps others waiting.
  const text = `${HELD}\n${JSON.stringify(ownerFor(options))}\n`;
  let fd: number;
  try {
    fd = openSync(path, 'wx');
  } catch (error) {
    if (hasErrorCode(error, 'EEXIST')) return {};
    throw error;
  }
  try {
    writeSync(fd, text, 0);
    fchmodSync(fd, 0o644); // whatever the umask: others must see who has it
    if (highestNumber(folder, name) === number) {
      for (const lower of numbers(folder, name)) if (lower < number) unlinkIfThere(pathOf(folder, name, lower));
      return { number, fd };
    }
  } catch (error) {
    closeSync(fd);
    unlinkIfThere(path);
    throw error;
  }
  closeSync(fd);
  unlinkIfThere(path);
  return {};
}

/** Who holds the highest lock file; `gone` when a higher one has come since. */
function readHolder(path: string): { owner: Owner | undefined } | 'free' | 'gone' {
  try {
    const text = readLockFile(path);
    if (text.startsWith(FREE)) return 'free';
    const owner = parseOwner(text);
    const state = owner === undefined ? 'unknown' : processState(owner);
    if (state === 'ended' || (state === 'unknown' && !beats(path, owner))) return 'free';
    return { owner };
  } catch (error) {
    // ESTALE: removed on another machine while it was looked at here.
    if (hasErrorCode(error, 'ENOENT', 'ESTALE')) return 'gone';
    throw error;
  }
}

/** As much of a lock file as one can be long. What is no file is not followed, waited for, or taken for a lock. */
function readLockFile(path: string): string {
  if (!lstatSync(path).isFile()) throw damaged(path, 'is not a lock, but in the place of one');
  const fd = openSync(path, constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0));
  try {
    const bytes = Buffer.allocUnsafe(LONGEST_TEXT);
    return bytes.toString('utf8', 0, readSync(fd, bytes, 0, LONGEST_TEXT, 0));
  } finally {
    closeSync(fd);
  }
}

/** Whether the file was touched of late, by the clock of the disk it is on. Without an owner in it: by whoever is about to write that. */
function beats(path: string, owner: Owner | undefined): boolean {
  // A time to come is no sign of life either: the clock was set back, and nobody has touched the file since.
  const age = Math.abs(diskTimeIn(dirname(path)) - statSync(path).mtimeMs);
  return age <= (owner === undefined ? STARTING_MS : owner.heartbeatMs * MISSED_HEARTBEATS);
}

function assertHeld({ folder, name, number, fd }: { folder: string; name: string; number: number; fd: number }): void {
  if (isThere(fd) && highestNumber(folder, name) === number) return;
  throw new MlvError({
    code: 'lock-lost',
    kind: 'conflict',
    message: `another process took over the lock ${join(folder, name)}, which this one had not given signs of life for`,
    hint: 'Try again.',
  });
}

function isThere(fd: number): boolean {
  try {
    return fstatSync(fd).nlink > 0;
  } catch (error) {
    if (hasErrorCode(error, 'ESTALE')) return false;
    throw error;
  }
}

function mark(fd: number, state: typeof HELD | typeof FREE): void {
  try {
    writeSync(fd, state, 0);
  } catch {
    // A sign of life that cannot be given is seen by `assertHeld`, where it matters.
  }
}

function highestNumber(folder: string, name: string): number {
  return Math.max(0, ...numbers(folder, name));
}

function numbers(folder: string, name: string): number[] {
  return readdirSync(folder)
    .filter((file) => file.startsWith(`${name}.`))
    .map((file) => file.slice(name.length + 1))
    .filter((suffix) => NUMBER.test(suffix))
    .map(Number);
}

function pathOf(folder: string, name: string, number: number): string {
  return join(folder, `${name}.${number}`);
}

function ownerFor({ command, heartbeatMs = HEARTBEAT_MS }: LockOptions): Owner {
  return { ...ownIdentity(), host: hostname(), command, since: new Date().toISOString(), heartbeatMs };
}

function parseOwner(text: string): Owner | undefined {
  try {
    const owner = JSON.parse(text.slice(HELD.length)) as Partial<Owner> | null;
    const valid =
      [owner?.bootId, owner?.pidNamespace, owner?.startTime, owner?.host, owner?.command, owner?.since].every(
        (field) => typeof field === 'string',
      ) &&
      [owner?.pid, owner?.heartbeatMs].every((field) => Number.isSafeInteger(field) && Number(field) > 0) &&
      Number(owner?.heartbeatMs) <= LONGEST_HEARTBEAT_MS;
    return valid ? (owner as Owner) : undefined;
  } catch {
    return undefined;
  }
}

function unlinkIfThere(path: string): void {
  try {
    unlinkSync(path);
  } catch (error) {
    if (!hasErrorCode(error, 'ENOENT')) throw error;
  }
}

function damaged(path: string, what: string): MlvError {
  return new MlvError({
    code: 'lock-damaged',
    kind: 'corrupt',
    message: `${path} ${what}`,
    hint: 'Delete it, and try again.',
  });
}

function locked(path: string, owner: Owner | undefined): MlvError {
  return new MlvError({
    code: 'locked',
    kind: 'refused',
    message: heldBy(path, owner),
    hint: 'Wait until it has ended, or end it, and try again; --wait-for-lock 10m does the waiting.',
  });
}

function heldBy(path: string, owner: Owner | undefined): string {
  const who =
    owner === undefined
      ? 'a process that is just starting'
      : `process ${owner.pid}${owner.host === hostname() ? '' : ` on ${owner.host}`} (${owner.command}) since ${owner.since}`;
  return `${path} is held by ${who}`;
}
