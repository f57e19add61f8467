/**
 * Short locks between processes, for metadata only. The lock `NAME` in a folder is a row of files `NAME.<N>`, made by
 * exclusive create; the highest number is the valid one. Whoever finds it free, or its owner dead, creates N+1, and holds
 * the lock if that is still the highest after it was created. Numbers never come back: the highest file stays as a mark
 * when the lock is free, so one who looked long ago and creates a number only now cannot hold it beside somebody else.
 */
import {
  closeSync,
  fchmodSync,
  fstatSync,
  openSync,
  readdirSync,
  readFileSync,
  statSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { hasErrorCode, MlvError } from '../domain/errors.ts';
import { makeFolderDurably, temporaryName } from './durable-write.ts';
import { ioError } from './io-error.ts';
import type { ProcessIdentity } from './process-identity.ts';
import { ownIdentity, processState } from './process-identity.ts';

export interface Lock {
  /** Throws `lock-lost` when somebody took the lock over: call it just before the rename that the lock protects. */
  assertHeld(): void;
}

export interface LockOptions {
  /** What the lock is held for, for whoever waits: `mlv add data`. */
  readonly command: string;
  /** How long to wait for another owner. */
  readonly waitMs?: number;
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
const LONGEST_PAUSE_MS = 50;

const NUMBER = /^[1-9]\d{0,14}$/;

/** The first bytes of a lock file, of one length so that one can be written over the other. */
const HELD = 'held';
const FREE = 'free';

/**
 * Runs `fn` while this process holds the lock `name` in `folder`, and gives back what it returns. The folder is made when
 * it is missing. Not to be nested. Throws `locked` (kind refused), naming the owner, when the wait was in vain; `lock-damaged`.
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

async function acquire(folder: string, name: string, options: LockOptions): Promise<{ number: number; fd: number }> {
  const deadline = performance.now() + (options.waitMs ?? WAIT_MS);
  for (;;) {
    const attempt = tryAcquire(folder, name, options);
    if ('fd' in attempt) return attempt;
    const remaining = deadline - performance.now();
    if (remaining <= 0 && attempt.path !== undefined) throw locked(attempt.path, attempt.owner);
    await sleep(Math.min(Math.max(0, remaining), Math.random() * LONGEST_PAUSE_MS));
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
  if (!NUMBER.test(String(number))) throw damaged(pathOf(folder, name, number - 1));
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
    const text = readFileSync(path, 'utf8');
    if (text.startsWith(FREE)) return 'free';
    const owner = parseOwner(text);
    const state = owner === undefined ? 'unknown' : processState(owner);
    if (state === 'ended' || (state === 'unknown' && !beats(path, owner))) return 'free';
    return { owner };
  } catch (error) {
    if (hasErrorCode(error, 'ENOENT')) return 'gone';
    throw error;
  }
}

/** Whether the file was touched of late, by the clock of the disk it is on. Without an owner in it: by whoever is about to write that. */
function beats(path: string, owner: Owner | undefined): boolean {
  const probe = join(path, '..', temporaryName());
  closeSync(openSync(probe, 'wx'));
  try {
    // A time to come is no sign of life either: the clock was set back, and nobody has touched the file since.
    const age = Math.abs(statSync(probe).mtimeMs - statSync(path).mtimeMs);
    return age <= (owner === undefined ? STARTING_MS : owner.heartbeatMs * MISSED_HEARTBEATS);
  } finally {
    unlinkIfThere(probe);
  }
}

function assertHeld({ folder, name, number, fd }: { folder: string; name: string; number: number; fd: number }): void {
  if (fstatSync(fd).nlink > 0 && highestNumber(folder, name) === number) return;
  throw new MlvError({
    code: 'lock-lost',
    kind: 'conflict',
    message: `another process took over the lock ${join(folder, name)}, which this one had not given signs of life for`,
    hint: 'Try again.',
  });
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
      ) && [owner?.pid, owner?.heartbeatMs].every((field) => Number.isSafeInteger(field) && Number(field) > 0);
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

function damaged(path: string): MlvError {
  return new MlvError({
    code: 'lock-damaged',
    kind: 'corrupt',
    message: `${path} has a number that no lock gets to`,
    hint: 'Delete that file, and try again.',
  });
}

function locked(path: string, owner: Owner | undefined): MlvError {
  const who =
    owner === undefined
      ? 'a process that is just starting'
      : `process ${owner.pid}${owner.host === hostname() ? '' : ` on ${owner.host}`} (${owner.command}) since ${owner.since}`;
  return new MlvError({
    code: 'locked',
    kind: 'refused',
    message: `${path} is held by ${who}`,
    hint: 'Wait until it has ended, or end it, and try again.',
  });
}
