/** A command with all that it started, as one. */
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { hasErrorCode } from '../domain/errors.ts';
import { listNames } from './list-names.ts';

/** Sends a signal to every process of the group that `leader` was started as; nothing where there is none any more. */
export function signalGroup(leader: number, signal: 'SIGINT' | 'SIGTERM' | 'SIGKILL'): void {
  if (process.platform === 'win32') {
    // There are no groups, and nothing softer that programs without a window would understand.
    execFile('taskkill', ['/pid', String(leader), '/T', '/F'], () => undefined);
    return;
  }
  try {
    process.kill(-leader, signal);
  } catch (error) {
    // EPERM: what is left of it is somebody else's.
    if (!hasErrorCode(error, 'ESRCH', 'EPERM')) throw error;
  }
}

/**
 * Whether a process of the group still runs. A group's number is given to no other as long as one does. What has ended, but whose
 * parent never asked how, does not count (where that can be seen: Linux).
 */
export function isGroupAlive(leader: number): boolean {
  try {
    process.kill(process.platform === 'win32' ? leader : -leader, 0);
  } catch (error) {
    if (hasErrorCode(error, 'ESRCH')) return false;
  }
  const processes = process.platform === 'linux' ? listNames('/proc') : [];
  return processes.length === 0 || processes.some((name) => isMember(name, leader));
}

function isMember(name: string, group: number): boolean {
  if (!/^\d+$/.test(name)) return false;
  try {
    const stat = readFileSync(`/proc/${name}/stat`, 'latin1');
    // The command's name, in parentheses, may hold anything; then state, parent, group (proc(5)).
    const [state = '', , itsGroup] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return Number(itsGroup) === group && !'ZX'.includes(state);
  } catch {
    // It has ended since.
    return false;
  }
}
