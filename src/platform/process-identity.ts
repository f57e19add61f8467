import { readFileSync, readlinkSync } from 'node:fs';
import { hostname } from 'node:os';

/** Tells a process from every other, on any machine that shares the disk. */
export interface ProcessIdentity {
  /** Of the running kernel; where that has none, the machine's name. */
  readonly bootId: string;
  /** '' where there are no such things. */
  readonly pidNamespace: string;
  readonly pid: number;
  /** In ticks since the boot; '' where it cannot be known. */
  readonly startTime: string;
}

let own: ProcessIdentity | undefined;
let boot: string | undefined;

/** Tells one run of this machine's kernel from every other; '' on a platform that has nothing to tell it by. */
export function bootId(): string {
  boot ??= attempt(() => readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim()) ?? '';
  return boot;
}

/** Who this process is. */
export function ownIdentity(): ProcessIdentity {
  own ??= {
    bootId: bootId() || hostname(),
    pidNamespace: attempt(() => readlinkSync('/proc/self/ns/pid')) ?? '',
    pid: process.pid,
    startTime: startTimeOf(process.pid) ?? '',
  };
  return own;
}

/** Who a process is that this one can see; undefined when there is none of that number. */
export function identityOf(pid: number): ProcessIdentity | undefined {
  const startTime = startTimeOf(pid);
  return startTime === undefined ? undefined : { ...ownIdentity(), pid, startTime };
}

/** Whether a process runs. `unknown` when this process cannot see it: another machine or namespace, or no start time to tell a reused id by. */
export function processState(identity: ProcessIdentity): 'running' | 'ended' | 'unknown' {
  const mine = ownIdentity();
  if (identity.bootId !== mine.bootId || identity.pidNamespace !== mine.pidNamespace) return 'unknown';
  const startTime = startTimeOf(identity.pid);
  if (startTime === undefined) return 'ended';
  if (startTime === '' || identity.startTime === '') return 'unknown';
  return startTime === identity.startTime ? 'running' : 'ended';
}

/** Undefined when there is no such process, or only its remains; '' when there is one and nothing more is known. */
function startTimeOf(pid: number): string | undefined {
  try {
    process.kill(pid, 0);
  } catch (error) {
    // EPERM: it is there, and somebody else's.
    if (error instanceof Error && 'code' in error && error.code === 'ESRCH') return undefined;
  }
  const stat = attempt(() => readFileSync(`/proc/${pid}/stat`, 'latin1'));
  if (stat === undefined) return '';
  // The second field is the command's name in parentheses, and may hold anything (proc(5)); fields 3 and 22 are wanted.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return fields[0] === 'Z' || fields[0] === 'X' ? undefined : (fields[19] ?? '');
}

function attempt<T>(run: () => T): T | undefined {
  try {
    return run();
  } catch {
    return undefined;
  }
}
